// Which node owns which slot: what one node says of it, what the majority of several says, and the map that is routed
// by.
//
// A SlotMap is immutable; a new one replaces it whole. Nodes are told apart by their cluster name (40 hex digits) and
// routed to by NodeId, a small number that stands for an address as long as the process lives.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/settings.h"
#include "resp/reply_view.h"
#include "resp/slot.h"

namespace corral::core {

using NodeId = uint16_t;
inline constexpr NodeId kNoNode = 0xFFFF;
inline constexpr uint16_t kNoSlot = 0xFFFF;

/// The cluster as one node (or a majority) sees it.
struct ClusterView {
  static constexpr uint16_t kNobody = 0xFFFF;
  struct Node {
    std::string name;
    config::Address address;
    bool master = false;
    bool failed = false;  // the cluster has given it up
  };
  std::vector<Node> nodes;
  std::array<uint16_t, resp::kSlots> owner;  // index into nodes, or kNobody

  ClusterView() { owner.fill(kNobody); }
};

/// From the replies of CLUSTER SHARDS and CLUSTER SLOTS. `source`: the address that was asked; it stands in for a node
/// that is told without an address (cluster-preferred-endpoint-type unknown-endpoint). `tls`: whether of a node's two
/// ports the one for TLS is wanted; SLOTS, as MOVED, tells the one that goes with the connection that it is asked on.
/// Nothing if it is no such reply.
std::optional<ClusterView> parse_cluster_shards(const resp::ReplyView& reply, const config::Address& source, bool tls);
std::optional<ClusterView> parse_cluster_slots(const resp::ReplyView& reply, const config::Address& source);

/// For each slot the owner that most views name; of equals the one that is named first.
ClusterView majority(std::span<const ClusterView> views);

struct SlotMap {
  struct Master {
    NodeId id;
    std::string name;
    uint16_t first_slot;  // a slot that it owns: keyless commands for this node are routed by it
    uint16_t slots;       // how many it owns
  };
  uint64_t version = 0;                    // grows with each map of this process
  std::array<NodeId, resp::kSlots> owner;  // kNoNode: nobody
  std::vector<Master> masters;             // those that own slots, by name
  std::vector<config::Address> addresses;  // of all nodes, replicas too: where to ask next
  std::vector<NodeId> sound;               // the nodes that have not failed
  std::vector<NodeId> failed;              // those that the cluster has given up

  SlotMap() { owner.fill(kNoNode); }
  /// A master, or another node that has not failed.
  bool has(NodeId node) const;
  /// Fills in masters' slots from owner; drops those without.
  void count_slots();
};

using SlotMapPtr = std::shared_ptr<const SlotMap>;

}  // namespace corral::core
