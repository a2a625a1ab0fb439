// A cache of numbered keys that drives the eviction policy as the key table does, for its tests.
#pragma once

#include <cstdint>
#include <vector>

#include "policy/eviction.h"

namespace corral::policy {

constexpr uint32_t kEntryBytes = 1 << 20;  // so large that ghosts hardly count

inline uint32_t hash_of(uint32_t key) {
  key = (key ^ (key >> 16)) * 0x85ebca6bU;
  key = (key ^ (key >> 13)) * 0xc2b2ae35U;
  return key ^ (key >> 16);
}

/// A cache of numbered keys, as the key table would drive the policy.
class Cache {
 public:
  Cache(uint64_t memory_bytes, uint32_t keys) : eviction(memory_bytes), nodes(keys) {}
  /// With room for this many entries of kEntryBytes, and the ghosts.
  static uint64_t memory_for(uint64_t entries) { return (entries + 1) * kEntryBytes - 1; }

  bool has(uint32_t key) const { return nodes[key].queue != EvictionNode::Queue::kNone; }
  EvictionNode::Queue queue(uint32_t key) const { return nodes[key].queue; }
  /// Whether it was a hit. A miss is admitted.
  bool read(uint32_t key, uint32_t bytes = kEntryBytes) {
    if (has(key)) {
      eviction.hit(nodes[key]);
      return true;
    }
    eviction.insert(nodes[key], hash_of(key), bytes);
    evict();
    return false;
  }
  std::vector<uint32_t> evict() {
    std::vector<uint32_t> victims;
    while (EvictionNode* node = eviction.evict()) victims.push_back(static_cast<uint32_t>(node - nodes.data()));
    return victims;
  }
  void remove(uint32_t key) { eviction.remove(nodes[key]); }

  Eviction eviction;
  std::vector<EvictionNode> nodes;
};

}  // namespace corral::policy
