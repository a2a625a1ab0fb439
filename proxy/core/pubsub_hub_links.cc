// The hub's connections: which node is the home node, when to connect, and what goes out at the end of a turn.
#include <algorithm>
#include <utility>

#include "proxy/core/pubsub_hub.h"
#include "proxy/core/pubsub_registry.h"
#include "proxy/core/pubsub_subscribers.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr uint32_t kUnusedMs = 10'000;  // a connection is kept for so long without a subscription

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

// --- the home node ---

bool PubSubHub::is_master(NodeId node) const {
  const auto& masters = worker_.map().masters;
  return std::any_of(masters.begin(), masters.end(), [node](const auto& master) { return master.id == node; });
}

// One that is a replica now, or owns no slots any more, does it as long as it is sound and connected.
bool PubSubHub::home_serves() {
  const NodeId home = registry_.home();
  const PubSubLink* link = find_link(home);
  if (is_master(home)) return !link || link->failures() < 2;
  return link && link->ready() && contains(worker_.map().sound, home);
}

// The owner of slot 0, on which all Corrals agree; if that is the one that does not serve, the master after it.
void PubSubHub::choose_home() {
  const auto& masters = worker_.map().masters;
  if (stopped_ || masters.empty() || home_serves()) return;
  const NodeId old = registry_.home();
  std::vector<NodeId> candidates = {worker_.map().owner[0]};
  const auto at = std::find_if(masters.begin(), masters.end(), [old](const auto& master) { return master.id == old; });
  const auto first = static_cast<size_t>(at - masters.begin());
  for (size_t i = 1; i <= masters.size(); ++i) candidates.push_back(masters[(first + i) % masters.size()].id);
  const auto best = std::find_if(candidates.begin(), candidates.end(), [&](NodeId node) {
    const PubSubLink* link = find_link(node);
    return node != kNoNode && node != old && (!link || link->failures() == 0);
  });
  if (best == candidates.end() && is_master(old)) return;
  const NodeId home = best != candidates.end() ? *best : masters[0].id;
  registry_.set_home(home);
  const config::Address address = worker_.process().node_address(home);
  worker_.transport().log(LogLevel::kInfo,
                          "channels are subscribed to at " + address.host + ':' + std::to_string(address.port));
}

// --- connections ---

PubSubLink* PubSubHub::find_link(NodeId node) {
  const auto it = links_.find(node);
  return it == links_.end() ? nullptr : it->second.get();
}

PubSubLink& PubSubHub::obtain_link(NodeId node) {
  auto& link = links_[node];
  if (!link) {
    link = std::make_unique<PubSubLink>(worker_, *this, node, worker_.process().node_address(node));
    link->connect();
  }
  return *link;
}

bool PubSubHub::is_needed(NodeId node) {
  return std::any_of(topics_.begin(), topics_.end(),
                     [&](const auto& entry) { return contains(places_of(*entry.second), node); });
}

void PubSubHub::check_links() {
  relink_ = false;
  const uint32_t now_ms = worker_.now_ms();
  std::erase_if(links_, [&](const auto& entry) {
    PubSubLink& link = *entry.second;
    if (link.ready()) return link.sources == 0 && now_ms - link.unused_since_ms > kUnusedMs;
    if (!link.lost() || static_cast<int32_t>(now_ms - link.retry_at_ms()) < 0) return false;
    if (!is_needed(link.node())) return true;
    link.connect();
    return false;
  });
}

// --- the end of a turn ---

void PubSubHub::answer_passed() {
  progress_ = false;
  std::vector<Topic*> topics;
  for (const auto& [number, topic] : restless_) topics.push_back(topic);
  for (Topic* topic : topics) settle(*topic);  // none but itself is gone afterwards
}

void PubSubHub::flush() {
  if (relink_) check_links();
  if (progress_) answer_passed();
  for (auto& [node, link] : links_) link->flush();
  for (uint32_t i = 0; i < batches_.size(); ++i) {
    if (batches_[i].empty()) continue;
    HubBatch batch = std::exchange(batches_[i], {});
    if (i == worker_.index()) {
      worker_.subscribers().take(batch);
    } else {
      worker_.transport().post(i,
                               [given = std::move(batch)](Worker& other) mutable { other.subscribers().take(given); });
    }
  }
}

void PubSubHub::stop() {
  stopped_ = true;
  links_.clear();
}

}  // namespace corral::core
