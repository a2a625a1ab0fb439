// A Redis Cluster of the test's own. It is joined by hand (ADDSLOTSRANGE, SET-CONFIG-EPOCH, MEET, REPLICATE), which is
// faster than redis-cli; what then remains are the two seconds for which a fresh cluster node refuses to serve.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "redis.h"

namespace corral::test {

inline constexpr int kSlots = 16384;

// The slot of a key, by the Redis Cluster specification.
int slot_of(std::string_view key);
// A short hash tag, braces included, whose slot is this one: a key that begins with it is in that slot.
std::string tag_of_slot(int slot);

struct ClusterOptions {
  int masters = 3;
  int replicas_per_master = 0;
  int node_timeout_ms = 15'000;            // small where a test waits for a failover; else busy cores would cause one
  bool full_coverage = false;              // cluster-require-full-coverage
  int first_slot = 0;                      // the masters share the slots from here
  int last_slot = kSlots - 1;              // to here
  std::vector<std::string> settings = {};  // as for RedisServer
};

class RedisCluster {
 public:
  explicit RedisCluster(ClusterOptions options = {});

  // Nodes in the order of their start: the masters, then the replicas (of master 0, of master 1, ..., of master 0
  // again).
  size_t size() const { return nodes_.size(); }
  RedisServer& node(size_t index) { return *nodes_[index]; }
  const std::string& id(size_t index) const { return ids_[index]; }
  std::string seeds() const;  // HOST:PORT,HOST:PORT...
  size_t add_node();          // a master without slots

  // The index of the master that has the slot: by its own word, or in the eyes of another node (nothing: nobody).
  size_t owner(int slot);
  std::optional<size_t> owner_seen_by(size_t viewer, int slot);
  RedisServer& owner_of(std::string_view key) { return node(owner(slot_of(key))); }
  // One command to the owner of its key, without following redirects.
  template <class... Words>
  Reply command_to_owner(std::string_view key, const Words&... words) {
    return owner_of(key).command(words...);
  }

  // Moves a slot, its keys too. The steps are also there singly, so that a test can stop half-way.
  void migrate_slot(int slot, size_t from, size_t to);
  void begin_migration(int slot, size_t from, size_t to);
  size_t move_keys(int slot, size_t from, size_t to, size_t limit = SIZE_MAX);  // returns how many it moved
  void move_key(const std::string& key, size_t from, size_t to);
  void end_migration(int slot, size_t from, size_t to);

  // Makes a replica the master, as an operator does: without loss. Until all running nodes see it as the slot's owner.
  void fail_over_to(size_t replica, int slot);

  // Until all running nodes report cluster_state:ok and the same owners.
  void wait_until_agreed(milliseconds timeout = kPatience);

 private:
  size_t start_node(int epoch);
  void introduce(size_t index);
  void assign_slots();
  void make_replicas();
  bool agreed();
  bool settled(int slot, size_t owner);
  std::string view_of(size_t index);
  void require_ok(const Reply& reply, const std::string& what);

  const ClusterOptions options_;
  std::vector<std::unique_ptr<RedisServer>> nodes_;
  std::vector<std::string> ids_;
};

}  // namespace corral::test
