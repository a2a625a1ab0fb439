#include "proxy/core/snapshot.h"

#include <algorithm>
#include <utility>

#include "proxy/core/near.h"
#include "proxy/core/worker.h"

namespace corral::core {

void NodeSnapshot::add(const NodeSnapshot& other) {
  times.add(other.times);
  failures += other.failures;
  moved += other.moved;
  asked += other.asked;
  connections += other.connections;
  failing += other.failing;
  given_up += other.given_up;
  in_flight += other.in_flight;
}

void RuleSnapshot::add(const RuleSnapshot& other) {
  near_hits += other.near_hits;
  near_misses += other.near_misses;
  reads_shared += other.reads_shared;
  invalidations += other.invalidations;
  leases.add(other.leases);
  ttl.add(other.ttl);
}

void WorkerSnapshot::add(const WorkerSnapshot& other) {
  for (const auto& [id, node] : other.nodes) nodes[id].add(node);
  for (const auto& [name, rule] : other.rules) rules[name].add(rule);
  held += other.held;
  in_flight_bytes += other.in_flight_bytes;
  buffer_bytes += other.buffer_bytes;
  spare_buffer_bytes += other.spare_buffer_bytes;
  own_connections += other.own_connections;
  key_counter_bytes += other.key_counter_bytes;
  clients.insert(clients.end(), other.clients.begin(), other.clients.end());
  const std::vector<policy::HotKey> hot[] = {std::move(hot_keys), other.hot_keys};
  hot_keys = policy::merge_hot_keys(hot, SIZE_MAX);
  const std::vector<policy::BigKey> big[] = {std::move(big_keys), other.big_keys};
  big_keys = policy::merge_big_keys(big, SIZE_MAX);
}

WorkerSnapshot take_snapshot(Worker& worker, const SnapshotWish& wish) {
  WorkerSnapshot snapshot;
  worker.for_each_node_stats([&](NodeId id, const NodeStats& stats) {
    NodeSnapshot& node = snapshot.nodes[id];
    node.times.add(stats.times);
    node.failures = stats.failures.get();
    node.moved = stats.moved.get();
    node.asked = stats.asked.get();
  });
  const auto add_link = [&](const Link& link) {
    NodeSnapshot& node = snapshot.nodes[link.node()];
    node.connections += link.ready();
    node.failing += !link.ready() && link.failures() > 0;
    node.in_flight += link.in_flight();
  };
  worker.for_each_link([&](Link& link) { add_link(link); });
  worker.for_each_control_link([&](Link& link) { add_link(link); });
  for (const Link* link : worker.own_links().used_links()) add_link(*link);
  for (auto& [id, node] : snapshot.nodes) node.given_up = !worker.health().admits(id);
  if (Near* near = worker.near()) {
    for (const auto& [name, counters] : near->counters()) {
      snapshot.rules[name] = {counters.hits, counters.misses, counters.shared, counters.invalidations, {}, {}};
    }
  }
  for (const auto& [name, counters] : worker.leases().counters()) snapshot.rules[name].leases = counters;
  for (const auto& [name, stats] : worker.rule_stats().all()) snapshot.rules[name].ttl = stats;
  snapshot.held = worker.holds().size();
  snapshot.in_flight_bytes = worker.inflight_bytes();
  snapshot.buffer_bytes = worker.pool().used_bytes();
  snapshot.spare_buffer_bytes = worker.pool().spare_bytes();
  snapshot.own_connections = worker.own_links().used() + worker.own_links().idle();
  for (const auto& [id, session] : worker.sessions()) {
    if (snapshot.clients.size() >= wish.clients) break;
    snapshot.clients.push_back(session->describe());
  }
  const SeenKeys& seen = worker.seen_keys();
  snapshot.key_counter_bytes = seen.memory_bytes();
  snapshot.hot_keys = seen.hot().top(wish.hot_keys, worker.now64_ms());
  snapshot.big_keys = seen.big().keys();
  snapshot.big_keys.resize(std::min(snapshot.big_keys.size(), wish.big_keys));
  return snapshot;
}

}  // namespace corral::core
