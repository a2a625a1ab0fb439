// Where the topology comes from: one source for each kind of upstream (upstream.mode).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "proxy/core/slot_map.h"

namespace corral::core {

class Worker;

class TopologySource {
 public:
  /// What a round of asking has come to; nothing: nobody could tell.
  using Done = std::function<void(std::optional<ClusterView>)>;
  /// How often to ask: when all is well and nothing gives a reason to, and how seldom at most when nobody can tell.
  struct Pace {
    uint32_t interval_ms, most_gap_ms;
  };

  virtual ~TopologySource() = default;
  virtual Pace pace() const = 0;
  /// One round; the one before is over. `done` is called once, at once or later.
  virtual void ask(Done done) = 0;
  /// The round has taken long enough: what has come must do. `done` has been called after this.
  virtual void conclude() = 0;
};

// topology_cluster.cc: the nodes of a Redis Cluster.
std::unique_ptr<TopologySource> make_cluster_source(Worker& worker);
// topology_standalone.cc: one server, known from the settings.
std::unique_ptr<TopologySource> make_standalone_source(Worker& worker);
// topology_sentinel.cc: the sentinels that watch a master. `ask_again` asks for a round soon.
std::unique_ptr<TopologySource> make_sentinel_source(Worker& worker, std::function<void()> ask_again);

/// A view in which one node owns every slot.
ClusterView view_of_one_owner(std::string name, config::Address address);

}  // namespace corral::core
