// One worker: its clients, its upstream connections and the state of its requests. It runs on one thread, in turns: the
// transport delivers what sockets have to say, then ends the turn, in which everything gathered is written, one write
// for each socket.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/core/access.h"
#include "proxy/core/gate.h"
#include "proxy/core/health.h"
#include "proxy/core/hold.h"
#include "proxy/core/link.h"
#include "proxy/core/link_pool.h"
#include "proxy/core/log_limit.h"
#include "proxy/core/process.h"
#include "proxy/core/rule_stats.h"
#include "proxy/core/seen_keys.h"
#include "proxy/core/session.h"
#include "proxy/core/transport.h"
#include "resp/slot.h"

namespace corral::core {

class Leases;
class Near;
class PubSubHub;
class Subscribers;
class TopologyKeeper;
class TrackingClients;

class Worker {
 public:
  /// Worker 0 also keeps the topology. `start_ms`: the transport's clock, monotonic.
  Worker(Process& process, Transport& transport, uint32_t index, uint64_t start_ms);
  ~Worker();

  // --- driven by the transport ---
  /// Once, on the worker's thread, before the first turn.
  void start();
  /// Before events are delivered. Milliseconds, monotonic.
  void begin_turn(uint64_t now_ms);
  /// After the events: resumes, retries, writes. Milliseconds until it wants a turn again without events.
  uint32_t end_turn();
  /// After end_turn(): many clients are active and few were ready at once, so that a rest of some tens of microseconds
  /// before the next turn lets more of their requests share it, and with it the writes to the nodes. May be ignored.
  bool wants_rest() const;
  /// A new client, whose events go to the endpoint that this returns; null if it is to be closed (it has been told
  /// why).
  Session* accept(Socket* socket, ClientAddresses addresses);
  /// Closes each client as soon as it has nothing under way.
  void drain();
  bool stopping() const { return stopping_; }
  bool drained() const { return sessions_.empty(); }
  /// Closes everything.
  void stop();

  // --- for sessions, links and tasks ---
  Process& process() const { return process_; }
  Transport& transport() { return transport_; }
  BufferPool& pool() { return pool_; }
  Stats& stats() { return board_.stats; }
  NodeStats& node_stats(NodeId node);
  void for_each_node_stats(const std::function<void(NodeId, const NodeStats&)>& visit) const;
  RuleStatsBook& rule_stats() { return rule_stats_; }
  ReplyTimes& reply_times() { return reply_times_; }
  SeenKeys& seen_keys() { return seen_keys_; }
  const config::Settings& settings() const { return settings_; }
  /// Of what clients send.
  const resp::RequestLimits& request_limits() const { return request_limits_; }
  const SlotMap& map() const { return *map_; }
  /// What is in force for what is handled now.
  const policy::Policies& policies() const { return *policies_; }
  void set_policies(policy::PoliciesPtr policies);
  uint32_t index() const { return index_; }
  /// One node has every key (standalone, sentinel).
  bool one_owner() const { return one_owner_; }
  /// The slot that a key is routed by. Order is kept within a slot, so where one node has all of them they are one.
  uint16_t slot_of(std::string_view key) const { return one_owner_ ? 0 : resp::key_slot(key); }
  uint32_t now_ms() const { return now_ms_; }
  uint64_t now64_ms() const { return now64_ms_; }
  /// When the turn began: the low half of the transport's clock_us(), for how long things take.
  uint32_t turn_us() const { return turn_us_; }
  Gate& gate() { return gate_; }
  Access& access() { return access_; }
  /// Of what clients send that have not authenticated.
  const resp::RequestLimits& limits_before_auth() const { return limits_before_auth_; }
  /// Counts an error that a session is given by Corral itself.
  void note_error(std::string_view text) {
    ++errors_given_;
    process_.server_stats().count_error(text);
  }
  uint64_t errors_given() const { return errors_given_; }
  /// Tells why a client is being closed; not of all of them where they are many (log_limit.h).
  void log_closed(const Session& session, LogLevel level, std::string_view why);
  resp::RequestScanner& scanner() { return scanner_; }
  /// For the time of one call; whoever uses it clears it first.
  std::vector<uint32_t>& scratch_indexes() { return scratch_indexes_; }
  std::string& scratch_text() { return scratch_text_; }

