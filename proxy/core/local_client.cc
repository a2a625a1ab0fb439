// CLIENT and its subcommands, for the clients of this process. LIST, KILL and UNBLOCK ask every worker.
#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "proxy/core/local.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;

namespace {

constexpr std::string_view kSyntaxError = "ERR syntax error";
constexpr size_t kMostNameBytes = 1024;  // Redis has no limit; but each CLIENT LIST shows the names of all

// Redis: networking.c, clientSetNameOrReply.
bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

std::optional<uint64_t> parse_id(std::string_view text) {
  int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 1) return {};
  return static_cast<uint64_t>(id);
}

/// Which clients CLIENT LIST and CLIENT KILL mean.
struct Filter {
  std::set<uint64_t> ids;
  std::string addr, laddr, user, type;
  uint64_t skip = 0;  // this one not; 0: none

  bool matches(const Session& session) const {
    if (session.id() == skip) return false;
    if (!ids.empty() && !ids.contains(session.id())) return false;
    if (!addr.empty() && addr != session.addresses().peer) return false;
    if (!laddr.empty() && laddr != session.addresses().local) return false;
    const bool listens = (session.modes() & Session::kSubscribed) != 0;
    return (user.empty() || user == session.user().name()) && (type.empty() || type == (listens ? "pubsub" : "normal"));
  }
};

// Of Redis' client types, Corral's clients are "normal" or "pubsub". False: there is no such type.
bool parse_type(std::string_view text, std::string& type) {
  for (const std::string_view known : {"normal", "master", "replica", "slave", "pubsub"}) {
    if (!same_word(text, known)) continue;
    type = known == "slave" ? "replica" : known;
    return true;
  }
  return false;
}

// Lines of clients by id, of all workers.
using Lines = std::map<uint64_t, std::string>;

void reply_list(Session& session, const Filter& filter, size_t command_bytes) {
  const Request whole = session.request_for_reply(kNoSlot, 0);
  Worker& home = session.worker();
  if (!whole.task) session.pause(Session::kWalk);  // a pipeline of these would be as many lists in memory
  ask_all_workers<Lines>(
      home,
      [filter, command_bytes, self = session.id()](Worker& worker) {
        Lines lines;
        for (const auto& [id, other] : worker.sessions()) {
          if (filter.matches(*other)) lines[id] = other->describe(id == self ? command_bytes : 0) + '\n';
        }
        return lines;
      },
      [&home, whole](std::vector<Lines> answers) {
        Lines all;
        for (Lines& lines : answers) all.merge(lines);
        std::string text, reply;
        for (const auto& [id, line] : all) text += line;
        resp::append_verbatim(reply, text, whole.session->resp());
        if (!whole.task) whole.session->resume(Session::kWalk);
        home.answer(whole, reply);
      });
}

// `old_form`: CLIENT KILL addr, which answers OK or an error and not a number.
void kill(Session& session, const Filter& filter, bool old_form) {
  const Request whole = session.request_for_reply(kNoSlot, 0);
  Worker& home = session.worker();
  ask_all_workers<int64_t>(
      home,
      [filter, self = session.id()](Worker& worker) {
        std::vector<Session*> victims;
        for (const auto& [id, other] : worker.sessions()) {
          if (filter.matches(*other)) victims.push_back(other.get());
        }
        for (Session* victim : victims) victim->id() == self ? victim->close_after_replies() : victim->close();
        return static_cast<int64_t>(victims.size());
      },
      [&home, whole, old_form](const std::vector<int64_t>& answers) {
        int64_t killed = 0;
        for (const int64_t count : answers) killed += count;
        std::string reply;
        if (!old_form) {
          resp::append_integer(reply, killed);
        } else if (killed > 0) {
          reply = resp::kOk;
        } else {
          resp::append_error(reply, "ERR No such client");
        }
        home.answer(whole, reply);
      });
}

