// The proxy's part of the model: what proxy/core does around the cache, in as few lines as can be.
#include "near_model.h"

#include <algorithm>
#include <utility>

namespace corral::policy::model {

class Model::Asker {
 public:
  Asker(Model& model, Client& client, Op& op, int place)
      : model_(model), client_(client), op_(op), place_(place), key_(op.keys[place]) {}

  void serve(const KeyReply& reply, uint64_t) {
    version_ = model_.parse(reply, client_, key_, op_.command);
    model_.check_age("served", key_, version_, model_.now_);
    ++model_.counts_.served;
  }
  void join(NearFill& fill) {
    const bool other = client_.fills.may_be(key_) && client_.fill != fill.serial();
    ++client_.fills.requests;
    client_.fills.mark(key_);
    client_.fill = other ? 0 : fill.serial();
    auto& joined = static_cast<Fill&>(fill);
    joined.waiters.push_back({{&client_, &op_, place_}, model_.now_});
    joined.asked_resp |= static_cast<uint8_t>(client_.resp - 1);  // 1, 2
  }
  bool admit() { return model_.calm_ || model_.chance(model_.config_.admit); }
  NearPlace place() { return model_.place(client_.worker, key_, link_); }
  NearFill& make_fill() {
    fill_ = new Fill;
    fill_->key = key_;
    fill_->command = op_.command;
    fill_->link = link_;
    fill_->hash = KeyTable::hash(model_.keys_[key_]);
    return *fill_;
  }
  void read_plainly(NearTouched touched, uint64_t) {
    op_.touched.push_back(touched);
    client_.reads.mark(key_);
  }
  Fill& fill() { return *fill_; }
  uint64_t version() const { return version_; }

