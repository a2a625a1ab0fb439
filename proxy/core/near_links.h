// The connections that vouch for what the near cache keeps: for each node and database one of each worker, in RESP3,
// over which the node tells which of the keys read there have changed.
//
// Each is trusted for as long as its node answers: a heartbeat goes out over it, four times within `max_staleness`, and
// its answer vouches for `max_staleness` from when it was sent. The heartbeat reads a key, since a master that the
// cluster has left behind still answers PING; and it asks for the cluster's epochs, since a slot that is given away
// without its keys being moved is told by nothing else. Source: https://redis.io/docs/manual/client-side-caching,
// "What to do when losing connection with the server"; Redis Cluster specification, "Cluster current epoch".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "policy/near_cache.h"
#include "proxy/core/link_kind.h"
#include "proxy/core/slot_map.h"

namespace corral::core {

class Link;
class Worker;

/// Which connection is which to the cache: one for the process.
class NearLinkNumbers {
 public:
  /// NearCache::kNoLink if there are too many. From any thread.
  uint16_t find_or_add(policy::NearCache& cache, uint32_t worker, NodeId node, uint16_t database);

 private:
  std::mutex mutex_;
  std::map<std::pair<uint32_t, std::pair<NodeId, uint16_t>>, uint16_t> numbers_;
};

class NearLinks {
 public:
  NearLinks(Worker& worker, policy::NearCache& cache);
  ~NearLinks();

  /// Which connection would vouch for a read: that of the key's home worker to `node`.
  uint32_t home_of(uint64_t hash) const;
  uint16_t number(uint32_t home, NodeId node, uint16_t database);

  /// The masters, or whether there is anything to vouch for, may have changed.
  void update();
  void on_ready(Link& link);
  void on_failed(Link& link);
  void on_push(Link& link, std::string_view push);

 private:
  class Heartbeat;
  struct State {
    uint16_t number = policy::NearCache::kNoLink;
    bool awaited = false;  // the answer to a heartbeat
    std::string epochs;    // of the cluster, as the node last said
  };

  void tell_leases(std::string_view name, uint16_t database);
  State* state_of(NodeId node, uint16_t database);
  void open(NodeId node, uint16_t database);
  void beat_all();
  void beat(NodeId node, uint16_t database, State& state);
  void on_heartbeat(NodeId node, uint16_t database, uint64_t sent_ms, bool sound, std::string epochs);

  Worker& worker_;
  policy::NearCache& cache_;
  bool beating_ = false;  // a timer runs
  std::map<std::pair<NodeId, uint16_t>, State> states_;
  std::map<std::pair<uint32_t, std::pair<NodeId, uint16_t>>, uint16_t> known_;  // numbers
};

}  // namespace corral::core
