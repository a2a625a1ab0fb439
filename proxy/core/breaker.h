// A circuit breaker for one node (M. Nygard, "Release It!", "Circuit Breaker"): requests for a node that has not
// answered for longer than any of them may take are not to wait for it one by one.
//
// closed     connections to it are made as they are needed. Failures are counted; any answer starts the count anew;
// open       at least kFailures failed in a row, and the first of them is longer ago than a request may take. What is
//            for the node is answered with an error at once, until a probe is due;
// half-open  one probe is under way. What it hears closes the breaker; if it fails, the next one is further off.
#pragma once

#include <cstdint>

namespace corral::core {

class Breaker {
 public:
  static constexpr uint32_t kFailures = 3;
  static constexpr uint32_t kFirstProbeMs = 100, kMostProbeMs = 500;  // windows from which its time is drawn

  bool closed() const { return state_ == State::kClosed; }
  /// Failures since the last answer; and since when, if there are any.
  uint32_t failures() const { return failures_; }
  uint32_t since_ms() const { return since_ms_; }

  void on_answer() { *this = {}; }
  /// True: it is to open; the caller, who may know of an answer, calls open() or on_answer(). `patience_ms`: how long a
  /// request may take.
  bool on_failure(uint32_t now_ms, int64_t patience_ms) {
    if (failures_ == 0) since_ms_ = now_ms;
    if (failures_ < UINT32_MAX) ++failures_;
    return closed() && failures_ >= kFailures && now_ms - since_ms_ >= patience_ms;
  }
  /// Also after a probe that failed. `random`: 64 random bits.
  void open(uint32_t now_ms, uint64_t random);
  /// A probe is due: true once, then it is half-open.
  bool begin_probe(uint32_t now_ms) {
    if (state_ != State::kOpen || static_cast<int32_t>(now_ms - probe_at_ms_) < 0) return false;
    state_ = State::kHalfOpen;
    return true;
  }

 private:
  enum class State : uint8_t { kClosed, kOpen, kHalfOpen };

  State state_ = State::kClosed;
  uint32_t failures_ = 0;
  uint32_t since_ms_ = 0;
  uint32_t probes_ = 0;
  uint32_t probe_at_ms_ = 0;
};

}  // namespace corral::core
