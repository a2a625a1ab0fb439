// How long clients wait for their replies, from the turn that reads a request to the end of the turn that writes its
// reply. The clock is read at a turn's beginning, and at its end if there were replies: so a time is right to the
// microsecond for what is alone in its turn, and includes what else its two turns did.
//
// What a turn answers is gathered as runs of the same command that came in one turn; so most replies cost an increment.
#pragma once

#include <array>
#include <cstdint>

#include "proxy/core/command_group.h"
#include "proxy/core/command_times.h"
#include "proxy/core/latency.h"
#include "proxy/core/transport.h"

namespace corral::core {

using TimesByGroup = std::array<LatencyHistogram, kCommandGroupNames.size()>;

class ReplyTimes {
 public:
  ReplyTimes(Transport& transport, TimesByGroup& by_group, CommandTimes& by_command)
      : transport_(transport), by_group_(by_group), by_command_(by_command) {}

  /// What is waited for: a command of a group, since it was read (the turn's clock, its low half). `id`:
  /// CommandSpec::id.
  static constexpr uint64_t who(uint32_t since_us, CommandGroup group, uint16_t id) {
    return uint64_t{static_cast<uint8_t>(group)} << 48 | uint64_t{id} << 32 | since_us;
  }
  static constexpr int kWhoBits = 56;
  void add(uint64_t who) {
    if (last_->who != who) [[unlikely]]
      begin_run(who);
    ++last_->count;
  }
  bool any() const { return last_->count > 0; }
  /// They have been written.
  void settle();

 private:
  struct Run {
    uint64_t who = UINT64_MAX;  // nobody
    uint64_t count = 0;
  };

  void begin_run(uint64_t who);

  Transport& transport_;
  TimesByGroup& by_group_;
  CommandTimes& by_command_;
  std::array<Run, 256> runs_;
  Run* last_ = runs_.data();  // none of them has a count of 0 but the first, if there is nothing
};

}  // namespace corral::core
