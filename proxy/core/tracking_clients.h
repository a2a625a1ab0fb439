// CLIENT TRACKING offered to the clients of one worker, as on one Redis.
//
// What a client reads that tracks goes over links that the tracking clients of its worker share, one for each node; the
// node tracks the link, and this table knows which of the clients have read the key of which it tells. Since a node
// answers and tells on one connection, in order, a read is noted when its reply comes: what is told later comes behind.
// For RESP2 the node tells another connection (tracking_targets.h); what comes there is looked at when all that was
// under way on the link has been answered, and so is in order too. Clients with BCAST read over ordinary links, and are
// told what comes on links of their own (tracking_feeds.h).
//
// Nothing is lost: what was read over a connection that is not tracked, or from a node that is not the slot's owner by
// now, is told to have changed right behind its reply; and when a link is lost, or a slot has a new owner, all that was
// read there has. With NOLOOP the node does not tell the link of its own commands' changes, so that the other clients
// who share it are told here.
// Source: https://redis.io/docs/manual/client-side-caching; Redis 7.0, tracking.c.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "proxy/core/link.h"
#include "proxy/core/slot_map.h"
#include "proxy/core/tracking_feeds.h"
#include "proxy/core/tracking_session.h"
#include "proxy/core/tracking_table.h"
#include "proxy/core/tracking_targets.h"

namespace corral::core {

class Session;
class Worker;

class TrackingClients {
 public:
  explicit TrackingClients(Worker& worker);

  // --- sessions; nothing of theirs is under way ---
  /// CLIENT TRACKING ON, its options checked; answers `whole`, perhaps later.
  void join(Session& session, TrackingOptions options, const Request& whole);
  /// CLIENT TRACKING OFF, RESET, or it is closed.
  void leave(Session& session);
  /// The session speaks another protocol or uses another database.
  void update(Session& session);
  /// Tells the client that this one redirects to.
  void redirect(Session& from, std::string_view keys);

  // --- events ---
  /// Before the reply is given: a request of a client that tracks, or did when it was sent, has been answered. `reply`:
  /// empty if it was passed on as it came.
  void on_reply(Link& link, const Link::Pending& pending, std::string_view reply);
  void on_push(Link& link, std::string_view push);
  void on_link_ready(const Link& link) {
    if (targets_.is_target(link)) targets_.on_ready(link);
  }
  void on_link_lost(Link& link, bool was_ready);
  void on_new_map(const SlotMap& before, const SlotMap& now);
  void tick();
  void stop();

  TrackingTargets& targets() { return targets_; }
  void forget_gone_nodes() { targets_.forget_gone_nodes(); }
  TrackingFeeds& feeds() { return feeds_; }
  /// To CLIENT TRACKING; the session has been waiting for it.
  void answer(const Request& whole, std::string_view reply);
  /// From its feeds and targets: what a node told of links of this kind. `keys` empty: all.
  void tell(NodeId node, LinkKind kind, const std::vector<std::string_view>& keys);

 private:
  struct Keys;

  Keys keys_of(std::string_view bytes) const;
  void note_reads(Session& session, Link& link, const std::vector<std::string_view>& keys);
  void tell_of_own_write(const Link& link, uint64_t writer, const Keys& keys);
  void tell_others(LinkKind kind, uint64_t client, const std::vector<std::string_view>& keys);
  void tell_reader(const TrackingTable::Reader& reader, std::string_view keys);
  void forget_node(NodeId node, LinkKind kind, bool tell_all);
  void keep_alive();
  void publish_counts();
  void count_prefixes(const Session& session, int change);

  Worker& worker_;
  TrackingTable table_;
  TrackingTargets targets_;
  TrackingFeeds feeds_;
  std::map<uint64_t, Session*> members_;  // by id
  uint32_t kept_alive_ms_ = 0;
};

}  // namespace corral::core
