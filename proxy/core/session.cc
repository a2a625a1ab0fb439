#include "proxy/core/session.h"

#include <algorithm>
#include <utility>

#include "proxy/core/leases.h"
#include "proxy/core/link.h"
#include "proxy/core/subscriptions.h"
#include "proxy/core/tracking_clients.h"
#include "proxy/core/transaction.h"
#include "proxy/core/upload.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

namespace {

constexpr size_t kSoftOutputBytes = 1 << 20;  // more than this unsent: the client is not read from
constexpr uint64_t kExpectedReplyBytes = 32ull
                                         << 20;   // what replies under way may come to, judged by the largest so far
constexpr uint32_t kGuessedReplyBytes = 1 << 20;  // before the first reply
constexpr uint32_t kAlwaysUnderWay = 4;
constexpr uint32_t kDrainQuietMs = 200;  // a draining client is closed after so long without a request
constexpr uint32_t kOutputBlock = 128;   // there may be ten thousand with little to say each, all in one turn
constexpr int kMaxParts = 64;

}  // namespace

Session::Session(Worker& worker, uint64_t id, Socket* socket, ClientAddresses addresses)
    : worker_(worker),
      socket_(socket),
      id_(id),
      output_(worker.pool(), kOutputBlock),
      replies_(worker.pool()),
      addresses_(std::move(addresses)),
      created_ms_(worker.now_ms()),
      active_ms_(worker.now_ms()),
      largest_reply_(kGuessedReplyBytes) {}

Session::~Session() { drop_input(); }

void Session::pause(Pause reason) {
  if (paused_ == 0 && socket_) worker_.transport().set_reading(socket_, false);
  paused_ |= reason;
  if (reason != kFull) return;
  worker_.stats().pipelines_full.add();
  if (worker_.backlogged()) wait_for_backlog();
}

void Session::resume(Pause reason) {
  if (!(paused_ & reason)) return;
  paused_ &= static_cast<uint16_t>(~reason);
  if (paused_ == 0) worker_.continue_later(this);
}

// Whether a pause is due (`share` 1), or not over yet (2: half of the limits must be free again).
bool Session::too_full(uint32_t share) const {
  const uint32_t due = replies_.size() * share;
  return due >= worker_.settings().limits.client_pipeline || output_.size() * share > kSoftOutputBytes ||
         (due >= kAlwaysUnderWay && uint64_t{due} * largest_reply_ > kExpectedReplyBytes);
}

void Session::protocol_error(std::string_view error) {
  worker_.stats().protocol_errors.add();
  if (error == resp::kQueryBufferError) worker_.stats().query_buffers_full.add();
  skip_this_ = false;
  reply_error("ERR " + std::string(error));
  close_after_replies();
}

// Of what is no command, and of what is queued: it has not been done, EXEC does it.
uint64_t Session::rarely_timed_as() const {
  CommandGroup group = group_of(last_command_);
  uint16_t id = last_command_ ? last_command_->id : resp::kUnlistedCommand;
  if (modes_ & kQueueing) {
    if (group != CommandGroup::kTransaction) id = resp::kUnlistedCommand;
    group = CommandGroup::kTransaction;
  }
  return ReplyTimes::who(worker_.turn_us(), group, id);
}

ReplyQueue::Ticket Session::expect_reply() { return replies_.push(hides_replies(), timed_as()); }

void Session::complete(ReplyQueue::Ticket ticket, std::string_view reply) {
  if (!may_take(static_cast<uint32_t>(reply.size()))) return;
  replies_.complete(ticket, reply, output_, worker_.reply_times());
  flush_soon();
}

namespace {

// True: more waits for the client than may, and it is closed.
bool close_overrun(Session& session, uint64_t waiting) {
  Worker& worker = session.worker();
  if (waiting <= worker.settings().limits.client_output_bytes) [[likely]]
    return false;
  worker.stats().clients_overrun.add();
  session.close();
  return true;
}

}  // namespace

// False: the client is gone, or is now, since it does not read what it gets.
bool Session::may_take(uint32_t reply_size) {
  if (!socket_) return false;
  if (close_overrun(*this, output_.size() + replies_.kept_bytes())) return false;
  largest_reply_ = judged_ ? std::max(largest_reply_, reply_size) : reply_size;
  judged_ = true;
  return true;
}

