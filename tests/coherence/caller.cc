#include "caller.h"

#include <algorithm>
#include <charconv>

namespace corral::test {
namespace {

using Outcome = KeyHistory::Outcome;

constexpr uint64_t kWritePercent = 10;
constexpr uint64_t kRarely = 20;      // the latter half of the keys gets so many times fewer of them
constexpr uint64_t kManyPercent = 4;  // MGET and MSET of several keys
constexpr size_t kManyKeys = 4;
constexpr milliseconds kPause{3};  // before a connection that was refused is tried again

// Forms in lists by their weights, so that one is picked by one number; for each key those that suit it.
template <class Form, class Suits>
std::vector<std::vector<const Form*>> lists_of(std::span<const Form> forms, Suits suits) {
  std::vector<std::vector<const Form*>> lists;
  for (const Key& key : make_keys()) {
    auto& list = lists.emplace_back();
    for (const Form& form : forms) {
      if (suits(form, key)) list.insert(list.end(), static_cast<size_t>(form.weight), &form);
    }
  }
  return lists;
}

const WriteForm& write_for(size_t key, uint64_t random) {
  static const auto kLists = lists_of(all_writes(), [](const WriteForm& form, const Key& k) { return form.suits(k); });
  return *kLists[key][random % kLists[key].size()];
}

const ReadForm& read_for(size_t key, uint64_t random) {
  static const auto kLists =
      lists_of(all_reads(), [](const ReadForm& form, const Key& k) { return form.kind == k.kind; });
  return *kLists[key][random % kLists[key].size()];
}

bool is_plain(const Key& key) { return key.kind == Kind::kString || key.kind == Kind::kCounter; }

}  // namespace

Caller::Caller(Field& field, const CallerOptions& options) : field_(field), options_(options), random_(options.seed) {}

void Caller::batch() {
  if (!connect(pick_key())) return;
  const bool may_write = field_.begin_writing();
  build(may_write);
  send();
  if (may_write) field_.end_writing();
}

void Caller::settle(size_t key) {
  const Key& what = field_.keys()[key];
  const WriteForm* form = what.counts() ? &seed_of(what.kind) : nullptr;
  while (form == nullptr || form->effect != Effect::kPut) form = &write_for(key, random_());
  bool done = false;
  const auto deadline = Clock::now() + kPatience;
  while (!done) {
    if (Clock::now() > deadline) throw std::runtime_error(what.name + " cannot be written");
    if (!connect(key)) continue;
    operations_.clear();
    request_ = Request();
    add_write(key, *form);
    send();
    done = operations_[0].answered;
  }
}

// --- what to send ---

size_t Caller::pick_key() {
  const size_t group = options_.group >= 0 ? static_cast<size_t>(options_.group) : pick(kGroups);
  const size_t among = pick(2) == 0 ? kHotKeys : kKeys;
  return group + kGroups * pick(among / kGroups);
}

// The connection for a key; false if it cannot be had now.
bool Caller::connect(size_t key) {
  port_ = options_.way == kDirect ? field_.port_of(key) : options_.port;
  try {
    auto& client = clients_[port_];
    if (!client) {
      client = std::make_unique<Client>(port_);
      if (options_.resp3) client->command("HELLO", 3);
    }
    client_ = client.get();
    return true;
  } catch (const std::runtime_error&) {
    clients_.erase(port_);
    const auto other = field_.port_of(pick(kKeys));  // perhaps another node knows better
    if (options_.way == kDirect) field_.set_port_of(key, other);
    std::this_thread::sleep_for(kPause);
    return false;
  }
}

void Caller::build(bool may_write) {
  operations_.clear();
  request_ = Request();
  while (operations_.size() < options_.pipeline) {
    const bool writes = may_write && pick(100) < kWritePercent;
    if (options_.way != kDirect && pick(100) < kManyPercent) {
      add_many(writes);
      continue;
    }
    size_t key = pick_key();
    while (options_.way == kDirect && field_.port_of(key) != port_) {
      if (pick(1000) == 0) return;  // none of its keys is there any more
      key = pick_key();
    }
    const bool rests =
        key >= kKeys / 2 && pick(kRarely) != 0;  // so that there are replies which are old when it changes
    writes && !rests ? add_write(key) : add_read(key);
  }
}

void Caller::add_write(size_t key) { add_write(key, write_for(key, random_())); }

void Caller::add_write(size_t key, const WriteForm& form) {
  const Key& what = field_.keys()[key];
  KeyHistory& history = field_.history(key);
  const auto ttl_ms = static_cast<int64_t>(field_.short_ttls ? 1 + pick(50) : 20 + pick(800));
  const Nanos now = field_.now(), ttl = ttl_ms * kMillisecond;
  uint64_t id = 0;
  switch (form.effect) {
    case Effect::kPut:
      id = history.begin_put(options_.way, form.name, now);
      break;
    case Effect::kPutWithTtl:
      id = history.begin_put(options_.way, form.name, now, ttl);
      break;
    case Effect::kDelete:
      id = history.begin_delete(options_.way, form.name, now);
      break;
    case Effect::kExpire:
      id = history.begin_expire(options_.way, form.name, now, ttl).value_or(0);
      if (id == 0) return add_read(key);
      break;
  }
  Operation operation{.key = key, .write = &form, .writes = true, .name = form.name, .id = id};
  // A counter's value is only for its seed: more than whatever it has been counted up to.
  if (form.weight == 0) operation.count = static_cast<uint64_t>(now / 1000) * 8;
  std::string value = form.weight == 0 ? std::to_string(operation.count) : make_value(key, id);
  form.build(request_, {what, id, std::move(value), ttl_ms});
  push(std::move(operation));
}

void Caller::add_read(size_t key) {
  const ReadForm& form = read_for(key, random_());
  Operation operation{.key = key, .read = &form, .name = form.name};
  begin_read(operation);
  form.build(request_, field_.keys()[key]);
  push(std::move(operation));
}

// Several keys in one command, which a proxy splits.
void Caller::add_many(bool writes) {
  Args words = {writes ? "MSET" : "MGET"};
  const size_t first = operations_.size();
  for (size_t attempt = 0; attempt < 4 * kManyKeys && operations_.size() < first + kManyKeys; ++attempt) {
    const Key& key = field_.keys()[pick_key()];
    const auto same = [&](const Operation& other) { return other.key == key.index; };
    const bool twice = std::any_of(operations_.begin() + static_cast<ptrdiff_t>(first), operations_.end(), same);
    if (writes && key.index >= kKeys / 2) continue;
    if (twice || !(writes ? key.kind == Kind::kString : is_plain(key))) continue;
    Operation operation{.key = key.index, .writes = writes, .name = writes ? "MSET of several" : "MGET of several"};
    if (writes)
      operation.id = field_.history(key.index).begin_put(options_.way, operation.name, field_.now());
    else
      begin_read(operation);
    words.push_back(key.name);
    if (writes) words.push_back(make_value(key.index, operation.id));
    operation.reply = request_.replies;
    operation.element = writes ? -1 : static_cast<int>(operations_.size() - first);
    operations_.push_back(std::move(operation));
  }
  if (operations_.size() == first) return;
  request_.bytes += encode(words);
  ++request_.replies;
}

// The write to its key that this connection has sent just before it in the same batch is one that it must see.
void Caller::begin_read(Operation& operation) {
  operation.mark = field_.history(operation.key).begin_read(options_.way, field_.now());
  for (const Operation& earlier : operations_) {
    if (!earlier.writes || earlier.key != operation.key) continue;
    const bool has_no_version = earlier.write && earlier.write->effect == Effect::kExpire;
    if (!has_no_version && !has_no_place(earlier)) operation.mark.after = earlier.id;
  }
}

bool Caller::has_no_place(const Operation& write) {
  return write.write && write.write->trait == WriteForm::kUndeclared;
}

void Caller::push(Operation operation) {
  operation.reply = request_.replies - 1;
  operations_.push_back(std::move(operation));
}

// --- what comes back ---

void Caller::send() {
  if (operations_.empty()) return;
  try {
    judge(client_->exchange(request_.bytes, request_.replies));
  } catch (const std::runtime_error&) {
    lose_all();
  }
}

void Caller::lose_all() {
  clients_.erase(port_);
  for (const Operation& operation : operations_) {
    if (!operation.writes)
      ++field_.tally().unanswered;
    else
      ++field_.tally().in_doubt, field_.history(operation.key).end_write(operation.id, Outcome::kInDoubt, field_.now());
  }
}

void Caller::judge(const std::vector<Reply>& replies) {
  const Nanos now = field_.now();
  for (Operation& operation : operations_) {
    const Reply* reply = &replies[operation.reply];
    if (operation.element >= 0 && reply->is_array())
      reply = &reply->elements.at(static_cast<size_t>(operation.element));
    operation.writes ? judge_write(operation, *reply, now) : judge_read(operation, *reply, now);
    if (reply->is_error()) follow(operation.key, *reply);
  }
  if (operations_.size() > 1) judge_order();
}

void Caller::judge_write(Operation& operation, const Reply& reply, Nanos now) {
  const Effect effect = operation.write ? operation.write->effect : Effect::kPut;
  const Outcome outcome = outcome_of(reply, effect);
  ++field_.tally().writes;
  if (outcome == Outcome::kRefused) ++field_.tally().refused;
  if (outcome == Outcome::kInDoubt) ++field_.tally().in_doubt;
  operation.answered = outcome == Outcome::kDone;
  if (field_.keys()[operation.key].counts() && operation.count == 0) operation.count = count_of(reply);
  const std::string wrong = field_.history(operation.key).end_write(operation.id, outcome, now, operation.count);
  complain(wrong.empty() ? wrong
                         : wrong + "\n  its reply, at " + std::to_string(now / kMillisecond) + ": " + to_string(reply));
  if (reply.is_error() && !is_refusal(reply) && !is_doubt(reply)) {
    complain(std::string("unexpected reply to ") + operation.name + ": " + to_string(reply));
  }
}

void Caller::judge_read(Operation& operation, const Reply& reply, Nanos now) {
  const Key& key = field_.keys()[operation.key];
  const bool in_exec = reply.is_array() && reply.elements.size() == 1 && reply.elements[0].is_error();
  const Reply& error = in_exec ? reply.elements[0] : reply;
  if (error.is_error()) {
    ++field_.tally().unanswered;
    if (!is_refusal(error) && !is_doubt(error)) {
      complain(std::string("unexpected reply to ") + operation.name + ": " + to_string(error));
    }
    return;
  }
  ReadForm::Result result = operation.read ? operation.read->parse(reply, key) : parse_get(reply, key);
  if (field_.replays) replay(key.index, result);
  ++field_.tally().reads;
  if (!result.wrong.empty()) return complain(std::string(operation.name) + " of " + key.name + ": " + result.wrong);
  operation.seen = result.seen;
  operation.answered = true;
  complain(field_.history(operation.key).end_read(operation.mark, result.seen, now, operation.name));
}

void Caller::replay(size_t key, ReadForm::Result& result) {
  const auto [had, fresh] = had_.try_emplace(key, result.seen);
  if (fresh || result.seen.type != Seen::Type::kVersion) return;
  if (pick(50) == 0)
    result.seen = had->second;
  else
    had->second = result.seen;
}

// No read sees a write that its own connection sent after it.
void Caller::judge_order() {
  for (auto read = operations_.begin(); read != operations_.end(); ++read) {
    if (read->writes || !read->answered || read->seen.type != Seen::Type::kVersion) continue;
    for (auto write = read + 1; write != operations_.end(); ++write) {
      if (!write->writes || !write->answered || write->key != read->key || has_no_place(*write)) continue;
      const bool counts = field_.keys()[read->key].counts();
      if (counts ? read->seen.version < write->count : read->seen.version != write->id) continue;
      if (counts && !field_.history(read->key).still_counts(read->mark)) continue;
      complain(std::string("order on one connection broken: ") + read->name + " of " + field_.keys()[read->key].name +
               " returned version " + std::to_string(read->seen.version) + ", which its connection wrote after it by " +
               write->name);
    }
  }
}

// A node that says MOVED tells where the key is.
void Caller::follow(size_t key, const Reply& reply) {
  if (options_.way != kDirect || !reply.is_error("MOVED")) return;
  const size_t colon = reply.text.rfind(':');
  uint16_t port = 0;
  std::from_chars(reply.text.data() + colon + 1, reply.text.data() + reply.text.size(), port);
  if (port != 0) field_.set_port_of(key, port);
}

void Caller::complain(const std::string& text) {
  if (text.empty()) return;
  field_.complain(text + "\n  connection " + std::to_string(options_.number) + " by " + name_of(options_.way) +
                  (options_.resp3 ? ", RESP3" : ", RESP2") + ", " + std::to_string(options_.pipeline) + " at once");
}

}  // namespace corral::test
