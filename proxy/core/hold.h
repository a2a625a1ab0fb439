// Order through redirects: while a request of a client is refused by a node, everything else that the same client sends
// for the same slot waits behind it.
//
// The states of (client, slot):
//   no hold    requests go to the slot's owner, all on one connection, so they run in their order;
//   draining   one was refused (MOVED, ASK, TRYAGAIN ...), lost unsent, or the slot has a new owner. Nothing is sent
//   until
//              all that is under way is answered. What is refused meanwhile joins the queue in its order; if something
//              that was sent behind a refused request runs all the same and shares a key with it, the refused one is
//              answered -TRYAGAIN, since running it now would turn the order around;
//   settling   nothing is under way: the requests at the front of the queue that have the same target are sent, and
//              the hold drains again. If that target is the slot's owner and the queue is empty, the hold is over: what
//              follows goes behind them on the same connection.
// A refusal that time cures (TRYAGAIN, CLUSTERDOWN, LOADING, READONLY, a lost connection) is tried again after a
// jittered, growing pause, until the request timeout has passed since the request came; then the client gets the
// refusal.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/core/link.h"
#include "resp/refusal.h"

namespace corral::core {

class Worker;

class HoldTable {
 public:
  explicit HoldTable(Worker& worker) : worker_(worker) {}

  /// Queues the request if there is a hold for its session and slot; false if there is none.
  bool queue_behind(const Request& request, std::string_view bytes);
  /// Starts with a request that could not be sent at all (no owner, no connection).
  void add_unsent(const Request& request, std::string_view bytes, std::string_view why);
  /// A node refused what had been sent to it.
  void add_refused(Link& link, const Link::Pending& pending, const resp::Refusal& refusal, std::string_view reply);
  /// A node answered as if it did not know the request's script: if it says so again, `eval` is to be sent instead,
  /// otherwise `reply` was the script's own.
  void add_unloaded(Link& link, const Link::Pending& pending, std::string eval, std::string_view reply);
  void on_script_checked(const Request& request, std::string_view eval, bool loaded, std::string_view reply);
  /// Its connection was lost, and it may be sent again.
  void add_lost(Link& link, const Link::Pending& pending, std::string_view why);
  /// A request of a session that has holds was answered (or is in doubt), not refused.
  void on_answered(const Link::Pending& pending);
  /// The owner of some slots has changed: requests under way to the old ones are let finish first.
  void on_new_map(const SlotMap& map);

  /// A link serves one large reply from now on. What was sent behind that reply's request and only reads is sent again
  /// elsewhere; behind the rest, later requests are held.
  void on_detached(Link& link);

  /// Tries again what is due. Milliseconds until the next is, or -1.
  int64_t run(uint32_t now_ms);
  size_t size() const { return holds_.size(); }
  /// Of the requests that wait here. They count as under way (limits.inflight).
  uint64_t bytes() const { return bytes_; }
  /// The worker stops: answers everything with its reason.
  void abandon();

 private:
  static constexpr size_t kOverhead = 512;  // bytes, of a request that is held: Held and what keeps it
  /// The bytes of a request, in the table's count as long as they are here.
  class CountedBytes {
   public:
    CountedBytes(uint64_t& count, std::string_view bytes) : count_(&count), bytes_(bytes) {
      count += bytes_.size() + kOverhead;
    }
    CountedBytes(CountedBytes&& other) noexcept : CountedBytes(*other.count_, {}) { bytes_.swap(other.bytes_); }
    CountedBytes& operator=(CountedBytes&& other) noexcept {
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~CountedBytes() { *count_ -= bytes_.size() + kOverhead; }
    operator std::string_view() const { return bytes_; }

   private:
    uint64_t* count_;  // the same for all of a table
    std::string bytes_;
  };
  struct Held {
    Request request;
    CountedBytes bytes;
    bool refused = false;     // was sent once; stands in the queue before all that was not
    bool asking = false;      // to be sent after an ASKING
    uint32_t asked_ms = 0;    // when the ASK came
    bool checking = false;    // a node is asked whether it knows the script; answered by on_script_checked()
    bool overtaken = false;   // meanwhile something behind it has run on its key
    bool by_key = false;      // refused with TRYAGAIN: if it is a read that merges, it is sent key by key
    NodeId target = kNoNode;  // MOVED, ASK: where to; else to the slot's owner
    std::string reason = {};  // the client's reply if time runs out
  };
  struct Hold {
    Session* session;  // holds a reference
    std::deque<Held> queue;
    uint32_t in_flight = 0;
    bool waiting = false;  // until retry_at_ms
    uint32_t retry_at_ms = 0;
  };
  using Key = std::pair<uint64_t, uint16_t>;  // the session's id (not its address: runs are to be repeatable), slot
  using Holds = std::map<Key, Hold>;

  Holds::iterator find(const Request& request);
  Holds::iterator obtain(const Request& request, uint32_t in_flight);
  Holds::iterator obtain_for(Link& link, const Link::Pending& pending);
  void take_back(Holds::iterator it, Held held, bool pause_first);
  void insert(Hold& hold, Held held);
  void pause(Hold& hold, uint8_t attempts);
  void settle(Holds::iterator it);
  void send_front(Holds::iterator it);
  void send_by_key(Hold& hold);
  void forget_old_asks(Hold& hold);
  bool has_expired(const Hold& hold) const;
  void expire(Holds::iterator it);
  void erase(Holds::iterator it);
  NodeId target_of(const Held& held) const;
  CountedBytes counted(std::string_view bytes) { return {bytes_, bytes}; }
  /// As it was sent, and came back.
  Held returned(const Link::Pending& pending) {
    return {pending.request, counted({pending.bytes, pending.size}), true};
  }

  Worker& worker_;
  uint64_t bytes_ = 0;   // outlives what is counted
  uint32_t ran_ms_ = 0;  // run()
  Holds holds_;
};

}  // namespace corral::core
