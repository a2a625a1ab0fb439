#include "proxy/core/link_pool.h"

#include <algorithm>
#include <cassert>

#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr size_t kMostIdle = 2048;  // for each node and kind; as many as were in use in the last minute
constexpr uint32_t kMostIdleMs = 60'000;
constexpr size_t kMostConnecting = 64;  // to a node; it accepts as many at a time from each of several workers
constexpr uint32_t kLogBlock = 256;     // there is one request on it

// An idle one is about to be freed. Of a session that went away an UNWATCH may be under way, or not written yet.
void end(Worker& worker, Link& link) {
  worker.forget(&link);
  link.abandon();
}

}  // namespace

Link* LinkPool::take(NodeId node, LinkKind kind) {
  auto& idle = idle_[{node, kind}];
  std::unique_ptr<Link> link;
  while (!idle.empty() && !link) {
    link = std::move(idle.back().link);
    idle.pop_back();
    --idle_count_;
    if (link->connected()) break;
    end(worker_, *link);  // the node closed it meanwhile
    link.reset();
  }
  const bool is_new = !link;
  if (is_new) link = std::make_unique<Link>(worker_, node, kind, worker_.process().node_address(node), kLogBlock);
  link->number = next_number_++;
  if (is_new) note_connecting(*link);
  return used_.emplace(link->number, std::move(link)).first->second.get();
}

bool LinkPool::has_room(NodeId node, LinkKind kind) {
  if (const auto it = idle_.find({node, kind}); it != idle_.end() && !it->second.empty()) return true;
  auto& connecting = connecting_[node];
  if (connecting.size() < kMostConnecting) return true;
  std::erase_if(connecting, [this](uint64_t number) {
    const auto it = used_.find(number);
    return it == used_.end() || it->second->ready() || !it->second->connected();
  });
  return connecting.size() < kMostConnecting;
}

void LinkPool::give(Link* link) {
  const auto it = used_.find(link->number);
  auto& idle = idle_[{link->node(), link->kind()}];
  if (!link->ready() || idle.size() >= kMostIdle || worker_.stopping()) return drop(link);
  idle.push_back({std::move(it->second), worker_.now_ms()});
  ++idle_count_;
  used_.erase(it);
}

void LinkPool::drop(Link* link) {
  const auto it = used_.find(link->number);
  assert(it != used_.end());
  buried_.push_back(std::move(it->second));
  used_.erase(it);
  worker_.forget(link);
  link->abandon();
}

// A copy: links come and go while something is done with each.
std::vector<Link*> LinkPool::used_links() const {
  std::vector<Link*> links;
  for (const auto& [number, link] : used_) links.push_back(link.get());
  return links;
}

void LinkPool::tick(uint32_t now_ms) {
  for (Link* link : used_links()) link->check_timeouts(now_ms);  // one dropped meanwhile has nothing under way
  const int64_t timeout_ms = worker_.settings().upstream.request_timeout_ms;
  for (auto& [key, idle] : idle_) {
    idle_count_ -= std::erase_if(idle, [&](const Idle& one) {
      const uint32_t idle_ms = now_ms - one.since_ms;
      const bool is_silent = one.link->in_flight() > 0 && idle_ms > timeout_ms;
      if (idle_ms <= kMostIdleMs && one.link->connected() && !is_silent) return false;
      end(worker_, *one.link);
      return true;
    });
  }
  std::erase_if(idle_, [](const auto& entry) { return entry.second.empty(); });
  if (connecting_.size() <= worker_.map().sound.size()) return;
  std::erase_if(connecting_, [this](const auto& entry) { return !worker_.map().has(entry.first); });
}

void LinkPool::stop() {
  for (Link* link : used_links()) link->fail("shutting down");
  for (auto& [key, idle] : idle_) {
    for (const Idle& one : idle) end(worker_, *one.link);
  }
  idle_.clear();
  idle_count_ = 0;
}

}  // namespace corral::core