  /// Sends a request to the owner of its slot, behind what is held for its session and slot.
  // All that an ordinary request needs is inline, and the rare ways get a copy of it: so it is built in registers and
  // written once, where it stays. A copy of what has just been written member by member would have to wait until all
  // stores before that have reached the cache, which here took longer than everything else.
  void send(Request request, std::string_view bytes) {
    request.order = request.session->next_order();
    if (request.session->holds() > 0 && holds_.queue_behind(Request(request), bytes)) [[unlikely]]
      return;
    Link* link = usable_link(map_->owner[request.slot], request.session->link_kind());
    if (!link) [[unlikely]]
      return send_unusable(Request(request), bytes);
    link->send(request, bytes);
  }
  /// Sends a request to one node; it is neither held nor sent elsewhere (kNodeBound), an error of ours is its reply
  /// then. It goes over a link of the session's kind, without one of RESP2.
  void send_to_node(Request request, NodeId node, std::string_view bytes, bool control = false);
  void send_to_sentinel(Request request, NodeId sentinel, std::string_view bytes);
  /// Gives the reply to who waits for it and drops the request's reference.
  void answer(const Request& request, std::string_view reply);

  /// The link to a node that clients of a kind share, made if need be; null if there is no such node or it is not to be
  /// tried right now.
  Link* usable_link(NodeId node, LinkKind kind) {
    if (kind.index() < links_.size() && node < links_[kind.index()].size()) [[likely]] {
      Link* link = links_[kind.index()][node].get();
      if (link && !stopping_) [[likely]]
        return link->accepts() ? link : nullptr;
    }
    return make_link(node, kind);
  }
  /// Likewise, null if there has been none.
  Link* find_link(NodeId node, LinkKind kind) const;
  /// Visits those that are shared, or were.
  void for_each_link(const std::function<void(Link&)>& visit);
  /// Visits those for the topology and for what must get through.
  void for_each_control_link(const std::function<void(Link&)>& visit);
  /// Links for one user at a time: what blocks, watches or streams.
  LinkPool& own_links() { return own_links_; }
  NodeId redirect_target(Link& link, const resp::Refusal& refusal, bool to_script = false) {
    return redirect_target(link.node(), link.address(), refusal, to_script);
  }
  /// `from`: who said so. `to_script`: they may be a script's own words, which change the map for nobody else.
  NodeId redirect_target(NodeId from, const config::Address& address, const resp::Refusal& refusal,
                         bool to_script = false);
  /// The link is not shared any more: requests go over a new one. It is freed by end_detached().
  void detach(Link& link);
  bool is_shared(const Link& link) const;
  void end_detached(Link* link);
  HoldTable& holds() { return holds_; }
  /// Which nodes answer.
  Health& health() { return health_; }
  /// The worker's own connection to a node (RESP2) is ready.
  bool control_link_ready(NodeId node) const;
  /// It has failed, and has not been ready since.
  bool control_link_failing(NodeId node) const;

  /// It has left its link for good: what is held behind it may go on.
  void note_not_refused(const Link::Pending& pending) {
    const Session* session = pending.request.session;
    if (session && session->holds() > 0) [[unlikely]]
      holds_.on_answered(pending);
  }

  /// It will end soon.
  void prefetch_touch(const Touch& touch) const;
  void on_upstream_reply(Link& link, const Link::Pending& pending, std::string_view reply) {
    if (reply[0] == '-' && on_upstream_error(link, pending, reply)) [[unlikely]]
      return;
    seen_keys_.on_reply({pending.bytes, pending.size}, reply);
    note_if_slow(link, pending);
    note_not_refused(pending);
    if (pending.request.tracked != Tracked::kNot) [[unlikely]]
      note_tracked(link, pending, reply);
    answer(pending.request, reply);
  }
  /// The connection failed before the reply came.
  void on_upstream_lost(Link& link, const Link::Pending& pending, bool may_have_run, std::string_view reason);
  void on_link_failed(Link& link, bool was_ready, std::string_view reason);
  void on_link_ready(Link& link);
  /// It is ready, and was not at the last attempt.
  void on_link_recovered(Link& link);
  /// What a node says unasked: that keys have changed (Link::kind().tracking()).
  void on_push(Link& link, std::string_view push);

  void set_map(SlotMapPtr map);
  /// For all workers.
  void share_map(const SlotMapPtr& map);
  /// Asks the keeper (of whatever worker) for a fresh topology.
  void refresh_topology();
  TopologyKeeper* keeper() { return keeper_.get(); }
  /// The near cache.
  Near* near() { return near_.get(); }
  Leases& leases() { return *leases_; }
  Subscribers& subscribers() { return *subscribers_; }
  TrackingClients& tracking() { return *tracking_; }
  /// Of pub/sub for all workers; on worker 0 only, else null.
  PubSubHub* hub() { return hub_.get(); }

