// The worker's connections to the nodes: those that clients share, and what is for itself.
#include <algorithm>

#include "proxy/core/tracking_clients.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr uint32_t kGoneMs = 30'000;

}  // namespace

Link* Worker::make_link(NodeId node, LinkKind kind) {
  if (node == kNoNode || stopping_ || !health_.admits(node)) return nullptr;
  if (links_.size() <= kind.index()) links_.resize(kind.index() + 1u);
  LinksByNode& links = links_[kind.index()];
  if (links.size() <= node) links.resize(node + 1u);
  links[node] = std::make_unique<Link>(*this, node, kind, process_.node_address(node));
  return links[node].get();
}

Link& Worker::control_link(NodeId node, int resp, Peer peer) {
  LinksByNode& links = control_links_[resp == 3];
  if (links.size() <= node) links.resize(node + 1u);
  auto& link = links[node];
  if (!link)
    link = std::make_unique<Link>(*this, node, LinkKind(resp, 0), process_.node_address(node), Link::kSharedLogBlock,
                                  peer);
  link->always_tried = true;
  return *link;
}

bool Worker::control_link_ready(NodeId node) const {
  const LinksByNode& links = control_links_[0];
  return node < links.size() && links[node] && links[node]->ready();
}

bool Worker::control_link_failing(NodeId node) const {
  const LinksByNode& links = control_links_[0];
  return node < links.size() && links[node] && links[node]->failures() > 0;
}

void Worker::for_each_control_link(const std::function<void(Link&)>& visit) {
  for (auto& links : control_links_) {
    for (size_t node = 0; node < links.size(); ++node) {
      if (links[node]) visit(*links[node]);
    }
  }
}

NodeStats& Worker::node_stats(NodeId node) {
  if (node_stats_.size() <= node) node_stats_.resize(node + 1u);
  auto& stats = node_stats_[node];
  if (!stats) stats = std::make_unique<NodeStats>();
  return *stats;
}

void Worker::for_each_node_stats(const std::function<void(NodeId, const NodeStats&)>& visit) const {
  for (size_t node = 0; node < node_stats_.size(); ++node) {
    if (node_stats_[node]) visit(static_cast<NodeId>(node), *node_stats_[node]);
  }
}

void Worker::count_redirect(NodeId node, resp::RefusalKind kind) {
  const bool moved = kind == resp::RefusalKind::kMoved;
  (moved ? stats().redirects_moved : stats().redirects_ask).add();
  (moved ? node_stats(node).moved : node_stats(node).asked).add();
}

std::string Worker::why_unusable(uint16_t slot) const {
  if (map_->version == 0) {
    const std::string failure = process_.upstream_failure();
    return failure.empty() ? "no node has answered yet" : failure;
  }
  return map_->owner[slot] == kNoNode ? "it has no owner" : "the connection to its owner failed";
}

void Worker::for_each_link(const std::function<void(Link&)>& visit) {
  for (size_t kind = 0; kind < links_.size(); ++kind) {
    for (size_t node = 0; node < links_[kind].size(); ++node) {
      if (links_[kind][node]) visit(*links_[kind][node]);
    }
  }
  std::vector<Link*> detached;  // a copy: they end
  for (const auto& link : detached_) detached.push_back(link.get());
  for (Link* link : detached) visit(*link);
}

void Worker::detach(Link& link) {
  auto& place = links_[link.kind().index()][link.node()];
  detached_.push_back(std::move(place));
}

Link* Worker::find_link(NodeId node, LinkKind kind) const {
  const size_t index = kind.index();
  return index < links_.size() && node < links_[index].size() ? links_[index][node].get() : nullptr;
}

bool Worker::is_shared(const Link& link) const { return find_link(link.node(), link.kind()) == &link; }

void Worker::end_detached(Link* link) {
  const auto it =
      std::find_if(detached_.begin(), detached_.end(), [&](const auto& other) { return other.get() == link; });
  if (it == detached_.end()) return;
  ended_links_.push_back(std::move(*it));
  detached_.erase(it);
  forget(link);
  tracking_->on_link_lost(*link, true);
  link->abandon();
}

// Connections to nodes that are in the cluster no more go once nothing has been under way on them for a while: a slot
// may still be on its way from there.
void Worker::forget_gone_nodes() {
  forgot_ms_ = now_ms_;
  const auto forget_in = [this](LinksByNode& links) {
    for (size_t node = 0; node < links.size(); ++node) {
      if (!links[node] || map_->has(static_cast<NodeId>(node)) || !links[node]->unused_since(now_ms_, kGoneMs))
        continue;
      tracking_->on_link_lost(*links[node], links[node]->ready());
      links[node].reset();
    }
  };
  if (map_->version == 0) return;
  for (LinksByNode& links : links_) forget_in(links);
  for (LinksByNode& links : control_links_) forget_in(links);
  tracking_->forget_gone_nodes();
}

}  // namespace corral::core
