#include "proxy/core/reply_times.h"

namespace corral::core {

void ReplyTimes::begin_run(uint64_t who) {
  if (last_ == &runs_.back()) settle();
  if (any()) ++last_;
  *last_ = {who, 0};
}

void ReplyTimes::settle() {
  const auto now_us = static_cast<uint32_t>(transport_.clock_us());
  for (const Run* run = runs_.data(); run <= last_ && run->count > 0; ++run) {
    const uint32_t took_us = now_us - static_cast<uint32_t>(run->who);
    by_group_[run->who >> 48].add(took_us, run->count);
    by_command_.add(static_cast<uint16_t>(run->who >> 32), took_us, run->count);
  }
  last_ = runs_.data();
  *last_ = {};
}

}  // namespace corral::core
