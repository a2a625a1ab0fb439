// Very many connections in one thread: an epoll loop, where a thread for each would measure the scheduler. What comes
// in is given to a function as bytes; what goes out is queued for as long as the socket does not take it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client.h"

namespace corral::test {

class Swarm {
 public:
  // Called with all bytes of a connection that are not taken yet; returns how many it takes.
  using Receive = std::function<size_t(size_t connection, std::string_view bytes)>;

  explicit Swarm(Receive receive);
  ~Swarm();
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;

  // A new connection to 127.0.0.1; they are numbered from 0.
  size_t connect(uint16_t port);
  void send(size_t connection, std::string_view bytes);
  // Closes it, with what it has not read.
  void close(size_t connection);
  bool open(size_t connection) const { return peers_[connection].fd >= 0; }
  size_t size() const { return peers_.size(); }
  uint16_t local_port(size_t connection) const;

  // Serves what is ready, waiting no longer than this for the first of it. A connection that the other side has closed
  // is closed here too, and counted.
  void turn(milliseconds longest_wait);
  size_t lost() const { return lost_; }

  // Turns until the condition holds; false if it does not before the timeout.
  template <class Condition>
  bool run_until(Condition&& condition, milliseconds timeout = kPatience) {
    const auto deadline = Clock::now() + timeout;
    while (!condition()) {
      if (Clock::now() > deadline) return false;
      turn(milliseconds(5));
    }
    return true;
  }

 private:
  struct Peer {
    int fd = -1;
    std::string inbox, outbox;
    bool waits_to_write = false;
  };

  void read(size_t connection);
  void flush(size_t connection);
  void watch(size_t connection, bool writable);

  const Receive receive_;
  int epoll_ = -1;
  size_t lost_ = 0;
  std::vector<Peer> peers_;
  std::string buffer_;
};

}  // namespace corral::test
