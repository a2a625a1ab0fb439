// The way of a request after its frame was found: handle() looks up what the command is, checks access and policy, and
// gives it to the handler of its kind. Each kind is one file.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/request.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

class Session;
class Worker;

/// False if the session was paused before the command was handled: it is to be given again when the pause is over.
bool handle(Session& session, const resp::Command& command);
/// A command that cannot run, or not now, and why: inside MULTI that ends the transaction.
void reject(Session& session, std::string_view text);
/// Likewise; also an EXEC ends its transaction.
void reject(Session& session, const resp::CommandSpec& spec, std::string_view text);
/// A command that has been looked at and admitted, by its kind.
void run(Session& session, const resp::Command& command, const resp::CommandSpec& spec);

// handle_forward.cc
void handle_forward(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
inline constexpr std::string_view kCrossSlot =
    "CROSSSLOT Keys in request don't hash to the same slot; give them a common hash tag, as in {user1}:a and {user1}:b "
    "(BullMQ: prefix: '{bull}')";
/// The slot of all of the command's keys, any_slot() if there are none; false if they have more than one.
bool find_slot(Session& session, const resp::Command& command, const resp::CommandSpec& spec, uint16_t& slot);
/// A slot that stands for "any master"; always the same for a session while the masters stay.
uint16_t any_slot(const Session& session);
uint8_t request_flags(const resp::CommandSpec& spec);

// sent_as.cc
/// A command's bytes as they go to a node: with another name where the guard has one sent instead (DEL as UNLINK). They
/// are valid until Worker::scratch_text() is used again. The command is counted as called, since the node counts the
/// other one.
std::string_view as_sent(Worker& worker, std::string_view bytes, const resp::CommandSpec& spec);
/// The other name alone; empty: as it is.
std::string_view name_as_sent(Worker& worker, const resp::CommandSpec& spec);

// handle_split.cc
void handle_split(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
struct Part {
  Request request;
  std::string bytes;
};
/// The request as one part for each of its keys, if it is a read that merges; empty otherwise. The parts' merged reply
/// answers `whole`.
std::vector<Part> split_by_key(Worker& worker, const Request& whole, std::string_view bytes);

// handle_fan_out.cc
void handle_fan_out(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
/// Asks all masters but the owner of `slot`, whose reply is there already (as part of a transaction).
void fan_out_to_others(Session& session, const resp::Command& command, const resp::CommandSpec& spec, uint16_t slot,
                       std::string_view reply);

// local_config.cc
/// CONFIG SET, CONFIG RESETSTAT, SLOWLOG RESET: what they mean for what Corral keeps itself.
void note_configuration(Worker& worker, const resp::Command& command, const resp::CommandSpec& spec);

// handle_transaction.cc
void handle_transaction(Session& session, const resp::Command& command, const resp::CommandSpec& spec);

// handle_script.cc
void handle_script(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
/// The script that an EVALSHA names, if some client has shown it.
std::shared_ptr<const std::string> script_of(Worker& worker, const resp::Command& evalsha);
/// The EVALSHA in what is sent for one command: it alone, or in a transaction that a rule has put around it. Empty if
/// there is none.
std::string_view evalsha_frame(Worker& worker, std::string_view bytes);
/// `bytes` with an EVAL that does what the EVALSHA in it does; empty if its script is not known.
std::string eval_for_evalsha(Worker& worker, std::string_view bytes);

/// SUBSCRIBE, UNSUBSCRIBE and their kin for patterns and shard channels.
inline bool is_subscribing(const resp::CommandSpec& spec) {
  return spec.action >= resp::Action::kSubscribe && spec.action <= resp::Action::kSUnsubscribe;
}

// handle_subscription.cc
void handle_subscription(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
// pubsub_query.cc
void query_pubsub(Session& session, const resp::Command& command, const resp::CommandSpec& spec);

// handle_blocking.cc
void handle_blocking(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
/// BlockedCommand::check() of all.
void check_blocked(Worker& worker);

// scan.cc: walks over the whole keyspace.
void handle_scan(Session& session, const resp::Command& command);
void handle_keys(Session& session, const resp::Command& command);
void handle_random_key(Session& session, const resp::Command& command);

// handle_local.cc
void handle_local(Session& session, const resp::Command& command, const resp::CommandSpec& spec);

}  // namespace corral::core
