#include "proxy/core/ttl_look.h"

#include <algorithm>

#include "policy/ttl.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/rules.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/ascii.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

using policy::TtlRule;
using resp::Command;
using resp::CommandSpec;
using resp::TtlEffect;

namespace {

const TtlRule* rejecting_rule(Worker& worker, std::string_view key) {
  const TtlRule* rule = ttl_rule(worker, key);
  return rule && rule->mode == TtlRule::Mode::kReject ? rule : nullptr;
}

// Of DEL, UNLINK, GETDEL and their like: what they name is gone.
bool removes(const CommandSpec& spec) {
  return !spec.keys.empty() && std::all_of(spec.keys.begin(), spec.keys.end(),
                                           [](const resp::KeySpec& key) { return (key.flags & resp::kKeyRm) != 0; });
}

// Whether one of `words` is among the command's arguments behind its keys.
bool has_word(const Command& command, const std::vector<uint32_t>& keys, std::string_view words) {
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    words.remove_prefix(std::min(words.size(), word.size() + 1));
    for (uint32_t i = keys.empty() ? 1 : keys.back() + 1; i < command.argc(); ++i) {
      if (resp::same_option(command.arg(i), word)) return true;
    }
  }
  return false;
}

bool makes_missing(const Command& command, const CommandSpec& spec, const std::vector<uint32_t>& keys) {
  const resp::TtlCondition& condition = spec.ttl_condition;
  if (!condition.makes_with.empty()) return has_word(command, keys, condition.makes_with);
  return !has_word(command, keys, condition.makes_without);
}

}  // namespace

const TtlRule* TtlLook::wanted(Worker& worker, const Command& command, const CommandSpec& spec) {
  if (spec.ttl == TtlEffect::kScript || spec.handling == resp::Handling::kBlocking) return nullptr;
  std::vector<uint32_t> written;
  if (!resp::find_written_keys(spec, command, written)) return nullptr;
  for (const uint32_t i : written) {
    const TtlRule* rule = ttl_rule(worker, command.arg(i));
    if (!rule) continue;
    const bool keeps = rule->stale_ms > 0 && spec.ttl == TtlEffect::kSet && has_word(command, {2}, "keepttl");
    if (keeps || rule->mode == TtlRule::Mode::kReject) return rule;
  }
  return nullptr;
}

TtlLook::TtlLook(Session& session, std::vector<Item> items, Then then)
    : session_(session), worker_(session.worker()), items_(std::move(items)), then_(std::move(then)) {}

void TtlLook::start(Session& session, std::vector<Item> items, uint16_t slot, Link* link, Then then) {
  session.pause(Session::kLookup);
  session.add_reference();
  (new TtlLook(session, std::move(items), std::move(then)))->ask(slot, link);
}

void TtlLook::ask(uint16_t slot, Link* link) {
  for (const Item& item : items_) {
    const ParsedRequest parsed(worker_, item.bytes);
    for (const std::string_view key : parsed.keys()) keys_.emplace(key, State::kMissing);
  }
  awaited_ = 1;
  for (auto& entry : keys_) {
    asked_.push_back(&entry);
    Request request;
    request.session = &session_;
    request.task = this;
    request.ticket = static_cast<uint32_t>(asked_.size() - 1);
    request.slot = slot;
    request.flags = kReadOnly;
    request.since_ms = worker_.now_ms();
    session_.add_reference();
    ++awaited_;
    std::string bytes;
    resp::append_command(bytes, {"PTTL", entry.first});
    if (link) {
      request.flags |= kNodeBound;
      link->send(request, bytes);
    } else {
      worker_.send(request, bytes);
    }
  }
  on_reply(static_cast<uint32_t>(asked_.size()), {});
}

// If it could not be asked, the command will not fare better; its node is to say why.
void TtlLook::on_reply(uint32_t part, std::string_view reply) {
  if (part < asked_.size()) {
    auto& [key, state] = *asked_[part];
    state = state_of(key, reply);
  }
  if (--awaited_ == 0) judge();
}

TtlLook::State TtlLook::state_of(std::string_view key, std::string_view pttl_reply) const {
  const auto pttl_ms = resp::ReplyView(pttl_reply).integer();
  if (!pttl_ms || *pttl_ms < -2) return State::kWith;
  if (*pttl_ms < 0) return *pttl_ms == -2 ? State::kMissing : State::kWithout;
  const TtlRule* rule = ttl_rule(worker_, key);
  return rule && rule->stale_ms > 0 && *pttl_ms <= rule->stale_ms ? State::kStale : State::kWith;
}