 private:
  Model& model_;
  Client& client_;
  Op& op_;
  const int place_, key_;
  Tracked* link_ = nullptr;
  Fill* fill_ = nullptr;
  uint64_t version_ = 0;
};

std::string Model::text(char form, int key, uint16_t command, uint64_t version) const {
  std::string text{form, static_cast<char>('0' + key), static_cast<char>('a' + command)};
  text += std::to_string(version);
  if (config_.padded) text.append(version % 5 * 1000, ' ');
  return text;
}

uint64_t Model::parse(const KeyReply& reply, const Client& client, int key, uint16_t command) {
  scratch_.resize(reply.size());
  reply.copy_to(scratch_.data());
  const uint64_t version = std::strtoull(scratch_.c_str() + 3, nullptr, 10);
  const char form = version % 3 == 0 ? '=' : static_cast<char>('0' + client.resp);
  if (scratch_ != text(form, key, command, version)) violate("another reply was served: " + scratch_.substr(0, 20));
  return version;
}

NearRead Model::read_of(const Client& client, int key, uint16_t command, uint32_t era) const {
  NearRead read;
  read.key = keys_[key];
  read.hash = KeyTable::hash(read.key);
  read.command = command;
  read.resp = client.resp;
  read.own_fills = client.fills.may_be(key);
  read.own_fill = client.fill;
  read.own_touches = client.reads.may_be(key);
  read.era = NearCache::may_pass(read.hash) ? era : 0;
  read.behind_passed = read.era != 0 && !read.is_passed() && client.passed > 0;
  return read;
}

// It is not looked for. To be sent plainly.
void Model::pass(Client& client, Op& op, const NearRead& read, int key) {
  ++counts_.passed;
  ++client.passed;
  op.touched.push_back({.hash = read.hash, .era = read.era});
  say("client ", client.number, " reads ", key, ": passed by in era ", read.era);
}

NearPlace Model::place(int worker, int key, Tracked*& link) {
  const int node = maps_[worker][slot_of(key)];
  link = &nodes_.links[node * kWorkers + home_of(key)];
  return {static_cast<uint16_t>(slot_of(key)), link->number};
}

// --- clients ---

bool Model::ask(Client& client, Op& op) {
  switch (op.kind) {
    case Op::kRead:
      return read(client, op);
    case Op::kTtl:
      return read_ttl(client, op);
    case Op::kMany:
      return read_many(client, op);
    case Op::kPast:
      return touch(client, op, false);
    default:
      return touch(client, op, true);
  }
}

bool Model::read(Client& client, Op& op) {
  Asker asker(*this, client, op, 0);
  op.left = 1;
  const NearRead read = read_of(client, op.keys[0], op.command, cache_.era());
  interleave(client.worker);
  if (read.is_passed() && !read.own_fills) {
    pass(client, op, read, op.keys[0]);
    op.touches = op.alone = true;
    send_plain({&client, &op, 0});
    return true;
  }
  const auto answer = cache_.read(
      read, time(), [this] { return time(); }, asker);
  say("client ", client.number, " reads ", op.keys[0], op.command, ": answer ", int(answer));
  switch (answer) {
    case NearCache::Answer::kServed:
      interleave(client.worker);
      this->answer({&client, &op, 0}, asker.version());
      return true;
    case NearCache::Answer::kJoined:
      ++counts_.joined;
      return true;
    case NearCache::Answer::kFill:
      ++counts_.fills;
      interleave(client.worker);
      start(asker.fill(), client.worker);
      return true;
    case NearCache::Answer::kPlain:
      ++counts_.plain;
      op.touches = true;
      ++client.reads.requests;
      interleave(client.worker);
      send_plain({&client, &op, 0});
      return true;
    default:
      return false;
  }
}

bool Model::read_ttl(Client& client, Op& op) {
  const auto deadline = cache_.find_deadline(read_of(client, op.keys[0], op.command, cache_.era()), time());
  if (!deadline) return touch(client, op, false);
  const uint64_t version = *deadline & ((uint64_t{1} << kVersionBits) - 1);
  check_age("TTL told", op.keys[0], version, now_);
  ++counts_.ttls;
  op.left = 1;
  answer({&client, &op, 0}, version);
  return true;
}

// Near::read_many().
bool Model::read_many(Client& client, Op& op) {
  std::array<bool, 3> served{};
  const uint32_t era = cache_.era();
  for (int place = 0; place < op.count; ++place) {
    const auto serve = [&](const KeyReply& reply, uint64_t) {
      op.seen[place] = parse(reply, client, op.keys[place], op.command);
      check_age("glanced at", op.keys[place], op.seen[place], now_);
      served[place] = true;
      ++counts_.glances;
      return true;
    };
    const NearRead read = read_of(client, op.keys[place], op.command, era);
    if (read.is_passed() && !read.own_fills) continue;
    if (cache_.glance(
            read, time(), [this] { return time(); }, serve) == NearCache::Glance::kWait)
      return false;
    interleave(client.worker);
  }
  op.touches = true;
  ++client.reads.requests;
  op.left = op.count + 1;
  std::vector<Part> plain;
  for (int place = 0; place < op.count; ++place) {
    const Part part{&client, &op, place};
    if (served[place]) {
      --op.left;
      continue;
    }
    NearRead read = read_of(client, op.keys[place], op.command, era);
    if (read.is_passed()) {
      pass(client, op, read, op.keys[place]);
      plain.push_back(part);
      continue;
    }
    read.own_fills = read.own_touches = false;
    Asker asker(*this, client, op, place);
    const auto answer = cache_.read(
        read, time(), [this] { return time(); }, asker);
    say("client ", client.number, " reads ", op.keys[place], " of many: answer ", int(answer));
    interleave(client.worker);
    if (answer == NearCache::Answer::kServed) this->answer(part, asker.version());
    if (answer == NearCache::Answer::kFill) start(asker.fill(), client.worker);
    if (answer != NearCache::Answer::kPlain) continue;
    plain.push_back(part);
  }
  for (const Part& part : plain) send_plain(part);
  if (--op.left == 0) finish(client, op);
  return true;
}

// NearTouches::begin().
bool Model::touch(Client& client, Op& op, bool write) {
  op.of_all = op.kind == Op::kWriteAny;
  if (client.fills.requests > 0 && (op.of_all || op.count > 1)) return false;
  for (int place = 0; place < op.count && !op.of_all; ++place) {
    op.touched.push_back({KeyTable::hash(keys_[op.keys[place]])});
    if (cache_.begin_touch(op.touched.back().hash, write, client.fills.may_be(op.keys[place]))) continue;
    op.touched.clear();
    return false;
  }
  if (op.of_all) cache_.begin_touch_of_all();
  op.touches = true;
  op.writes = write;
  if (!write) {
    ++client.reads.requests;
    for (int place = 0; place < op.count; ++place) client.reads.mark(op.keys[place]);
  }
  interleave(client.worker);
  op.left = op.count;
  for (int place = 0; place < op.count; ++place) send_plain({&client, &op, place});
  return true;
}

void Model::send_plain(const Part& part) {
  plains_[part.client->worker][part.op->keys[part.place] % 2].asked.push_back(part);
}

void Model::end_read(Client& client) {
  if (client.reads.end()) client.waits = false;
}

void Model::end_fill(Client& client) {
  if (client.fills.end()) client.waits = false;
}

void Model::answer(const Part& part, uint64_t version) {
  Client& client = *part.client;
  Op& op = *part.op;
  if (part.own_touch) {
    cache_.end_touch({KeyTable::hash(keys_[op.keys[part.place]])}, false);
    end_read(client);
    interleave(client.worker);
  }
  op.seen[part.place] = version;
  if (--op.left == 0) finish(client, op);
}

void Model::finish(Client& client, Op& op) {
  if (op.touches) {
    end_touches(client, op);
    if (op.of_all) cache_.end_touch_of_all();
    if (!op.writes && !op.alone) end_read(client);
    interleave(client.worker);
  }
  op.done = true;
  deliver(client);
}

void Model::end_touches(Client& client, Op& op) {
  for (const NearTouched& touched : op.touched) {
    client.passed -= touched.era != 0;
    cache_.end_touch(touched, op.writes);
  }
}

void Model::deliver(Client& client) {
  while (!client.ops.empty() && client.ops.front().done) {
    check_answer(client, client.ops.front());
    client.ops.pop_front();
  }
}

}  // namespace corral::policy::model
