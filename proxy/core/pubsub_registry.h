// What the process knows of its subscriptions, for whoever counts receivers: how many clients have subscribed to a
// name, and at which nodes Corral has, for all of them. Off the hot way: it is written when clients subscribe and
// leave, and read by PUBLISH and PUBSUB. From any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/pubsub_frame.h"
#include "proxy/core/slot_map.h"

namespace corral::core {

class PubSubRegistry {
 public:
  /// Nobody has subscribed to anything, Corral neither. Takes no lock.
  bool empty() const { return names_.load(std::memory_order_acquire) == 0; }

  // The clients, counted by their workers.
  void add_client(ChannelKind kind, std::string_view name);
  void remove_client(ChannelKind kind, std::string_view name);
  // Corral's own subscriptions, noted by the hub: asked for, confirmed, and ended.
  void add_own(ChannelKind kind, std::string_view name, NodeId node, bool confirmed);
  void remove_own(ChannelKind kind, std::string_view name, NodeId node);

  /// What a PUBLISH (or SPUBLISH) of `channel` is to answer that `node` has answered with `told`: Corral's own
  /// subscriptions there do not count, the clients that these reach do.
  int64_t receivers(bool shard, std::string_view channel, NodeId node, int64_t told) const;

  /// Names that clients have subscribed to and that match `pattern`.
  std::vector<std::string> names(ChannelKind kind, std::string_view pattern) const;
  size_t count_names(ChannelKind kind) const;
  int64_t clients(ChannelKind kind, std::string_view name) const;
  bool own_at(ChannelKind kind, std::string_view name, NodeId node) const;
  int64_t own_patterns_at(NodeId node) const;

  /// The node where ordinary channels are subscribed to; chosen by the hub.
  NodeId home() const { return home_.load(std::memory_order_relaxed); }
  void set_home(NodeId node) { home_.store(node, std::memory_order_relaxed); }
  /// A slot by which a PUBLISH is routed: to the home node if that owns slots, else to the same node for all.
  uint16_t publish_slot(const SlotMap& map) const;

 private:
  struct Own {
    NodeId node;
    bool confirmed;
  };
  struct Entry {
    int64_t clients = 0;
    std::vector<Own> own;
    const Own* own_at(NodeId node) const;
  };
  using Entries = NameMap<Entry>;

  Entry& obtain(ChannelKind kind, std::string_view name);
  const Entry* find(ChannelKind kind, std::string_view name) const;
  void erase_if_unused(ChannelKind kind, std::string_view name);

  std::atomic<uint64_t> names_{0};  // entries, of all kinds
  std::atomic<NodeId> home_{kNoNode};
  mutable std::mutex mutex_;  // guards what follows
  std::array<Entries, kChannelKinds> entries_;
};

}  // namespace corral::core
