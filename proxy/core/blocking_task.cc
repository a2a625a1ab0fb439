#include "proxy/core/blocking_task.h"

#include <algorithm>
#include <utility>

#include "proxy/core/handlers.h"
#include "proxy/core/rules.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::RefusalKind;

namespace {

constexpr uint64_t kAnsweredAtOnceMs = 100;  // what has no answer after so long is waiting
constexpr uint8_t kPromptRedirects = 5;      // followed at once; later ones after a pause
constexpr uint32_t kPopKey = resp::kKeyRw | resp::kKeyAccess | resp::kKeyDelete;
constexpr std::string_view kUnblockedError = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";

// Takes what it answers with from its keys, and changes nothing else. Of a module's command only its author knows.
bool only_pops(const resp::CommandSpec& spec) {
  return spec.id != resp::kUnlistedCommand && !spec.keys.empty() &&
         std::all_of(spec.keys.begin(), spec.keys.end(), [](const auto& key) { return key.flags == kPopKey; });
}

class UnblockTask final : public Task {
 public:
  explicit UnblockTask(BlockedCommand::UnblockDone done) : done_(std::move(done)) {}
  void on_reply(uint32_t, std::string_view reply) override {
    done_(reply == ":1\r\n");
    delete this;
  }

 private:
  const BlockedCommand::UnblockDone done_;
};

}  // namespace

bool is_forced_unblock(std::string_view reply) { return reply.starts_with("-UNBLOCKED force unblock "); }

void unblock_at_node(Worker& worker, Link& link, bool with_error, BlockedCommand::UnblockDone done) {
  std::string bytes;
  resp::append_command(bytes, {"CLIENT", "UNBLOCK", link.id_at_node(), with_error ? "ERROR" : "TIMEOUT"});
  Request request;
  request.task = new UnblockTask(std::move(done));
  worker.send_to_node(request, link.node(), bytes);
}

BlockingTask::BlockingTask(Session& session, const resp::Command& command, const resp::CommandSpec& spec, uint16_t slot)
    : session_(session),
      spec_(spec),
      whole_(session.request_for_reply(slot, request_flags(spec))),
      bytes_(command.bytes()),
      follow_ups_(session.worker(), session.database()),
      limit_(spec, command, session.worker().now64_ms()),
      slot_(slot) {
  if (may_be_ruled(session.worker(), spec)) follow_ups_.add(command, spec);
}

void BlockingTask::start(Session& session, const resp::Command& command, const resp::CommandSpec& spec, uint16_t slot) {
  auto* task = new BlockingTask(session, command, spec, slot);
  session.pause(Session::kBlocked);
  session.set_blocked(task);
  task->attempt();
}

// --- sending ---

void BlockingTask::attempt() {
  if (state_ == State::kEnded) {
    delete this;
    return;
  }
  const NodeId node = target_ != kNoNode ? target_ : session_.worker().map().owner[slot_];
  if (!link_to(node)) {
    begin_trouble();
    if (Health& health = session_.worker().health(); !health.admits(node)) return fail(health.refusal(node, slot_));
    return attempt_later("-CLUSTERDOWN no reachable owner of slot " + std::to_string(slot_) + "\r\n");
  }
  send();
}

// The link to wait on; null if there is none to be had right now.
Link* BlockingTask::link_to(NodeId node) {
  LinkPool& pool = session_.worker().own_links();
  if (link_ && link_->node() != node) drop_link();
  if (node == kNoNode || session_.worker().stopping() || (link_ && !link_->accepts())) return nullptr;
  if (!session_.worker().health().admits(node)) return nullptr;
  if (!pool.has_room(node, session_.own_link_kind())) return nullptr;
  if (link_) {
    pool.note_connecting(*link_);
  } else {
    link_ = pool.take(node, session_.own_link_kind());
  }
  return link_;
}

