// What happened lately, for people: connections lost, topology changes, failovers, reloads. Of the process; far from
// the hot way. The same again soon after is not another event, since each worker sees a node go.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace corral::core {

enum class EventKind : uint8_t { kLink, kTopology, kFailover, kSettings };
std::string_view name_of(EventKind kind);

struct LoggedEvent {
  uint64_t number = 0;  // grows, also when it happens once more
  int64_t time_us = 0;  // of the last time; wall clock
  EventKind kind = EventKind::kLink;
  bool bad = false;  // something is worse than before
  uint32_t times = 1;
  std::string text;
};

class EventLog {
 public:
  static constexpr size_t kMostKept = 100;

  void add(int64_t now_us, EventKind kind, bool bad, std::string text);
  /// Newest first.
  std::vector<LoggedEvent> events() const;

 private:
  static constexpr int64_t kSameUs = 5'000'000;  // within which the same is not told again

  mutable std::mutex mutex_;
  std::deque<LoggedEvent> events_;  // newest first
  uint64_t next_number_ = 1;
};

}  // namespace corral::core
