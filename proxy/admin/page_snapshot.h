// The state of the process as the page shows it: one JSON document. Its numbers are from the same sources as INFO's and
// the metrics'.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "proxy/admin/history.h"
#include "proxy/admin/json.h"
#include "proxy/core/process.h"
#include "proxy/core/snapshot.h"

namespace corral::admin {

/// Of one thread: it remembers what the nodes' times were lately.
class PageSnapshot {
 public:
  /// What of each worker it is made of. A key that is hot everywhere may be among the first of none.
  static constexpr core::SnapshotWish kWish{.clients = 50, .hot_keys = 100, .big_keys = 32};

  explicit PageSnapshot(core::Process& process) : process_(process) {}

  /// `past` is not empty; `now`: of all workers.
  std::string text(const History& past, const core::WorkerSnapshot& now);

 private:
  struct NodeTimes {
    uint64_t at_us = 0;
    std::map<core::NodeId, core::LatencyCounts> times;
  };

  void add_process(const core::WorkerSnapshot& now);
  void add_figures(const History& past);
  void add_groups(const History& past);
  void add_cluster(const core::WorkerSnapshot& now, uint64_t at_us);
  void add_node(core::NodeId id, const core::SlotMap& map, const core::NodeSnapshot& node, uint64_t at_us);
  void add_slots(const core::SlotMap& map, const std::vector<core::NodeId>& nodes);
  void add_rules(const core::WorkerSnapshot& now);
  void add_rule(const std::string& name, const std::string& about, bool in_force, const core::RuleSnapshot& counts);
  void add_clients(const core::WorkerSnapshot& now);
  void add_keys(const core::WorkerSnapshot& now);
  void add_slow_requests();
  void add_events();

  core::Process& process_;
  std::deque<NodeTimes> node_times_;  // oldest first, at most a window of them
  JsonWriter json_;                   // of the document that is being made
};

/// The points of the lines, as another document.
std::string history_text(const History& past);

}  // namespace corral::admin