// What the task has itself does not count: one large reply is as good in parts as in one piece.
bool Session::collect(size_t size, size_t own) {
  if (!socket_) return false;
  if (close_overrun(*this, output_.size() + replies_.kept_bytes() + collected_ - own)) return false;
  collected_ += size;
  return true;
}

void Session::flush_soon() {
  if ((paused_ & kQuiet) && replies_.empty()) [[unlikely]]
    resume(kQuiet);
  if (!dirty) worker_.flush_later(this);
  if (tracked_ != Tracked::kNot) [[unlikely]]
    tracking_->on_progress();
}

void Session::take_part(std::string_view bytes) {
  if (!socket_ || close_overrun(*this, output_.size())) return;
  output_.append(bytes);
  if (!dirty) worker_.flush_later(this);
}

void Session::end_parts() {
  source_ = nullptr;
  if (late_bytes() > 0) push(std::exchange(details_->late_pushes, {}));
}

void Session::push(std::string_view frames) {
  if (!socket_ || closing_) return;
  if (output_.size() + late_bytes() > worker_.settings().limits.subscriber_output_bytes) [[unlikely]] {
    worker_.stats().clients_overrun.add();
    worker_.log_closed(*this, LogLevel::kWarn, "it does not read its messages");
    return close();
  }
  if (source_) [[unlikely]] {
    details().late_pushes += frames;
    return;
  }
  output_.append(frames);
  if (!dirty) worker_.flush_later(this);
}

void Session::reply_error(std::string_view text) {
  std::string out;
  worker_.note_error(text);
  resp::append_error(out, text);
  reply(out);
}

[[gnu::always_inline]] inline Request Session::make_request(uint16_t slot, uint8_t flags) {
  add_reference();
  Request request;
  request.session = this;
  request.task = sink_.task;
  request.ticket = sink_.task ? sink_.part : expect_reply();
  request.slot = slot;
  request.flags = flags;
  if (!sink_.task) request.touch = take_touch();
  request.since_ms = worker_.now_ms();
  request.tracked = tracked_;
  return request;
}

// Here the request is not built in memory first (Worker::send()).
void Session::forward(std::string_view bytes, uint16_t slot, uint8_t flags) {
  const Request request = make_request(slot, flags);
  if ((modes_ & kWatching) && transaction_->forward_watched(Request(request), bytes)) [[unlikely]]
    return;
  worker_.send(request, bytes);
}

Request Session::request_for_reply(uint16_t slot, uint8_t flags) { return make_request(slot, flags); }

Request Session::request_for_push() {
  const bool off = std::exchange(replies_off_, false), skip = std::exchange(skip_this_, false);
  const Request request = request_for_reply(kNoSlot, 0);
  replies_off_ = off;
  skip_this_ = skip;
  return request;
}

void Session::release() {
  if (--references_ == 0 && !socket_) worker_.bury(this);
}

void Session::add_hold() {
  ++holds_;
  add_reference();
}

void Session::remove_hold() {
  if (--holds_ == 0) resume(kHeld);
  release();
}

void Session::close_after_replies() {
  closing_ = true;
  if (!dirty) worker_.flush_later(this);
}

void Session::close() {
  if (!socket_) return;
  worker_.transport().close(std::exchange(socket_, nullptr));
  on_failed({});
}

void Session::on_failed(std::string_view) {
  socket_ = nullptr;
  output_.clear();  // the input may be in use right now: drop_input() follows
  replies_.forget_kept();
  worker_.access().forget(*this);
  if (source_) source_->on_client_room();
  if (upload_) std::exchange(upload_, nullptr)->on_session_closed();
  if (blocked_command_) blocked_command_->on_session_closed();
  if (leases_) worker_.leases().on_closed(*this);
  leave_modes();
  worker_.bury(this);
}

// While it is not read from, a blocked client can only be noticed to go away by this.
void Session::on_hang_up() {
  hung_up_ = true;
  if (paused_ & (kBlocked | kByClient | kAuth)) close();
}

void Session::on_end() {
  ended_ = true;
  if (upload_) return close();                   // what is being received will never be whole
  if (paused_ == 0 && !resumable) drop_input();  // half a request, of which nothing more comes
  after_output();
}

void Session::on_writable() {
  blocked_ = false;
  flush();
}

