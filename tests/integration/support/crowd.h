// Very many clients in one thread, each with its requests under way and what is to be done with their replies, and with
// things that are to be done a while later: for tests in which a crowd acts at once. See support/swarm.h for the
// sockets.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "reply.h"
#include "swarm.h"

namespace corral::test {

class Crowd {
 public:
  using OnReply = std::function<void(const Reply&)>;

  // So many clients, in turn at these ports, each of which has been answered once. Every other one speaks RESP3 if
  // `mixed`.
  Crowd(std::vector<uint16_t> ports, size_t clients, bool mixed = false);

  size_t size() const { return awaited_.size(); }
  void request(size_t client, const Args& args, OnReply on_reply);
  void close(size_t client);
  void after(milliseconds delay, std::function<void()> action);

  // Serves all until the condition holds; false if it does not before the timeout.
  template <class Condition>
  bool run_until(Condition&& condition, milliseconds timeout = kPatience) {
    const auto deadline = Clock::now() + timeout;
    while (!condition()) {
      if (Clock::now() > deadline) return false;
      turn();
    }
    return true;
  }
  void run_for(milliseconds time) {
    run_until([] { return false; }, time);
  }
  // Connections that the other side has closed.
  size_t lost() const { return swarm_.lost(); }

 private:
  void turn();
  size_t take(size_t client, std::string_view bytes);

  std::vector<std::deque<OnReply>> awaited_;
  std::multimap<Clock::time_point, std::function<void()>> later_;
  Swarm swarm_;
};

}  // namespace corral::test
