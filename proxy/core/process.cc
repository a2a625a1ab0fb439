#include "proxy/core/process.h"

#include <algorithm>
#include <tuple>

#include "config/units.h"
#include "proxy/core/policies.h"
#include "proxy/core/topology_events.h"

namespace corral::core {

namespace {

constexpr int64_t kAskAgainUs = 10'000'000;   // a command that the upstream did not know may have come with a module
constexpr uint64_t kDeadlineBytes = 1 << 20;  // of the near cache, to know when keys go (rules with `stampede`)
constexpr size_t kMaxUnknown = 1024;          // names remembered that it did not know

// A unix socket has no address (its clients are told apart by nothing).
bool is_unix(std::string_view peer) { return peer.starts_with('/') || peer.starts_with("unix:"); }

std::string host_of(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

}  // namespace

Process::Process(config::Settings settings, uint32_t workers, int64_t started_us, std::string run_id)
    : settings_(std::move(settings)), started_us_(started_us), run_id_(std::move(run_id)), server_stats_(workers) {
  for (uint32_t i = 0; i < workers; ++i) boards_.push_back(std::make_unique<WorkerBoard>());
  policies_ = make_policies(settings_);
  slow_requests_.set_least_ms(settings_.slow_request_ms);
  const uint64_t memory_bytes = std::max(settings_.near_cache.memory_bytes, kDeadlineBytes);
  near_cache_ = std::make_unique<policy::NearCache>(memory_bytes, resp::kSlots, workers);
}

policy::PoliciesPtr Process::policies() const {
  const std::lock_guard lock(mutex_);
  return policies_;
}

void Process::set_policies(policy::PoliciesPtr policies) {
  const std::lock_guard lock(mutex_);
  policies_ = std::move(policies);
}

uint32_t Process::clients() const {
  uint32_t sum = 0;
  for (const auto& board : boards_) sum += board->clients.load(std::memory_order_relaxed);
  return sum;
}

bool Process::count_address(const std::string& peer) {
  const uint32_t most = settings_.limits.clients_per_address;
  if (most == 0 || is_unix(peer)) return true;
  const std::lock_guard lock(mutex_);
  uint32_t& count = clients_by_host_[host_of(peer)];
  if (count >= most) return false;
  ++count;
  return true;
}

void Process::uncount_address(const std::string& peer) {
  if (settings_.limits.clients_per_address == 0 || is_unix(peer)) return;
  const std::lock_guard lock(mutex_);
  const auto it = clients_by_host_.find(host_of(peer));
  if (--it->second == 0) clients_by_host_.erase(it);
}

uint64_t Process::clients_memory_bytes() const {
  uint64_t sum = 0;
  for (const auto& board : boards_) sum += board->memory_bytes.load(std::memory_order_relaxed);
  return sum;
}

uint64_t Process::largest_client_bytes() const {
  uint64_t largest = 0;
  for (const auto& board : boards_) {
    largest = std::max(largest, board->largest_client_bytes.load(std::memory_order_relaxed));
  }
  return largest;
}

NodeId Process::busy_node() const {
  for (const auto& board : boards_) {
    if (const NodeId node = board->busy_node.load(std::memory_order_relaxed); node != kNoNode) return node;
  }
  return kNoNode;
}

uint32_t Process::monitors() const {
  uint32_t sum = 0;
  for (const auto& board : boards_) sum += board->monitors.load(std::memory_order_relaxed);
  return sum;
}

uint32_t Process::blocked_clients() const {
  uint32_t sum = 0;
  for (const auto& board : boards_) sum += board->blocked.load(std::memory_order_relaxed);
  return sum;
}

Process::TrackingTotals Process::tracking_totals() const {
  TrackingTotals totals;
  for (const auto& board : boards_) {
    totals.clients += board->tracking_clients.load(std::memory_order_relaxed);
    totals.keys += board->tracked_keys.load(std::memory_order_relaxed);
    totals.items += board->tracked_items.load(std::memory_order_relaxed);
  }
  const std::lock_guard lock(mutex_);
  totals.prefixes = tracked_prefixes_.size();
  return totals;
}

void Process::count_tracked_prefix(const std::string& prefix, int change) {
  const std::lock_guard lock(mutex_);
  const auto it = tracked_prefixes_.try_emplace(prefix, 0).first;
  it->second += static_cast<uint32_t>(change);
  if (it->second == 0) tracked_prefixes_.erase(it);
}

std::vector<std::pair<std::string_view, uint64_t>> Process::totals() const {
  std::vector<std::pair<std::string_view, uint64_t>> result;
  const auto add = [&](std::string_view name, Counter Stats::*counter) {
    uint64_t sum = 0;
    for (const auto& board : boards_) sum += (board->stats.*counter).get();
    result.emplace_back(name, sum);
  };
#define CORRAL_SUM_COUNTER(name, about, grows) add(#name, &Stats::name);
  CORRAL_COUNTERS(CORRAL_SUM_COUNTER)
#undef CORRAL_SUM_COUNTER
  if (settings_.near_cache.memory_bytes > 0) {
    const auto now = near_cache_->totals();
    for (auto& [name, value] : result) {
      if (name == "near_cache_keys") value = now.keys;
      if (name == "near_cache_bytes") value = now.bytes;
      if (name == "near_cache_evictions") value = now.evictions;
      if (name == "near_cache_narrowed") value = policy::NearCache::is_narrow(near_cache_->era());
      if (name == "near_cache_narrowings") value = near_cache_->narrowings();
    }
  }
  return result;
}

NodeId Process::node_id(const config::Address& address) {
  const std::lock_guard lock(mutex_);
  return node_id_locked(address);
}

NodeId Process::node_id_locked(const config::Address& address) {
  const auto it = std::find(addresses_.begin(), addresses_.end(), address);
  if (it != addresses_.end()) return static_cast<NodeId>(it - addresses_.begin());
  if (addresses_.size() == kNoNode) return kNoNode;
  addresses_.push_back(address);
  return static_cast<NodeId>(addresses_.size() - 1);
}

config::Address Process::node_address(NodeId id) const {
  const std::lock_guard lock(mutex_);
  return addresses_[id];
}

SlotMapPtr Process::slot_map() const {
  const std::lock_guard lock(mutex_);
  return map_;
}

SlotMapPtr Process::publish(const ClusterView& view, int64_t now_us) {
  const std::lock_guard lock(mutex_);
  auto next = std::make_shared<SlotMap>();
  std::vector<NodeId> ids;
  for (const auto& node : view.nodes) {
    ids.push_back(node_id_locked(node.address));
    (node.failed ? next->failed : next->sound).push_back(ids.back());
    next->addresses.push_back(node.address);
  }
  // Each node tells them in another order, which is no change.
  std::sort(next->sound.begin(), next->sound.end());
  std::sort(next->failed.begin(), next->failed.end());
  std::sort(next->addresses.begin(), next->addresses.end(),
            [](auto& a, auto& b) { return std::tie(a.host, a.port) < std::tie(b.host, b.port); });
  for (size_t slot = 0; slot < resp::kSlots; ++slot) {
    const uint16_t owner = view.owner[slot];
    if (owner != ClusterView::kNobody) next->owner[slot] = ids[owner];
  }
  for (size_t i = 0; i < view.nodes.size(); ++i) next->masters.push_back({ids[i], view.nodes[i].name, 0, 0});
  SlotMapPtr changed = store(std::move(next), now_us);
  if (told_ != map_) {
    tell_changes(
        *told_, *map_, [this](NodeId id) { return config::format_address(addresses_[id]); }, now_us, events_);
    told_ = map_;
  }
  return changed;
}

SlotMapPtr Process::publish_move(uint16_t slot, NodeId owner, int64_t now_us) {
  const std::lock_guard lock(mutex_);
  auto next = std::make_shared<SlotMap>(*map_);
  next->owner[slot] = owner;
  const auto is_owner = [owner](const SlotMap::Master& master) { return master.id == owner; };
  // Its name is not known yet: the refresh that follows will tell.
  if (std::none_of(next->masters.begin(), next->masters.end(), is_owner)) next->masters.push_back({owner, "", 0, 0});
  return store(std::move(next), now_us);
}

SlotMapPtr Process::store(std::shared_ptr<SlotMap> next, int64_t now_us) {
  next->count_slots();
  std::sort(next->masters.begin(), next->masters.end(), [](auto& a, auto& b) { return a.name < b.name; });
  const bool moved = next->owner != map_->owner;
  for (size_t slot = 0; moved && map_->version > 0 && slot < resp::kSlots; ++slot) {
    if (next->owner[slot] != map_->owner[slot]) touched_us_[slot] = now_us;
  }
  const auto same_master = [](auto& a, auto& b) { return a.id == b.id && a.name == b.name; };
  const bool same_nodes =
      next->addresses == map_->addresses && next->sound == map_->sound &&
      std::equal(next->masters.begin(), next->masters.end(), map_->masters.begin(), map_->masters.end(), same_master);
  if (!moved && same_nodes) return nullptr;
  next->version = map_->version + 1;
  map_ = std::move(next);
  return map_;
}

void Process::note_open_slot(uint16_t slot, int64_t now_us) {
  const std::lock_guard lock(mutex_);
  touched_us_[slot] = now_us;
}

std::vector<uint16_t> Process::slots_touched_since(int64_t since_us) const {
  const std::lock_guard lock(mutex_);
  std::vector<uint16_t> slots;
  for (uint16_t slot = 0; slot < resp::kSlots; ++slot) {
    if (touched_us_[slot] != 0 && touched_us_[slot] >= since_us) slots.push_back(slot);
  }
  return slots;
}

const resp::CommandSpec* Process::unlisted(std::string_view name, int64_t now_us, bool& known) const {
  const std::lock_guard lock(mutex_);
  const auto it = unlisted_.find(std::string(name));
  known = it != unlisted_.end() && (it->second.command || now_us - it->second.asked_us < kAskAgainUs);
  return known && it->second.command ? &it->second.command->spec() : nullptr;
}

void Process::learn_unlisted(std::string_view name, std::unique_ptr<resp::UnlistedCommand> command, int64_t now_us) {
  const std::lock_guard lock(mutex_);
  if (unlisted_.size() >= kMaxUnknown) std::erase_if(unlisted_, [](auto& entry) { return !entry.second.command; });
  Unlisted& entry = unlisted_[std::string(name)];
  if (!entry.command) entry.command = std::move(command);  // one that was found is referred to and never replaced
  entry.asked_us = now_us;
}

void Process::pause_clients(ClientPause pause, uint64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (client_pause_.in_force(now_ms)) {
    pause.kind = std::max(pause.kind, client_pause_.kind);
    pause.end_ms = std::max(pause.end_ms, client_pause_.end_ms);
  }
  client_pause_ = std::move(pause);
}

void Process::unpause_clients() {
  const std::lock_guard lock(mutex_);
  client_pause_ = {};
}

ClientPause Process::client_pause() const {
  const std::lock_guard lock(mutex_);
  return client_pause_;
}

void Process::set_upstream_version(std::string version) {
  const std::lock_guard lock(mutex_);
  upstream_version_ = std::move(version);
}

std::string Process::upstream_version() const {
  const std::lock_guard lock(mutex_);
  return upstream_version_;
}

void Process::set_upstream_failure(std::string reason) {
  const std::lock_guard lock(mutex_);
  upstream_failure_ = std::move(reason);
}

std::string Process::upstream_failure() const {
  const std::lock_guard lock(mutex_);
  return upstream_failure_;
}

}  // namespace corral::core
