#include "proxy/core/reply_times.h"

namespace corral::core {

void ReplyTimes::settle() {
  const auto now_us = static_cast<uint32_t>(transport_.clock_us());
  for (uint32_t i = 0; i < used_; ++i) {
    const Run& run = runs_[i];
    const uint32_t took_us = now_us - static_cast<uint32_t>(run.who);
    by_group_[run.who >> 48].add(took_us, run.count);
    by_command_.add(static_cast<uint16_t>(run.who >> 32), took_us, run.count);
  }
  used_ = 0;
}

}  // namespace corral::core
