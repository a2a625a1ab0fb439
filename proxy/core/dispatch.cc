// The straight line: command -> what it is -> may it -> how it is handled.
#include <algorithm>
#include <string>

#include "proxy/core/handlers.h"
#include "proxy/core/leases.h"
#include "proxy/core/near.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/session.h"
#include "proxy/core/transaction.h"
#include "proxy/core/value_limit.h"
#include "proxy/core/worker.h"
#include "resp/ascii.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;
using resp::CommandSpec;
using resp::Handling;

namespace {

constexpr size_t kMaxAskedName = 64;  // longer names are not looked up

// What Redis shows of an argument in an error: it takes it for a C string.
std::string shown(std::string_view arg, size_t most) {
  return std::string(arg.substr(0, std::min(most, arg.find('\0'))));
}

// Redis' words: server.c, commandCheckExistence.
void reply_unknown(Session& session, const Command& command) {
  const CommandSpec* container = resp::find_command(command.arg(0));
  std::string text;
  if (container && command.argc() >= 2) {
    std::string name(command.arg(0));
    for (char& c : name) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    text = "ERR unknown subcommand '" + shown(command.arg(1), 128) + "'. Try " + name + " HELP.";
  } else {
    std::string args;
    for (size_t i = 1; i < command.argc() && args.size() < 128; ++i) {
      args += '\'' + shown(command.arg(i), 128 - args.size()) + "' ";
    }
    text = "ERR unknown command '" + shown(command.arg(0), 128) + "', with args beginning with: " + args;
  }
  reject(session, text);
}

void reject_arity(Session& session, const CommandSpec& spec) {
  session.worker().process().server_stats().count_rejected(session.worker().index(), spec);
  const std::string_view code = spec.action == resp::Action::kExec ? "" : "ERR ";
  reject(session, spec, std::string(code) + "wrong number of arguments for '" + std::string(spec.name) + "' command");
}

// Asks an upstream what a command is that the table lacks. The session waits for it.
class CommandLookup final : public Task {
 public:
  static void start(Session& session, std::string name) {
    auto* task = new CommandLookup(session, std::move(name));
    std::string bytes;
    resp::append_command(bytes, {"COMMAND", "INFO", task->name_});
    Request request;
    request.session = &session;
    request.task = task;
    request.slot = any_slot(session);
    request.flags = kReadOnly;
    request.since_ms = session.worker().now_ms();
    session.add_reference();
    session.pause(Session::kLookup);
    session.worker().send(request, bytes);
  }

  void on_reply(uint32_t, std::string_view bytes) override {
    const resp::ReplyView reply(bytes);
    if (reply.is_error()) {
      session_.set_lookup_error(std::string(bytes));
      session_.resume(Session::kLookup);
      delete this;
      return;
    }
    const auto elements = reply.elements();
    std::unique_ptr<resp::UnlistedCommand> found;
    if (elements.size() == 1) found = resp::UnlistedCommand::from_command_info(elements[0]);
    Worker& worker = session_.worker();
    worker.process().learn_unlisted(name_, std::move(found), worker.transport().wall_clock_us());
    session_.resume(Session::kLookup);
    delete this;
  }

 private:
  CommandLookup(Session& session, std::string name) : session_(session), name_(std::move(name)) {}

