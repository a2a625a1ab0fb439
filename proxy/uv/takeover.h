// How a new process takes the listening sockets of the one that runs, so that not one connection is refused or reset.
//
//   new process                         running process
//   connects to the takeover socket ->  checks that it is the same user
//                                   <-  one message with the listening sockets (SCM_RIGHTS)
//   starts its workers; accepts
//   one byte                        ->  accepts no more, drains, ends
//
// If the new process dies before its byte, the running one goes on as if nothing had been. The takeover socket is a
// unix socket in the abstract namespace, named by the user and the first listening address.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace corral::uv {

/// Listens for a successor. -1 if that is not possible (another corral holds the name); it is to be tried again later.
int open_takeover_socket(const config::Address& first_listen);

/// On the running side, for an accepted connection: sends the sockets. False if the peer is another user.
bool send_sockets(int connection, const std::vector<int>& fds);

/// On the new side. Both block, for a few seconds at most.
struct Predecessor {
  int connection = -1;  // -1: there is none
  std::vector<int> fds;
};
Predecessor ask_predecessor(const config::Address& first_listen);
void tell_ready(Predecessor& predecessor);

}  // namespace corral::uv
