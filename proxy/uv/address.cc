#include "proxy/uv/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <cstring>

namespace corral::uv {

namespace {

SocketAddress unix_address(const std::string& path) {
  SocketAddress result{};
  auto* un = reinterpret_cast<sockaddr_un*>(&result.storage);
  un->sun_family = AF_UNIX;
  std::strncpy(un->sun_path, path.c_str(), sizeof(un->sun_path) - 1);
  result.length = sizeof(sockaddr_un);
  return result;
}

std::optional<SocketAddress> look_up(const config::Address& address, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  if (getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(), port.c_str(), &hints, &found) != 0) return {};
  SocketAddress result{};
  std::memcpy(&result.storage, found->ai_addr, found->ai_addrlen);
  result.length = found->ai_addrlen;
  freeaddrinfo(found);
  return result;
}

using GetName = int (*)(int, sockaddr*, socklen_t*);

std::string text_of(int fd, GetName get_name) {
  SocketAddress address{};
  address.length = sizeof(address.storage);
  if (get_name(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) return "?:0";
  return to_text(address);
}

}  // namespace

std::optional<SocketAddress> to_socket_address(const config::Address& address) {
  if (address.is_unix()) return unix_address(address.host);
  return look_up(address, AI_NUMERICHOST);
}

std::optional<SocketAddress> resolve(const config::Address& address) {
  if (address.is_unix()) return unix_address(address.host);
  return look_up(address, AI_PASSIVE);
}

std::string to_text(const SocketAddress& address) {
  if (address.storage.ss_family == AF_UNIX) {
    const auto* un = reinterpret_cast<const sockaddr_un*>(&address.storage);
    return std::string(un->sun_path) + ":0";
  }
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (getnameinfo(address.get(), address.length, host.data(), host.size(), port.data(), port.size(),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?:0";
  }
  const bool v6 = address.storage.ss_family == AF_INET6;
  return (v6 ? '[' + std::string(host.data()) + ']' : std::string(host.data())) + ':' + port.data();
}

std::string to_text(const config::Address& address) {
  if (address.is_unix()) return "unix:" + address.host;
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? '[' + address.host + ']' : address.host) + ':' + std::to_string(address.port);
}

std::string local_text(int fd) { return text_of(fd, getsockname); }

bool is_local(int fd) {
  SocketAddress address{};
  address.length = sizeof(address.storage);
  return getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) == 0 && is_local(address);
}

// Redis: connection.c, connIsLocal. Behind a listener of both versions an IPv4 address comes in the form of the other.
bool is_local(const SocketAddress& address) {
  constexpr uint8_t kLoopback = 127;
  if (address.storage.ss_family == AF_UNIX) return true;
  if (address.storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
    return ntohl(v4->sin_addr.s_addr) >> 24 == kLoopback;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
  return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
         (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == kLoopback);
}

std::string peer_text(int fd) {
  SocketAddress address{};
  address.length = sizeof(address.storage);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) return "?:0";
  return address.storage.ss_family == AF_UNIX ? local_text(fd) : to_text(address);
}

}  // namespace corral::uv