void BlockingTask::send() {
  Worker& worker = session_.worker();
  const uint64_t now_ms = worker.now64_ms();
  Request request = whole_;
  request.task = this;
  request.ticket = ++try_;
  request.slot = slot_;
  request.flags |= kNodeBound | kMayWait;
  session_.add_reference();
  state_ = State::kAtNode;
  sent_ms_ = now_ms;
  owner_gone_checks_ = overdue_checks_ = 0;
  if (!in_trouble_) [[likely]] {
    link_->send(request, bytes_);
  } else {
    worker.stats().retries.add();
    const std::string bytes = limit_.with_time_left(bytes_, now_ms);
    asking_ ? link_->send_asking(request, bytes) : link_->send(request, bytes);
  }
  send_follow_ups();
}

// A command does not block inside MULTI; so what its rule adds comes right behind it, in the same write. The node
// executes it as soon as the command has its answer.
void BlockingTask::send_follow_ups() {
  Request request;
  request.flags = kDiscard;
  for (uint32_t i = 0; i < follow_ups_.count(); ++i) link_->send(request, follow_ups_.frame(i));
}

// --- replies ---

void BlockingTask::on_reply(uint32_t part, std::string_view reply) {
  if (part != try_ || state_ != State::kAtNode) return;
  if (reply[0] == '-') [[unlikely]] {
    if (!link_->ready()) return on_lost(reply);
    const resp::Refusal refusal = resp::parse_refusal(reply);
    if (refusal.kind != RefusalKind::kNone || is_forced_unblock(reply)) return on_refused(refusal, reply);
  }
  release_link();
  finish(reply);
}

void BlockingTask::on_refused(const resp::Refusal& refusal, std::string_view reply) {
  Worker& worker = session_.worker();
  begin_trouble();
  target_ = kNoNode;
  asking_ = refusal.kind == RefusalKind::kAsk;
  const std::string reason(reply);
  if (refusal.kind == RefusalKind::kMoved || asking_) {
    (asking_ ? worker.stats().redirects_ask : worker.stats().redirects_moved).add();
    slot_ = refusal.slot;
    target_ = worker.redirect_target(*link_, refusal);
    release_link();
    if (++attempts_ <= kPromptRedirects) return attempt();
    return attempt_later("-TRYAGAIN slot " + std::to_string(slot_) + " is moving between nodes\r\n");
  }
  is_forced_unblock(reply) ? drop_link() : release_link();
  refusal.kind == RefusalKind::kTryAgain ? wait_out(reason) : attempt_later(reason);
}

// Its keys are on both sides of a slot that moves. The node that answers is alive, so the command waits for the end of
// the move as it would have waited for an element, and ends as if none had come.
void BlockingTask::wait_out(std::string_view reply) {
  const uint64_t now_ms = session_.worker().now64_ms();
  if (!limit_.known()) return attempt_later(reply);
  if (limit_.over(now_ms)) return finish(null_reply());
  trouble_since_ms_ = now_ms;
  attempt_later(reply, limit_.left_ms(now_ms));
}

void BlockingTask::on_lost(std::string_view reply) {
  Worker& worker = session_.worker();
  const bool may_have_run = reply.starts_with("-INDOUBT ");
  const bool never_answers =
      limit_.overdue_ms(worker.now64_ms()) >= static_cast<uint64_t>(worker.settings().upstream.request_timeout_ms);
  if (never_answers || (may_have_run && !(only_pops(spec_) && was_waiting()))) {
    const std::string answer(reply);
    drop_link();
    return finish(answer);
  }
  if (may_have_run) {
    worker.stats().indoubt.subtract();  // it has been counted; fail() will, if it comes to that
    doubt_ = reply;
  }
  begin_trouble();
  target_ = kNoNode;
  asking_ = false;
  attempt_later(reply);
}

bool BlockingTask::was_waiting() const { return session_.worker().now64_ms() - sent_ms_ >= kAnsweredAtOnceMs; }

