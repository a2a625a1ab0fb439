// ACL. Users are configured in Corral's settings, so what changes them is refused.
// Source: Redis 7.0, acl.c.
#include <algorithm>

#include "proxy/core/local.h"
#include "proxy/core/parsed_request.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;
using resp::CommandSpec;

namespace {

constexpr int64_t kMostPasswordBits = 4096;
constexpr int64_t kLogDefaultCount = 10;

void append_bulks(std::string& out, std::span<const std::string_view> texts) {
  resp::append_array(out, texts.size());
  for (const std::string_view text : texts) resp::append_bulk(out, text);
}

void collect_of_category(std::span<const CommandSpec> specs, uint32_t bit, std::vector<std::string_view>& names) {
  for (const CommandSpec& spec : specs) {
    if (spec.categories & bit) names.push_back(spec.name);
    collect_of_category(spec.subcommands, bit, names);
  }
}

const auto& users_of(const Session& session) { return session.worker().policies().acl.users(); }

void append_selector(std::string& out, const policy::AclSelector& selector) {
  resp::append_bulk(out, "commands");
  resp::append_bulk(out, selector.describe_commands());
  resp::append_bulk(out, "keys");
  resp::append_bulk(out, selector.describe_keys());
  resp::append_bulk(out, "channels");
  resp::append_bulk(out, selector.describe_channels());
}

// Why the command is refused to the user, or by the guard to all; empty: it is not.
std::string dry_run(Session& session, const policy::AclUser& user, const Command& command, const CommandSpec& spec) {
  using policy::AclRefusal;
  std::vector<resp::KeyUse> uses;
  const policy::AclVerdict verdict = user.check(spec, command, uses);
  const bool denied = session.worker().policies().guard.denies(spec);
  if (verdict.refusal == AclRefusal::kKey || verdict.refusal == AclRefusal::kChannel) {
    const std::string what = verdict.refusal == AclRefusal::kKey ? "key" : "channel";
    const std::string_view arg = verdict.arg < command.argc() ? command.arg(verdict.arg) : "";
    return "This user has no permissions to access the '" + std::string(arg) + "' " + what;
  }
  if (verdict.refusal != AclRefusal::kCommand && !denied) return {};
  return "This user has no permissions to run the '" + std::string(spec.name) + "' command";
}

}  // namespace

void local_acl_whoami(Session& session, const Command&) {
  std::string out;
  resp::append_bulk(out, session.user().name());
  session.reply(out);
}

void local_acl_cat(Session& session, const Command& command) {
  std::string out;
  if (command.argc() > 3) return reply_subcommand_syntax(session, command);
  std::vector<std::string_view> names(resp::kCategoryNames.begin(), resp::kCategoryNames.end());
  if (command.argc() > 2) {
    const auto same = [&](std::string_view name) { return same_word(name, command.arg(2)); };
    const auto found = std::find_if(names.begin(), names.end(), same);
    if (found == names.end()) {
      return session.reply_error("ERR Unknown category '" + std::string(command.arg(2).substr(0, 128)) + "'");
    }
    const auto bit = 1u << (found - names.begin());
    names.clear();
    collect_of_category(resp::all_commands(), bit, names);
  }
  append_bulks(out, names);
  session.reply(out);
}

void local_acl_list(Session& session, const Command&) {
  const auto& users = users_of(session);
  std::string out;
  resp::append_array(out, users.size());
  for (const auto& [name, user] : users) resp::append_bulk(out, "user " + name + ' ' + user.describe());
  session.reply(out);
}

void local_acl_users(Session& session, const Command&) {
  const auto& users = users_of(session);
  std::string out;
  resp::append_array(out, users.size());
  for (const auto& [name, user] : users) resp::append_bulk(out, name);
  session.reply(out);
}

