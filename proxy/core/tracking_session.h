// CLIENT TRACKING of one client: what it asked for, and how it is told.
//
// A client takes what it hears in the order in which it comes: an invalidation that overtook the reply with the old
// value would leave that value with it for good. So a reply to a read that has not been given yet (it waits for those
// of other nodes, or is a part of a larger one) is a fence: what is told meanwhile comes behind it. A client that has
// another connection told (REDIRECT) knows that there is no such order.
// Source: https://redis.io/commands/client-tracking; Redis 7.0, tracking.c and networking.c (resetClient).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "proxy/core/link_kind.h"
#include "proxy/core/reply_queue.h"
#include "proxy/core/request.h"
#include "resp/command_table.h"

namespace corral::core {

class Session;

struct TrackingOptions {
  bool broadcast = false, opt_in = false, opt_out = false, no_loop = false;
  uint64_t redirect = 0;  // the id of the client that is told instead; 0: none
  uint32_t redirect_worker = 0;
  std::set<std::string, std::less<>> prefixes = {};  // with `broadcast`
};

class SessionTracking {
 public:
  explicit SessionTracking(Session& session) : session_(session) {}

  const TrackingOptions& options() const { return options_; }
  /// CLIENT TRACKING ON, perhaps once more.
  void set_options(TrackingOptions options);
  bool redirects() const;
  /// Its redirection was found to lead nowhere.
  bool broken() const { return broken_; }
  void set_broken();
  /// Whether there is anybody who can be told: RESP2 knows no pushes.
  bool reaches_somebody() const;
  LinkKind link_kind(int resp, uint16_t database) const;

  /// CLIENT CACHING: the next command, or transaction, is an exception.
  void set_caching() { caching_ = true; }
  bool caching() const { return caching_; }
  void begin_command(const resp::CommandSpec* spec, bool queueing);

  /// Keys as a RESP array of them; empty: all that it may have.
  void tell(std::string_view keys);
  /// What is told from now on comes behind the replies that are due.
  void raise_fence();
  /// A reply to what it read is about to be given.
  void note_read();
  /// Replies have been given: what waited for them may be told. The client may be closed after that.
  void on_progress();
  /// Could not be told since it is on RESP2; now it can.
  void tell_what_was_missed();

  // With `broadcast`; for TrackingFeeds.
  LinkKind feed;                        // the kind of links on which the nodes tell
  bool established = false;             // they do, and the client knows
  bool moved = false;                   // from another feed
  uint64_t cover = 0;                   // that its CLIENT TRACKING waits for
  std::optional<Request> waiting = {};  // CLIENT TRACKING

 private:
  Tracked mark() const;
  void put(std::string frame);
  void order_behind_reads();

  Session& session_;
  TrackingOptions options_;
  bool broken_ = false;
  bool caching_ = false;         // CLIENT CACHING has been given
  bool caching_queued_ = false;  // within MULTI
  bool caching_used_ = false;    // by the command that is being handled
  bool told_all_ = false;        // and nothing has been read since
  bool missed_ = false;          // something that could not be told
  bool repeats_all_ = false;     // behind the reply of a command that waits
  ReplyQueue::Ticket fence_ = 0;
  struct Late {
    ReplyQueue::Ticket behind;
    std::string frame;
  };
  std::deque<Late> late_;
};

/// Keys as a RESP array.
std::string tracked_keys(const std::vector<std::string_view>& keys);
/// The frame that tells a client of RESP3 what has changed; `keys` as above.
std::string invalidation_push(std::string_view keys);

}  // namespace corral::core
