// A transport made of strings: what the core writes is kept, what it is to hear the test says. No clock, no socket.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/core/transport.h"

namespace corral::core {

struct FakeSocket : Socket {
  config::Address address;  // that it was connected to; empty for a client's
  std::string written;      // taken by write() and not yet looked at
  size_t room = SIZE_MAX;   // write() takes no more than this, and counts it down
  int writes = 0;
  bool connected = false;
  bool reading = true;
  bool closed = false;
};

class FakeTransport final : public Transport {
 public:
  Socket* connect(const config::Address& address, Endpoint* endpoint) override {
    auto& socket = sockets.emplace_back(std::make_unique<FakeSocket>());
    socket->address = address;
    socket->endpoint = endpoint;
    return socket.get();
  }

  size_t write(Socket* to, const iovec* parts, int count) override {
    FakeSocket& socket = *static_cast<FakeSocket*>(to);
    EXPECT_FALSE(socket.closed) << "write to a closed socket";
    ++socket.writes;
    size_t taken = 0;
    for (int i = 0; i < count; ++i) {
      const size_t size = std::min(parts[i].iov_len, socket.room);
      socket.written.append(static_cast<const char*>(parts[i].iov_base), size);
      if (socket.room != SIZE_MAX) socket.room -= size;
      taken += size;
      if (size < parts[i].iov_len) break;
    }
    return taken;
  }

  void set_reading(Socket* socket, bool reading) override {
    ASSERT_NE(socket, nullptr) << "set_reading of a socket that is closed";
    static_cast<FakeSocket*>(socket)->reading = reading;
  }

  void close(Socket* socket) override {
    EXPECT_FALSE(static_cast<FakeSocket*>(socket)->closed) << "closed twice";
    static_cast<FakeSocket*>(socket)->closed = true;
  }

  void post(uint32_t worker, std::function<void(Worker&)> work) override {
    posted.emplace_back(worker, std::move(work));
  }
  uint64_t random() override { return next_random; }
  uint64_t clock_ms() override { return clock; }
  int64_t wall_clock_us() override { return wall_us; }
  void log(LogLevel, std::string_view text) override { logged.emplace_back(text); }

  std::deque<std::unique_ptr<FakeSocket>> sockets;
  std::vector<std::pair<uint32_t, std::function<void(Worker&)>>> posted;  // not run
  std::vector<std::string> logged;
  uint64_t clock = 0;  // the last turn's
  uint64_t next_random = 0;
  int64_t wall_us = 1'700'000'000'000'000;
};

}  // namespace corral::core