  void flush_later(Link* link) {
    link->dirty = true;
    dirty_links_.push_back(link);
  }
  void forget(Link* link) { std::erase(dirty_links_, link); }
  void flush_later(Session* session) {
    session->dirty = true;
    dirty_sessions_.push_back(session);
  }
  /// Inputs come and go with the cuts between reads; a few are kept.
  std::unique_ptr<PartialInput> take_input();
  void give_input(std::unique_ptr<PartialInput> input);
  void continue_later(Session* session);
  void bury(Session* session);
  Session* find_session(uint64_t id);
  /// Also those that are closed, as long as requests refer to them.
  void for_each_session(const std::function<void(Session&)>& visit);
  const std::map<uint64_t, std::unique_ptr<Session>>& sessions() const { return sessions_; }

  /// A session got bytes; `window` is its own, and remembers when it was counted last.
  void note_active(uint32_t& window) {
    ++turn_sessions_;
    if (window == window_) return;
    window = window_;
    ++window_sessions_;
  }
  bool many_clients() const { return active_clients_ >= kManyClients; }

  // What is under way or waits for its time; all but a few periodic timers is gone when there is nothing to do.
  uint64_t inflight_bytes() const { return inflight_bytes_ + holds_.bytes(); }
  size_t timers() const { return timers_.size(); }
  size_t lingering() const { return lingering_.size(); }

  void add_inflight_bytes(size_t n) { inflight_bytes_ += n; }
  void remove_inflight_bytes(size_t n) { inflight_bytes_ -= n; }
  void count_blocked(int change) { board_.blocked.fetch_add(static_cast<uint32_t>(change), std::memory_order_relaxed); }
  /// Not more than some of those that come together.
  bool may_note_slow() { return slow_noted_++ < kMostSlowNoted; }
  bool backlogged() const { return inflight_bytes() > settings_.limits.inflight_bytes; }
  void show_script(std::string_view body) { seen_scripts_.show(process_.scripts(), body); }
  /// The node that some worker's script has kept busy for a while; kNoNode if there is none.
  NodeId busy_node() const { return process_.busy_node(); }
  void stall(Session* session) { stalled_.push_back(session->id()); }

  /// Runs `action` in a turn at least `delay_ms` from now.
  void after(uint32_t delay_ms, std::function<void()> action);

 private:
  static constexpr uint32_t kManyClients = 24;  // fewer are served sooner without a rest than they gain by it

  void count_active_clients();
  void note_tracked(Link& link, const Link::Pending& pending, std::string_view reply);
  bool may_follow(const Link& link, const Request& request, const resp::Refusal& refusal);
  bool on_upstream_error(Link& link, const Link::Pending& pending, std::string_view reply);
  void note_if_slow(Link& link, const Link::Pending& pending) {
    const Request& request = pending.request;
    if (request.session && process_.slow_requests().wants(now_ms_ - request.since_ms)) [[unlikely]]
      note_slow(*this, request, {pending.bytes, pending.size}, link.node(), turn_us_ - request.sent_us);
  }
  void count_redirect(NodeId node, resp::RefusalKind kind);
  bool reload_script(Link& link, const Link::Pending& pending, std::string_view reply);
  bool send_to_slot(const Link::Pending& pending, uint16_t slot);
  void send_unusable(const Request& request, std::string_view bytes);
  std::string why_unusable(uint16_t slot) const;
  void forget_gone_nodes();
  Link* make_link(NodeId node, LinkKind kind);
  Link& control_link(NodeId node, int resp, Peer peer = Peer::kNode);
  void tick();
  void check_sessions();
  void check_memory();
  uint64_t own_memory_bytes();
  void evict_clients(uint64_t total);
  void look_for_busy_node();
  int64_t run_timers();
  void flush_all();