void local_acl_getuser(Session& session, const Command& command) {
  const int resp = session.resp();
  const policy::AclUser* user = session.worker().policies().acl.find(command.arg(2));
  std::string out;
  if (!user) {
    resp::append_null(out, resp);
    return session.reply(out);
  }
  resp::append_map(out, 6, resp);
  resp::append_bulk(out, "flags");
  resp::append_set(out, 1u + user->needs_no_password() + user->sanitizes(), resp);
  resp::append_bulk(out, user->enabled() ? "on" : "off");
  if (user->needs_no_password()) resp::append_bulk(out, "nopass");
  if (user->sanitizes()) resp::append_bulk(out, "sanitize-payload");
  resp::append_bulk(out, "passwords");
  resp::append_array(out, user->passwords().size());
  for (const std::string& hash : user->passwords()) resp::append_bulk(out, hash);
  const auto& selectors = user->selectors();
  append_selector(out, selectors.front());
  resp::append_bulk(out, "selectors");
  resp::append_array(out, selectors.size() - 1);
  for (size_t i = 1; i < selectors.size(); ++i) {
    resp::append_map(out, 3, resp);
    append_selector(out, selectors[i]);
  }
  session.reply(out);
}

void local_acl_genpass(Session& session, const Command& command) {
  if (command.argc() > 3) return reply_subcommand_syntax(session, command);
  int64_t bits = 256;
  if (command.argc() > 2) {
    const auto given = resp::parse_decimal(command.arg(2));
    if (!given) return session.reply_error("ERR value is not an integer or out of range");
    bits = *given;
  }
  if (bits <= 0 || bits > kMostPasswordBits) {
    return session.reply_error(
        "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096");
  }
  std::string password, out;
  uint64_t random = 0;
  for (int64_t i = 0; i < (bits + 3) / 4; ++i) {
    if (i % 16 == 0) random = session.worker().transport().secret_random();
    password += "0123456789abcdef"[random & 15];
    random >>= 4;
  }
  resp::append_bulk(out, password);
  session.reply(out);
}

void local_acl_dryrun(Session& session, const Command& command) {
  const policy::AclUser* user = session.worker().policies().acl.find(command.arg(2));
  if (!user) return session.reply_error("ERR User '" + std::string(command.arg(2)) + "' not found");
  const Command tried{command.frame, command.size, command.slices.subspan(3)};
  const CommandSpec* spec = find_spec(session.worker(), tried);
  if (!spec) return session.reply_error("ERR Command '" + std::string(command.arg(3)) + "' not found");
  if (!spec->arity_fits(tried.argc())) {
    return session.reply_error("ERR wrong number of arguments for '" + std::string(spec->name) + "' command");
  }
  const std::string why = dry_run(session, *user, tried, *spec);
  if (why.empty()) return session.reply(resp::kOk);
  std::string out;
  resp::append_bulk(out, why);
  session.reply(out);
}

void local_acl_log(Session& session, const Command& command) {
  if (command.argc() > 3) return reply_subcommand_syntax(session, command);
  AclLog& log = session.worker().process().acl_log();
  int64_t most = kLogDefaultCount;
  if (command.argc() == 3) {
    if (same_word(command.arg(2), "RESET")) {
      log.clear();
      return session.reply(resp::kOk);
    }
    const auto given = resp::parse_decimal(command.arg(2));
    if (!given) return session.reply_error("ERR value is not an integer or out of range");
    most = std::max<int64_t>(*given, 0);
  }
  const auto entries = log.entries(static_cast<size_t>(most));
  session.reply(describe_acl_log(entries, session.worker().transport().wall_clock_us(), session.resp()));
}

void local_acl_change(Session& session, const Command&) {
  session.reply_error("ERR users of a proxy are set in its configuration file, not by ACL SETUSER and ACL DELUSER");
}

void local_acl_file(Session& session, const Command&) {
  session.reply_error(
      "ERR This Redis instance is not configured to use an ACL file. Users of a proxy are set in its configuration "
      "file.");
}

void local_acl_help(Session& session, const Command&) {
  reply_help(session, "ACL",
             {"CAT [<category>]",
              "    List all commands that belong to <category>, or all command categories",
              "    when no category is specified.",
              "DRYRUN <username> <command> [<arg> ...]",
              "    Returns whether the user can execute the given command without executing the command.",
              "GETUSER <username>",
              "    Get the user's details.",
              "GENPASS [<bits>]",
              "    Generate a secure 256-bit user password. The optional `bits` argument can",
              "    be used to specify a different size.",
              "LIST",
              "    Show users details in config file format.",
              "LOG [<count> | RESET]",
              "    Show the ACL log entries.",
              "USERS",
              "    List all the registered usernames.",
              "WHOAMI",
              "    Return the current connection username.",
              "HELP",
              "    Print this help."});
}

}  // namespace corral::core