// How long an owner has been out of reach counts from when the command last waited in peace.
void BlockingTask::begin_trouble() {
  const bool goes_on = in_trouble_ && !(state_ == State::kAtNode && was_waiting());
  state_ = State::kPausing;
  if (goes_on) return;
  in_trouble_ = true;
  trouble_since_ms_ = session_.worker().now64_ms();
  attempts_ = 0;
}

void BlockingTask::attempt_later(std::string_view reason, uint64_t within_ms) {
  Worker& worker = session_.worker();
  const auto timeout_ms = static_cast<uint64_t>(worker.settings().upstream.request_timeout_ms);
  if (worker.stopping() || worker.now64_ms() - trouble_since_ms_ >= timeout_ms) return fail(reason);
  worker.refresh_topology();
  const uint64_t most_ms = std::min<uint64_t>({500, 8u << std::min<uint8_t>(attempts_, 6), within_ms});
  if (attempts_ < 255) ++attempts_;
  timer_ = true;
  // Thousands may have been waiting at the same node.
  const uint64_t jitter_ms = worker.transport().random() % (most_ms / 2 + 1);
  worker.after(static_cast<uint32_t>(most_ms - jitter_ms), [this] {
    timer_ = false;
    attempt();
  });
}

// --- what happens meanwhile ---

// Checks are counted, and not only time: after each, what has come meanwhile is read, however long that took. A link
// that fails here tells on_lost().
void BlockingTask::check() {
  if (state_ != State::kAtNode) return;
  Worker& worker = session_.worker();
  const NodeId owner = worker.map().owner[slot_];
  const bool is_owner = asking_ || owner == link_->node() || owner == kNoNode;
  owner_gone_checks_ = is_owner ? 0 : owner_gone_checks_ + 1;
  if (owner_gone_checks_ > kSilentChecks) return link_->fail("its slot has had a new owner for two seconds");
  const auto timeout_ms = static_cast<uint64_t>(worker.settings().upstream.request_timeout_ms);
  if (limit_.overdue_ms(worker.now64_ms()) >= timeout_ms) ++overdue_checks_;
  if (overdue_checks_ > 1) link_->fail("no answer within the request timeout");
}

void BlockingTask::on_session_closed() {
  drop_link();
  finish({});
}

void BlockingTask::unblock(bool with_error, UnblockDone done) {
  Worker& worker = session_.worker();
  if (state_ == State::kAtNode && link_->ready() && !link_->id_at_node().empty()) {
    unblocking_ = true;
    return unblock_at_node(worker, *link_, with_error, std::move(done));
  }
  done(true);
  if (with_error || !limit_.known()) {
    drop_link();
    return finish(with_error ? kUnblockedError : null_reply());
  }
  limit_.end(worker.now64_ms());  // the node gives the command's own answer to that
  if (state_ != State::kAtNode) return;
  drop_link();
  begin_trouble();
  attempt();
}

// --- ends ---

void BlockingTask::release_link() {
  LinkPool& pool = session_.worker().own_links();
  Link* link = std::exchange(link_, nullptr);
  unblocking_ ? pool.drop(link) : pool.give(link);
  unblocking_ = false;
}

void BlockingTask::drop_link() {
  ++try_;
  unblocking_ = false;
  if (Link* link = std::exchange(link_, nullptr)) session_.worker().own_links().drop(link);
}

void BlockingTask::fail(std::string_view reason) {
  const std::string answer(doubt_.empty() ? reason : doubt_);
  if (!doubt_.empty()) session_.worker().stats().indoubt.add();
  drop_link();
  finish(answer);
}

// As a node says that time is over, whatever the command: Redis 7.0, blocked.c, replyToBlockedClientTimedOut.
std::string_view BlockingTask::null_reply() const { return session_.resp() == 3 ? "_\r\n" : "*-1\r\n"; }

void BlockingTask::finish(std::string_view reply) {
  state_ = State::kEnded;
  session_.set_blocked(nullptr);
  session_.resume(Session::kBlocked);
  session_.worker().answer(whole_, reply);
  if (!timer_) delete this;
}

}  // namespace corral::core
