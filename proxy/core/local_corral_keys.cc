// CORRAL HOTKEYS and CORRAL BIGKEYS: what all workers have seen.
#include <array>
#include <cstdio>

#include "proxy/core/local.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"

namespace corral::core {

using policy::BigKey;
using policy::HotKey;
using resp::Command;

namespace {

constexpr int64_t kByDefault = 10, kMost = 1000;
constexpr double kLeastRate = 0.05;     // what is less is not told as 0.0
constexpr size_t kOfEachWorker = 2000;  // a key may be hot in all of them and among the hottest in none

// CORRAL HOTKEYS [n]; false: the error has been given.
bool parse_count(Session& session, const Command& command, size_t& count) {
  const auto given = command.argc() == 3 ? resp::parse_decimal(command.arg(2)) : kByDefault;
  if (command.argc() > 3 || !given || *given < 1 || *given > kMost) {
    session.reply_error("ERR the number of keys must be from 1 to " + std::to_string(kMost));
    return false;
  }
  count = static_cast<size_t>(*given);
  return true;
}

std::string decimal(double value) {
  std::array<char, 48> text;
  std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

std::string shown(const HotKey& key) { return key.cut ? key.key + "..." : key.key; }

// Pairs, as ZRANGE WITHSCORES tells them in either version.
std::string describe(const std::vector<HotKey>& keys, int resp) {
  std::string out;
  resp::append_array(out, resp == 3 ? keys.size() : keys.size() * 2);
  for (const HotKey& key : keys) {
    if (resp == 3) resp::append_array(out, 2);
    resp::append_bulk(out, shown(key));
    const std::string rate = decimal(key.reads_per_second);
    resp == 3 ? void(out.append(",").append(rate).append("\r\n")) : resp::append_bulk(out, rate);
  }
  return out;
}

std::string describe(const std::vector<BigKey>& keys, int resp) {
  std::string out;
  resp::append_array(out, keys.size());
  for (const BigKey& key : keys) {
    resp::append_map(out, 4, resp);
    resp::append_bulk(out, "key");
    resp::append_bulk(out, key.key);
    resp::append_bulk(out, "bytes");
    resp::append_integer(out, static_cast<int64_t>(key.bytes));
    resp::append_bulk(out, "elements");
    resp::append_integer(out, static_cast<int64_t>(key.elements));
    resp::append_bulk(out, "command");
    resp::append_bulk(out, key.command);
  }
  return out;
}

}  // namespace

bool may_know_keys(Session& session, const Command& command) {
  const resp::CommandSpec* spec = resp::find_subcommand(*resp::find_command(command.arg(0)), command.arg(1));
  if (session.unrestricted() || session.user().may_run_on_all(*spec, command)) return true;
  session.worker().stats().acl_denied.add();
  session.reply_error("NOPERM this tells the names of keys, and this user has no permissions to read all of them");
  return false;
}

void local_corral_hot_keys(Session& session, const Command& command) {
  size_t count;
  if (!may_know_keys(session, command) || !parse_count(session, command, count)) return;
  const Request whole = session.request_for_reply(kNoSlot, 0);
  Worker& home = session.worker();
  ask_all_workers<std::vector<HotKey>>(
      home, [](Worker& worker) { return worker.seen_keys().hot().top(kOfEachWorker, worker.now64_ms()); },
      [&home, whole, count](const std::vector<std::vector<HotKey>>& parts) {
        auto keys = policy::merge_hot_keys(parts, count);
        std::erase_if(keys, [](const HotKey& key) { return key.reads_per_second < kLeastRate; });
        home.answer(whole, describe(keys, whole.session->resp()));
      });
}

void local_corral_big_keys(Session& session, const Command& command) {
  size_t count;
  if (!may_know_keys(session, command) || !parse_count(session, command, count)) return;
  const Request whole = session.request_for_reply(kNoSlot, 0);
  Worker& home = session.worker();
  ask_all_workers<std::vector<BigKey>>(
      home, [](Worker& worker) { return worker.seen_keys().big().keys(); },
      [&home, whole, count](const std::vector<std::vector<BigKey>>& parts) {
        home.answer(whole, describe(policy::merge_big_keys(parts, count), whole.session->resp()));
      });
}

}  // namespace corral::core
