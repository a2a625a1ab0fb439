// What one worker has to tell at a moment, for who shows it: taken on the worker's own thread, and from then on plain
// data. What all threads may read (Process) is not in it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "policy/big_keys.h"
#include "policy/hot_keys.h"
#include "proxy/core/latency.h"
#include "proxy/core/leases.h"
#include "proxy/core/rule_stats.h"
#include "proxy/core/slot_map.h"

namespace corral::core {

class Worker;

struct NodeSnapshot {
  LatencyCounts times;
  uint64_t failures = 0, moved = 0, asked = 0;
  uint32_t connections = 0;  // that are ready, of whatever use
  uint32_t failing = 0;      // that could not be made at the last attempt
  uint32_t given_up = 0;     // workers that have given it up, until it answers again
  uint32_t in_flight = 0;    // requests

  void add(const NodeSnapshot& other);
  /// As far as is known: who has not been connected to is taken for reachable.
  bool reachable() const { return connections > 0 || failing == 0; }
};

/// What has been done under a rule.
struct RuleSnapshot {
  uint64_t near_hits = 0, near_misses = 0, reads_shared = 0, invalidations = 0;
  Leases::RuleCounters leases;
  RuleStats ttl;

  void add(const RuleSnapshot& other);
};

struct WorkerSnapshot {
  std::map<NodeId, NodeSnapshot> nodes;
  std::map<std::string, RuleSnapshot> rules;  // by name
  uint64_t held = 0;                          // sessions' requests that wait for a slot to be settled
  uint64_t in_flight_bytes = 0;               // of requests to nodes
  uint64_t buffer_bytes = 0;                  // of requests and replies under way
  uint64_t spare_buffer_bytes = 0;            // kept for more of them
  uint64_t own_connections = 0;               // to nodes, of one client each
  uint64_t key_counter_bytes = 0;             // of what finds the hot keys
  std::vector<std::string> clients;           // some of them, as lines of CLIENT LIST
  std::vector<policy::HotKey> hot_keys;       // the hottest first
  std::vector<policy::BigKey> big_keys;       // the largest first

  void add(const WorkerSnapshot& other);
};

/// How much of what there may be much of is wanted.
struct SnapshotWish {
  size_t clients = 0, hot_keys = 0, big_keys = 0;
};
WorkerSnapshot take_snapshot(Worker& worker, const SnapshotWish& wish);

}  // namespace corral::core
