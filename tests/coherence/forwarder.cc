#include "forwarder.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

namespace corral::test {
namespace {

constexpr int kTurnMs = 2;  // how long it waits at most: what is held or cut is noticed then
constexpr size_t kReadSize = 64 * 1024;
constexpr size_t kKept = 1024 * 1024;  // more is left in the sockets

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int tcp_socket() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

bool holds_requests(Forwarder::Held held) {
  return held == Forwarder::Held::kRequests || held == Forwarder::Held::kBoth;
}
bool holds_replies(Forwarder::Held held) { return held == Forwarder::Held::kReplies || held == Forwarder::Held::kBoth; }

}  // namespace

Forwarder::Forwarder(uint16_t target) : target_(target), listener_(tcp_socket()) {
  const sockaddr_in address = loopback(port());
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(listener_, 64) != 0) {
    throw std::runtime_error("the forwarder cannot listen");
  }
  thread_ = std::make_unique<Background>([this](Background::Stop stop) { run(stop); });
}

Forwarder::~Forwarder() {
  thread_.reset();
  for (const auto& link : links_) close(link->client), close(link->target);
  close(listener_);
}

std::vector<uint16_t> Forwarder::links() {
  const std::lock_guard lock(mutex_);
  std::vector<uint16_t> names;
  for (const auto& link : links_) names.push_back(link->name);
  return names;
}

void Forwarder::hold(const std::vector<uint16_t>& links, Held what) {
  const std::lock_guard lock(mutex_);
  for (const auto& link : links_) {
    if (std::ranges::find(links, link->name) != links.end()) link->held = what;
  }
}

void Forwarder::cut(const std::vector<uint16_t>& links) {
  const std::lock_guard lock(mutex_);
  for (const auto& link : links_) {
    if (std::ranges::find(links, link->name) != links.end()) link->cut = true;
  }
}

void Forwarder::run(Background::Stop stop) {
  std::vector<pollfd> polled;
  while (!stop) {
    polled.assign(1, {listener_, POLLIN, 0});
    {
      // Of a link that holds something nothing is waited for: a turn comes soon enough, and its sockets may be ready
      // all the while.
      const std::lock_guard lock(mutex_);
      for (const auto& link : links_) {
        if (link->held != Held::kNothing) continue;
        polled.push_back({link->client, static_cast<short>(POLLIN | (link->to_client.empty() ? 0 : POLLOUT)), 0});
        polled.push_back({link->target, static_cast<short>(POLLIN | (link->to_target.empty() ? 0 : POLLOUT)), 0});
      }
    }
    poll(polled.data(), polled.size(), kTurnMs);
    if (polled[0].revents != 0) accept_link();
    const std::lock_guard lock(mutex_);
    std::erase_if(links_, [](const std::unique_ptr<Link>& link) {
      const bool open = !link->cut && move(link->client, link->target, link->to_target, holds_requests(link->held)) &&
                        move(link->target, link->client, link->to_client, holds_replies(link->held));
      if (!open) close(link->client), close(link->target);
      return !open;
    });
  }
}

void Forwarder::accept_link() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), on = 1;
  if (client < 0) return;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int target = tcp_socket();
  const sockaddr_in address = loopback(target_);
  sockaddr_in own{};
  socklen_t size = sizeof own;
  if (connect(target, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(client), close(target);
    return;
  }
  getsockname(target, reinterpret_cast<sockaddr*>(&own), &size);
  auto link = std::make_unique<Link>();
  link->client = client, link->target = target, link->name = ntohs(own.sin_port);
  const std::lock_guard lock(mutex_);
  links_.push_back(std::move(link));
}

// What is held back is not even read, so that its sender notices nothing, not even that the other side has closed.
bool Forwarder::move(int from, int to, std::string& kept, bool held) {
  if (held) return true;
  if (kept.size() < kKept) {
    static thread_local char buffer[kReadSize];
    const ssize_t count = recv(from, buffer, sizeof buffer, MSG_DONTWAIT);
    if (count > 0) kept.append(buffer, static_cast<size_t>(count));
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return false;
  }
  if (kept.empty()) return true;
  const ssize_t sent = send(to, kept.data(), kept.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  kept.erase(0, static_cast<size_t>(sent));
  return true;
}

}  // namespace corral::test
