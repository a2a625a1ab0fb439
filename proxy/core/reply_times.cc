#include "proxy/core/reply_times.h"

namespace corral::core {

void ReplyTimes::settle() {
  const auto now_us = static_cast<uint32_t>(transport_.clock_us());
  for (uint32_t i = 0; i < used_; ++i) {
    const Run& run = runs_[i];
    times_[run.who >> 32].add(now_us - static_cast<uint32_t>(run.who), run.count);
  }
  used_ = 0;
}

}  // namespace corral::core
