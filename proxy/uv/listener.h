// The listening sockets: bound here, passed by the service manager, or taken over from a running corral.
#pragma once

#include <string>
#include <vector>

#include "config/result.h"
#include "config/settings.h"

namespace corral::uv {

struct ListenSocket {
  config::Address address;
  int fd;
};

/// Binds and listens, non-blocking. The error is one line for people.
config::Result<ListenSocket> listen_on(const config::Address& address);

/// What systemd passed (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS); empty if nothing. Non-blocking, close-on-exec.
std::vector<int> sockets_from_service_manager();

/// Finds among `fds` the one bound to `address` and removes it there; -1 if none is.
int take_matching(std::vector<int>& fds, const config::Address& address);

}  // namespace corral::uv
