// Keeps the slot map true: asks for the topology, publishes it and gives all workers the new map. One a process, on
// worker 0. Whom it asks and whose word counts is the business of a source (topology_source.h).
//
// Rounds of asking are started by the first use, by MOVED and its kin, by lost connections and from time to time; one
// at a time and never closer together than 100 ms.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "proxy/core/slot_map.h"
#include "proxy/core/topology_source.h"

namespace corral::core {

class Worker;

class TopologyKeeper {
 public:
  explicit TopologyKeeper(Worker& worker);

  /// The first round; later ones follow by themselves.
  void start() { start_round(); }
  /// A round soon, unless one is under way: then one after it.
  void request_refresh();

 private:
  void start_round();
  void finish_round(const std::optional<ClusterView>& view);
  void refresh_after(uint32_t delay_ms);
  void conclude_after(uint32_t delay_ms);
  void ask_facts();

  Worker& worker_;
  const std::unique_ptr<TopologySource> source_;
  bool asking_ = false;  // a round is under way
  bool scheduled_ = false;
  bool again_ = false;           // asked for while a round was under way
  NodeId facts_from_ = kNoNode;  // the master that was last asked what it is
  uint32_t facts_asked_ms_ = 0;
  uint32_t failures_ = 0;    // rounds in a row without an answer
  uint32_t started_ms_ = 0;  // the last round
  bool timed_ = false;       // the periodic timer runs
  bool limited_ = false;     // that by which a round is to end
};

}  // namespace corral::core
