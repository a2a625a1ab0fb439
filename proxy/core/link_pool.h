// Connections that one user has at a time: a blocked client, one that watches keys, a large value under way.
//
// A link is taken, used and given back; given back it is kept for the next user, for a minute at most. Where its state
// is not known any more (the user went away in the middle) it is dropped: its connection is closed at once, so that
// the node gives up what it was doing for it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "proxy/core/link.h"

namespace corral::core {

class LinkPool {
 public:
  explicit LinkPool(Worker& worker) : worker_(worker) {}

  /// Never null; it may not be connected yet, or turn out not to connect. It is the caller's until give() or drop().
  Link* take(NodeId node, LinkKind kind);
  /// Thousands of clients that lost a node at once, or came at once, are not to connect at once: false while many are
  /// about to, unless there is an idle link. For who can wait.
  bool has_room(NodeId node, LinkKind kind);
  /// A link that was taken before, and lost, is about to connect again.
  void note_connecting(const Link& link) { connecting_[link.node()].push_back(link.number); }
  /// Nothing is under way on it, and its state is that of a new connection.
  void give(Link* link);
  /// Closes it; what is under way is answered -INDOUBT.
  void drop(Link* link);

  size_t used() const { return used_.size(); }
  size_t idle() const { return idle_count_; }

  // --- for the worker ---
  std::vector<Link*> used_links() const;
  void tick(uint32_t now_ms);
  /// Frees what was dropped; links are not freed within their own calls.
  void bury() { buried_.clear(); }
  /// Fails all that is under way.
  void stop();

 private:
  struct Idle {
    std::unique_ptr<Link> link;
    uint32_t since_ms;
  };

  Worker& worker_;
  std::map<std::pair<NodeId, LinkKind>, std::vector<Idle>> idle_;  // the last given back is taken first
  size_t idle_count_ = 0;
  std::map<NodeId, std::vector<uint64_t>> connecting_;  // numbers; some of them may be ready or gone
  std::map<uint64_t, std::unique_ptr<Link>> used_;      // by Link::number: runs are to be repeatable
  uint64_t next_number_ = 1;
  std::vector<std::unique_ptr<Link>> buried_;
};

}  // namespace corral::core
