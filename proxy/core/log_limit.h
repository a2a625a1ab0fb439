// How many lines clients may cause in the log: so many a second, and some at once, so that who attacks does not fill a
// disk. What is left out is counted, and told by the next line. Lines about nodes and the process itself are not limited;
// these have intervals of their own.
//
// A token bucket; time is an argument. One for each worker.
#pragma once

#include <algorithm>
#include <cstdint>

namespace corral::core {

class LogLimit {
 public:
  static constexpr uint32_t kPerSecond = 5, kBurst = 50;

  /// Whether a line may be written now; then `left_out` is how many were not since the last one. `now_ms` never goes back.
  bool take(uint64_t now_ms, uint32_t& left_out) {
    millis_ = std::min<uint64_t>(kBurst * kLine, millis_ + (now_ms - last_ms_) * kPerSecond);
    last_ms_ = now_ms;
    if (millis_ < kLine) {
      ++left_out_;
      return false;
    }
    millis_ -= kLine;
    left_out = left_out_;
    left_out_ = 0;
    return true;
  }

 private:
  static constexpr uint64_t kLine = 1000;

  uint64_t millis_ = kBurst * kLine;  // thousandths of a line
  uint64_t last_ms_ = 0;
  uint32_t left_out_ = 0;
};

}  // namespace corral::core
