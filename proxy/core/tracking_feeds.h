// CLIENT TRACKING with BCAST: clients of one worker that hear of every change of keys with certain prefixes, whether
// they have read them or not.
//
// A feed is a link to each master that tracks all prefixes of all of them; each client gets what has its own. Most
// clients share one feed and read over ordinary links. With NOLOOP a client's commands go over its feed's own links (of
// its RESP version), which the nodes do not tell of what their own commands change; the others who share the links are
// told of that by TrackingClients.
//
// CLIENT TRACKING is answered when all masters have confirmed. Whatever makes a gap in what a master tells (its link is
// lost, it is a new one, prefixes change in another way than that some are added) is followed by an invalidation of
// everything.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/core/link.h"

namespace corral::core {

class Session;
class Worker;

class TrackingFeeds {
 public:
  explicit TrackingFeeds(Worker& worker) : worker_(worker) {}

  /// CLIENT TRACKING ON BCAST, perhaps once more; `whole` is answered when it is in force.
  void join(Session& session, const Request& whole);
  void leave(const Session& session);

  /// Keys that have changed; empty: any may have. `except`: the id of a client that is not told; 0: none.
  void tell(LinkKind feed, const std::vector<std::string_view>& keys, uint64_t except);

  void on_link_lost(NodeId node, LinkKind feed);
  void on_new_map(bool moved);
  void tick();
  /// A master has confirmed, or refused, what it was asked for.
  void on_confirmed(NodeId node, LinkKind feed, uint64_t cover, bool whole, std::string_view error);

 private:
  /// At one master; numbers of covers.
  struct State {
    uint64_t asked = 0, has = 0;
  };

  bool widen(const std::set<std::string, std::less<>>& prefixes);
  void narrow();
  std::set<LinkKind> feeds_in_use() const;
  void ask_masters();
  void ask(Link& link, State& state);
  void drop_unused();
  bool in_force(LinkKind feed, uint64_t cover) const;
  void confirm();
  void give_up(uint64_t id);

  Worker& worker_;
  std::map<uint64_t, Session*> sessions_;  // by id
  std::vector<std::string> cover_;         // prefixes, none of which begins with another
  std::vector<std::string> added_;         // to the cover before it, if that is all that changed
  uint64_t cover_number_ = 1;              // from 2 on: none is the next after what was not asked for
  std::map<std::pair<LinkKind, NodeId>, State> states_;
  uint32_t narrowed_ms_ = 0;
  std::string refusal_;  // the last one
};

/// Of these prefixes those that do not begin with another one.
std::vector<std::string> minimal_cover(std::vector<std::string> prefixes);

}  // namespace corral::core
