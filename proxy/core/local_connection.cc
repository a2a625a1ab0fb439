// PING, ECHO, QUIT, RESET and SELECT, with the replies of Redis 7.0.
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

}  // namespace

bool parse_int(std::string_view text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

void set_link_kind(Session& session, LinkKind kind) {
  session.set_link_kind(kind);
  if (session.tracks()) session.worker().tracking().update(session);
}

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

}  // namespace corral::core
