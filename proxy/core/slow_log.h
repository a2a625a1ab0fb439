// SLOWLOG of the one server that Corral looks like: what the masters logged, and the commands that Corral answered
// itself. The masters' lists come with whole seconds only, so they are merged by what is known of their order.
// Source: https://redis.io/commands/slowlog-get; Redis 7.0, slowlog.c.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "resp/command.h"
#include "resp/command_table.h"
#include "resp/reply_view.h"

namespace corral::core {

struct SlowEntry {
  int64_t id = 0;
  int64_t time_s = 0;  // since 1970
  int64_t duration_us = 0;
  std::vector<std::string> args;
  std::string client, client_name;
  bool at_all_masters = false;  // the command went to every master, and each logged it
};

/// Of a reply to SLOWLOG GET, without what Corral did for itself.
std::vector<SlowEntry> read_slow_log(const resp::ReplyView& reply);
/// One list of several; all are newest first. What went to all masters is in it once, behind nothing that a master
/// logged later.
std::vector<SlowEntry> merge_slow_logs(const std::vector<std::vector<SlowEntry>>& lists);
void append_slow_entry(std::string& out, const SlowEntry& entry);
/// Of a command as a log tells it: not too many arguments, not too long, and no secrets.
std::vector<std::string> shown_arguments(const resp::Command& command, const resp::CommandSpec& spec);

/// The commands that Corral answered itself; of the process. They take no time worth telling, so they are logged only
/// where everything is to be. What is to be logged is known from the CONFIG SETs that passed by.
class SlowLog {
 public:
  bool wants(int64_t duration_us) const {
    const int64_t least = slower_than_us_.load(std::memory_order_relaxed);
    return least >= 0 && duration_us >= least;
  }
  /// What is secret in the command is not kept.
  void add(int64_t wall_us, int64_t duration_us, const resp::Command& command, const resp::CommandSpec& spec,
           std::string_view client, std::string_view client_name);
  /// Newest first.
  std::vector<SlowEntry> entries() const;
  void clear();
  /// How many entries SLOWLOG may show.
  size_t max_entries() const { return max_entries_.load(std::memory_order_relaxed); }
  void set_slower_than_us(int64_t least) { slower_than_us_.store(least, std::memory_order_relaxed); }
  void set_max_entries(size_t most);

 private:
  static constexpr int64_t kUnknown = -1;
  static constexpr size_t kMostKept = 128;  // as a server by default; the masters' own entries come on top

  std::atomic<int64_t> slower_than_us_{kUnknown};
  std::atomic<size_t> max_entries_{SIZE_MAX};
  mutable std::mutex mutex_;
  std::vector<SlowEntry> entries_;  // oldest first
  int64_t next_id_ = 0;
};

}  // namespace corral::core
