// Where the rules of the settings meet a request: before it is sent, each handler asks here whether a rule has
// something to say about its keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/core/request.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::policy {
struct TtlRule;
}

namespace corral::core {

class Session;
class Worker;

/// What the key's rule says of its TTL; null if nothing.
const policy::TtlRule* ttl_rule(Worker& worker, std::string_view key);

/// Whether rules may be about what the command does to its keys. The others pass at the cost of this.
bool may_be_ruled(const Worker& worker, const resp::CommandSpec& spec);

/// False: no rule is about the command, which is to be sent as it is. True: it has been refused, or sent in the form
/// that its rule wants. `slot` is that of its keys.
bool apply_rules(Session& session, const resp::Command& command, const resp::CommandSpec& spec, uint16_t slot);

/// Within a client's own transaction: true if the command, perhaps in another form that answers the same (then in
/// `bytes`), does what its rule wants; false if its keys are to get what they lack (FollowUps).
bool settle_by_rule(Worker& worker, const resp::Command& command, const resp::CommandSpec& spec, std::string& bytes);

/// Of a command that tells a TTL, on a key that is stored for longer than that.
struct SoftTtl {
  std::string bytes;  // what is sent instead
  resp::TtlEffect effect;
  int64_t stale_ms;

  /// What the client is told for what the node answers to that.
  std::string reply(std::string_view told) const;
};
/// Nothing if it is another command, or the key's TTL is told as it is.
std::optional<SoftTtl> find_soft_ttl(Worker& worker, const resp::Command& command, const resp::CommandSpec& spec);

/// A command that is to be split is refused as a whole, if any part of it would be.
bool refuse_whole(Session& session, const resp::Command& command, const resp::CommandSpec& spec);

/// A part of a split command, which is sent with what the rules add.
void send_part(Worker& worker, const Request& request, std::string_view bytes);

}  // namespace corral::core
