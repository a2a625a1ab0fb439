// Addresses as the system wants them, and as people read them.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>

#include "config/settings.h"

namespace corral::uv {

struct SocketAddress {
  sockaddr_storage storage;
  socklen_t length;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// Of a unix path or a numeric address. Nothing if the host is a name, which has to be resolved first.
std::optional<SocketAddress> to_socket_address(const config::Address& address);
/// Also resolves names; blocks meanwhile.
std::optional<SocketAddress> resolve(const config::Address& address);

/// "127.0.0.1:6380", "[::1]:6380", "/run/corral.sock:0" (as Redis writes unix sockets).
std::string to_text(const SocketAddress& address);
std::string to_text(const config::Address& address);
std::string local_text(int fd);
/// Whether a client's socket comes from this machine: a unix socket, or the loopback interface.
bool is_local(int fd);
bool is_local(const SocketAddress& peer);
/// Of a client's socket; one that came through a unix socket has no address of its own, so it is that of the socket.
std::string peer_text(int fd);

}  // namespace corral::uv
