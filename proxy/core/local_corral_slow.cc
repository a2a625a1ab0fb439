// CORRAL SLOWLOG GET [n] | LEN | RESET: the slow requests of Corral's clients, and where their time went.
#include "proxy/core/local.h"
#include "proxy/core/slow_requests.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;

namespace {

constexpr int64_t kByDefault = 10;

void append_number(std::string& out, std::string_view name, uint64_t value) {
  resp::append_bulk(out, name);
  resp::append_integer(out, static_cast<int64_t>(value));
}

void append_text(std::string& out, std::string_view name, std::string_view value) {
  resp::append_bulk(out, name);
  resp::append_bulk(out, value);
}

void append_request(std::string& out, const SlowRequest& slow, int resp) {
  resp::append_map(out, 10, resp);
  append_number(out, "id", slow.id);
  append_number(out, "time", static_cast<uint64_t>(slow.time_us / 1'000'000));
  append_number(out, "duration_us", slow.duration_us);
  append_number(out, "queue_us", slow.queue_us);
  append_number(out, "upstream_us", slow.upstream_us);
  append_number(out, "lease_us", slow.lease_us);
  resp::append_bulk(out, "command");
  resp::append_array(out, slow.args.size());
  for (const std::string& arg : slow.args) resp::append_bulk(out, arg);
  append_text(out, "node", slow.node);
  append_text(out, "client", slow.client);
  append_text(out, "client_name", slow.client_name);
}

void tell_entries(Session& session, const Command& command) {
  const auto wanted = command.argc() == 4 ? resp::parse_decimal(command.arg(3)) : kByDefault;
  if (!wanted || *wanted < -1) return session.reply_error("ERR count should be greater than or equal to -1");
  const size_t most = *wanted < 0 ? SIZE_MAX : static_cast<size_t>(*wanted);
  const auto entries = session.worker().process().slow_requests().entries(most);
  std::string out;
  resp::append_array(out, entries.size());
  for (const SlowRequest& slow : entries) append_request(out, slow, session.resp());
  session.reply(out);
}

}  // namespace

void local_corral_slow_log(Session& session, const Command& command) {
  if (!may_know_keys(session, command)) return;
  SlowRequests& slow = session.worker().process().slow_requests();
  const std::string_view what = command.arg(2);
  if (command.argc() <= 4 && same_word(what, "GET")) return tell_entries(session, command);
  if (command.argc() == 3 && same_word(what, "LEN")) {
    std::string out;
    resp::append_integer(out, static_cast<int64_t>(slow.size()));
    return session.reply(out);
  }
  if (command.argc() == 3 && same_word(what, "RESET")) {
    slow.clear();
    return session.reply("+OK\r\n");
  }
  session.reply_error("ERR syntax error, try CORRAL SLOWLOG GET [<count>], CORRAL SLOWLOG LEN or CORRAL SLOWLOG RESET");
}

}  // namespace corral::core
