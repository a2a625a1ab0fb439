#include "checker.h"

#include <algorithm>
#include <charconv>

#include "resp/reply_view.h"
#include "resp/slot.h"

namespace corral::sim {

using resp::ReplyView;

namespace {

constexpr size_t kMostFailures = 10;
constexpr std::string_view kOvertaken = "-TRYAGAIN the slot moved, and a later command";

std::string name(uint32_t client, uint32_t number, const std::string& key = {}) {
  return "client " + std::to_string(client) + " request " + std::to_string(number) + (key.empty() ? "" : " key " + key);
}

bool is_refusal(std::string_view reply) {
  static constexpr std::string_view kRefusals[] = {"-TRYAGAIN ", "-CLUSTERDOWN ", "-LOADING ", "-READONLY ",
                                                   "-MASTERDOWN "};
  return std::any_of(std::begin(kRefusals), std::end(kRefusals),
                     [&](std::string_view code) { return reply.starts_with(code); });
}

bool is_private(const std::string& key) { return key[0] == 'd'; }

bool in_one_slot(const std::vector<std::string>& keys) {
  return std::all_of(keys.begin(), keys.end(),
                     [&](auto& key) { return resp::key_slot(key) == resp::key_slot(keys[0]); });
}

char type_of(OpKind kind) {
  switch (kind) {
    case OpKind::kGet:
    case OpKind::kEcho:
      return '$';
    case OpKind::kSet:
    case OpKind::kMset:
      return '+';
    case OpKind::kMget:
      return '*';
    case OpKind::kIncr:
    case OpKind::kDel:
    case OpKind::kExists:
      return ':';
  }
  return '?';
}

}  // namespace

bool parse_value(std::string_view value, std::string_view& key, Writer& writer) {
  const size_t first = value.find('|');
  const size_t second = value.find('|', first + 1);
  const size_t third = value.find('|', second + 1);
  if (third == std::string_view::npos || first == std::string_view::npos) return false;
  key = value.substr(0, first);
  std::from_chars(value.data() + first + 1, value.data() + second, writer.first);
  std::from_chars(value.data() + second + 1, value.data() + third, writer.second);
  return true;
}

std::string make_value(std::string_view key, uint32_t client, uint32_t number, uint32_t padding) {
  std::string value(key);
  value += '|' + std::to_string(client) + '|' + std::to_string(number) + '|';
  value.append(padding, 'x');
  return value;
}

void Checker::fail(std::string text) {
  if (failures_.size() >= kMostFailures) return;
  loop_.trace([&] { return "FAILED: " + text; });
  failures_.push_back(std::move(text));
}

// Counters and what Corral itself keeps there are not looked at.
void Checker::on_written(const std::string& key, const std::string* value, int64_t at_us) {
  const bool is_logged = key[0] == 'n' || key[0] == 'a';
  if (!is_logged && (!value || (key[0] != 's' && key[0] != 'd'))) return;
  std::string_view told;
  Writer writer;
  if (value && (!parse_value(*value, told, writer) || told != key)) {
    return fail("a node was sent a wrong value for " + key);
  }
  if (is_logged) log_.on_written(key, value ? &writer : nullptr, at_us);
  if (!value || is_private(key)) return;
  auto& versions = versions_[key];
  places_[key][writer].push_back(static_cast<int64_t>(versions.size()));
  versions.push_back({writer.first, writer.second});
}

// --- at once, when a reply comes ---

void Checker::on_reply(uint32_t client, uint32_t number, const Op& op) {
  const ReplyView reply(op.reply);
  if (reply.is_error()) return check_error(client, number, op);
  if (reply.type() != type_of(op.kind)) return fail(name(client, number) + ": reply of a wrong type: " + op.reply);
  if (op.kind == OpKind::kEcho && reply.text() != make_value("echo", client, number, op.padding)) {
    return fail(name(client, number) + ": the reply is another's: " + readable(op.reply));
  }
  if (op.is_logged()) check_logged(client, number, op);
  if (op.kind == OpKind::kGet) check_value(client, number, op.keys[0], op.reply);
  if (op.kind != OpKind::kMget) return;
  const auto elements = reply.elements();
  if (elements.size() != op.keys.size()) return fail(name(client, number) + ": MGET has a wrong number of elements");
  for (size_t i = 0; i < elements.size(); ++i) check_value(client, number, op.keys[i], elements[i].bytes());
}

void Checker::on_sent(Op& op) {
  for (const std::string& key : op.keys) op.sent.push_back(log_.on_sent(op.process, key, loop_.now_us()));
}

void Checker::check_logged(uint32_t client, uint32_t number, const Op& op) {
  const KeyLog::Asker asker{op.process, client};
  const ReplyView reply(op.reply);
  std::vector<ReplyView> elements = {reply};
  if (op.kind == OpKind::kMget) elements = reply.elements();
  for (size_t i = 0; i < op.keys.size(); ++i) {
    std::string wrong;
    if (op.kind == OpKind::kDel) {
      log_.on_removed(asker, op.keys[i], op.sent[i], op.keys.size() == 1 && op.reply == ":1\r\n");
    } else if (op.is_write()) {
      log_.on_stored(asker, op.keys[i], op.sent[i], {client, number});
    } else if (i < elements.size() && elements[i].is_null()) {
      wrong = log_.on_nothing(asker, op.keys[i], op.sent[i], loop_.now_us());
    } else if (i < elements.size()) {
      std::string_view told;
      Writer writer;
      if (parse_value(elements[i].text(), told, writer)) wrong = log_.on_value(asker, op.keys[i], op.sent[i], writer);
    }
    if (!wrong.empty()) fail(name(client, number, op.keys[i]) + " " + wrong);
  }
}

void Checker::check_value(uint32_t client, uint32_t number, std::string_view key, std::string_view element) {
  const ReplyView reply(element);
  if (reply.is_null()) return;
  std::string_view told;
  Writer writer;
  if (!parse_value(reply.text(), told, writer) || told != key) {
    fail(name(client, number, std::string(key)) + ": read another key's value: " + readable(element));
  }
}

void Checker::on_error(const std::string& who, std::string_view reply, bool writes, bool* in_doubt) {
  ++errors_;
  const bool indoubt = reply.starts_with("-INDOUBT ");
  if (in_doubt) *in_doubt = indoubt;
  if (allowed_.overtaken && reply.starts_with(kOvertaken)) return;
  if ((is_refusal(reply) && allowed_.refusals) || (indoubt && allowed_.indoubt && writes)) return;
  fail(who + ": unexpected error: " + std::string(reply));
}

void Checker::check_error(uint32_t client, uint32_t number, const Op& op) {
  ++errors_;
  const std::string_view reply = op.reply;
  const bool refusal = is_refusal(reply);
  const bool indoubt = reply.starts_with("-INDOUBT ");
  // A command cut into parts may be refused in part; which part ran is not told.
  const bool in_part = reply.starts_with("-INDOUBT a part of the keys") && !in_one_slot(op.keys);
  if (allowed_.overtaken && (in_part || reply.starts_with(kOvertaken))) return;
  if (((refusal || in_part) && allowed_.refusals) || (indoubt && allowed_.indoubt && op.is_write())) return;
  fail(name(client, number, op.keys.empty() ? "" : op.keys[0]) + ": unexpected error: " + std::string(reply));
}

// --- at the end: what was executed, and in which order ---

int64_t Checker::place_of(const std::string& key, uint32_t client, uint32_t number, int& times) const {
  times = 0;
  const auto places = places_.find(key);
  if (places == places_.end()) return -1;
  const auto it = places->second.find({client, number});
  if (it == places->second.end()) return -1;
  times = static_cast<int>(it->second.size());
  return it->second.back();
}

// `floor`: the place in the key's log up to which this client has certainly seen it.
void Checker::check_read(uint32_t client, uint32_t number, const std::string& key, std::string_view element,
                         int64_t& floor) {
  const ReplyView reply(element);
  if (reply.is_null()) {
    if (floor >= 0) fail(name(client, number, key) + ": nothing there, though it was set before");
    return;
  }
  std::string_view told;
  Writer writer;
  if (!parse_value(reply.text(), told, writer)) return;
  int times;
  const int64_t place = place_of(key, writer.first, writer.second, times);
  if (place < 0) return fail(name(client, number, key) + ": read a value that was never written");
  if (place < floor) fail(name(client, number, key) + ": read an older value than before: order lost");
  floor = std::max(floor, place);
}

void Checker::check_write(uint32_t client, uint32_t number, const std::string& key, const Op& op, int64_t& floor) {
  int times;
  const int64_t place = place_of(key, client, number, times);
  if (times > 1) fail(name(client, number, key) + ": executed " + std::to_string(times) + " times");
  if (op.answered) {
    const bool error = op.reply[0] == '-';
    if (!error && times == 0) fail(name(client, number, key) + ": acknowledged, but not executed");
    if (error && !op.reply.starts_with("-INDOUBT") && times > 0) {
      fail(name(client, number, key) + ": refused, but executed: " + op.reply);
    }
  }
  // What is in doubt may still be on its way over the connection that was given up, and be executed any time later.
  if (times == 0 || op.reply.starts_with("-INDOUBT")) return;
  if (place < floor) fail(name(client, number, key) + ": executed after a later command of its connection: order lost");
  floor = std::max(floor, place);
}

void Checker::check_counter(uint32_t client, uint32_t number, const Op& op, int64_t& last) {
  Counter& counter = counters_[op.keys[0]];
  if (!op.answered || op.reply.starts_with("-INDOUBT")) {
    ++counter.in_doubt;
    return;
  }
  if (op.reply[0] != ':') return;
  ++counter.acknowledged;
  const int64_t value = ReplyView(op.reply).integer().value_or(0);
  if (++counter.replies[value] > 1) fail(name(client, number, op.keys[0]) + ": a counter's value was told twice");
  if (value <= last) fail(name(client, number, op.keys[0]) + ": a counter went backwards: order lost");
  last = value;
}

void Checker::check_private(uint32_t client, uint32_t number, const Op& op, std::map<std::string, Private>& keys) {
  const bool unknown = !op.answered || op.reply.starts_with("-INDOUBT");
  if (op.answered && op.reply[0] == '-' && !unknown) return;
  int64_t least = 0, most = 0;
  for (const std::string& key : op.keys) {
    least += !keys[key].may_be_absent;
    most += keys[key].may_be_present;
  }
  if (op.kind == OpKind::kDel || op.kind == OpKind::kExists) {
    const int64_t count = unknown ? least : ReplyView(op.reply).integer().value_or(-1);
    if (count < least || count > most) {
      fail(name(client, number, op.keys[0]) + ": counted " + std::to_string(count) + " keys, not " +
           std::to_string(least) + " to " + std::to_string(most) + ": order lost");
    }
  }
  if (op.kind == OpKind::kExists) return;
  const bool present = op.kind == OpKind::kSet;
  for (const std::string& key : op.keys) {
    Private& state = keys[key];
    // As in check_write: what is in doubt may be executed any time later.
    state.may_be_set_late |= unknown && present;
    state.may_be_deleted_late |= unknown && !present;
    state.may_be_absent = !present || state.may_be_deleted_late || (unknown && state.may_be_absent);
    state.may_be_present = present || state.may_be_set_late || (unknown && state.may_be_present);
  }
}

// A command that says it was overtaken must have been: by one behind it that was under way and may have run.
void Checker::check_overtaken(uint32_t client, uint32_t number, const History& history) {
  const Op& op = history[number];
  for (uint32_t later = number + 1; later < op.asked_by_then; ++later) {
    const Op& other = history[later];
    const bool ran =
        !other.answered || other.reply[0] != '-' || other.reply.starts_with("-INDOUBT") || !in_one_slot(other.keys);
    const bool shared = std::any_of(op.keys.begin(), op.keys.end(), [&](const std::string& key) {
      return std::find(other.keys.begin(), other.keys.end(), key) != other.keys.end();
    });
    if (ran && shared) return;
  }
  fail(name(client, number, op.keys[0]) + ": nothing has overtaken it: " + op.reply);
}

void Checker::check_history(uint32_t client, const History& history) {
  std::map<std::string, int64_t> floors, counters;
  std::map<std::string, Private> privates;
  const auto floor = [&](const std::string& key) -> int64_t& { return floors.try_emplace(key, -1).first->second; };
  for (uint32_t number = 0; number < history.size(); ++number) {
    const Op& op = history[number];
    if (op.kind == OpKind::kEcho) continue;
    if (op.answered && op.reply.starts_with(kOvertaken)) check_overtaken(client, number, history);
    if (op.kind == OpKind::kIncr) {
      check_counter(client, number, op, counters[op.keys[0]]);
    } else if (is_private(op.keys[0])) {
      check_private(client, number, op, privates);
    } else if (op.is_logged() && !(op.kind == OpKind::kSet || op.kind == OpKind::kMset)) {
      continue;  // was checked when it came
    } else if (op.is_write()) {
      for (const std::string& key : op.keys) check_write(client, number, key, op, floor(key));
    } else if (op.answered && op.reply[0] == '$') {
      check_read(client, number, op.keys[0], op.reply, floor(op.keys[0]));
    } else if (op.answered && op.reply[0] == '*') {
      const auto elements = ReplyView(op.reply).elements();
      for (size_t i = 0; i < elements.size() && i < op.keys.size(); ++i) {
        check_read(client, number, op.keys[i], elements[i].bytes(), floor(op.keys[i]));
      }
    }
  }
}

void Checker::check_counters(const std::map<std::string, int64_t>& values) {
  for (const auto& [key, counter] : counters_) {
    const auto it = values.find(key);
    const int64_t value = it == values.end() ? 0 : it->second;
    if (value < counter.acknowledged || value > counter.acknowledged + counter.in_doubt) {
      fail("counter " + key + " is " + std::to_string(value) + " after " + std::to_string(counter.acknowledged) +
           " acknowledged and " + std::to_string(counter.in_doubt) + " in doubt");
    }
  }
}

}  // namespace corral::sim