void TtlLook::judge() {
  for (Item& item : items_) run(item);
  const auto lacks_one = [&](const std::string& key) {
    return keys_.find(key)->second == State::kWithout && rejecting_rule(worker_, key);
  };
  const auto lacking = std::find_if(written_.begin(), written_.end(), lacks_one);
  std::string error;
  if (lacking != written_.end()) {
    worker_.stats().ttl_rejected.add();
    ++worker_.rule_stats().of(*rejecting_rule(worker_, *lacking)).ttl_rejected;
    error = "TTLREQUIRED the key '" + *lacking +
            "' would be left without a time to live, which a rule of this proxy demands";
  }
  session_.resume(Session::kLookup);
  then_(error, items_);
  session_.release();
  delete this;
}

// What the command makes of the keys, as far as can be told without their values.
void TtlLook::run(Item& item) {
  const ParsedRequest parsed(worker_, item.bytes);
  const Command& command = parsed.command();
  const CommandSpec& spec = *item.spec;
  std::vector<uint32_t> keys, written;
  if (!resp::find_keys(spec, command, keys) || !resp::find_written_keys(spec, command, written)) return;
  if (removes(spec)) {
    for (const uint32_t key : keys) keys_.find(command.arg(key))->second = State::kMissing;
  }
  if (spec.ttl == TtlEffect::kNone || spec.ttl == TtlEffect::kScript) return;
  for (const uint32_t key : written) written_.emplace_back(command.arg(key));
  if (spec.ttl >= TtlEffect::kSet) return say(item, command);
  if (has_no_source(command, written, keys) || spares(command, spec, written, keys)) return;
  const bool makes = makes_missing(command, spec, keys);
  for (const uint32_t key : written) {
    State& state = keys_.find(command.arg(key))->second;
    if (spec.ttl == TtlEffect::kOverwrites || (spec.ttl == TtlEffect::kCreates && makes && state == State::kMissing) ||
        (spec.ttl == TtlEffect::kPersist && state != State::kMissing)) {
      state = State::kWithout;
    }
  }
  if (spec.ttl != TtlEffect::kCarries || keys.size() < 2) return;
  State& source = keys_.find(command.arg(keys[0]))->second;
  keys_.find(command.arg(keys[1]))->second = source;
  if (spec.keys[0].flags & resp::kKeyDelete) source = State::kMissing;  // RENAME
}

// Nothing is put in the place of what is there.
bool TtlLook::spares(const Command& command, const CommandSpec& spec, const std::vector<uint32_t>& written,
                     const std::vector<uint32_t>& keys) const {
  if (!spec.ttl_condition.spares_present || has_word(command, keys, spec.ttl_condition.spares_unless)) return false;
  return std::any_of(written.begin(), written.end(),
                     [&](uint32_t key) { return keys_.find(command.arg(key))->second != State::kMissing; });
}

// Nothing comes of what is not there.
bool TtlLook::has_no_source(const Command& command, const std::vector<uint32_t>& written,
                            const std::vector<uint32_t>& keys) const {
  bool any = false;
  for (const uint32_t key : keys) {
    if (std::find(written.begin(), written.end(), key) != written.end()) continue;
    if (keys_.find(command.arg(key))->second != State::kMissing) return false;
    any = true;
  }
  return any;
}

// A command that says a TTL, or might; it is the item's.
void TtlLook::say(Item& item, const Command& command) {
  const CommandSpec& spec = *item.spec;
  State& state = keys_.find(command.arg(spec.only_key))->second;
  if (spec.ttl >= TtlEffect::kExpire) {
    if (state != State::kMissing) state = State::kWith;
    return;
  }
  const TtlRule none;
  std::string rewritten;
  const auto verdict =
      policy::judge_ttl(none, spec.ttl, command, {worker_.transport().wall_clock_us() / 1000, 0}, rewritten);
  if (spec.ttl == TtlEffect::kGetEx && (state == State::kMissing || command.argc() == 2)) return;
  const bool nx = spec.ttl == TtlEffect::kSetNx || has_word(command, {2}, "nx");
  if (nx ? state != State::kMissing : state == State::kMissing && has_word(command, {2}, "xx")) return;
  if (verdict.without) {
    state = State::kWithout;
  } else if (verdict.form == policy::TtlVerdict::Form::kAddPExpire) {
    const bool stale = state == State::kStale;
    if (state == State::kMissing || stale) state = State::kWithout;
    if (stale) item.bytes = policy::without_keepttl(command);
  } else {
    state = State::kWith;
  }
}

}  // namespace corral::core
