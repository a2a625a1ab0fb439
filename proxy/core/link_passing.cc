// Link, the part for large replies: from a few MiB on a reply is not collected but passed on to its client as it comes,
// at the pace at which the client reads.
//
// The connection is then that client's own: new requests go over a fresh one. What had been sent behind the large
// reply's request cannot be called back; what of it only reads is asked again over the fresh connection, for the rest
// the clients' later requests wait (HoldTable). If somebody has waited for a second, the reply is read as fast as it
// comes, into the client's output, whose limit then decides.
#include "proxy/core/link.h"
#include "proxy/core/near.h"
#include "proxy/core/session.h"
#include "proxy/core/tracking_clients.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr size_t kPassBytes = 4u << 20;    // a reply that is known to be larger is passed on
constexpr size_t kClientBytes = 1u << 20;  // of it that may wait for the client
constexpr uint32_t kOthersWaitMs = 1000;
constexpr size_t kStartBytes = 32;

}  // namespace

// What comes is no push, and no reply to nothing (on_reply).
bool Link::may_be_reply() { return tail_[0] != '>' && pendings_.front().size <= log_.size() - log_.unsent(); }

// A reply for a client that can take it right now: parts of merged replies and what waits for others are collected.
bool Link::may_pass() {
  if (state_ != State::kReady || pendings_.empty() || feeding_) return false;
  if (tail_.size() + scanner_.missing() < kPassBytes || !(detached_ || worker_.is_shared(*this))) return false;
  if (!may_be_reply()) return false;
  const Request& request = pendings_.front().request;
  return request.session && !request.task && request.session->can_take_part(request.ticket);
}

// Nobody waits for this reply but who has others asked for it first (a fill of the near cache).
bool Link::may_drop() {
  if (state_ != State::kReady || pendings_.empty() || tail_.size() + scanner_.missing() < kPassBytes) return false;
  if (!may_be_reply()) return false;
  const Request& request = pendings_.front().request;
  return (request.flags & kPiece) && static_cast<const Piece*>(request.task)->drops_large_replies();
}

void Link::begin_passing() {
  passing_ = true;
  dropping_ = pendings_.front().request.session == nullptr;
  hurried_ = waiting_ = false;
  passing_since_ms_ = worker_.now_ms();
  passed_bytes_ = 0;
  passed_start_ = tail_.substr(0, kStartBytes);
  if (dropping_) return static_cast<Piece*>(pendings_.front().request.task)->on_dropping();
  pendings_.front().request.session->begin_parts(this);
  if (detached_) return;
  detached_ = true;
  worker_.detach(*this);
  // It has been executed: nobody has to wait for it, and for a hold that begins now it does not count.
  const Pending executed = pendings_.front();
  pendings_.front().request.flags |= kNodeBound;
  worker_.note_not_refused(executed);
  worker_.holds().on_detached(*this);
}

void Link::pass_on(const char* data, size_t size) {
  tail_.append(data, size);
  const resp::ScanStatus status = scanner_.scan(tail_.data(), tail_.size());
  if (status == resp::ScanStatus::kError) return fail(scanner_.error());
  if (status == resp::ScanStatus::kNeedMore) {
    const size_t passable = scanner_.passable(tail_.size());
    pass_bytes(passable);
    if (!socket_) return;
    scanner_.drop(passable);
    tail_.erase(0, passable);
    return;
  }
  pass_bytes(scanner_.consumed());
  if (!socket_) return;
  const std::string rest = tail_.substr(scanner_.consumed());
  scanner_.reset();
  tail_.clear();
  dropping_ ? end_dropping() : end_passing();
  if (socket_ && !rest.empty()) on_bytes(rest.data(), rest.size());
}

void Link::pass_bytes(size_t size) {
  passed_bytes_ += size;
  if (dropping_) return;
  Session* session = pendings_.front().request.session;
  session->take_part({tail_.data(), size});
  if (!session->open() && pendings_.size() == 1) return worker_.end_detached(this);  // nobody wants the rest
  if (waiting_ || hurried_ || session->waiting_bytes() < kClientBytes) return;
  waiting_ = true;
  worker_.transport().set_reading(socket_, false);
}

void Link::on_client_room() {
  if (!waiting_ || !socket_) return;
  waiting_ = false;
  received_ms_ = worker_.now_ms();
  worker_.transport().set_reading(socket_, true);
}

void Link::check_passing(uint32_t now_ms) {
  if (!dropping_ && pendings_.size() > 1 && now_ms - passing_since_ms_ > kOthersWaitMs) {
    hurried_ = true;
    on_client_room();
  }
  const int64_t timeout = worker_.settings().upstream.request_timeout_ms;
  if (!waiting_ && now_ms - received_ms_ > timeout) fail("a reply does not end");
}

void Link::end_dropping() {
  passing_ = dropping_ = false;
  on_reply("$0\r\n\r\n");
  settle_times();
}

void Link::end_passing() {
  passing_ = false;
  const Pending done = pendings_.front();
  pendings_.pop();
  note_time(done.request);
  settle_times();
  on_client_room();
  worker_.seen_keys().on_large_reply({done.bytes, done.size}, passed_start_, passed_bytes_);
  worker_.stats().upstream_commands.add();
  worker_.note_not_refused(done);
  done.request.session->end_parts();
  if (done.request.tracked != Tracked::kNot) worker_.tracking().on_reply(*this, done, {});
  worker_.answer(done.request, {});
  worker_.remove_inflight_bytes(done.size);
  if (!socket_) return;
  log_.release(done.size);
  if (pendings_.empty()) worker_.end_detached(this);
}

// The client has a part of a reply, and can get neither the rest nor an error.
void Link::lose_passing() {
  passing_ = waiting_ = false;
  if (std::exchange(dropping_, false)) return;
  const Pending lost = pendings_.front();
  pendings_.pop();
  worker_.remove_inflight_bytes(lost.size);
  Session* session = lost.request.session;
  worker_.note_not_refused(lost);
  session->end_parts();
  if (lost.request.touch) worker_.near()->touches().end(lost.request.touch, *lost.request.session, {});
  session->close();
  session->release();
}

}  // namespace corral::core
