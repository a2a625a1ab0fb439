// A thread beside the test's own: told to stop and joined when it goes out of scope, and what it throws is a failure of
// the test rather than its end.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <string>
#include <thread>

namespace corral::test {

class Background {
 public:
  using Stop = const std::atomic<bool>&;

  // Runs work(stop), which should return soon after `stop` is true.
  template <class Work>
  explicit Background(Work work) : thread_([this, work = std::move(work)]() mutable { run(work); }) {}
  ~Background() { finish(); }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Tells it to stop, waits until it has.
  void finish() {
    stop_ = true;
    join();
  }
  // Waits until it is done by itself.
  void join() {
    if (!thread_.joinable()) return;
    thread_.join();
    EXPECT_EQ(error_, "") << "in a background thread";
  }

 private:
  template <class Work>
  void run(Work& work) {
    try {
      work(static_cast<Stop>(stop_));
    } catch (const std::exception& error) {
      error_ = std::string("exception: ") + error.what();
    }
  }

  std::atomic<bool> stop_ = false;
  std::string error_;
  std::thread thread_;  // last: begins when the others are there
};

}  // namespace corral::test
