#include "client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace corral::test {
namespace {

constexpr size_t kReadSize = 256 * 1024;

[[noreturn]] void disconnected(const char* call) {
  throw Disconnected(std::string(call) + ": " + (errno ? std::strerror(errno) : "connection closed"));
}

void append_bulk(std::string& out, std::string_view word) {
  out.append("$").append(std::to_string(word.size())).append("\r\n").append(word).append("\r\n");
}

void append_command(std::string& out, const Args& args) {
  out.append("*").append(std::to_string(args.size())).append("\r\n");
  for (const std::string& arg : args) append_bulk(out, arg);
}

}  // namespace

std::string encode(const Args& args) {
  std::string out;
  append_command(out, args);
  return out;
}

std::string encode_all(const std::vector<Args>& commands) {
  std::string out;
  for (const Args& args : commands) append_command(out, args);
  return out;
}

Client::Client(uint16_t port, milliseconds timeout) : timeout_(timeout) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) throw std::runtime_error(std::string("socket: ") + std::strerror(errno));
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int error = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    socklen_t size = sizeof error;
    error = ETIMEDOUT;
    if (wait_for(POLLOUT, Clock::now() + timeout_)) getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error == 0) return;
  close(fd_);
  fd_ = -1;
  throw Disconnected(std::string("connect: ") + std::strerror(error));
}

Client::~Client() {
  if (fd_ >= 0) close(fd_);
}

Client::Client(Client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      timeout_(other.timeout_),
      inbox_(std::move(other.inbox_)),
      taken_(std::exchange(other.taken_, 0)) {}

Client& Client::operator=(Client&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(timeout_, other.timeout_);
  std::swap(inbox_, other.inbox_);
  std::swap(taken_, other.taken_);
  return *this;
}

Reply Client::command(const Args& args) {
  send(encode(args));
  return read_reply();
}

std::vector<Reply> Client::exchange(std::string_view bytes, size_t count) {
  std::vector<Reply> replies;
  replies.reserve(count);
  while (replies.size() < count) {
    Reply reply;
    if (take_reply(reply)) {
      replies.push_back(std::move(reply));
      continue;
    }
    short got = 0;
    const auto deadline = Clock::now() + timeout_;
    if (!wait_for(static_cast<short>(bytes.empty() ? POLLIN : POLLIN | POLLOUT), deadline, &got)) {
      throw TimedOut("no reply " + std::to_string(replies.size()) + " of " + std::to_string(count));
    }
    if ((got & POLLOUT) && !bytes.empty()) bytes.remove_prefix(send_some(bytes));
    if ((got & ~POLLOUT) && !receive()) disconnected("waiting for replies");
  }
  if (!bytes.empty()) send(bytes);
  return replies;
}

void Client::send(std::string_view bytes) {
  const auto deadline = Clock::now() + timeout_;
  while (!bytes.empty()) {
    const size_t sent = send_some(bytes);
    bytes.remove_prefix(sent);
    if (sent == 0 && !wait_for(POLLOUT, deadline)) throw TimedOut("send");
  }
}

size_t Client::send_some(std::string_view bytes) {
  const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<size_t>(sent);
  if (errno != EAGAIN && errno != EINTR) disconnected("send");
  return 0;
}

Reply Client::read_reply() {
  Reply reply;
  const auto deadline = Clock::now() + timeout_;
  while (!take_reply(reply)) {
    if (!wait_for(POLLIN, deadline)) throw TimedOut("no reply; so far: " + printable(inbox_.substr(taken_)));
    if (!receive()) disconnected("waiting for a reply");
  }
  return reply;
}

std::string Client::read_bytes(size_t count) {
  const auto deadline = Clock::now() + timeout_;
  while (inbox_.size() - taken_ < count) {
    if (!wait_for(POLLIN, deadline)) throw TimedOut("too few bytes: " + printable(inbox_.substr(taken_)));
    if (!receive()) disconnected("waiting for bytes");
  }
  std::string bytes = inbox_.substr(taken_, count);
  taken_ += count;
  compact();
  return bytes;
}

std::string Client::read_until_close() {
  const auto deadline = Clock::now() + timeout_;
  do {
    if (!wait_for(POLLIN, deadline)) throw TimedOut("not closed; so far: " + printable(inbox_.substr(taken_)));
  } while (receive());
  return std::exchange(inbox_, {}).substr(std::exchange(taken_, 0));
}

bool Client::closes(milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  return wait_for(POLLIN, deadline) && !receive() && inbox_.size() == taken_;
}

bool Client::readable(milliseconds timeout) {
  return inbox_.size() > taken_ || wait_for(POLLIN, Clock::now() + timeout);
}

void Client::shrink_receive_buffer(int bytes) { setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes); }

void Client::finish_sending() { shutdown(fd_, SHUT_WR); }

uint16_t Client::local_port() const {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

bool Client::wait_for(short events, Clock::time_point deadline, short* got) {
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    pollfd entry{fd_, events, 0};
    const int ready = poll(&entry, 1, left > 0 ? static_cast<int>(left) : 0);
    if (got) *got = entry.revents;
    if (ready > 0) return true;
    if (ready == 0 && left <= 0) return false;
    if (ready < 0 && errno != EINTR) disconnected("poll");
  }
}

bool Client::receive() {
  const size_t before = inbox_.size();
  inbox_.resize(before + kReadSize);
  const ssize_t count = recv(fd_, inbox_.data() + before, kReadSize, 0);
  const int error = errno;
  inbox_.resize(before + static_cast<size_t>(count > 0 ? count : 0));
  errno = count == 0 ? 0 : error;
  return count > 0 || (count < 0 && (error == EAGAIN || error == EINTR));
}

bool Client::take_reply(Reply& out) {
  const auto end = parse_reply(inbox_, taken_, out);
  if (!end) return false;
  taken_ = *end;
  compact();
  return true;
}

void Client::compact() {
  if (taken_ < inbox_.size() / 2) return;
  inbox_.erase(0, taken_);
  taken_ = 0;
}

}  // namespace corral::test
