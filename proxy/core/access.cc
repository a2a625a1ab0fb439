#include "proxy/core/access.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include "proxy/core/handlers.h"
#include "proxy/core/session.h"
#include "proxy/core/subscriptions.h"
#include "proxy/core/worker.h"

namespace corral::core {

using policy::AclRefusal;
using policy::AclUser;
using policy::AclVerdict;
using resp::Command;
using resp::CommandSpec;

const std::string_view kDenied =
    "-DENIED Corral is running in protected mode because protected mode is enabled and no password is set for the "
    "default user. In this mode connections are only accepted from the loopback interface and from unix sockets. If "
    "you want to connect from external computers, do one of the following in Corral's settings and reload them: 1) Set "
    "up an authentication password for the default user, in [server] users. 2) Say there what the default user may do "
    "without one. 3) Set [server] protected_mode to false, if Corral cannot be reached from the internet.\r\n";

namespace {

std::string text_of(AclRefusal refusal, const Command& command, const CommandSpec& spec) {
  switch (refusal) {
    case AclRefusal::kNone:
      return {};
    case AclRefusal::kCommand:
      return "NOPERM this user has no permissions to run the '" + std::string(spec.name) + "' command";
    case AclRefusal::kKey:
      return "NOPERM this user has no permissions to access one of the keys used as arguments";
    case AclRefusal::kChannel:
      return "NOPERM this user has no permissions to access one of the channels used as arguments";
    case AclRefusal::kNaming:
      break;
  }
  std::string option(resp::find_naming_option(spec, command));
  for (char& c : option) c = static_cast<char>(c - 'a' + 'A');
  return "ERR " + option + " option of SORT denied due to insufficient ACL permissions.";
}

// Redis: multi.c, execCommand.
std::string_view reason_at_exec(AclRefusal refusal) {
  switch (refusal) {
    case AclRefusal::kCommand:
      return "no permission to execute the command or subcommand";
    case AclRefusal::kKey:
      return "no permission to touch the specified keys";
    case AclRefusal::kChannel:
      return "no permission to access one of the channels used as arguments to the command";
    default:
      return "no permission";
  }
}

AclLogEntry entry_for(const Session& session, AclLogEntry::Reason reason, std::string_view object,
                      std::string_view user) {
  AclLogEntry entry;
  entry.reason = reason;
  entry.in_transaction = (session.modes() & Session::kQueueing) != 0;
  entry.object = object.substr(0, AclLog::kMostBytes);
  entry.user = user.substr(0, AclLog::kMostBytes);
  entry.client = session.describe();
  entry.at_us = session.worker().transport().wall_clock_us();
  return entry;
}

// As Redis sees it before it looks at rights; MSET itself finds an odd number later.
bool count_fits(const CommandSpec& spec, size_t argc) {
  const auto least = static_cast<size_t>(std::abs(spec.arity));
  return spec.arity >= 0 ? argc == least : argc >= least;
}

// Whoever can become the one can become the other in the same way.
bool same_login(const AclUser& a, const AclUser& b) {
  return a.enabled() == b.enabled() && a.needs_no_password() == b.needs_no_password() && a.passwords() == b.passwords();
}

// It has subscribed to something that the user may not hear, or is shown what the user may not see.
bool listens_in_vain(const Session& session, const AclUser& user) {
  static const CommandSpec& monitor = *resp::find_command("monitor");
  if ((session.modes() & Session::kMonitoring) && !user.may_run(monitor, {})) return true;
  const Subscriptions* own = session.subscriptions();
  if (!own) return false;
  for (const ChannelKind kind : {ChannelKind::kChannel, ChannelKind::kPattern, ChannelKind::kShard}) {
    for (const std::string& name : own->names(kind)) {
      if (!user.may_receive(name, kind == ChannelKind::kPattern)) return true;
    }
  }
  return false;
}

}  // namespace

void Access::begin(Session& session) {
  const AclUser& user = worker_.policies().acl.default_user();
  set_user(session, user, user.is_open());
}

void Access::set_user(Session& session, const AclUser& user, bool authenticated) {
  forget(session);
  session.set_user(user, authenticated ? 0 : std::max<uint64_t>(worker_.now64_ms(), 1));
  if (!authenticated) unauthenticated_.emplace(session.unauthenticated_since_ms(), session.id());
}

void Access::check_listener(Session& session) {
  if (!session.unrestricted() && listens_in_vain(session, session.user())) session.end_for_new_rights();
}

void Access::forget(const Session& session) {
  if (session.authenticated()) return;
  unauthenticated_.erase({session.unauthenticated_since_ms(), session.id()});
}

uint32_t Access::wait_ms(const Session& session, std::string_view user) const {
  return worker_.process().auth_throttle().wait_ms(session.addresses().peer, user, worker_.now64_ms());
}

bool Access::authenticate(Session& session, std::string_view command, std::string_view name,
                          std::string_view password) {
  if (const AclUser* user = worker_.policies().acl.authenticate(name, password)) {
    set_user(session, *user, true);
    return true;
  }
  Process& process = worker_.process();
  worker_.stats().auth_failed.add();
  process.auth_throttle().on_failure(session.addresses().peer, name, worker_.now64_ms());
  process.acl_log().add(entry_for(session, AclLogEntry::Reason::kAuth, command, name));
  session.reply_error("WRONGPASS invalid username-password pair or user is disabled.");
  return false;
}

bool Access::refuses(Session& session, const Command& command, const CommandSpec& spec) {
  // Redis says so whoever the user is.
  const bool wrong_anyway = (session.modes() & Session::kQueueing) && spec.is(resp::kFlagNoMulti);
  if (wrong_anyway || !count_fits(spec, command.argc())) return false;
  const AclVerdict verdict = session.user().check(spec, command, uses_);
  if (verdict.refusal == AclRefusal::kNone) return false;
  worker_.stats().requests.add();
  session.begin_command(&spec);
  note_refusal(session, command, spec, verdict);
  reject(session, spec, text_of(verdict.refusal, command, spec));
  return true;
}

void Access::note_refusal(const Session& session, const Command& command, const CommandSpec& spec,
                          const AclVerdict& verdict) {
  using Reason = AclLogEntry::Reason;
  worker_.stats().acl_denied.add();
  worker_.process().server_stats().count_rejected(worker_.index(), spec);
  if (verdict.refusal == AclRefusal::kNaming) return;
  const bool of_command = verdict.refusal == AclRefusal::kCommand;
  const Reason reason = of_command                                ? Reason::kCommand
                        : verdict.refusal == AclRefusal::kChannel ? Reason::kChannel
                                                                  : Reason::kKey;
  const bool shown = !of_command && verdict.arg < command.argc();
  worker_.process().acl_log().add(
      entry_for(session, reason, shown ? command.arg(verdict.arg) : spec.name, session.user().name()));
}

// What may still come are options that ask for more rights, so the least are looked at.
std::string Access::refusal_of(const Session& session, const resp::RequestScanner::Head& head,
                               const CommandSpec& spec) {
  const Command& command = head.command;
  const AclUser& user = session.user();
  if (!spec.arity_fits(head.declared) || (!spec.subcommands.empty() && command.argc() < 2)) return {};
  AclVerdict verdict;
  if (!user.may_run(spec, command)) {
    verdict.refusal = AclRefusal::kCommand;
  } else if (spec.only_key != 0 && spec.only_key < command.argc()) {
    const uint32_t flags = spec.keys[0].flags & ~spec.key_variation.drops;
    if (!user.may_use(spec, command, spec.only_key, flags)) verdict = {AclRefusal::kKey, spec.only_key};
  }
  if (verdict.refusal != AclRefusal::kNone) note_refusal(session, command, spec, verdict);
  return text_of(verdict.refusal, command, spec);
}

std::string Access::refusal_at_exec(Session& session, const Command& command, const CommandSpec& spec) {
  const AclVerdict verdict = session.user().check(spec, command, uses_);
  if (verdict.refusal == AclRefusal::kNone) return {};
  note_refusal(session, command, spec, verdict);
  return "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command "
         "is no longer allowed for the following reason: " +
         std::string(reason_at_exec(verdict.refusal));
}

// Who stays the user that it is has the new rights at once, as by ACL SETUSER. Who would have to authenticate again, or
// has lost what it listens to, is closed.
void Access::on_new_users(const policy::Acl& before) {
  const policy::Acl& now = worker_.policies().acl;
  std::map<const AclUser*, const AclUser*> stays;
  for (const auto& [name, user] : before.users()) {
    const AclUser* same = now.find(name);
    if (same && same_login(*same, user)) stays.emplace(&user, same);
  }
  std::vector<Session*> ended;
  worker_.for_each_session([&](Session& session) {
    if (!session.open()) return session.set_user(now.default_user(), 0);  // nobody asks any more
    if (!session.authenticated()) {
      if (now.default_user().is_open()) forget(session);
      return session.set_user(now.default_user(),
                              now.default_user().is_open() ? 0 : session.unauthenticated_since_ms());
    }
    if (const auto it = stays.find(&session.user()); it != stays.end()) {
      session.set_user(*it->second, 0);
      if (!listens_in_vain(session, session.user())) return;
    } else {
      set_user(session, now.default_user(), false);
    }
    ended.push_back(&session);
  });
  for (Session* session : ended) session->end_for_new_rights();
}

void Access::tick() {
  const auto timeout_ms = static_cast<uint64_t>(worker_.settings().limits.auth_timeout_ms);
  while (!unauthenticated_.empty()) {
    const auto [since_ms, id] = *unauthenticated_.begin();
    if (since_ms + timeout_ms > worker_.now64_ms()) return;
    unauthenticated_.erase(unauthenticated_.begin());
    Session* session = worker_.find_session(id);
    if (!session) continue;
    worker_.stats().clients_unauthenticated.add();
    worker_.log_closed(*session, LogLevel::kInfo, "it has not authenticated");
    session->close();
  }
}

}  // namespace corral::core