  Session& session_;  // kept by the request's reference
  const std::string name_;
};

// The spec of a command that the table lacks. Null: the reply has been given, or (`wait`) the session waits for a
// lookup.
const CommandSpec* find_unlisted(Session& session, const Command& command, bool& wait) {
  // A server would also tell what "config|get" is, but takes it for a command no more than the table does.
  if (command.arg(0).size() > kMaxAskedName || resp::find_command(command.arg(0))) return nullptr;
  if (command.arg(0).find('|') != std::string_view::npos) return nullptr;
  std::string name = resp::lower_case(command.arg(0));
  bool known;
  Worker& worker = session.worker();
  const CommandSpec* spec = worker.process().unlisted(name, worker.transport().wall_clock_us(), known);
  if (!known && session.lookup_failed()) return nullptr;
  wait = !known;
  if (!known) CommandLookup::start(session, std::move(name));
  if (spec && !spec->subcommands.empty() && command.argc() >= 2) return resp::find_subcommand(*spec, command.arg(1));
  return spec;
}

// A client that has not authenticated may do little, and is told even less: nothing is asked of a node for it. True: it
// has been answered. Redis: server.c, processCommand.
bool refused_before_auth(Session& session, const Command& command, const CommandSpec* spec) {
  if (spec && spec->is(resp::kFlagNoAuth) && spec->arity_fits(command.argc())) return false;
  session.worker().stats().requests.add();
  session.begin_command(spec);
  if (!spec) {
    reply_unknown(session, command);
  } else if (!spec->arity_fits(command.argc())) {
    reject_arity(session, *spec);
  } else {
    session.worker().process().server_stats().count_rejected(session.worker().index(), *spec);
    reject(session, *spec, "NOAUTH Authentication required.");
  }
  return true;
}

// Of a client that may not do everything.
bool refused(Session& session, const Command& command, const CommandSpec* spec) {
  if (!session.authenticated()) return refused_before_auth(session, command, spec);
  return spec && session.worker().access().refuses(session, command, *spec);
}

// What nobody may use, checked before any policy looks at the command. What the user may not has been refused already
// (Access).
bool admit(Session& session, const CommandSpec& spec) {
  if (!session.worker().policies().guard.denies(spec)) return true;
  if ((session.modes() & Session::kQueueing) && spec.is(resp::kFlagNoMulti)) {
    reject(session, "ERR Command not allowed inside a transaction");  // Redis says so whoever the user is
    return false;
  }
  session.worker().stats().guard_denied.add();
  session.worker().process().server_stats().count_rejected(session.worker().index(), spec);
  std::string name(spec.name);
  for (char& c : name) c = c == '|' ? ' ' : c;
  reject(session, "NOPERM the command '" + name + "' is denied by this proxy's guard");
  return false;
}

bool fits(Session& session, const Command& command, const CommandSpec& spec) {
  Worker& worker = session.worker();
  if (command.bytes().size() <= worker.policies().least_max_value_bytes) [[likely]]
    return true;
  const std::string error = too_big(worker, command, spec);
  if (!error.empty()) reject(session, error);
  return error.empty();
}

// Whether all that the client sent before must have been answered first: what changes the connection itself, and what
// goes over another upstream connection than the commands before it.
bool wants_quiet(const Session& session, const Command& command, const CommandSpec& spec) {
  if (session.modes() & Session::kQueueing) return session.modes() & Session::kWatching;
  if (session.modes() & Session::kWatching) return true;
  using resp::Action;
  switch (spec.handling) {
    case Handling::kLocal:
      return spec.action == Action::kHello || spec.action == Action::kSelect || spec.action == Action::kReset ||
             spec.action == Action::kClientTracking;
    case Handling::kBlocking:
      return resp::may_block(spec, command);
    case Handling::kTransaction:
      return spec.action == Action::kWatch;
    case Handling::kSubscription:
      return is_subscribing(spec);
    default:
      return false;
  }
}

// The RESP2 protocol cannot tell messages from replies, so subscribers may say little. Redis: server.c, processCommand.
bool allowed_to_subscribers(const CommandSpec& spec) {
  using resp::Action;
  return is_subscribing(spec) || spec.action == Action::kPing || spec.action == Action::kQuit ||
         spec.action == Action::kReset;
}

// Sees to what is different in a mode; true: the command has been dealt with.
bool handled_by_mode(Session& session, const Command& command, const CommandSpec& spec) {
  if ((session.modes() & Session::kSubscribed) && session.resp() == 2 && !allowed_to_subscribers(spec)) {
    const bool exec = spec.action == resp::Action::kExec;
    reject(session, std::string(exec ? "EXECABORT Transaction discarded because of: " : "ERR ") + "Can't execute '" +
                        std::string(spec.name) +
                        "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context");
    return true;
  }
  if ((session.modes() & Session::kMonitoring) && forbidden_to_monitors(spec)) {
    reject(session, "ERR Replica can't interact with the keyspace");
    return true;
  }
  return (session.modes() & Session::kQueueing) && session.transaction().queue(command, spec);
}

// By way of the near cache. False: the session is paused first.
bool run_near(Near& near, Session& session, const Command& command, const CommandSpec& spec) {
  switch (near.handle(session, command, spec)) {
    case Near::Way::kAnswered:
      return true;
    case Near::Way::kOrdinary:
      run(session, command, spec);
      near.end_unused_touch(session);
      return true;
    default:
      session.worker().stats().requests.subtract();
      session.put_off_command();
      session.pause(Session::kNear);
      return false;
  }
}

}  // namespace

