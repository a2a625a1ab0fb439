#include "sim_cluster.h"

#include <algorithm>

namespace corral::sim {

namespace {

constexpr int64_t kGossipUs = 20'000;
constexpr int64_t kDetectionUs = 250'000;  // until a dead master is noticed
constexpr int64_t kRestartUs = 400'000;
constexpr int64_t kRestUs = 50'000;  // between two moves of a slot: nobody turns round faster than an ASK is followed

std::vector<std::string> keys_in(const Store& data, uint16_t slot) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : data) {
    if (resp::key_slot(key) == slot) keys.push_back(key);
  }
  return keys;
}

}  // namespace

SimCluster::SimCluster(SimNetwork& network, Checker& checker, int masters, bool replicas)
    : network_(network), checker_(checker), owners_(resp::kSlots), epochs_(resp::kSlots, 1) {
  for (int i = 0; i < masters * (replicas ? 2 : 1); ++i) {
    nodes_.push_back(std::make_unique<SimNode>(*this, i));
    if (i >= masters) nodes_.back()->master = i - masters;
    network.listen(nodes_.back()->address(), nodes_.back().get());
  }
  for (int slot = 0; slot < resp::kSlots; ++slot) {
    const int owner = slot * masters / resp::kSlots;
    owners_[static_cast<size_t>(slot)] = owner;
    for (auto& each : nodes_) each->learn_owner(static_cast<uint16_t>(slot), owner, 1);
  }
}

std::vector<int> SimCluster::shard_of(int master) const {
  std::vector<int> shard = {master};
  for (const auto& each : nodes_) {
    if (each->master == master && each->index() != master) shard.push_back(each->index());
  }
  return shard;
}

std::vector<int> SimCluster::masters() const {
  std::vector<int> found;
  for (const auto& each : nodes_) {
    if (each->master == kNobody && each->alive) found.push_back(each->index());
  }
  return found;
}

// --- slots move: CLUSTER SETSLOT IMPORTING, MIGRATING, MIGRATE key by key, SETSLOT NODE ---

bool SimCluster::migrate(uint16_t slot, int to, int64_t pace_us, bool cancel) {
  const int from = owners_[slot];
  if (from == to || migrations_.contains(slot) || failing_.contains(from) || failing_.contains(to)) return false;
  if (!node(from).alive || !node(to).alive || node(to).master != kNobody) return false;
  const auto migration = std::make_shared<Migration>(Migration{slot, from, to, pace_us, cancel});
  migrations_[slot] = migration;
  loop().trace([&] {
    return "cluster: slot " + std::to_string(slot) + " moves from " + std::to_string(from) + " to " +
           std::to_string(to) + (cancel ? ", to be cancelled" : "");
  });
  node(to).importing[slot] = from;
  loop().after(some(pace_us), [this, migration] { begin_migration(migration); });
  return true;
}

void SimCluster::begin_migration(const MigrationPtr& migration) {
  node(migration->from).migrating[migration->slot] = migration->to;
  loop().after(some(migration->pace_us), [this, migration] { move_next(migration); });
}

void SimCluster::move_next(const MigrationPtr& migration) {
  SimNode &from = node(migration->from), &to = node(migration->to);
  const auto keys = keys_in(from.data, migration->slot);
  // Once the new node has keys of the slot there is no safe way back.
  if (migration->cancel) migration->cancel = keys_in(to.data, migration->slot).empty();
  if (migration->cancel || keys.empty()) return end_migration(migration);
  const std::string& key = keys[loop().random().below(keys.size())];
  loop().trace([&] { return "cluster: " + key + " moves to " + std::to_string(to.index()); });
  if (to.data.contains(key)) checker_.fail("both nodes of a moving slot have the key " + key);
  if (Entry* entry = from.find(key)) {
    to.put(key, *entry);
    from.take_away(key);
  }
  loop().after(some(migration->pace_us), [this, migration] { move_next(migration); });
}

// The new owner knows first; the old one, whose keys are all gone, answers ASK until it knows too.
void SimCluster::end_migration(const MigrationPtr& migration) {
  const uint16_t slot = migration->slot;
  const auto forget = [this, slot, from = migration->from] {
    node(from).migrating.erase(slot);
    loop().after(kRestUs, [this, slot] { migrations_.erase(slot); });
  };
  node(migration->to).importing.erase(slot);
  if (migration->cancel) return forget();
  set_owner(slot, migration->to);
  loop().after(some(kGossipUs / 10), [this, slot, forget, from = migration->from] {
    tell(from, slot, 0);
    forget();
    for (const auto& each : nodes_) tell(each->index(), slot, some(kGossipUs));
  });
}

void SimCluster::set_owner(uint16_t slot, int owner) {
  owners_[slot] = owner;
  epochs_[slot] = ++epoch_;
  node(owner).learn_owner(slot, owner, epochs_[slot]);
}

void SimCluster::tell(int to, uint16_t slot, int64_t delay_us) {
  const auto news = [this, to, slot, owner = owners_[slot], epoch = epochs_[slot]] {
    node(to).learn_owner(slot, owner, epoch);
  };
  delay_us == 0 ? news() : loop().after(delay_us, news);
}

