#include "proxy/uv/takeover.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "proxy/uv/address.h"

namespace corral::uv {

namespace {

constexpr size_t kMaxSockets = 64;
constexpr int kPatienceSeconds = 5;

// Abstract: the name begins with a zero byte, and is gone with the process.
SocketAddress takeover_address(const config::Address& first_listen) {
  SocketAddress result{};
  auto* un = reinterpret_cast<sockaddr_un*>(&result.storage);
  un->sun_family = AF_UNIX;
  std::string name = "corral-takeover-" + std::to_string(geteuid()) + '-' + to_text(first_listen);
  name.resize(std::min(name.size(), sizeof(un->sun_path) - 1));
  std::memcpy(un->sun_path + 1, name.data(), name.size());
  result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return result;
}

bool same_user(int connection) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

union ControlBuffer {
  cmsghdr align;
  std::array<char, CMSG_SPACE(kMaxSockets * sizeof(int))> bytes;
};

}  // namespace

int open_takeover_socket(const config::Address& first_listen) {
  const SocketAddress address = takeover_address(first_listen);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0 && bind(fd, address.get(), address.length) == 0 && listen(fd, 4) == 0) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

bool send_sockets(int connection, const std::vector<int>& fds) {
  if (!same_user(connection) || fds.size() > kMaxSockets) return false;
  ControlBuffer control{};
  char byte = 's';
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  return sendmsg(connection, &message, MSG_NOSIGNAL) == 1;
}

Predecessor ask_predecessor(const config::Address& first_listen) {
  Predecessor result;
  const SocketAddress address = takeover_address(first_listen);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{kPatienceSeconds, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  if (connect(fd, address.get(), address.length) != 0 || !same_user(fd)) {
    close(fd);
    return result;
  }
  ControlBuffer control{};
  char byte;
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  const bool received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC) == 1;
  const cmsghdr* header = received ? CMSG_FIRSTHDR(&message) : nullptr;
  if (!header || header->cmsg_type != SCM_RIGHTS) {
    close(fd);
    return result;
  }
  result.connection = fd;
  result.fds.resize((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
  std::memcpy(result.fds.data(), CMSG_DATA(header), result.fds.size() * sizeof(int));
  return result;
}

void tell_ready(Predecessor& predecessor) {
  if (predecessor.connection < 0) return;
  const char byte = 'r';
  (void)!write(predecessor.connection, &byte, 1);
  close(predecessor.connection);
  predecessor.connection = -1;
}

}  // namespace corral::uv
