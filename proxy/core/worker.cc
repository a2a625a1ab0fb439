#include "proxy/core/worker.h"

#include <algorithm>

#include "config/units.h"
#include "proxy/core/handlers.h"
#include "proxy/core/leases.h"
#include "proxy/core/near.h"
#include "proxy/core/pubsub_hub.h"
#include "proxy/core/pubsub_subscribers.h"
#include "proxy/core/topology_keeper.h"
#include "proxy/core/tracking_clients.h"
#include "resp/refusal.h"
#include "resp/reply_builder.h"

namespace corral::core {

namespace {

constexpr uint32_t kTickMs = 100;     // timeouts are checked so often
constexpr uint32_t kForgetMs = 1000;  // nodes that are gone are looked for so often
constexpr uint8_t kMostReroutes = 3;
constexpr uint32_t kBusyMs = 50;  // a script that runs longer keeps its node busy
constexpr std::string_view kStopping = "-CLUSTERDOWN the proxy is shutting down\r\n";
constexpr std::string_view kNoOwner = "-CLUSTERDOWN no reachable owner of the slot\r\n";
constexpr std::string_view kIsCluster =
    "-ERR the upstream is a node of a cluster; upstream.mode must be \"cluster\"\r\n";

constexpr std::string_view kUnknownTarget = "-TRYAGAIN the slot moves to a node that is not known yet\r\n";

// Where a redirection points; `from`: of who said so.
config::Address target_address(const config::Address& from, const resp::Refusal& refusal) {
  return {std::string(refusal.host.empty() ? std::string_view(from.host) : refusal.host), refusal.port};
}

}  // namespace

Worker::Worker(Process& process, Transport& transport, uint32_t index, uint64_t start_ms)
    : process_(process),
      transport_(transport),
      index_(index),
      board_(process.board(index)),
      settings_(process.settings()),
      one_owner_(settings_.upstream.has_one_owner()),
      request_limits_{.max_args = settings_.limits.arguments,
                      .max_frame_bytes = static_cast<uint32_t>(settings_.limits.query_buffer_bytes)},
      now_ms_(static_cast<uint32_t>(start_ms)),
      now64_ms_(start_ms),
      ticked_ms_(now_ms_),
      map_(process.slot_map()),
      policies_(process.policies()),
      reply_times_(transport, board_.times, board_.command_times),
      holds_(*this),
      own_links_(*this),
      subscribers_(std::make_unique<Subscribers>(*this)),
      tracking_(std::make_unique<TrackingClients>(*this)) {
  near_ = std::make_unique<Near>(*this, *process.near_cache());
  leases_ = std::make_unique<Leases>(*this, process.leases());
  const auto input_bytes = static_cast<uint32_t>(settings_.limits.unauthenticated_input_bytes);
  limits_before_auth_.max_frame_bytes = input_bytes;
  limits_before_auth_.max_inline_bytes = std::min(limits_before_auth_.max_inline_bytes, input_bytes);
  rule_stats_.on_new_rules(policies_->rules.rules());
  if (index != 0) return;
  keeper_ = std::make_unique<TopologyKeeper>(*this);
  hub_ = std::make_unique<PubSubHub>(*this);
}

Worker::~Worker() = default;

void Worker::start() {
  turn_us_ = static_cast<uint32_t>(transport_.clock_us());
  if (keeper_) keeper_->start();
  if (near_) near_->start();
}

void Worker::set_policies(policy::PoliciesPtr policies) {
  if (near_) near_->settle_hits();
  const policy::PoliciesPtr before = std::exchange(policies_, std::move(policies));
  access_.on_new_users(before->acl);
  rule_stats_.on_new_rules(policies_->rules.rules());
  if (near_) near_->on_new_rules();
}

void Worker::begin_turn(uint64_t now_ms) {
  now64_ms_ = now_ms;
  now_ms_ = static_cast<uint32_t>(now_ms);
  if (!std::exchange(in_turn_, true)) turn_us_ = static_cast<uint32_t>(transport_.clock_us());
}

uint32_t Worker::end_turn() {
  count_active_clients();
  if (now_ms_ - ticked_ms_ >= kTickMs) tick();
  const int64_t timer_ms = run_timers();
  const int64_t hold_ms = holds_.size() > 0 ? holds_.run(now_ms_) : -1;
  if (!stalled_.empty() && !backlogged()) {
    for (const uint64_t id : std::exchange(stalled_, {})) {
      if (Session* session = find_session(id)) session->on_backlog_gone();
    }
  }
  flush_all();
  if (reply_times_.any()) reply_times_.settle();
  in_turn_ = false;
  own_links_.bury();
  ended_links_.clear();
  buried_.clear();
  uint32_t wait_ms = kTickMs;
  if (timer_ms >= 0) wait_ms = std::min(wait_ms, static_cast<uint32_t>(timer_ms));
  if (hold_ms >= 0) wait_ms = std::min(wait_ms, static_cast<uint32_t>(hold_ms));
  if (!dirty_links_.empty()) wait_ms = std::min(wait_ms, 1u);
  return resumable_.empty() && dirty_sessions_.empty() ? wait_ms : 0;
}

// Links first, so that the nodes are at work while the clients are written to.
void Worker::flush_all() {
  if (hub_) hub_->flush();
  for (const uint64_t id : std::exchange(resumable_, {})) {
    if (Session* session = find_session(id)) session->continue_input();
  }
  if (gate_.busy()) gate_.send_shown();
  std::erase_if(dirty_links_, [](Link* link) { return !(link->dirty = link->flush()); });
  if (near_) near_->settle_hits();
  for (size_t i = 0; i < dirty_sessions_.size(); ++i) {
    dirty_sessions_[i]->dirty = false;
    dirty_sessions_[i]->flush();
  }
  dirty_sessions_.clear();
}

void Worker::tick() {
  ticked_ms_ = now_ms_;
  if (keeper_) process_.server_stats().sample(now64_ms_, process_.totals());
  for_each_link([this](Link& link) { link.check_timeouts(now_ms_); });
  for_each_control_link([this](Link& link) { link.check_timeouts(now_ms_); });
  tracking_->targets().for_each([this](Link& link) { link.check_timeouts(now_ms_); });
  health_.tick();
  if (now_ms_ - forgot_ms_ >= kForgetMs) forget_gone_nodes();
  seen_keys_.tick();
  slow_noted_ = 0;
  look_for_busy_node();
  own_links_.tick(now_ms_);
  if (board_.blocked > 0) check_blocked(*this);
  if (hub_) hub_->tick();
  tracking_->tick();
  access_.tick();
  check_sessions();
  if (settings_.limits.memory_bytes > 0) check_memory();
}

// A node that runs a script answers nothing else; a client that asks how things are is to learn it (PING: -BUSY). It
// need not be the first under way: the answers to what came with it are written after it.
void Worker::look_for_busy_node() {
  NodeId busy = kNoNode;
  for_each_link([&](Link& link) {
    if (link.in_flight() == 0 || now_ms_ - link.pending(0).sent_ms <= kBusyMs) return;
    for (uint32_t i = 0; i < link.in_flight(); ++i) {
      if (link.pending(i).request.flags & kScript) busy = link.node();
    }
  });
  board_.busy_node.store(busy, std::memory_order_relaxed);
}

int64_t Worker::run_timers() {
  while (!timers_.empty() && timers_.begin()->first <= now64_ms_) {
    const auto action = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    action();
  }
  return timers_.empty() ? -1 : static_cast<int64_t>(timers_.begin()->first - now64_ms_);
}

void Worker::after(uint32_t delay_ms, std::function<void()> action) {
  timers_.emplace(now64_ms_ + delay_ms, std::move(action));
}

void Worker::stop() {
  stopping_ = true;
  std::vector<Session*> all;
  for (const auto& [id, session] : sessions_) all.push_back(session.get());
  for (Session* session : all) session->close();
  for_each_link([](Link& link) { link.fail("shutting down"); });
  for_each_control_link([](Link& link) { link.fail("shutting down"); });
  own_links_.stop();
  tracking_->stop();
  if (hub_) hub_->stop();
  subscribers_->stop();
  holds_.abandon();
  // What waits for its time finds that there is none left.
  while (!timers_.empty()) {
    const auto action = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    action();
  }
}

void Worker::send_unusable(const Request& request, std::string_view bytes) {
  if (stopping_) return answer(request, kStopping);
  if (Near::gives_up_early(request)) return answer(request, kNoOwner);
  if (const NodeId owner = map_->owner[request.slot]; !health_.admits(owner)) {
    stats().failed_fast.add();
    return answer(request, health_.refusal(owner, request.slot));
  }
  holds_.add_unsent(request, bytes, why_unusable(request.slot));
}

void Worker::send_to_node(Request request, NodeId node, std::string_view bytes, bool control) {
  request.flags |= kNodeBound;
  if (stopping_) return answer(request, kStopping);
  const LinkKind kind = request.session ? request.session->link_kind() : LinkKind();
  Link* to = control ? &control_link(node, kind.resp()) : usable_link(node, kind);
  if (to && to->accepts()) return to->send(request, bytes);
  answer(request, "-CLUSTERDOWN the connection to a node failed\r\n");
}

void Worker::send_to_sentinel(Request request, NodeId sentinel, std::string_view bytes) {
  request.flags |= kNodeBound;
  if (stopping_) return answer(request, kStopping);
  Link& to = control_link(sentinel, 2, Peer::kSentinel);
  if (to.accepts()) return to.send(request, bytes);
  answer(request, "-CLUSTERDOWN the connection to a sentinel failed\r\n");
}

void Worker::answer(const Request& request, std::string_view reply) {
  Session* session = request.session;
  if (request.touch && near_->end(request, reply)) [[unlikely]]
    return;
  if (request.task) {
    request.task->on_reply(request.ticket, reply);
  } else if (session) {
    session->complete(request.ticket, reply);
  }
  if (session) session->release();
}

// An error reply: a refusal is held and tried again, any other belongs to the client.
bool Worker::on_upstream_error(Link& link, const Link::Pending& pending, std::string_view reply) {
  const Request& request = pending.request;
  if (!request.session || (request.flags & kNodeBound)) return false;
  if ((request.flags & kScript) && reply.starts_with("-NOSCRIPT")) return reload_script(link, pending, reply);
  const resp::Refusal refusal = resp::parse_refusal(reply);
  using resp::RefusalKind;
  switch (refusal.kind) {
    case RefusalKind::kNone:
      return false;
    case RefusalKind::kMoved:
    case RefusalKind::kAsk:
      if (one_owner_) {
        if (request.flags & kScript) return false;  // its own words
        note_not_refused(pending);
        answer(request, kIsCluster);
        return true;
      }
      if ((request.flags & kScript) && !may_follow(link, request, refusal)) {
        if (refusal.slot != request.slot) return false;
        note_not_refused(pending);
        answer(request, kUnknownTarget);
        return true;
      }
      if (refusal.slot != request.slot) return send_to_slot(pending, refusal.slot);
      count_redirect(link.node(), refusal.kind);
      break;
    default:
      if (refusal.kind != RefusalKind::kTryAgain && refusal.kind != RefusalKind::kLoading) refresh_topology();
      if (refusal.kind == RefusalKind::kReadOnly && one_owner_) link.doubt_address();
      if (request.flags & kScript) return false;
  }
  holds_.add_refused(link, pending, refusal, reply);
  return true;
}

// A script can return any text as an error: a redirection is followed only if it is of its own slot, and to a node that
// is known. (Whoever may run scripts could have us connect to, and log in at, any address.)
bool Worker::may_follow(const Link& link, const Request& request, const resp::Refusal& refusal) {
  const bool follow =
      refusal.slot == request.slot && std::ranges::count(map_->addresses, target_address(link.address(), refusal)) > 0;
  if (!follow) refresh_topology();  // it may be a node that is new
  return follow;
}

// The node does not know a script that clients have shown to us: the EVALSHA becomes an EVAL, once.
bool Worker::reload_script(Link& link, const Link::Pending& pending, std::string_view reply) {
  if (pending.request.flags & kReloaded) return false;
  std::string eval = eval_for_evalsha(*this, {pending.bytes, pending.size});
  if (eval.empty()) return false;
  holds_.add_unloaded(link, pending, std::move(eval), reply);
  return true;
}

// The keys could not be told here, but the node found one in another slot (a malformed MSET, a module's command).
bool Worker::send_to_slot(const Link::Pending& pending, uint16_t slot) {
  Request request = pending.request;
  if (request.attempts++ >= kMostReroutes) return false;
  note_not_refused(pending);
  request.slot = slot;
  send(request, {pending.bytes, pending.size});
  return true;
}

// MOVED changes the map at once if it comes from the slot's owner as known so far; from another node it may be old
// news.
NodeId Worker::redirect_target(NodeId from, const config::Address& address_from, const resp::Refusal& refusal,
                               bool to_script) {
  const NodeId target = process_.node_id(target_address(address_from, refusal));
  const int64_t now_us = transport_.wall_clock_us();
  if (refusal.kind == resp::RefusalKind::kAsk) {
    process_.note_open_slot(refusal.slot, now_us);
    return target;
  }
  if (map_->owner[refusal.slot] == from && !to_script) {
    if (SlotMapPtr next = process_.publish_move(refusal.slot, target, now_us)) share_map(next);
  }
  refresh_topology();
  return target;
}

void Worker::on_upstream_lost(Link& link, const Link::Pending& pending, bool may_have_run, std::string_view reason) {
  const Request& request = pending.request;
  const std::string node = link.address().host + ':' + std::to_string(link.address().port);
  if (may_have_run) {
    stats().indoubt.add();
    note_if_slow(link, pending);
    note_not_refused(pending);
    return answer(request, "-INDOUBT the connection to " + node + " was lost (" + std::string(reason) +
                               ") after the command was handed to it: it may or may not have run\r\n");
  }
  if (!request.session || (request.flags & kNodeBound)) {
    return answer(request, "-CLUSTERDOWN " + node + ": " + std::string(reason) + "\r\n");
  }
  if (Near::gives_up_early(request)) {
    note_not_refused(pending);
    return answer(request, kNoOwner);
  }
  holds_.add_lost(link, pending, reason);
}

void Worker::on_link_failed(Link& link, bool was_ready, std::string_view reason) {
  stats().upstream_errors.add();
  node_stats(link.node()).failures.add();
  if (near_ && link.kind().tracking() == Tracking::kOptIn) near_->links().on_failed(link);
  if (map_->version == 0) process_.set_upstream_failure(link.address().host + ": " + std::string(reason));
  if (was_ready || link.failures() == 1) {
    const bool shared = link.number == 0;  // of others there may be thousands
    const std::string text =
        "node " + link.address().host + ':' + std::to_string(link.address().port) + ": " + std::string(reason);
    transport_.log(shared ? LogLevel::kWarn : LogLevel::kDebug, text);
    if (shared && !stopping_) process_.events().add(transport_.wall_clock_us(), EventKind::kLink, true, text);
  }
  tracking_->on_link_lost(link, was_ready);
  refresh_topology();
}

void Worker::prefetch_touch(const Touch& touch) const {
  if (touch.is_read()) return process_.near_cache()->prefetch_end(touch.read().hash);
  if (touch.object()->any) process_.near_cache()->prefetch_end(touch.object()->first.hash);
}

void Worker::on_link_recovered(Link& link) {
  if (link.number != 0) return;
  process_.events().add(transport_.wall_clock_us(), EventKind::kLink, false,
                        "node " + config::format_address(link.address()) + ": connected again");
}

void Worker::on_link_ready(Link& link) {
  if (near_ && link.kind().tracking() == Tracking::kOptIn) return near_->links().on_ready(link);
  tracking_->on_link_ready(link);
}

void Worker::on_push(Link& link, std::string_view push) {
  if (link.kind().tracking() != Tracking::kOptIn) return tracking_->on_push(link, push);
  if (near_) near_->links().on_push(link, push);
}

void Worker::note_tracked(Link& link, const Link::Pending& pending, std::string_view reply) {
  tracking_->on_reply(link, pending, reply);
}

void Worker::share_map(const SlotMapPtr& map) {
  set_map(map);
  for (uint32_t i = 0; i < process_.workers(); ++i) {
    if (i != index_) transport_.post(i, [map](Worker& other) { other.set_map(map); });
  }
}

void Worker::set_map(SlotMapPtr map) {
  if (map->version <= map_->version) return;
  const SlotMapPtr before = std::exchange(map_, std::move(map));
  if (near_) near_->on_new_map(*before);
  holds_.on_new_map(*map_);
  if (hub_) hub_->on_new_map();
  tracking_->on_new_map(*before, *map_);
}

void Worker::refresh_topology() {
  if (keeper_) return keeper_->request_refresh();
  transport_.post(0, [](Worker& first) { first.refresh_topology(); });
}

}  // namespace corral::core
