#include "proxy/uv/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace corral::uv {

namespace {

constexpr uint64_t kSpareMs = 5000;  // beside the drain: for the threads to end

// A path, or a name in the abstract namespace, which is written with '@' where its zero byte is. Its length; 0 if it is
// neither or too long.
socklen_t fill_address(std::string_view name, sockaddr_un& address) {
  if (name.size() < 2 || name.size() >= sizeof(address.sun_path) || (name[0] != '/' && name[0] != '@')) return 0;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
}

uint64_t monotonic_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

std::string one_line(std::string status) {
  std::replace(status.begin(), status.end(), '\n', ' ');
  return status;
}

}  // namespace

bool notify_service_manager(std::string_view state) {
  const char* name = std::getenv("NOTIFY_SOCKET");
  if (!name) return false;
  sockaddr_un address{};
  const socklen_t length = fill_address(name, address);
  if (length == 0) return false;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const auto sent =
      sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), length);
  close(fd);
  return sent == static_cast<ssize_t>(state.size());
}

void notify_ready(const std::string& status) {
  notify_service_manager("READY=1\nMAINPID=" + std::to_string(getpid()) + "\nSTATUS=" + one_line(status));
}

void notify_reloaded(const std::string& status) { notify_service_manager("READY=1\nSTATUS=" + one_line(status)); }

// The time is for Type=notify-reload: a READY=1 from before it does not end the reload.
void notify_reloading() { notify_service_manager("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_us())); }

void notify_stopping(uint64_t longest_ms) {
  notify_service_manager("STOPPING=1\nEXTEND_TIMEOUT_USEC=" + std::to_string((longest_ms + kSpareMs) * 1000));
}

}  // namespace corral::uv
