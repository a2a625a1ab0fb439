// The model's clock: whose turn it is, what goes wrong, and what may never be seen.
#include <algorithm>
#include <utility>

#include "near_model.h"

namespace corral::policy::model {

Model::Model(uint64_t seed, const Config& config, bool trace)
    : random_(seed), config_(config), trace_(trace), cache_(KeyTable::kLeastMemory, kSlots, kWorkers), nodes_(now_) {
  // The hash's bits by which keys share a KeyWatch (KeyShard::watch): the first two keys do.
  const auto watch_of = [](const std::string& key) { return KeyTable::hash(key) >> 40 & 127; };
  // The third is of the sample, and so never passed by.
  const auto is_wanted = [&](int key) {
    if (NearCache::may_pass(KeyTable::hash(keys_[key])) == (key == 2)) return false;
    return !config.watch_shared || key != 1 || watch_of(keys_[0]) == watch_of(keys_[1]);
  };
  for (int key = 0; key < kKeys; ++key) {
    uint64_t number = static_cast<uint64_t>(key) << 32;
    do keys_[key] = "key:" + std::to_string(number++);
    while (!is_wanted(key));
  }
  for (int node = 0; node < kNodes; ++node) {
    for (int home = 0; home < kWorkers; ++home) {
      Tracked& link = nodes_.links[node * kWorkers + home];
      link.node = node;
      link.home = home;
      link.number = cache_.add_link();
      raise(link);
    }
  }
  for (size_t i = 0; i < config.clients; ++i) {
    clients_.push_back({.number = static_cast<int>(i),
                        .worker = static_cast<int>(i % kWorkers),
                        .resp = static_cast<uint8_t>(2 + i / kWorkers % 2)});
  }
}

Model::~Model() {
  for (Tracked& link : nodes_.links) {
    for (Fill* fill : link.fills) delete fill;
  }
}

void Model::violate(const std::string& what) {
  if (!violation_.empty()) return;
  violation_ = "step " + std::to_string(now_) + ": " + what;
  say(what);
}

// --- turns ---

void Model::run(int steps) {
  for (int i = 0; i < steps && violation_.empty(); ++i) step();
}

// What other threads do while this worker is in the midst of something.
void Model::interleave(int worker) {
  if (below(8) != 0) return;
  busy_ |= 1u << worker;
  for (size_t i = below(12); i > 0; --i) step();
  busy_ &= ~(1u << worker);
}

void Model::step() {
  ++now_;
  if (!calm_ && config_.turns > 0 && below(1000) < config_.turns) {
    cache_.turn(!NearCache::is_narrow(cache_.era()));
    say("era ", cache_.era(), " begins");
  }
  const size_t turn = below(128);
  if (turn < 36) return client_turn();
  if (turn < 72) return turn_of_plain();
  if (turn < 112) return turn_of_tracked();
  if (turn < 120) return turn_of_posts();
  if (turn < 124) {
    Tracked& link = nodes_.links[below(nodes_.links.size())];
    if (!is_busy(link.home) && link.next_beat <= now_) beat(link);
  } else if (calm_) {
    return;
  } else if (turn == 124) {
    if (chance(config_.stalls)) stall();
  } else if (turn < 127) {
    if (!chance(config_.past)) return;
    const int key = static_cast<int>(below(kKeys));
    say("written past the proxy: ", key, " is ", nodes_.write(key, random_version()));
  } else if (chance(config_.faults)) {
    fault();
  }
}

// Of queues the first that has something, from a random one on.
void Model::turn_of_posts() {
  const size_t first = below(posts_.size());
  for (size_t i = 0; i < posts_.size(); ++i) {
    const size_t place = (first + i) % posts_.size();
    if (posts_[place].empty() || is_busy(static_cast<int>(place % kWorkers))) continue;
    const Post post = std::move(posts_[place].front());
    posts_[place].pop_front();
    return post.work();
  }
}

void Model::turn_of_plain() {
  const size_t first = below(kWorkers * 4);
  for (size_t i = 0; i < kWorkers * 4; ++i) {
    const size_t place = (first + i) % (kWorkers * 4);
    const int worker = static_cast<int>(place % kWorkers);
    Plain& plain = plains_[worker][place / kWorkers % 2];
    if (plain.stalled_until > now_) continue;
    if (place < kWorkers * 2) {
      if (plain.asked.empty()) continue;
      return execute_plain(plain);
    }
    if (plain.said.empty() || is_busy(worker)) continue;
    const auto [part, version] = plain.said.front();
    plain.said.pop_front();
    return answer(part, version);
  }
}

void Model::execute_plain(Plain& plain) {
  const Part part = plain.asked.front();
  plain.asked.pop_front();
  const Op& op = *part.op;
  const int key = op.keys[part.place];
  const bool writes = op.kind == Op::kWrite || op.kind == Op::kWriteMany || op.kind == Op::kWriteAny;
  const uint64_t version = writes ? nodes_.write(key, random_version()) : nodes_.version(key);
  say("client ", part.client->number, writes ? " has written " : " has plainly read ", key, ": ", version);
  plain.said.push_back({part, version});
}

void Model::turn_of_tracked() {
  const size_t links = nodes_.links.size(), first = below(2 * links);
  for (size_t i = 0; i < 2 * links; ++i) {
    const size_t place = (first + i) % (2 * links);
    Tracked& link = nodes_.links[place % links];
    if (link.stalled_until > now_) continue;
    if (place < links) {
      if (link.asked.empty()) continue;
      return nodes_.execute(link);
    }
    if (!link.said.empty() && !is_busy(link.home)) return on_said(link);
  }
}

Version Model::random_version() {
  Version version;
  if (chance(10)) version.absent = true;
  if (!version.absent && chance(20)) version.expires = now_ + 1 + below(2000);
  return version;
}

// --- clients ---

void Model::client_turn() {
  Client& client = clients_[below(clients_.size())];
  if (is_busy(client.worker)) return;
  if (!client.new_op) {
    if (calm_ || client.ops.size() >= config_.depth) return;
    new_op(client);
  }
  if (client.waits) return;
  client.new_op = false;
  if (ask(client, client.ops.back())) return;
  ++counts_.waits;
  client.new_op = client.waits = true;
  say("client ", client.number, " waits");
  if (client.fills.requests + client.reads.requests == 0) violate("a client waits for nothing");
}

void Model::new_op(Client& client) {
  Op& op = client.ops.emplace_back();
  client.new_op = true;
  if (chance(config_.writes)) {
    op.kind = std::array{Op::kWrite, Op::kWrite, Op::kWriteMany, Op::kWriteAny}[below(4)];
  } else {
    op.kind = std::array{Op::kRead, Op::kRead, Op::kRead, Op::kRead, Op::kTtl, Op::kMany, Op::kPast}[below(7)];
  }
  if (op.kind == Op::kMany || op.kind == Op::kWriteMany) op.count = 2 + static_cast<int>(below(2));
  op.command = static_cast<uint16_t>(below(kCommands));
  for (int place = 0; place < op.count; ++place) {
    op.keys[place] = static_cast<int>(std::min(below(kKeys), below(kKeys)));
    op.least[place] = least_[op.keys[place]];
  }
}

void Model::check_answer(Client& client, const Op& op) {
  for (int place = 0; place < op.count; ++place) {
    const int key = op.keys[place];
    const uint64_t seen = op.seen[place];
    std::ostringstream what;
    what << "client " << client.number << " is told version " << seen << " of key " << key;
    say(what.str());
    if (seen < op.least[place])
      violate(what.str() + ", but before it asked, " + std::to_string(op.least[place]) + " was");
    if (seen < client.seen[key]) violate(what.str() + ", after it was told " + std::to_string(client.seen[key]));
  }
  for (int place = 0; place < op.count; ++place) {
    const int key = op.keys[place];
    client.seen[key] = std::max(client.seen[key], op.seen[place]);
    least_[key] = std::max(least_[key], op.seen[place]);
  }
}

void Model::check_age(const char* what, int key, uint64_t version, uint64_t when) {
  const Version& about = nodes_.about(key, version);
  if (about.ended != kNever && about.ended + config_.staleness <= when) {
    violate(std::string(what) + ": version " + std::to_string(version) + " of key " + std::to_string(key) +
            ", which ended at step " + std::to_string(about.ended));
  }
  if (what[0] != 'j' && about.expires <= when) {
    violate(std::string(what) + ": key " + std::to_string(key) + ", which expired at " + std::to_string(about.expires));
  }
}

// --- what goes wrong ---

void Model::beat(Tracked& link) {
  link.next_beat = now_ + config_.staleness / 4;
  if (!link.is_up || link.beat_awaited) return;
  link.beat_awaited = true;
  if (link.is_alive) link.asked.push_back({.what = Asked::kBeat, .sent = now_});
}

void Model::raise(Tracked& link) {
  say("link ", link.number, " is made");
  link.is_up = link.is_alive = true;
  beat(link);
}

void Model::lose(Tracked& link) {
  say("link ", link.number, " is lost");
  Nodes::die(link);
  link.said.clear();
  link.is_up = link.beat_awaited = false;
  cache_.lose_link(link.number);
  std::deque<Fill*> fills;
  fills.swap(link.fills);
  for (Fill* fill : fills) {
    if (!fill->failed) fail(*fill, false);
    delete fill;
  }
}

void Model::update_map(int worker) {
  for (int slot = 0; slot < kSlots; ++slot) {
    if (maps_[worker][slot] == nodes_.owner[slot]) continue;
    maps_[worker][slot] = nodes_.owner[slot];
    cache_.drop_slot(static_cast<uint16_t>(slot));
  }
}

void Model::fault() {
  Tracked& link = nodes_.links[below(nodes_.links.size())];
  const int key = static_cast<int>(below(kKeys)), worker = static_cast<int>(below(kWorkers));
  switch (below(12)) {
    case 0:
      if (link.is_alive) say("link ", link.number, " dies");
      return Nodes::die(link);
    case 1:
      return link.is_up && !is_busy(link.home) ? lose(link) : void();
    case 2:
      return is_busy(link.home) || link.is_alive ? void() : lose(link);
    case 3:
      say("slot of key ", key, " moves");
      return nodes_.move(slot_of(key), below(2) == 0);
    case 4:
    case 5:
      return is_busy(worker) ? void() : update_map(worker);
    case 6:
      if (below(8) == 0) nodes_.flush(link.node);
      return;
    case 7:
      return nodes_.forget(link, key);
    case 8:
      for (size_t part = 0; part < cache_.purge_parts(); ++part) {
        cache_.purge(part, [&](std::string_view name) { return name == keys_[key]; });
      }
      return;
    case 9:
      return below(8) == 0 ? cache_.drop_all() : void();
    default:
      if (!link.is_up && !is_busy(link.home)) raise(link);
  }
}

void Model::stall() {
  const uint64_t until = now_ + below(chance(20) ? 3 * config_.staleness : 100);
  if (below(2) == 0) {
    nodes_.links[below(nodes_.links.size())].stalled_until = until;
  } else {
    plains_[below(kWorkers)][below(2)].stalled_until = until;
  }
}

// --- the end ---

void Model::repair() {
  for (Tracked& link : nodes_.links) {
    if (link.is_up && !link.is_alive) lose(link);
    if (!link.is_up) raise(link);
  }
  for (int worker = 0; worker < kWorkers; ++worker) update_map(worker);
  cache_.turn(false);
}

bool Model::is_quiet() const {
  const auto empty = [](const auto& queue) { return queue.empty(); };
  return std::all_of(clients_.begin(), clients_.end(), [](const Client& client) { return client.ops.empty(); }) &&
         std::all_of(posts_.begin(), posts_.end(), empty) &&
         std::all_of(nodes_.links.begin(), nodes_.links.end(), [](const Tracked& link) { return link.fills.empty(); });
}

void Model::settle() {
  calm_ = true;
  for (int i = 0; i < 2000 && !is_quiet() && violation_.empty(); ++i) {
    repair();
    for (int j = 0; j < 64; ++j) step();
  }
  if (!is_quiet()) violate("some are never answered");
  for (int key = 0; key < kKeys && violation_.empty(); ++key) check_nothing_left(key);
}

// No touch or fill is thought to be under way, and reads are served again.
void Model::check_nothing_left(int key) {
  for (const Client& client : clients_) {
    if (client.passed != 0) violate("reads that were passed by are not answered");
  }
  NearRead all = read_of(clients_[0], key, 0, 0);
  all.own_fills = all.own_touches = true;
  const auto glance = cache_.glance(
      all, time(), [this] { return time(); }, [](const KeyReply&, uint64_t) { return true; });
  if (glance == NearCache::Glance::kWait) violate("something is left under way of key " + std::to_string(key));
  uint64_t version;
  do version = nodes_.write(key, {});
  while (is_large(version) || is_over_limit(version));
  const uint64_t served = counts_.served;
  for (int tries = 0; tries < 200 && counts_.served < served + 2; ++tries) {
    Client& client = clients_[below(clients_.size())];
    Op& op = client.ops.emplace_back();
    op.keys[0] = key;
    op.least[0] = least_[key];
    client.new_op = true;
    for (int i = 0; i < 20'000 && !client.ops.empty(); ++i) step();
    repair();
  }
  if (counts_.served < served + 2) violate("nothing is served any more of key " + std::to_string(key));
}

}  // namespace corral::policy::model
