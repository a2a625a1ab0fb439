// What one worker knows of its nodes' health: a breaker for each, and probes that find out.
//
// A probe reads a key in a slot that the node owns, since a master that its cluster has left behind still answers PING
// (Redis Cluster specification, "Availability": it refuses queries after the node timeout). It is sent
// - over a connection of its own to a node whose breaker is open: what it hears closes it;
// - over the same to a node of which a connection has been silent for a while with a read under way: if the node
//   answers there, the connection is half-open and given up, and the read is sent again over a new one. (Not where a
//   write is under way: that would be in doubt, and the node may have been told to hold writes back, CLIENT PAUSE);
// - over a connection itself on which nothing has come for long, so that a half-open one is found before a request is
//   sent into it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/breaker.h"
#include "proxy/core/slot_map.h"
#include "proxy/core/transport.h"

namespace corral::core {

class Link;
class Worker;

class Health {
 public:
  explicit Health(Worker& worker) : worker_(worker) {}

  /// Requests for the node may wait for it.
  bool admits(NodeId node) const { return node >= nodes_.size() || nodes_[node].breaker.closed(); }
  /// What a request for the slot of such a node is answered: one RESP error.
  std::string refusal(NodeId node, uint16_t slot) const;

  /// A connection to it failed, with requests under way or before it was of any use.
  void on_failure(const Link& link, std::string_view reason);
  void on_answer(NodeId node);
  /// The link has been silent for a while with a read under way.
  void suspect(const Link& link);
  /// Nothing has been said over the link for long.
  void probe_idle(Link& link);

  void tick();

 private:
  class Probe;
  struct Node {
    Breaker breaker;
    std::string reason;      // of the last failure
    bool probing = false;    // a probe is under way
    uint32_t probed_ms = 0;  // when it was sent
  };

  Node& obtain(NodeId node);
  bool heard_since(NodeId node, uint32_t since_ms);
  void open(NodeId node);
  void probe(NodeId node);
  void on_probe(NodeId node, std::string_view reply);
  std::string frame(NodeId node) const;
  void log(LogLevel level, NodeId node, std::string_view what) const;

  Worker& worker_;
  std::vector<Node> nodes_;  // by NodeId
  uint32_t refreshed_ms_ = 0;
};

}  // namespace corral::core
