// What a new upstream connection says before anything else, and what the node answers to it: AUTH if there is a
// password, RESP version, database and tracking, the end of the connection before this one (so that nothing of that
// runs late, or goes on listening, from a half-open connection), and CLIENT INFO, which tells how to end this one when
// its time has come.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/core/link_kind.h"

namespace corral::core {

struct Login {
  std::string_view username, password;  // no password: none is asked for
};

class Handshake {
 public:
  enum class Result : uint8_t {
    kMore,
    kDone,
    kRefused,  // the node's words are the reply
  };

  /// The bytes to send; as many replies follow. `target`: the number at the node of the connection to which it tells
  /// what has changed, if it is another one.
  std::string begin(const Login& login, LinkKind kind, std::string_view target = {});
  Result on_reply(std::string_view reply);
  /// The node's number for the last connection that came through, as CLIENT KILL wants it; empty if there was none.
  std::string_view id_at_node() const { return std::string_view(last_).substr(0, last_.find(' ')); }

 private:
  uint8_t left_ = 0;        // replies
  uint8_t convenient_ = 0;  // of these, those that may be refused (by an old server, a user's ACL); the last ones
  std::string last_;        // "id address" of the last connection that came through
};

}  // namespace corral::core
