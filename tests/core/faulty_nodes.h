// Nodes for the stage that fail in a given way whenever they are connected to, as long as the test lets time pass here.
#pragma once

#include <string>

#include "stage.h"

namespace corral::core {

enum class Fault {
  kRefuses,  // nobody listens
  kHangs,    // the connection is made, and nothing is ever said on it (a process that is stopped)
  kSilent,   // the handshake is answered, and nothing else
};

/// From the node at the other end of this connection, if there are several.
inline void say(Stage& stage, FakeSocket& socket, std::string_view bytes) {
  const std::string own(bytes);
  stage.turn([&] { socket.endpoint->on_bytes(own.data(), own.size()); });
}

/// Accepts a connection and answers its handshake, but nothing after it.
inline void accept_socket(Stage& stage, FakeSocket& socket) {
  socket.connected = true;
  stage.turn([&] { socket.endpoint->on_connected(); });
  std::string replies;
  for (const std::string& command : take_commands(socket.written)) {
    replies += command == "CLIENT INFO" ? "$20\r\nid=7 addr=10.9.9.9:7\r\n" : "+OK\r\n";
  }
  if (!socket.closed) say(stage, socket, replies);
}

/// Every new connection to any node but `sound` meets the fault. Returns how many there were.
inline int meet_fault(Stage& stage, Fault fault, const config::Address& sound = {}) {
  int met = 0;
  for (size_t i = 0; i < stage.transport.sockets.size(); ++i) {
    FakeSocket& socket = *stage.transport.sockets[i];
    if (socket.closed || socket.connected || socket.address.host.empty()) continue;
    ++met;
    if (socket.address == sound || fault == Fault::kSilent) {
      accept_socket(stage, socket);
    } else if (fault == Fault::kHangs) {
      socket.connected = true;
      stage.turn([&] { socket.endpoint->on_connected(); });
    } else {
      socket.closed = true;
      stage.turn([&] { socket.endpoint->on_failed("connection refused"); });
    }
  }
  return met;
}

inline void pass_with_fault(Stage& stage, Fault fault, uint32_t ms, const config::Address& sound = {}) {
  for (const uint64_t end = stage.now_ms + ms; stage.now_ms < end;) {
    meet_fault(stage, fault, sound);
    stage.pass(10);
  }
}

}  // namespace corral::core
