// ACL, as a server answers whose only user is "default", without a password and with all rights. Users are configured
// in Corral's settings, so what changes them is refused.
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

}  // namespace

void local_acl_whoami(Session& session, const Command&) { session.reply("$7\r\ndefault\r\n"); }

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
  static constexpr std::string_view kUser[] = {"user default on nopass ~* &* +@all"};
  std::string out;
  append_bulks(out, kUser);
  session.reply(out);
}

void local_acl_users(Session& session, const Command&) { session.reply("*1\r\n$7\r\ndefault\r\n"); }

void local_acl_getuser(Session& session, const Command& command) {
  const int resp = session.resp();
  std::string out;
  if (command.arg(2) != "default") {
    resp::append_null(out, resp);
    return session.reply(out);
  }
  resp::append_map(out, 6, resp);
  resp::append_bulk(out, "flags");
  resp::append_set(out, 2, resp);
  resp::append_bulk(out, "on");
  resp::append_bulk(out, "nopass");
  resp::append_bulk(out, "passwords");
  resp::append_array(out, 0);
  resp::append_bulk(out, "commands");
  resp::append_bulk(out, "+@all");
  resp::append_bulk(out, "keys");
  resp::append_bulk(out, "~*");
  resp::append_bulk(out, "channels");
  resp::append_bulk(out, "&*");
  resp::append_bulk(out, "selectors");
  resp::append_array(out, 0);
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
    if (i % 16 == 0) random = session.worker().transport().random();
    password += "0123456789abcdef"[random & 15];
    random >>= 4;
  }
  resp::append_bulk(out, password);
  session.reply(out);
}

void local_acl_dryrun(Session& session, const Command& command) {
  if (command.arg(2) != "default") {
    return session.reply_error("ERR User '" + std::string(command.arg(2)) + "' not found");
  }
  const Command tried{command.frame, command.size, command.slices.subspan(3)};
  const CommandSpec* spec = find_spec(session.worker(), tried);
  if (!spec) return session.reply_error("ERR Command '" + std::string(command.arg(3)) + "' not found");
  if (!spec->arity_fits(tried.argc())) {
    return session.reply_error("ERR wrong number of arguments for '" + std::string(spec->name) + "' command");
  }
  if (!session.worker().policies().guard.denies(*spec)) return session.reply(resp::kOk);
  std::string out;
  resp::append_bulk(out, "This user has no permissions to run the '" + std::string(spec->name) + "' command");
  session.reply(out);
}

// Nobody can be denied anything yet that would be logged.
void local_acl_log(Session& session, const Command& command) {
  if (command.argc() > 3) return reply_subcommand_syntax(session, command);
  if (command.argc() == 2) return session.reply("*0\r\n");
  if (same_word(command.arg(2), "RESET")) return session.reply(resp::kOk);
  if (!resp::parse_decimal(command.arg(2))) {
    return session.reply_error("ERR value is not an integer or out of range");
  }
  session.reply("*0\r\n");
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
