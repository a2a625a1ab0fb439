// How long a blocking command may wait: read from its timeout, and written back into it when the command is sent once
// more with the time that is left.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

class TimeLimit {
 public:
  /// The command begins to wait now. Times are of Worker::now64_ms().
  TimeLimit(const resp::CommandSpec& spec, const resp::Command& command, uint64_t now_ms);

  /// Its timeout can be told and makes sense, be it "for ever". Otherwise it is sent as it came, and the node decides.
  bool known() const { return arg_ != 0; }
  bool over(uint64_t now_ms) const { return end_ms_ != kNever && now_ms >= end_ms_; }
  /// At least 1 if there is an end.
  uint64_t left_ms(uint64_t now_ms) const { return over(now_ms) ? 1 : end_ms_ == kNever ? kNever : end_ms_ - now_ms; }
  /// The time was over so long ago; 0 if it is not.
  uint64_t overdue_ms(uint64_t now_ms) const { return over(now_ms) ? now_ms - end_ms_ : 0; }
  /// Its time is over now, whatever the timeout said.
  void end(uint64_t now_ms) { end_ms_ = now_ms; }

  /// The request `bytes`, of the command that this was made of, with the time that is left for its timeout: never 0,
  /// which would be for ever.
  std::string with_time_left(std::string_view bytes, uint64_t now_ms) const;

 private:
  static constexpr uint64_t kNever = ~uint64_t{0};

  uint64_t end_ms_ = kNever;
  uint32_t arg_ = 0;  // the timeout's index; 0: not known
  bool milliseconds_ = false;
};

}  // namespace corral::core