void reject(Session& session, std::string_view text) {
  if (session.modes() & Session::kQueueing) session.transaction().abort();
  session.reply_error(text);
}

// Redis: server.c, rejectCommand.
void reject(Session& session, const CommandSpec& spec, std::string_view text) {
  if (spec.action != resp::Action::kExec) return reject(session, text);
  session.transaction().discard();
  session.reply_error("EXECABORT Transaction discarded because of: " + std::string(text));
}

void run(Session& session, const Command& command, const CommandSpec& spec) {
  switch (spec.handling) {
    case Handling::kForward:
      return handle_forward(session, command, spec);
    case Handling::kScript:
      return handle_script(session, command, spec);
    case Handling::kSplit:
      return handle_split(session, command, spec);
    case Handling::kFanOut:
      return handle_fan_out(session, command, spec);
    case Handling::kLocal:
      return handle_local(session, command, spec);
    case Handling::kBlocking:
      if (!resp::may_block(spec, command)) return handle_forward(session, command, spec);
      return handle_blocking(session, command, spec);
    case Handling::kTransaction:
      return handle_transaction(session, command, spec);
    case Handling::kSubscription:
      return handle_subscription(session, command, spec);
  }
}

bool handle(Session& session, const Command& command) {
  if (SessionLeases* leases = session.leases_if_any(); leases && !leases->parked.empty()) [[unlikely]] {
    session.worker().leases().on_more(session);
    if (!session.open()) return true;
  }
  const CommandSpec* spec = resp::find_command(command.arg(0));
  if (spec && !spec->subcommands.empty() && command.argc() >= 2) {
    spec = resp::find_subcommand(*spec, command.arg(1));
  }
  if (!session.unrestricted() && refused(session, command, spec)) [[unlikely]]
    return true;
  if (!spec) [[unlikely]] {
    bool wait = false;
    spec = find_unlisted(session, command, wait);
    if (wait) return false;
    if (std::string error = spec ? std::string() : session.take_lookup_error(); !error.empty()) {
      session.reply(error);
      return true;
    }
    if (spec && !session.unrestricted() && refused(session, command, spec)) return true;
  }
  // A command for all nodes would overtake what is held for one of them; a message might, when the home node changes.
  if (session.holds() > 0 && spec && (spec->handling == Handling::kFanOut || spec->action == resp::Action::kPublish))
      [[unlikely]] {
    session.pause(Session::kHeld);
    return false;
  }
  if (spec && !session.quiet() && wants_quiet(session, command, *spec)) [[unlikely]] {
    session.pause(Session::kQuiet);
    return false;
  }
  // Whoever watches is shown each command once, so none may be put off by the near cache.
  if (session.worker().gate().busy() && (session.near_fills.any() || session.near_reads.any())) [[unlikely]] {
    session.pause(Session::kQuiet);
    return false;
  }
  if (session.worker().gate().busy() && spec && !session.worker().gate().pass(session, command, *spec)) [[unlikely]]
    return false;
  session.worker().stats().requests.add();
  session.begin_command(spec);
  if (!spec) [[unlikely]] {
    reply_unknown(session, command);
  } else if (!spec->arity_fits(command.argc())) [[unlikely]] {
    reject_arity(session, *spec);
  } else if (admit(session, *spec) && fits(session, command, *spec)) [[likely]] {
    if (session.modes() != 0 && handled_by_mode(session, command, *spec)) [[unlikely]]
      return true;
    if (Near* near = session.worker().near(); near && near->on()) {
      if (!run_near(*near, session, command, *spec)) return false;  // it comes again
    } else {
      run(session, command, *spec);
    }
    session.worker().seen_keys().on_command(session, command, *spec);
  }
  return true;
}

}  // namespace corral::core