  Process& process_;
  Transport& transport_;
  const uint32_t index_;
  WorkerBoard& board_;
  const config::Settings& settings_;
  const bool one_owner_;
  const resp::RequestLimits request_limits_;
  uint32_t now_ms_;  // the low half, enough for differences
  uint64_t now64_ms_;
  uint32_t turn_us_ = 0;
  static constexpr uint32_t kMostSlowNoted = 64;
  uint32_t slow_noted_ = 0;  // since the last tick
  bool in_turn_ = false;
  uint32_t ticked_ms_ = 0;
  uint32_t forgot_ms_ = 0;  // when nodes that are gone were looked for
  bool draining_ = false;
  bool stopping_ = false;
  BufferPool pool_;
  SlotMapPtr map_;
  policy::PoliciesPtr policies_;
  resp::RequestScanner scanner_;
  std::vector<uint32_t> scratch_indexes_;
  std::string scratch_text_;
  std::vector<std::unique_ptr<PartialInput>> spare_inputs_;
  uint64_t inflight_bytes_ = 0;  // on links
  ReplyTimes reply_times_;
  RuleStatsBook rule_stats_;
  SeenKeys seen_keys_{*this};
  std::vector<std::unique_ptr<NodeStats>> node_stats_;  // by NodeId; null where there is none
  uint32_t turn_sessions_ = 0;                          // that got bytes in this turn
  uint32_t last_turn_sessions_ = 0;
  uint64_t turn_requests_ = 0;    // handled in the last turn
  uint64_t requests_before_ = 0;  // up to this turn
  uint32_t window_ = 1;           // counts windows of a few milliseconds
  uint32_t window_since_ms_ = 0;
  uint32_t window_sessions_ = 0;  // that got bytes in this window
  uint32_t active_clients_ = 0;   // in the last one
  HoldTable holds_;
  Health health_{*this};
  Gate gate_{*this};
  Access access_{*this};
  resp::RequestLimits limits_before_auth_ = resp::RequestLimits::before_auth();
  uint64_t errors_given_ = 0;
  LogLimit closed_log_;
  using LinksByNode = std::vector<std::unique_ptr<Link>>;  // by NodeId; null where there is none
  std::vector<LinksByNode> links_;                         // by LinkKind::index()
  // For the topology and what must get through to a busy node: no client's request delays it. RESP2 and RESP3.
  std::array<LinksByNode, 2> control_links_;
  LinkPool own_links_;
  LinksByNode detached_, ended_links_;                      // in no order; the second are freed at the end of the turn
  uint64_t checked_ = 0;                                    // id of the session that was checked last
  uint32_t memory_short_ms_ = 0;                            // when it was short last
  std::map<uint64_t, std::unique_ptr<Session>> sessions_;   // by id: those with a connection
  std::vector<std::unique_ptr<Session>> buried_;            // closed; gone at the end of the turn
  std::map<uint64_t, std::unique_ptr<Session>> lingering_;  // closed, but requests still refer to them
  std::vector<Link*> dirty_links_;
  std::vector<Session*> dirty_sessions_;
  std::vector<uint64_t> resumable_, stalled_;
  std::multimap<uint64_t, std::function<void()>> timers_;  // by the time, in ms of the clock extended to 64 bits
  std::unique_ptr<TopologyKeeper> keeper_;
  std::unique_ptr<Subscribers> subscribers_;
  std::unique_ptr<PubSubHub> hub_;
  std::unique_ptr<TrackingClients> tracking_;
  SeenScripts seen_scripts_;
  std::unique_ptr<Near> near_;
  std::unique_ptr<Leases> leases_;
};

// --- a Session's part of what is answered at once ---

// ReplyTimes::who() of a reply to the command that was begun last.
inline uint64_t Session::timed_as() const {
  if (!last_command_ || (modes_ & kQueueing)) [[unlikely]]
    return rarely_timed_as();
  return ReplyTimes::who(worker_.turn_us(), group_of(last_command_), last_command_->id);
}

template <class Fill>
void Session::reply_with(uint32_t size, Fill&& fill) {
  if (replies_.empty() && !hides_replies()) [[likely]] {
    if (!may_take(size)) return;
    replies_.answer_at_once(size, fill, timed_as(), output_, worker_.reply_times());
  } else {
    const ReplyQueue::Ticket ticket = expect_reply();
    if (!may_take(size)) return;
    replies_.complete_with(ticket, size, fill, output_, worker_.reply_times());
  }
  flush_soon();
}

// --- a Link's part of Worker::send() ---

inline void Link::push(const Request& request, std::string_view bytes) {
  if (request.flags & kWrites) request.session->note_written(node_);
  if (request.flags & kPiece) [[unlikely]]
    static_cast<Piece*>(request.task)->begin();
  if (unsent_++ == 0) gathering_since_ms_ = worker_.now_ms();
  const char* at = log_.append(bytes);
  pendings_.push({request, at, static_cast<uint32_t>(bytes.size()), worker_.now_ms()});
  pendings_.back().request.sent_us = worker_.turn_us();
  worker_.add_inflight_bytes(bytes.size());
}

inline void Link::submit(const Request& request, std::string_view bytes) {
  push(request, bytes);
  if (state_ == State::kIdle) [[unlikely]]
    connect();
  if (!dirty) worker_.flush_later(this);
}

inline void Link::send(const Request& request, std::string_view bytes) {
  if ((request.flags & (kScript | kPiece)) && request.session) [[unlikely]]
    tell_scripts(bytes, (request.flags & (kPiece | kScript)) == kPiece);
  submit(request, bytes);
}

}  // namespace corral::core
