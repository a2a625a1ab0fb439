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

bool NearTouches::is_near(std::string_view key) const {
  const policy::Rule* rule = worker_.policies().rules.find(key);
  return rule && rule->near;
}

// Adds what the command does to what is wanted. A script that declares no keys, or a command whose keys cannot all be
// told, may write any.
void NearTouches::look_at(const Command& command, const CommandSpec& spec) {
  if (spec.handling == Handling::kLocal || spec.handling == Handling::kSubscription) return;
  const bool writes = spec.may_write;
  if (spec.only_key != 0) [[likely]] {
    if (!is_near(command.arg(spec.only_key))) return;
    wanted_.keys.push_back({KeyTable::hash(command.arg(spec.only_key))});
    wanted_.write = wanted_.write || writes;
    return;
  }
  std::vector<uint32_t>& indexes = worker_.scratch_indexes();
  indexes.clear();
  if (!resp::find_keys(spec, command, indexes)) return;  // its node refuses it
  const bool hides = (indexes.empty() && (spec.is(resp::kFlagWrite) || spec.handling == Handling::kScript)) ||
                     resp::keys_may_hide(spec);
  if (hides && writes) wanted_.all = true;
  for (const uint32_t index : indexes) {
    if (!is_near(command.arg(index))) continue;
    wanted_.keys.push_back({KeyTable::hash(command.arg(index))});
    wanted_.write = wanted_.write || writes;
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
  wanted_.write = wanted_.all = false;
  if (spec.handling != Handling::kTransaction) [[likely]] {
    look_at(command, spec);
  } else if (spec.action == resp::Action::kExec && (session.modes() & Session::kQueueing)) {
    look_at_transaction(session);
  }
  if (wanted_.keys.empty() && !wanted_.all) return true;
  const bool write = wanted_.write || wanted_.all;
  if (session.near_fills.any() && (wanted_.all || wanted_.keys.size() > 1)) return false;
  for (const policy::NearTouched& key : wanted_.keys) {
    if (!cache_.begin_touch(key.hash, write, session.near_fills.may_be(key.hash))) return false;  // the only one
  }
  if (wanted_.all) cache_.begin_touch_of_all();
  NearTouch* touch = write ? take() : begin_read(session);
  touch->write = write;
  touch->of_all = wanted_.all;
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

void NearTouches::end(const Touch& touch, Session& session) {
  const bool reads = touch.is_read() || !touch.object()->write;
  if (touch.is_read()) [[likely]] {
    cache_.end_touch(touch.read(), false);
  } else {
    end_object(touch.object());
  }
  if (reads && session.near_reads.end()) session.resume(Session::kNear);
}

void NearTouches::end_object(NearTouch* touch) {
  if (touch->any) cache_.end_touch(touch->first, touch->write);
  for (const policy::NearTouched& key : touch->more) cache_.end_touch(key, touch->write);
  if (touch->of_all) cache_.end_touch_of_all();
  touch->more.clear();
  touch->any = touch->write = touch->of_all = touch->of_part = false;
  spare_.push_back(touch);
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
