#include "swarm.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace corral::test {
namespace {

constexpr size_t kBufferSize = 256 * 1024;

void raise_file_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Swarm::Swarm(Receive receive)
    : receive_(std::move(receive)), epoll_(epoll_create1(EPOLL_CLOEXEC)), buffer_(kBufferSize, '\0') {
  raise_file_limit();
}

Swarm::~Swarm() {
  for (size_t i = 0; i < size(); ++i) close(i);
  ::close(epoll_);
}

size_t Swarm::connect(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw Disconnected(std::string("connect: ") + std::strerror(errno));
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  peers_.emplace_back().fd = fd;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = size() - 1;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  return size() - 1;
}

void Swarm::send(size_t connection, std::string_view bytes) {
  Peer& peer = peers_[connection];
  if (peer.fd < 0) return;
  peer.outbox.append(bytes);
  if (!peer.waits_to_write) flush(connection);
}

void Swarm::close(size_t connection) {
  Peer& peer = peers_[connection];
  if (peer.fd < 0) return;
  ::close(peer.fd);
  peer = Peer();
}

uint16_t Swarm::local_port(size_t connection) const {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  getsockname(peers_[connection].fd, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

void Swarm::turn(milliseconds longest_wait) {
  std::array<epoll_event, 256> events;
  const int count =
      epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), static_cast<int>(longest_wait.count()));
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    const size_t connection = event.data.u64;
    if ((event.events & EPOLLOUT) && open(connection)) flush(connection);
    if ((event.events & ~static_cast<uint32_t>(EPOLLOUT)) && open(connection)) read(connection);
  }
}

void Swarm::read(size_t connection) {
  const ssize_t count = recv(peers_[connection].fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    ++lost_;
    close(connection);
    return;
  }
  const std::string_view fresh(buffer_.data(), static_cast<size_t>(count));
  // Whole replies are taken from where they were read; only a rest is kept. The function may send, close and connect.
  std::string kept = std::move(peers_[connection].inbox);
  if (!kept.empty()) kept.append(fresh);
  const std::string_view bytes = kept.empty() ? fresh : std::string_view(kept);
  const size_t taken = receive_(connection, bytes);
  if (open(connection)) peers_[connection].inbox.assign(bytes.substr(taken));
}

void Swarm::flush(size_t connection) {
  Peer& peer = peers_[connection];
  const ssize_t sent = ::send(peer.fd, peer.outbox.data(), peer.outbox.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) peer.outbox.erase(0, static_cast<size_t>(sent));
  const bool more = !peer.outbox.empty();
  if (more != peer.waits_to_write) watch(connection, more);
}

void Swarm::watch(size_t connection, bool writable) {
  epoll_event event{};
  event.events = writable ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = connection;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, peers_[connection].fd, &event);
  peers_[connection].waits_to_write = writable;
}

}  // namespace corral::test
