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

bool is_private(const std::string& key) { return key[0] == 'd'; }

bool in_one_slot(const std::vector<std::string>& keys) {
  return std::all_of(keys.begin(), keys.end(),
                     [&](auto& key) { return resp::key_slot(key) == resp::key_slot(keys[0]); });
}

// "key|client|number|": false if the value is none of ours.
bool parse_value(std::string_view value, std::string_view& key, uint32_t& client, uint32_t& number) {
  const size_t first = value.find('|');
  const size_t second = value.find('|', first + 1);
  const size_t third = value.find('|', second + 1);
  if (third == std::string_view::npos || first == std::string_view::npos) return false;
  key = value.substr(0, first);
  std::from_chars(value.data() + first + 1, value.data() + second, client);
  std::from_chars(value.data() + second + 1, value.data() + third, number);
  return true;
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

void Checker::on_set(const std::string& key, std::string_view value) {
  std::string_view told;
  uint32_t client = 0, number = 0;
  if (!parse_value(value, told, client, number) || told != key) return fail("a node was sent a wrong value for " + key);
  if (is_private(key)) return;
  auto& versions = versions_[key];
  places_[key][{client, number}].push_back(static_cast<int64_t>(versions.size()));
  versions.push_back({client, number});
}

// --- at once, when a reply comes ---

void Checker::on_reply(uint32_t client, uint32_t number, const Op& op) {
  const ReplyView reply(op.reply);
  if (reply.is_error()) return check_error(client, number, op);
  if (reply.type() != type_of(op.kind)) return fail(name(client, number) + ": reply of a wrong type: " + op.reply);
  if (op.kind == OpKind::kEcho && reply.text() != make_value("echo", client, number, op.padding)) {
    return fail(name(client, number) + ": the reply is another's: " + readable(op.reply));
  }
  if (op.kind == OpKind::kGet) check_value(client, number, op.keys[0], op.reply);
  if (op.kind != OpKind::kMget) return;
  const auto elements = reply.elements();
  if (elements.size() != op.keys.size()) return fail(name(client, number) + ": MGET has a wrong number of elements");
  for (size_t i = 0; i < elements.size(); ++i) check_value(client, number, op.keys[i], elements[i].bytes());
}

void Checker::check_value(uint32_t client, uint32_t number, std::string_view key, std::string_view element) {
  const ReplyView reply(element);
  if (reply.is_null()) return;
  std::string_view told;
  uint32_t writer = 0, written = 0;
  if (!parse_value(reply.text(), told, writer, written) || told != key) {
    fail(name(client, number, std::string(key)) + ": read another key's value: " + readable(element));
  }
}

void Checker::check_error(uint32_t client, uint32_t number, const Op& op) {
  ++errors_;
  const std::string_view reply = op.reply;
  static constexpr std::string_view kRefusals[] = {"-TRYAGAIN ", "-CLUSTERDOWN ", "-LOADING ", "-READONLY ",
                                                   "-MASTERDOWN "};
  const bool refusal = std::any_of(std::begin(kRefusals), std::end(kRefusals),
                                   [&](std::string_view code) { return reply.starts_with(code); });
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
  uint32_t writer = 0, written = 0;
  if (!parse_value(reply.text(), told, writer, written)) return;
  int times;
  const int64_t place = place_of(key, writer, written, times);
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
  if (times == 0) return;
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
  for (const std::string& key : op.keys) {
    const bool present = op.kind == OpKind::kSet;
    Private& state = keys[key];
    state = {!present || (unknown && state.may_be_absent), present || (unknown && state.may_be_present)};
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