// One pair of CLIENT KILL's arguments; the error's text, or empty.
std::string parse_kill_option(Session& session, std::string_view option, std::string_view value, Filter& filter) {
  if (same_word(option, "ID")) {
    const auto id = parse_id(value);
    if (!id) return "ERR client-id should be greater than 0";
    filter.ids = {*id};
  } else if (same_word(option, "ADDR")) {
    filter.addr = value;
  } else if (same_word(option, "LADDR")) {
    filter.laddr = value;
  } else if (same_word(option, "TYPE")) {
    if (!parse_type(value, filter.type)) return "ERR Unknown client type '" + std::string(value) + "'";
  } else if (same_word(option, "USER")) {
    if (!session.worker().policies().acl.find(value)) return "ERR No such user '" + std::string(value) + "'";
    filter.user = value;
  } else if (same_word(option, "SKIPME") && (same_word(value, "yes") || same_word(value, "no"))) {
    filter.skip = same_word(value, "yes") ? session.id() : 0;
  } else {
    return std::string(kSyntaxError);
  }
  return {};
}

}  // namespace

bool set_client_name(Session& session, std::string_view name) {
  if (!is_plain(name)) {
    session.reply_error("ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
  }
  if (name.size() > kMostNameBytes) {
    session.reply_error("ERR Client names cannot be longer than " + std::to_string(kMostNameBytes) + " bytes");
    return false;
  }
  session.details().name = name;
  return true;
}

void local_client_id(Session& session, const Command&) {
  std::string out;
  resp::append_integer(out, static_cast<int64_t>(session.id()));
  session.reply(out);
}

void local_client_info(Session& session, const Command& command) {
  std::string out;
  resp::append_verbatim(out, session.describe(command.bytes().size()) + '\n', session.resp());
  session.reply(out);
}

void local_client_list(Session& session, const Command& command) {
  Filter filter;
  if (command.argc() == 4 && same_word(command.arg(2), "TYPE")) {
    if (!parse_type(command.arg(3), filter.type)) {
      return session.reply_error("ERR Unknown client type '" + std::string(command.arg(3)) + "'");
    }
  } else if (command.argc() > 3 && same_word(command.arg(2), "ID")) {
    for (size_t i = 3; i < command.argc(); ++i) {
      const auto id = parse_id(command.arg(i));
      if (!id) return session.reply_error("ERR Invalid client ID");
      filter.ids.insert(*id);
    }
  } else if (command.argc() != 2) {
    return session.reply_error(kSyntaxError);
  }
  reply_list(session, filter, command.bytes().size());
}

void local_client_kill(Session& session, const Command& command) {
  Filter filter;
  if (command.argc() == 3) {
    filter.addr = command.arg(2);
    return kill(session, filter, true);
  }
  if (command.argc() % 2 != 0) return session.reply_error(kSyntaxError);
  filter.skip = session.id();
  for (size_t i = 2; i < command.argc(); i += 2) {
    const std::string error = parse_kill_option(session, command.arg(i), command.arg(i + 1), filter);
    if (!error.empty()) return session.reply_error(error);
  }
  kill(session, filter, false);
}

void local_client_setname(Session& session, const Command& command) {
  if (set_client_name(session, command.arg(2))) session.reply(resp::kOk);
}

void local_client_getname(Session& session, const Command&) {
  std::string out;
  const Session::Details* details = session.details_if_any();
  if (details && !details->name.empty()) {
    resp::append_bulk(out, details->name);
  } else {
    resp::append_null(out, session.resp());
  }
  session.reply(out);
}

void local_client_setinfo(Session& session, const Command& command) {
  const bool is_name = same_word(command.arg(2), "LIB-NAME");
  if (!is_name && !same_word(command.arg(2), "LIB-VER")) {
    return session.reply_error("ERR Unrecognized option '" + std::string(command.arg(2)) + "'");
  }
  if (!is_plain(command.arg(3))) {
    return session.reply_error(std::string("ERR ") + (is_name ? "lib-name" : "lib-ver") +
                               " cannot contain spaces, newlines or special characters.");
  }
  if (command.arg(3).size() > kMostNameBytes) {
    return session.reply_error(std::string("ERR ") + (is_name ? "lib-name" : "lib-ver") + " cannot be longer than " +
                               std::to_string(kMostNameBytes) + " bytes");
  }
  (is_name ? session.details().lib_name : session.details().lib_version) = command.arg(3);
  session.reply(resp::kOk);
}

void local_client_no_evict(Session& session, const Command& command) {
  const bool on = same_word(command.arg(2), "ON");
  if (!on && !same_word(command.arg(2), "OFF")) return session.reply_error(kSyntaxError);
  session.set_no_evict(on);
  session.reply(resp::kOk);
}

void local_client_reply(Session& session, const Command& command) {
  if (same_word(command.arg(2), "ON")) {
    session.set_replies_off(false);
    session.reply(resp::kOk);
  } else if (same_word(command.arg(2), "OFF")) {
    session.set_replies_off(true);
  } else if (same_word(command.arg(2), "SKIP")) {
    session.skip_next_reply();
  } else {
    session.reply_error(kSyntaxError);
  }
}

// The worker that has the client asks the node to end the command, and tells what became of it.
void local_client_unblock(Session& session, const Command& command) {
  const bool with_error = command.argc() == 4 && same_word(command.arg(3), "ERROR");
  if (command.argc() > 4) {
    return session.reply_error("ERR unknown subcommand or wrong number of arguments for '" +
                               std::string(command.arg(1)) + "'. Try CLIENT HELP.");
  }
  if (command.argc() == 4 && !with_error && !same_word(command.arg(3), "TIMEOUT")) {
    return session.reply_error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  }
  const auto id = resp::parse_decimal(command.arg(2));
  if (!id) return session.reply_error("ERR value is not an integer or out of range");
  const Request whole = session.request_for_reply(kNoSlot, 0);
  Worker& home = session.worker();
  auto awaited = std::make_shared<uint32_t>(home.process().workers());
  for (uint32_t i = 0; i < home.process().workers(); ++i) {
    home.transport().post(i, [=, back = home.index()](Worker& worker) {
      const auto done = [=, &worker](bool unblocked) {
        worker.transport().post(back, [=](Worker& asker) {
          if (*awaited == 0) return;
          *awaited = unblocked ? 0 : *awaited - 1;
          if (*awaited == 0) asker.answer(whole, unblocked ? ":1\r\n" : ":0\r\n");
        });
      };
      const Session* found = *id > 0 ? worker.find_session(static_cast<uint64_t>(*id)) : nullptr;
      BlockedCommand* blocked = found ? found->blocked() : nullptr;
      blocked ? blocked->unblock(with_error, done) : done(false);
    });
  }
}

void local_client_help(Session& session, const Command&) {
  reply_help(session, "CLIENT",
             {"CACHING (YES|NO)",
              "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
              "GETREDIR",
              "    Return the client ID that invalidations are redirected to when tracking is enabled.",
              "GETNAME",
              "    Return the name of the current connection.",
              "ID",
              "    Return the ID of the current connection.",
              "INFO",
              "    Return information about the current client connection.",
              "KILL <ip:port>",
              "    Kill connection made from <ip:port>.",
              "KILL <option> <value> [<option> <value> [...]]",
              "    Kill connections. Options are: ADDR, LADDR, TYPE, USER, SKIPME, ID.",
              "LIST [options ...]",
              "    Return information about client connections. Options: TYPE, ID.",
              "NO-EVICT (ON|OFF)",
              "    Accepted for compatibility: Corral evicts no clients.",
              "NO-TOUCH (ON|OFF)",
              "    Accepted for compatibility.",
              "PAUSE <timeout> [WRITE|ALL]",
              "    Suspend all, or just write, clients of this proxy for <timeout> milliseconds.",
              "REPLY (ON|OFF|SKIP)",
              "    Control the replies sent to the current connection.",
              "SETINFO <LIB-NAME|LIB-VER> <value>",
              "    Set the client library's name and version.",
              "SETNAME <name>",
              "    Assign the name <name> to the current connection.",
              "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
              "    Control server assisted client side caching.",
              "TRACKINGINFO",
              "    Report tracking status for the current connection.",
              "UNBLOCK <clientid> [TIMEOUT|ERROR]",
              "    Unblock the specified blocked client.",
              "UNPAUSE",
              "    Stop the current client pause, resuming traffic.",
              "HELP",
              "    Print this help."});
}

}  // namespace corral::core
