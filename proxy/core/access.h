// Who the clients of a worker are, and what they may do: asked before any policy, so before anything is answered from
// the near cache.
//
// A session knows its user and whether no check can fail for it (Session::unrestricted()), which is all that is looked
// at for most. Users are a part of the policies; when those are replaced, each session gets its user anew, or is
// closed. Source: https://redis.io/docs/management/security/acl; Redis 7.0, acl.c and server.c, processCommand.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/acl.h"
#include "resp/command.h"
#include "resp/request_scanner.h"

namespace corral::core {

class Session;
class Worker;

class Access {
 public:
  explicit Access(Worker& worker) : worker_(worker) {}

  /// A client that has just connected, or has said RESET: it is the user "default".
  void begin(Session& session);
  /// The client has given a name and a password. If they are wrong it is told so.
  bool authenticate(Session& session, std::string_view command, std::string_view user, std::string_view password);
  /// Its connection is closed.
  void forget(const Session& session);
  /// How long until its next attempt to become the user may be looked at; 0: now.
  uint32_t wait_ms(const Session& session, std::string_view user) const;

  /// Of a session that is not unrestricted(). True: its user may not, and it has been told so.
  bool refuses(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  /// Of a request of which only the beginning has come: why it will be refused whatever follows ("NOPERM ..."); empty
  /// if it may be allowed.
  std::string refusal_of(const Session& session, const resp::RequestScanner::Head& head, const resp::CommandSpec& spec);
  /// Of a command that was allowed when it was queued: why it is not any more.
  std::string refusal_at_exec(Session& session, const resp::Command& command, const resp::CommandSpec& spec);

  /// What it has begun to listen to was allowed when it asked, and may not be any more: then its connection ends.
  void check_listener(Session& session);
  /// Other policies are in force. `before`: the users until now, to whom the sessions still refer.
  void on_new_users(const policy::Acl& before);
  /// Ten times a second: closes who should have authenticated by now.
  void tick();

 private:
  void set_user(Session& session, const policy::AclUser& user, bool authenticated);
  void note_refusal(const Session& session, const resp::Command& command, const resp::CommandSpec& spec,
                    const policy::AclVerdict& verdict);

  Worker& worker_;
  std::set<std::pair<uint64_t, uint64_t>> unauthenticated_;  // since when, and the session's id
  std::vector<resp::KeyUse> uses_;                           // scratch
};

/// A client that is not of this machine, where it would have to be (protected mode): what it is told.
extern const std::string_view kDenied;

}  // namespace corral::core
