// The simulated cluster: its nodes, and what happens to it as a whole: slots move, replicas take over.
//
// Replication is without loss: a replica takes over all that its master has executed, so that exact counts can be
// demanded. News of a slot's owner reach the nodes one by one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checker.h"
#include "sim_loop.h"
#include "sim_network.h"
#include "sim_node.h"

namespace corral::sim {

class SimCluster {
 public:
  SimCluster(SimNetwork& network, Checker& checker, int masters, bool replicas);

  SimLoop& loop() { return network_.loop(); }
  Checker& checker() { return checker_; }
  SimNode& node(int index) { return *nodes_[static_cast<size_t>(index)]; }
  int size() const { return static_cast<int>(nodes_.size()); }
  /// A node and those that replicate it; the node first.
  std::vector<int> shard_of(int master) const;
  int owner(uint16_t slot) const { return owners_[slot]; }
  std::vector<int> masters() const;

  struct Migration {
    uint16_t slot;
    int from, to;
    int64_t pace_us;  // between two keys, on average
    bool cancel;      // before the first key has moved
  };
  /// Starts to move a slot to another master. False if that cannot be now.
  bool migrate(uint16_t slot, int to, int64_t pace_us, bool cancel);
  bool migrating() const { return !migrations_.empty(); }

  /// A slot has another owner at once, and what was cached in it is gone. False if that cannot be now.
  bool give_away(uint16_t slot, int to);

  /// Somebody past the proxy runs a command on one key. Nothing if its owner cannot be reached right now.
  std::optional<std::string> run_directly(const Args& args);

  /// A master's replica takes over. The master dies (`crash`; it comes back as a replica later) or steps down. False if
  /// that cannot be now.
  bool fail_over(int master, bool crash, bool silently);
  bool failing_over() const { return !failing_.empty(); }

  /// What the cluster holds, all masters together; a key that two have is reported to the checker.
  std::map<std::string, std::string> contents();

  std::string password;
  bool tryagain_when_migrating = true;  // Redis 7.0; before, the migrating node said ASK
  bool knows_shards = true;             // Redis 7.0; before, CLUSTER SLOTS
  size_t tracking_limit = 0;            // keys that a node remembers for clients; 0: all

 private:
  using MigrationPtr = std::shared_ptr<Migration>;
  void begin_migration(const MigrationPtr& migration);
  void move_next(const MigrationPtr& migration);
  void end_migration(const MigrationPtr& migration);
  void set_owner(uint16_t slot, int owner);
  void tell(int node, uint16_t slot, int64_t delay_us);
  void take_over(int from, int to, bool crash);
  void come_back(int node);
  int64_t some(int64_t average_us) { return loop().random().between(0, 2 * average_us); }

  SimNetwork& network_;
  Checker& checker_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::vector<int> owners_;       // the truth
  std::vector<uint32_t> epochs_;  // of each slot's owner
  uint32_t epoch_ = 1;            // the newest
  std::map<uint16_t, MigrationPtr> migrations_;
  std::set<int> failing_;
};

}  // namespace corral::sim
