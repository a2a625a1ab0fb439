// CLIENT's subcommands that change how clients are served (PAUSE, NO-TOUCH), and MONITOR.
#include <set>

#include "proxy/core/gather.h"
#include "proxy/core/local.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

using resp::Command;
using resp::ReplyView;

namespace {

constexpr std::string_view kSyntaxError = "ERR syntax error";

// The value of `name` in a map, or in an array of names and values in turn.
ReplyView member(const ReplyView& map, std::string_view name) {
  const auto elements = map.elements();
  for (size_t i = 0; i + 1 < elements.size(); i += 2) {
    if (elements[i].text() == name) return elements[i + 1];
  }
  return {};
}

// The functions that FUNCTION LIST shows with the flag no-writes.
void add_reading_functions(const ReplyView& libraries, std::set<std::string>& names) {
  for (const ReplyView& library : libraries.elements()) {
    for (const ReplyView& function : member(library, "functions").elements()) {
      for (const ReplyView& flag : member(function, "flags").elements()) {
        if (flag.text() == "no-writes") names.emplace(member(function, "name").text());
      }
    }
  }
}

// Answers once every worker has seen what is in force now.
void update_gates_and_answer(Worker& home, const Request& whole) {
  ask_all_workers<int>(
      home, [](Worker& worker) { return worker.gate().update(), 0; },
      [&home, whole](const std::vector<int>&) { home.answer(whole, resp::kOk); });
}

// Every worker shows from now on what its clients send.
void begin_monitoring(Worker& home, const Request& whole) {
  Session& session = *whole.session;
  if (session.open() && !(session.modes() & Session::kMonitoring)) {
    home.gate().add_monitor(session);
    home.access().check_listener(session);
  } else {
    home.gate().give_up_monitor();
  }
  home.answer(whole, resp::kOk);
}

void pause(Worker& home, const Request& whole, ClientPause pause) {
  home.process().pause_clients(std::move(pause), home.now64_ms());
  update_gates_and_answer(home, whole);
}

}  // namespace

void local_client_pause(Session& session, const Command& command) {
  ClientPause wanted;
  wanted.kind = ClientPause::Kind::kAll;
  if (command.argc() > 4) return reply_subcommand_syntax(session, command);
  if (command.argc() == 4 && same_word(command.arg(3), "WRITE")) {
    wanted.kind = ClientPause::Kind::kWrites;
  } else if (command.argc() == 4 && !same_word(command.arg(3), "ALL")) {
    return session.reply_error("ERR CLIENT PAUSE mode must be WRITE or ALL");
  }
  const auto timeout_ms = resp::parse_decimal(command.arg(2));
  if (!timeout_ms) return session.reply_error("ERR timeout is not an integer or out of range");
  if (*timeout_ms < 0) return session.reply_error("ERR timeout is negative");
  if (*timeout_ms > INT64_MAX / 2) return session.reply_error("ERR timeout is out of range");
  Worker& home = session.worker();
  wanted.end_ms = *timeout_ms > 0 ? home.now64_ms() + static_cast<uint64_t>(*timeout_ms) : 0;
  if (wanted.kind == ClientPause::Kind::kAll) return pause(home, session.request_for_reply(kNoSlot, 0), wanted);
  // A function says in its library whether it writes; a node is asked, since only nodes know the libraries.
  std::string bytes;
  resp::append_command(bytes, {"FUNCTION", "LIST"});
  ask_masters(session, bytes, [&home, wanted](const Request& whole, const Replies& replies) {
    auto names = std::make_shared<std::set<std::string>>();
    for (const std::string& reply : replies) add_reading_functions(ReplyView(reply), *names);
    ClientPause known = wanted;
    known.reading_functions = std::move(names);
    pause(home, whole, std::move(known));
  });
}

void local_client_unpause(Session& session, const Command&) {
  Worker& home = session.worker();
  home.process().unpause_clients();
  update_gates_and_answer(home, session.request_for_reply(kNoSlot, 0));
}

void local_monitor(Session& session, const Command&) {
  if (session.has_sink()) return session.reply_error("ERR MONITOR isn't allowed for DENY BLOCKING client");
  if (session.modes() & Session::kMonitoring) return;  // says nothing, as Redis
  Worker& home = session.worker();
  const Request whole = session.request_for_reply(kNoSlot, 0);
  home.process().board(home.index()).monitors.fetch_add(1, std::memory_order_relaxed);
  home.gate().watch_scripts([&home, whole] {
    ask_all_workers<int>(
        home, [](Worker& worker) { return worker.gate().update(), 0; },
        [&home, whole](const std::vector<int>&) { begin_monitoring(home, whole); });
  });
}

void local_client_no_touch(Session& session, const Command& command) {
  const bool on = same_word(command.arg(2), "ON");
  if (!on && !same_word(command.arg(2), "OFF")) return session.reply_error(kSyntaxError);
  session.set_no_touch(on);
  session.reply(resp::kOk);
}

}  // namespace corral::core