// SETSLOT NODE without MIGRATE: what was in the slot is gone, and no client is told.
bool SimCluster::give_away(uint16_t slot, int to) {
  const int from = owners_[slot];
  if (from == to || migrations_.contains(slot) || failing_.contains(from) || failing_.contains(to)) return false;
  if (!node(from).alive || !node(to).alive || node(to).master != kNobody) return false;
  loop().trace([&] { return "cluster: slot " + std::to_string(slot) + " is given to " + std::to_string(to); });
  for (const std::string& key : keys_in(node(from).data, slot)) {
    Entry* entry = node(from).find(key);
    if (!entry) continue;
    const bool is_lost = key[0] == 'n' || key[0] == 'a';  // the others are to be kept, for what is checked of them
    is_lost ? checker_.on_written(key, nullptr, loop().now_us()) : node(to).put(key, *entry);
    node(from).data.erase(key);
  }
  set_owner(slot, to);
  tell(from, slot, 0);
  for (const auto& each : nodes_) tell(each->index(), slot, some(kGossipUs));
  return true;
}

std::optional<std::string> SimCluster::run_directly(const Args& args) {
  const uint16_t slot = resp::key_slot(args[1]);
  int at = owners_[slot];
  if (failing_.contains(at) || !node(at).alive) return {};
  const auto migration = migrations_.find(slot);
  const bool moves = migration != migrations_.end() && node(at).migrating.contains(slot);
  if (moves && !node(at).find(args[1])) at = migration->second->to;
  loop().trace([&] {
    std::string text = "directly, at node " + std::to_string(at) + ":";
    for (const std::string& arg : args) text += ' ' + readable(arg);
    return text;
  });
  return node(at).run_directly(args);
}

// --- replicas take over ---

bool SimCluster::fail_over(int master, bool crash, bool silently) {
  const auto shard = shard_of(master);
  if (node(master).master != kNobody || !node(master).alive || shard.size() < 2 || failing_.contains(master)) {
    return false;
  }
  for (const auto& [slot, migration] : migrations_) {
    if (migration->from == master || migration->to == master) return false;
  }
  const int replica = shard[1];
  if (!node(replica).alive) return false;
  failing_.insert(master);
  loop().trace([&] {
    return "cluster: node " + std::to_string(master) + (crash ? " dies" : " steps down") +
           (silently ? " silently" : "");
  });
  if (!crash) {
    take_over(master, replica, false);
    return true;
  }
  node(master).die(silently);
  for (auto& each : nodes_) each->forget_view();
  const bool down = loop().random().chance(50);
  const int64_t detected = some(kDetectionUs);
  loop().after(detected / 2, [this, down] {
    for (auto& each : nodes_) each->down = down;
  });
  loop().after(detected, [this, master, replica] { take_over(master, replica, true); });
  return true;
}

void SimCluster::take_over(int from, int to, bool crash) {
  loop().trace([&] { return "cluster: node " + std::to_string(to) + " takes over from " + std::to_string(from); });
  SimNode &old = node(from), &next = node(to);
  for (auto& [key, entry] : std::exchange(old.data, {})) next.put(key, std::move(entry));
  old.unblock_all();
  next.master = kNobody;
  old.master = to;
  old.read_only = !crash;
  next.down = false;
  for (auto& each : nodes_) each->forget_view();
  std::vector<uint16_t> slots;
  for (uint16_t slot = 0; slot < resp::kSlots; ++slot) {
    if (owners_[slot] != from) continue;
    slots.push_back(slot);
    set_owner(slot, to);
  }
  for (const auto& each : nodes_) {
    if (each->index() == from && crash) continue;
    loop().after(some(kGossipUs), [this, from, index = each->index(), slots] {
      for (const uint16_t slot : slots) tell(index, slot, 0);
      node(index).down = false;
      if (index != from) return;
      node(index).read_only = false;
      node(index).flush_tracking();  // it has got its master's data
      failing_.erase(index);
    });
  }
  if (crash) loop().after(some(kRestartUs), [this, from] { come_back(from); });
}

// A restarted node loads its data, and believes the cluster to be down until it has heard of the others.
void SimCluster::come_back(int index) {
  loop().trace([&] { return "cluster: node " + std::to_string(index) + " is back"; });
  node(index).revive();
  node(index).loading = node(index).unaware = true;
  for (auto& each : nodes_) each->forget_view();
  loop().after(some(kRestartUs / 10), [this, index] { node(index).loading = false; });
  loop().after(some(kRestartUs / 5), [this, index] {
    node(index).unaware = false;
    for (uint16_t slot = 0; slot < resp::kSlots; ++slot) tell(index, slot, 0);
    failing_.erase(index);
  });
}

std::map<std::string, std::string> SimCluster::contents() {
  std::map<std::string, std::string> all;
  for (const auto& each : nodes_) {
    for (const auto& [key, entry] : each->data) {
      if (!all.emplace(key, entry.text).second) checker_.fail("two nodes have the key " + key);
    }
  }
  return all;
}

}  // namespace corral::sim