void Session::flush() {
  if (!socket_ || blocked_) return close_if_overrun();
  while (output_.unsent() > 0) {
    iovec parts[kMaxParts];
    const int count = output_.gather(parts, kMaxParts);
    size_t given = 0;
    for (int i = 0; i < count; ++i) given += parts[i].iov_len;
    const size_t taken = worker_.transport().write(socket_, parts, count);
    worker_.stats().net_output_bytes.add(taken);
    output_.mark_sent(taken);
    output_.release(taken);
    if (taken < given) {
      blocked_ = true;
      break;
    }
  }
  after_output();
}

// Who has not authenticated gets nothing that is worth keeping for it.
void Session::close_if_overrun() {
  if (!socket_ || authenticated()) return;
  if (output_.unsent() <= worker_.settings().limits.unauthenticated_output_bytes) return;
  worker_.stats().clients_unauthenticated.add();
  worker_.log_closed(*this, LogLevel::kInfo, "it neither authenticates nor reads its replies");
  close();
}

void Session::after_output() {
  if (source_ && output_.unsent() < kSoftOutputBytes / 2) source_->on_client_room();
  if ((closing_ || (ended_ && !input_)) && replies_.empty() && output_.empty()) return close();
  if ((paused_ & kFull) && !too_full(2)) worker_.backlogged() ? wait_for_backlog() : resume(kFull);
}

void Session::wait_for_backlog() {
  if (!std::exchange(stalled_, true)) worker_.stall(this);
}

void Session::on_backlog_gone() {
  stalled_ = false;
  if (!too_full(2)) resume(kFull);
}

// Bytes that trickle in do not count: only a whole command shows that a client means it (slow loris).
void Session::check(uint32_t now_ms, bool draining) {
  const config::Settings& settings = worker_.settings();
  const int64_t command_ms = settings.limits.command_time_ms, idle_ms = settings.server.idle_timeout_ms;
  const bool in_command = paused_ == 0 && !resumable && (input_ || upload_ || skipped_);
  if (in_command && command_ms > 0 && now_ms - partial_since_ms_ > command_ms) {
    worker_.stats().clients_slow.add();
    return close();
  }
  const int64_t silent_ms = now_ms - active_ms_;
  const bool listens = (modes_ & kSubscribed) != 0;
  if (idle_ms > 0 && silent_ms > idle_ms && replies_.empty() && !listens) {
    worker_.stats().clients_idle.add();
    return close();
  }
  if (draining && idle() && silent_ms > kDrainQuietMs) close();
}

size_t Session::memory_bytes() const {
  return sizeof(Session) + output_.size() + replies_.kept_bytes() + late_bytes() +
         (input_ ? input_->bytes.capacity() : 0) + (transaction_ ? transaction_->bytes() : 0) + collected_;
}

Session::Details& Session::details() {
  if (!details_) details_ = std::make_unique<Details>();
  return *details_;
}

void Session::reset() {
  leave_modes();
  details_.reset();
  link_kind_ = LinkKind();
  replies_off_ = skip_this_ = skip_next_ = no_evict_ = no_touch_ = false;
  worker_.access().begin(*this);
}

// What waits for something may wait for long, and what listens must not hear more.
void Session::end_for_new_rights() {
  const bool waits = blocked_command_ || upload_ || skipped_ || (modes_ & (kSubscribed | kMonitoring)) != 0;
  waits ? close() : close_after_replies();
}

void Session::leave_modes() {
  if (transaction_) transaction_->discard();
  if (subscriptions_) subscriptions_->leave_all();
  if (modes_ & kMonitoring) worker_.gate().remove_monitor(*this);
  worker_.tracking().leave(*this);
  modes_ = 0;
}

SessionLeases& Session::leases() {
  if (!leases_) leases_ = std::make_unique<SessionLeases>();
  return *leases_;
}

Transaction& Session::transaction() {
  if (!transaction_) transaction_ = std::make_unique<Transaction>(*this);
  return *transaction_;
}

void Session::set_subscriptions(std::unique_ptr<Subscriptions> subscriptions) {
  subscriptions_ = std::move(subscriptions);
}

void Session::set_tracking(std::unique_ptr<SessionTracking> tracking) { tracking_ = std::move(tracking); }

void Session::begin_command(const resp::CommandSpec* spec) {
  last_command_ = spec;
  skip_this_ = std::exchange(skip_next_, false);
  if (tracked_ != Tracked::kNot) [[unlikely]]
    tracking_->begin_command(spec, (modes_ & kQueueing) != 0);
}

}  // namespace corral::core
