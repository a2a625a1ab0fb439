#include "proxy/uv/listener.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "proxy/uv/address.h"

namespace corral::uv {

using config::Address;
using config::Result;

namespace {

constexpr int kBacklog = 4096;
constexpr int kFirstPassedFd = 3;  // SD_LISTEN_FDS_START

Result<ListenSocket> failure(const Address& address, const std::string& why) {
  return Result<ListenSocket>::failure("cannot listen on " + to_text(address) + ": " + why);
}

// The socket file of a process that is gone may be replaced; one that answers may not.
bool in_use(const SocketAddress& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool answers = connect(fd, address.get(), address.length) == 0;
  close(fd);
  return answers;
}

}  // namespace

Result<ListenSocket> listen_on(const Address& address) {
  const auto resolved = resolve(address);
  if (!resolved) return failure(address, "the host's name cannot be resolved");
  if (address.is_unix()) {
    if (in_use(*resolved)) return failure(address, "another process listens there");
    struct stat file {};
    const bool exists = lstat(address.host.c_str(), &file) == 0;
    if (exists && !S_ISSOCK(file.st_mode)) return failure(address, "there is a file that is not a socket");
    if (exists) unlink(address.host.c_str());
  }
  const int fd = socket(resolved->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failure(address, std::strerror(errno));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, resolved->get(), resolved->length) != 0 || listen(fd, kBacklog) != 0) {
    const std::string why = std::strerror(errno);
    close(fd);
    return failure(address, why);
  }
  return Result<ListenSocket>::of({address, fd});
}

std::vector<int> sockets_from_service_manager() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  std::vector<int> fds;
  if (!pid || !count || std::strtol(pid, nullptr, 10) != getpid()) return fds;
  const int passed = static_cast<int>(std::strtol(count, nullptr, 10));
  for (int fd = kFirstPassedFd; fd < kFirstPassedFd + passed; ++fd) {
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fds.push_back(fd);
  }
  return fds;
}

int take_matching(std::vector<int>& fds, const Address& address) {
  const auto resolved = resolve(address);
  if (!resolved) return -1;
  for (size_t i = 0; i < fds.size(); ++i) {
    if (local_text(fds[i]) != to_text(*resolved)) continue;
    const int fd = fds[i];
    fds.erase(fds.begin() + static_cast<std::ptrdiff_t>(i));
    return fd;
  }
  return -1;
}

}  // namespace corral::uv
