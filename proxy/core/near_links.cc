#include "proxy/core/near_links.h"

#include <algorithm>

#include "proxy/core/lease_fleet.h"
#include "proxy/core/leases.h"
#include "proxy/core/near.h"
#include "proxy/core/upstream_facts.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"
#include "resp/slot_tag.h"

namespace corral::core {

using policy::NearCache;
using resp::ReplyView;

namespace {

constexpr uint32_t kBeatsWithinStaleness = 4;

LinkKind kind_of(uint16_t database) { return {3, database, Tracking::kOptIn}; }

}  // namespace

uint16_t NearLinkNumbers::find_or_add(NearCache& cache, uint32_t worker, NodeId node, uint16_t database) {
  const std::lock_guard lock(mutex_);
  const auto [it, is_new] = numbers_.try_emplace({worker, {node, database}}, NearCache::kNoLink);
  if (is_new) it->second = cache.add_link();
  return it->second;
}

// The answers to a keyed read and, in a cluster, to CLUSTER INFO.
class NearLinks::Heartbeat final : public Task {
 public:
  Heartbeat(NearLinks& links, NodeId node, uint16_t database, uint64_t sent_ms, uint32_t replies)
      : links_(links), node_(node), database_(database), sent_ms_(sent_ms), awaited_(replies) {}

  void on_reply(uint32_t part, std::string_view bytes) override {
    const ReplyView reply(bytes);
    if (part == 0) {
      sound_ = reply.type() == ':';
    } else {
      epochs_ =
          info_field(reply.text(), "cluster_current_epoch:") + ' ' + info_field(reply.text(), "cluster_my_epoch:");
    }
    if (--awaited_ > 0) return;
    links_.on_heartbeat(node_, database_, sent_ms_, sound_, std::move(epochs_));
    delete this;
  }

 private:
  NearLinks& links_;
  const NodeId node_;
  const uint16_t database_;
  const uint64_t sent_ms_;
  uint32_t awaited_;
  bool sound_ = false;
  std::string epochs_;
};

NearLinks::NearLinks(Worker& worker, NearCache& cache) : worker_(worker), cache_(cache) {}

NearLinks::~NearLinks() = default;

// By bits that choose nothing else (policy/key_table.h).
uint32_t NearLinks::home_of(uint64_t hash) const {
  return static_cast<uint32_t>((hash >> 20 & 0xFFF) % worker_.process().workers());
}

uint16_t NearLinks::number(uint32_t home, NodeId node, uint16_t database) {
  if (node == kNoNode) return NearCache::kNoLink;
  const auto [it, is_new] = known_.try_emplace({home, {node, database}}, NearCache::kNoLink);
  if (!is_new) return it->second;
  it->second = worker_.process().near_links().find_or_add(cache_, home, node, database);
  if (database != 0) {  // of the others nobody knows beforehand whether they are used
    worker_.transport().post(home, [node, database](Worker& other) { other.near()->links().open(node, database); });
  }
  return it->second;
}

NearLinks::State* NearLinks::state_of(NodeId node, uint16_t database) {
  const auto it = states_.find({node, database});
  return it == states_.end() ? nullptr : &it->second;
}

void NearLinks::open(NodeId node, uint16_t database) {
  State& state = states_[{node, database}];
  if (state.number == NearCache::kNoLink) state.number = number(worker_.index(), node, database);
  if (beating_) return beat(node, database, state);
  beating_ = true;
  beat_all();
}

// Nodes that are no masters any more have nothing to vouch for.
void NearLinks::update() {
  const auto& masters = worker_.map().masters;
  const auto is_master = [&](NodeId node) {
    return std::any_of(masters.begin(), masters.end(), [&](const auto& master) { return master.id == node; });
  };
  std::erase_if(states_, [&](const auto& item) {
    const bool goes = !worker_.near()->on() || !is_master(item.first.first);
    if (goes) cache_.lose_link(item.second.number);
    return goes;
  });
  if (!worker_.near()->on()) return;
  for (const auto& master : masters) {
    if (!state_of(master.id, 0)) open(master.id, 0);
  }
}

void NearLinks::beat_all() {
  if (states_.empty() || worker_.stopping()) {
    beating_ = false;
    return;
  }
  for (auto& [place, state] : states_) beat(place.first, place.second, state);
  const auto staleness_ms = static_cast<uint32_t>(worker_.settings().near_cache.max_staleness_ms);
  worker_.after(std::max(1u, staleness_ms / kBeatsWithinStaleness), [this] { beat_all(); });
}

void NearLinks::beat(NodeId node, uint16_t database, State& state) {
  Link* link = worker_.usable_link(node, kind_of(database));
  if (state.awaited || !link) return;
  const auto& masters = worker_.map().masters;
  const auto master = std::find_if(masters.begin(), masters.end(), [&](const auto& one) { return one.id == node; });
  if (master == masters.end()) return;
  const bool is_cluster = !worker_.one_owner();
  state.awaited = true;
  Request request;
  request.task = new Heartbeat(*this, node, database, worker_.now64_ms(), is_cluster ? 2 : 1);
  request.flags = kNodeBound | kReadOnly;
  std::string bytes;
  resp::append_command(bytes, {"EXISTS", resp::slot_tag(master->first_slot)});
  link->send(request, bytes);
  if (!is_cluster) return;
  bytes.clear();
  resp::append_command(bytes, {"CLUSTER", "INFO"});
  request.ticket = 1;
  link->send(request, bytes);
}

// A change of the epochs may be a slot that this node has lost: what it vouched for is asked for again.
void NearLinks::on_heartbeat(NodeId node, uint16_t database, uint64_t sent_ms, bool sound, std::string epochs) {
  State* state = state_of(node, database);
  if (!state) return;
  state->awaited = false;
  if (!sound) return;
  if (state->epochs != epochs) {
    if (!state->epochs.empty()) {
      cache_.drop_link(state->number);
      worker_.refresh_topology();
    }
    state->epochs = std::move(epochs);
  }
  cache_.renew(state->number, sent_ms + static_cast<uint64_t>(worker_.settings().near_cache.max_staleness_ms));
}

void NearLinks::on_ready(Link& link) {
  State* state = state_of(link.node(), link.kind().database());
  if (state) beat(link.node(), link.kind().database(), *state);
}

void NearLinks::on_failed(Link& link) {
  State* state = state_of(link.node(), link.kind().database());
  if (!state) return;
  cache_.lose_link(state->number);
  worker_.stats().near_cache_flushes.add();
}

// Also of a lease of another proxy (lease_fleet.h).
void NearLinks::tell_leases(std::string_view name, uint16_t database) {
  Leases& leases = worker_.leases();
  const std::string_view key = key_of_lease(name);
  if (key.empty()) return leases.on_invalidated(name, policy::KeyTable::hash(name), database);
  leases.on_released_elsewhere(key, policy::KeyTable::hash(key), database);
}

// {"invalidate", keys}, or null for all that there is.
void NearLinks::on_push(Link& link, std::string_view push) {
  const auto parts = ReplyView(push).elements();
  if (parts.size() != 2 || parts[0].text() != "invalidate") return;
  State* state = state_of(link.node(), link.kind().database());
  if (parts[1].is_null()) {
    if (state) cache_.drop_link(state->number);
    worker_.stats().near_cache_flushes.add();
    return;
  }
  for (const ReplyView& key : parts[1].elements()) {
    cache_.invalidate(key.text());
    tell_leases(key.text(), link.kind().database());
    worker_.near()->note_invalidation(key.text());
  }
}

}  // namespace corral::core
