// Keeps the slot map true: asks nodes for the topology, takes the majority of what they say and gives all workers the
// new map. One a process, on worker 0.
//
// It asks up to five nodes at a time (masters that own slots first), with CLUSTER SHARDS or, where a node does not know
// that, CLUSTER SLOTS. If none answers, the next round asks others: every address that was ever learnt, and the seeds.
// Rounds are started by the first use, by MOVED and its kin, by lost connections and from time to time; one at a time
// and never closer together than 100 ms.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/request.h"
#include "proxy/core/slot_map.h"

namespace corral::core {

class Worker;

class TopologyKeeper {
 public:
  explicit TopologyKeeper(Worker& worker) : worker_(worker) {}

  /// The first round; later ones follow by themselves.
  void start();
  /// A round soon, unless one is under way: then one after it.
  void request_refresh();

 private:
  class Round;

  void start_round();
  void finish_round(const std::vector<ClusterView>& views);
  std::vector<NodeId> choose_nodes();
  void learn(const ClusterView& view);
  void ask_version();

  Worker& worker_;
  std::vector<config::Address> known_;  // seeds first, then as learnt
  size_t next_known_ = 0;               // where to go on when none answered
  Round* round_ = nullptr;              // the one under way
  bool scheduled_ = false;
  bool again_ = false;  // asked for while a round was under way
  bool version_known_ = false;
  uint32_t failures_ = 0;    // rounds in a row without an answer
  uint32_t started_ms_ = 0;  // the last round
  uint32_t timer_ = 0;       // number of the latest periodic timer
};

}  // namespace corral::core
