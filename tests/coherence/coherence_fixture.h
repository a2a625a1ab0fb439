// The tests of coherence_test share one stage.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "forwarder.h"
#include "stage.h"

namespace corral::test {

class CoherenceTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { stage_ = std::make_unique<Stage>(); }
  static void TearDownTestSuite() { stage_.reset(); }

  RedisCluster& cluster() { return stage_->cluster(); }
  Field& field() { return stage_->field(); }

  // One of the hot keys after the other.
  const Key& hot_key(int round) { return field().keys()[static_cast<size_t>(round) % kHotKeys]; }
  size_t other_master(size_t than) {
    const auto masters = stage_->masters();
    const auto found = std::ranges::find_if(masters, [&](size_t node) { return node > than; });
    return found != masters.end() ? *found : masters.front();
  }
  // One master after the other, whoever takes their places.
  size_t master_of(int round) {
    return cluster().owner(field().keys()[kHotKeys + static_cast<size_t>(round) % 3].slot);
  }
  size_t replica_of(size_t master) {
    Reply replicas;
    require_eventually("the master has a replica", [&] {
      replicas = cluster().node(master).command("CLUSTER", "REPLICAS", cluster().id(master));
      return !replicas.elements.empty();
    });
    size_t node = 0;
    while (!replicas.elements[0].text.starts_with(cluster().id(node))) ++node;
    return node;
  }
  void wait_until_follows(size_t node) {
    require_eventually("the old master follows the new one", [&] {
      return info_field(cluster().node(node).command("INFO", "replication").text, "master_link_status") == "up";
    });
  }
  // Until the replica has taken over, as the other masters see it.
  void wait_for_takeover(size_t old_master, size_t replica, int slot) {
    const size_t viewer = other_master(old_master);
    require_eventually("the replica takes over", [&] { return cluster().owner_seen_by(viewer, slot) == replica; });
    require_eventually("the replica knows that it has taken over",
                       [&] { return cluster().owner_seen_by(replica, slot) == replica; });
  }

  static inline std::unique_ptr<Stage> stage_;
};

}  // namespace corral::test
