// Waiting for conditions instead of sleeping: every wait of the integration tests goes through here and has a deadline.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

namespace corral::test {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

inline constexpr milliseconds kPatience{20'000};  // generous, since both cores may be busy

// Calls `condition` until it holds; false if it does not before the timeout.
template <class Condition>
bool eventually(Condition&& condition, milliseconds timeout = kPatience) {
  const auto deadline = Clock::now() + timeout;
  while (!condition()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

// The same for what a test cannot go on without.
template <class Condition>
void require_eventually(const std::string& what, Condition&& condition, milliseconds timeout = kPatience) {
  if (!eventually(condition, timeout)) throw std::runtime_error("timed out waiting until " + what);
}

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace corral::test
