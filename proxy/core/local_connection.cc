// PING, ECHO, QUIT, RESET, SELECT, HELLO and AUTH, with the replies of Redis 7.0.
#include <algorithm>
#include <charconv>

#include "proxy/core/local.h"
#include "proxy/core/tracking_clients.h"
#include "proxy/core/transaction.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;

namespace {

constexpr uint32_t kClusterDatabases = 16;  // that it speaks of, though only the first is to be used

constexpr std::string_view kNoPassword =
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration "
    "is correct?";

bool parse_int(std::string_view text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// There is one user, "default", without a password, until users can be configured.
bool authenticate(Session& session, std::string_view user) {
  if (user == "default") return true;
  session.reply_error("WRONGPASS invalid username-password pair or user is disabled.");
  return false;
}

void set_link_kind(Session& session, LinkKind kind) {
  session.set_link_kind(kind);
  if (session.tracks()) session.worker().tracking().update(session);
}

void reply_hello(Session& session) {
  Worker& worker = session.worker();
  const int resp = session.resp();
  std::string out;
  resp::append_map(out, 7, resp);
  resp::append_bulk(out, "server");
  resp::append_bulk(out, "redis");
  resp::append_bulk(out, "version");
  resp::append_bulk(out, worker.process().upstream_version());
  resp::append_bulk(out, "proto");
  resp::append_integer(out, resp);
  resp::append_bulk(out, "id");
  resp::append_integer(out, static_cast<int64_t>(session.id()));
  resp::append_bulk(out, "mode");
  resp::append_bulk(out, "standalone");
  resp::append_bulk(out, "role");
  resp::append_bulk(out, "master");
  resp::append_bulk(out, "modules");
  resp::append_array(out, 0);
  session.reply(out);
}

}  // namespace

void local_ping(Session& session, const Command& command) {
  if (command.argc() > 2) return session.reply_error("ERR wrong number of arguments for 'ping' command");
  if (const NodeId busy = session.worker().busy_node(); busy != kNoNode) [[unlikely]] {
    const Request request = session.request_for_reply(kNoSlot, kReadOnly);  // it answers -BUSY, if it still is
    return session.worker().send_to_node(request, busy, command.bytes(), true);
  }
  if (session.resp() == 2 && (session.modes() & Session::kSubscribed)) {
    std::string out;
    resp::append_array(out, 2);
    resp::append_bulk(out, "pong");
    resp::append_bulk(out, command.argc() == 2 ? command.arg(1) : "");
    return session.reply(out);
  }
  if (command.argc() == 1) return session.reply("+PONG\r\n");
  local_echo(session, command);
}

void local_echo(Session& session, const Command& command) {
  std::string out;
  resp::append_bulk(out, command.arg(1));
  session.reply(out);
}

void local_quit(Session& session, const Command&) {
  session.reply(resp::kOk);
  session.close_after_replies();
}

void local_reset(Session& session, const Command&) {
  session.reset();
  session.reply("+RESET\r\n");
}

void local_select(Session& session, const Command& command) {
  int64_t database;
  if (!parse_int(command.arg(1), database)) return session.reply_error("ERR value is not an integer or out of range");
  const Worker& worker = session.worker();
  const uint32_t databases = worker.one_owner() ? worker.process().upstream_databases() : kClusterDatabases;
  if (database < 0 || database >= std::min<uint32_t>(databases, LinkKind::kMostDatabases)) {
    return session.reply_error("ERR DB index is out of range");
  }
  if (database != 0 && !worker.one_owner()) return session.reply_error("ERR SELECT is not allowed in cluster mode");
  set_link_kind(session, LinkKind(session.resp(), static_cast<uint16_t>(database)));
  if (session.modes() & Session::kWatching) session.transaction().on_select(session.database());
  session.reply(resp::kOk);
}

// Options take effect as they are read, whatever comes of the later ones.
void local_hello(Session& session, const Command& command) {
  int64_t version = session.resp();
  if (command.argc() > 1 && !parse_int(command.arg(1), version)) {
    return session.reply_error("ERR Protocol version is not an integer or out of range");
  }
  if (version != 2 && version != 3) return session.reply_error("NOPROTO unsupported protocol version");
  for (size_t i = 2; i < command.argc(); ++i) {
    const size_t left = command.argc() - 1 - i;
    if (same_word(command.arg(i), "AUTH") && left >= 2) {
      if (!authenticate(session, command.arg(i + 1))) return;
      i += 2;
    } else if (same_word(command.arg(i), "SETNAME") && left >= 1) {
      if (!set_client_name(session, command.arg(++i))) return;
    } else {
      return session.reply_error("ERR Syntax error in HELLO option '" + std::string(command.arg(i)) + "'");
    }
  }
  set_link_kind(session, LinkKind(static_cast<int>(version), session.database()));
  reply_hello(session);
  if (session.tracks()) session.tracking()->tell_what_was_missed();
}

void local_auth(Session& session, const Command& command) {
  if (command.argc() > 3) return session.reply_error("ERR syntax error");
  if (command.argc() == 2) return session.reply_error(kNoPassword);
  if (authenticate(session, command.arg(1))) session.reply(resp::kOk);
}

}  // namespace corral::core
