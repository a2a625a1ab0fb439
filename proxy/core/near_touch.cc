#include "proxy/core/near_touch.h"

#include "policy/near_cache.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/session.h"
#include "proxy/core/transaction.h"
#include "proxy/core/worker.h"

namespace corral::core {

using policy::KeyTable;
using resp::Command;
using resp::CommandSpec;
using resp::Handling;

namespace {

bool was_executed(std::string_view reply) { return !reply.starts_with("-CLUSTERDOWN "); }

}  // namespace

// Of reads only what is kept could become older than what they show.
void NearTouches::look_at_key(const Command& command, const CommandSpec& spec, uint32_t index) {
  const policy::Rule* rule = worker_.policies().rules.find(command.arg(index));
  if (!rule || !(rule->near || (spec.may_write && rule->stampede))) return;
  wanted_.keys.push_back({KeyTable::hash(command.arg(index))});
  wanted_.write = wanted_.write || spec.may_write;
  if (!spec.may_write || !rule->stampede) return;
  std::optional<std::string_view> value;
  const size_t value_index = index + spec.value_behind_key;
  if (spec.value_behind_key != 0 && value_index < command.argc()) value = command.arg(value_index);
  wanted_.leased.push_back({command.arg(index), value, &spec, rule});
}

// Adds what the command does to what is wanted. A script that declares no keys, or a command whose keys cannot all be
// told, may write any.
void NearTouches::look_at(const Command& command, const CommandSpec& spec) {
  if (spec.handling == Handling::kLocal || spec.handling == Handling::kSubscription) return;
  const bool writes = spec.may_write;
  if (spec.only_key != 0) [[likely]] {
    return look_at_key(command, spec, spec.only_key);
  }
  std::vector<uint32_t>& indexes = worker_.scratch_indexes();
  indexes.clear();
  if (!resp::find_keys(spec, command, indexes)) return;  // its node refuses it
  const bool hides = (indexes.empty() && (spec.is(resp::kFlagWrite) || spec.handling == Handling::kScript)) ||
                     resp::keys_may_hide(spec);
  if (hides && writes) wanted_.all = true;
  for (const uint32_t index : indexes) {
    look_at_key(command, spec, index);
  }
}

void NearTouches::look_at_transaction(Session& session) {
  for (const auto& item : session.transaction().items()) {
    const ParsedRequest parsed(worker_, item.bytes);
    if (item.spec->arity_fits(parsed.command().argc())) look_at(parsed.command(), *item.spec);
  }
}

bool NearTouches::begin(Session& session, const Command& command, const CommandSpec& spec) {
  wanted_.keys.clear();
  wanted_.leased.clear();
  wanted_.write = wanted_.all = false;
  if (spec.handling != Handling::kTransaction) [[likely]] {
    look_at(command, spec);
  } else if (spec.action == resp::Action::kExec && (session.modes() & Session::kQueueing)) {
    look_at_transaction(session);
  }
  if (wanted_.keys.empty() && !wanted_.all) return true;
  const bool write = wanted_.write || wanted_.all;
  if (session.near_fills.any() && (wanted_.all || wanted_.keys.size() > 1)) return false;
  const bool overwrites = may_overwrite(session);
  for (const policy::NearTouched& key : wanted_.keys) {
    if (!cache_.begin_touch(key.hash, write, session.near_fills.may_be(key.hash))) return false;  // the only one
  }
  if (wanted_.all) cache_.begin_touch_of_all();
  NearTouch* touch = write ? take() : begin_read(session);
  touch->write = write;
  touch->of_all = wanted_.all;
  touch->overwrites = overwrites;
  if (!wanted_.leased.empty()) begin_lease_writes(session, *touch, spec.handling != Handling::kTransaction);
  for (const policy::NearTouched& key : wanted_.keys) touch->add(key, session);
  session.set_touch(Touch(touch));
  return true;
}

void NearTouch::add(policy::NearTouched key, Session& session) {
  if (!write) session.near_reads.mark(key.hash);
  if (any) return more.push_back(key);
  first = key;
  any = true;
}

NearTouch* NearTouches::begin_read(Session& session) {
  session.near_reads.begin();
  return take();
}

Touch NearTouches::begin_read(policy::NearTouched key, Session& session) {
  session.near_reads.begin();
  session.near_reads.mark(key.hash);
  return Touch(key);
}

Touch NearTouches::pass(uint64_t hash, uint32_t era, Session& session) {
  ++session.near_passed;
  return Touch(policy::NearTouched{.hash = hash, .era = era});
}

void NearTouches::pass(NearTouch& touch, uint64_t hash, uint32_t era, Session& session) {
  ++session.near_passed;
  touch.add({.hash = hash, .era = era}, session);
}

void NearTouches::end_key(const policy::NearTouched& key, bool write, Session& session, bool executed) {
  session.near_passed -= key.era != 0;
  cache_.end_touch(key, write, executed);
}

void NearTouches::end_passed(const Touch& touch, Session& session, std::string_view reply) {
  const policy::NearTouched key = touch.read();
  --session.near_passed;
  if (key.era != cache_.era()) cache_.end_touch(key, false, was_executed(reply));
}

void NearTouches::end(const Touch& touch, Session& session, std::string_view reply) {
  if (touch.is_passed()) return end_passed(touch, session, reply);
  const bool executed = was_executed(reply);
  const bool reads = touch.is_read() || !touch.object()->write;
  std::unique_ptr<LeaseWrites> writes;
  if (touch.is_read()) [[likely]] {
    end_key(touch.read(), false, session, executed);
  } else {
    writes = std::move(touch.object()->writes);
    end_object(touch.object(), session, executed);
  }
  if (reads && session.near_reads.end()) session.resume(Session::kNear);
  if (writes) worker_.leases().end_writes(*writes, reply);
}

void NearTouches::end_object(NearTouch* touch, Session& session, bool executed) {
  if (touch->any) end_key(touch->first, touch->write, session, executed);
  for (const policy::NearTouched& key : touch->more) end_key(key, touch->write, session, executed);
  if (touch->of_all) cache_.end_touch_of_all();
  if (touch->of_all) worker_.leases().end_write_of_all();
  touch->read.reset();
  touch->more.clear();
  touch->any = touch->write = touch->of_all = touch->of_part = touch->overwrites = false;
  spare_.push_back(touch);
}

// As far as is known the value is still there that the client was told not to be.
bool NearTouches::may_overwrite(Session& session) const {
  if (wanted_.leased.size() != 1 || !session.leases_if_any()) return false;
  const std::string_view key = wanted_.leased[0].key;
  policy::NearRead read;
  read.key = key;
  read.hash = KeyTable::hash(key);
  read.database = session.database();
  const auto deadline_ms = cache_.find_deadline(read, worker_.now64_ms(), false);
  return deadline_ms && worker_.leases().may_overwrite(session, {key, read.hash, read.database}, *deadline_ms);
}

void NearTouches::begin_lease_writes(Session& session, NearTouch& touch, bool alone) {
  Leases& leases = worker_.leases();
  touch.writes = std::make_unique<LeaseWrites>();
  touch.writes->database = session.database();
  for (const Wanted::Leased& one : wanted_.leased) {
    leases.begin_write(*touch.writes, *one.spec, one.key, alone ? one.value : std::nullopt, *one.rule, alone);
  }
}

NearTouch* NearTouches::take() {
  if (spare_.empty()) {
    all_.push_back(std::make_unique<NearTouch>());
    spare_.push_back(all_.back().get());
  }
  NearTouch* touch = spare_.back();
  spare_.pop_back();
  return touch;
}

}  // namespace corral::core
