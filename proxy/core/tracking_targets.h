// Where nodes tell what has changed for clients of RESP2, which knows no pushes: each link of RESP2 whose node tracks
// it has a target, a connection of RESP3 to the same node (CLIENT TRACKING ON REDIRECT).
//
// The target is connected first, since the link's handshake names it; without its target a link is of no use. What
// comes there may have overtaken replies on the link, so it is kept until all that was under way there is answered.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/core/link.h"

namespace corral::core {

class Worker;

class TrackingTargets {
 public:
  explicit TrackingTargets(Worker& worker) : worker_(worker) {}

  /// The number at the node of the link's target. Empty: it is being connected, and Link::proceed() follows.
  std::string_view id_for(const Link& link);
  bool is_target(const Link& link) const { return find(link) != nullptr; }
  /// The kind of the links whose target it is.
  LinkKind kind_of(const Link& target) const { return find(target)->kind; }
  void for_each(const std::function<void(Link&)>& visit);

  /// Those at nodes that are in the cluster no more, once they are unused.
  void forget_gone_nodes();

  void on_ready(const Link& target);
  void on_lost(const Link& target);
  void on_push(const Link& target, std::string_view push);

 private:
  struct Target {
    LinkKind kind;  // of the links that it serves
    std::unique_ptr<Link> link;
  };

  const Target* find(const Link& link) const;
  Link& obtain(const Link& link);

  Worker& worker_;
  std::vector<Target> targets_;  // a few for each node
};

}  // namespace corral::core
