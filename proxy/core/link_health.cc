// Link, the part for what takes too long: a node that answers nothing, a connection that is half-open, a request that
// the node does not come to, and when a link that failed may be tried again.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "proxy/core/backoff.h"
#include "proxy/core/link.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr uint32_t kFirstBackoffMs = 20, kMostBackoffMs = 500;  // windows
constexpr uint32_t kIdleMs = 10'000;     // a link on which nothing has come for so long is probed
constexpr int64_t kMostSilentMs = 1000;  // likewise one with a read under way; less if requests may take less
constexpr uint32_t kResolvedMs = 2000;   // a name that was resolved so lately is not resolved again
constexpr size_t kMostReason = 200;      // bytes of a node's words that are told
constexpr size_t kSlowReply = 4u << 20;  // a reply of more may take its time, as long as it comes

bool is_plain_read(const Request& request) {
  return (request.flags & kReadOnly) && !(request.flags & (kMayWait | kScript | kPiece));
}

bool is_asking(const Link::Pending& pending) { return std::string_view(pending.bytes, pending.size) == kAskingFrame; }

}  // namespace

void Link::check_timeouts(uint32_t now_ms) {
  const auto& limits = worker_.settings().upstream;
  switch (state_) {
    case State::kIdle:
    case State::kBackoff:
      return;
    case State::kConnecting:
    case State::kHandshake:
      if (now_ms - state_since_ms_ > limits.connect_timeout_ms) return fail("connecting timed out");
      return expire_unsent(now_ms);
    case State::kReady:
      if (is_doubtful(now_ms)) {
        fail("its name may have another address by now");
      } else if (passing_) {
        check_passing(now_ms);
      } else if (feeding_ && blocked_ && now_ms - wrote_ms_ > limits.request_timeout_ms) {
        fail("the node does not read");
      } else {
        check_silence(now_ms);
      }
      if (socket_) expire_requests(now_ms);
  }
}

// Stuck is who answers nothing, not who has much to answer.
void Link::check_silence(uint32_t now_ms) {
  const int64_t timeout_ms = worker_.settings().upstream.request_timeout_ms;
  if (pendings_.empty()) {
    if (!index_.empty()) index_.clear(pendings_.front_number());
    if (now_ms - received_ms_ <= kIdleMs || !worker_.is_shared(*this) || !worker_.map().has(node_)) return;
    return worker_.health().probe_idle(*this);
  }
  const Request& front = pendings_.front().request;
  if (front.flags & kMayWait) return;
  const int64_t waiting_ms = now_ms - pendings_.front().sent_ms, silent_ms = now_ms - received_ms_;
  if (waiting_ms > timeout_ms && silent_ms > timeout_ms) return fail("no answer within the request timeout");
  if (waiting_ms > 2 * timeout_ms && !tail_.empty() && tail_.size() < kSlowReply) return fail("a reply does not end");
  const int64_t patience_ms = std::min(kMostSilentMs, timeout_ms / 4);
  if (waiting_ms <= patience_ms || silent_ms <= patience_ms) return;
  // Over Corral's own go reads only, by which it wants to know something soon; one that is half-open is no help.
  if (always_tried && proven_) return fail("no answer to a question of Corral's own");
  if (is_plain_read(front) && worker_.is_shared(*this)) worker_.health().suspect(*this);
}

bool Link::is_late(const Pending& pending, uint32_t now_ms) const {
  const uint32_t since_ms = pending.request.session ? pending.request.since_ms : pending.sent_ms;
  return now_ms - since_ms > worker_.settings().upstream.request_timeout_ms &&
         !(pending.request.flags & (kMayWait | kPiece | kDiscard));
}

// Over a connection that is being made nothing has been sent: what may not wait any more is taken back.
void Link::expire_unsent(uint32_t now_ms) {
  if (feeding_) return;
  bool any = false;
  for (uint32_t i = 0; i < pendings_.size(); ++i) {
    const Pending late = pendings_[i];
    if (!late.bytes || !is_late(late, now_ms)) continue;
    const std::string bytes(late.bytes, late.size);
    const auto take_back = [&](Pending& pending) {
      pending.request = {};
      pending.request.flags = kDiscard;
      pending.bytes = nullptr;
    };
    if (i > 0 && pendings_[i - 1].bytes && is_asking(pendings_[i - 1])) take_back(pendings_[i - 1]);
    take_back(pendings_[i]);
    any = true;
    worker_.stats().requests_expired.add();
    lose({late.request, bytes.data(), late.size, late.sent_ms}, false, "no connection within the request timeout");
    if (state_ != State::kConnecting && state_ != State::kHandshake) return;  // that was the end of it
  }
  if (any) drop_taken_back();
}

// Of the log only what is still to be sent is left.
void Link::drop_taken_back() {
  std::vector<std::pair<Pending, std::string>> kept;
  for (; !pendings_.empty(); pendings_.pop()) {
    const Pending& pending = pendings_.front();
    worker_.remove_inflight_bytes(pending.size);
    if (pending.bytes) kept.emplace_back(pending, std::string(pending.bytes, pending.size));
  }
  log_.clear();
  unsent_ = static_cast<uint32_t>(kept.size());
  for (auto& [pending, bytes] : kept) {
    pending.bytes = log_.append(bytes);
    pendings_.push(pending);
    worker_.add_inflight_bytes(pending.size);
  }
}

// What a node that does answer has not come to in time is answered without it; its reply will find nobody. (Not a
// transaction: of its replies none can be left out. It ends when the link does.) What was held before it was sent is
// older than what is under way in front of it, so all are looked at.
void Link::expire_requests(uint32_t now_ms) {
  for (uint32_t i = 0; i < pendings_.size(); ++i) {
    const Pending expired = pendings_[i];
    const bool comes = i == 0 && (passing_ || !tail_.empty());
    if (comes || !is_late(expired, now_ms)) continue;
    pendings_[i].request = {};
    pendings_[i].request.flags = static_cast<uint8_t>(kDiscard | (expired.request.flags & kScript));
    pendings_[i].request.sent_us = expired.request.sent_us;
    worker_.stats().requests_expired.add();
    lose(expired, true, "the node did not come to it within the request timeout");
    if (!socket_) return;
  }
}

void Link::doubt_address() {
  const std::string& host = address_.host;
  const bool is_name =
      host.find_first_not_of("0123456789.") != std::string::npos && host.find_first_of("/:") == std::string::npos;
  const uint32_t now_ms = worker_.now_ms();
  if (doubted_ || !is_name || now_ms - state_since_ms_ < kResolvedMs || !worker_.is_shared(*this)) return;
  doubted_ = true;
  doubted_ms_ = now_ms;
}

bool Link::is_doubtful(uint32_t now_ms) const {
  return doubted_ && (pendings_.empty() || now_ms - doubted_ms_ > kMostSilentMs);
}

void Link::on_node_answered(uint32_t probed_ms) {
  if (state_ != State::kReady || passing_ || feeding_ || pendings_.empty()) return;
  const Pending& front = pendings_.front();
  const bool older = static_cast<int32_t>(probed_ms - front.sent_ms) > 0;
  if (!older || !is_plain_read(front.request) || static_cast<int32_t>(probed_ms - received_ms_) <= 0) return;
  worker_.stats().links_half_open.add();
  fail("the node answers, but not on this connection");
}

void Link::on_node_given_up() {
  if (state_ != State::kIdle || always_tried) return;
  state_ = State::kBackoff;
  backoff_until_ms_ = worker_.now_ms();
}

void Link::on_node_back() {
  if (state_ == State::kBackoff) backoff_until_ms_ = worker_.now_ms();
}

bool Link::leave_backoff() {
  if (static_cast<int32_t>(worker_.now_ms() - backoff_until_ms_) < 0) return false;
  if (!always_tried && !worker_.health().admits(node_)) return false;
  state_ = State::kIdle;
  return true;
}

bool Link::unused_since(uint32_t now_ms, uint32_t ms) const {
  const bool busy = state_ == State::kConnecting || state_ == State::kHandshake;
  return !busy && !dirty && pendings_.empty() && now_ms - received_ms_ > ms && now_ms - state_since_ms_ > ms;
}

// What a node says may go into an error that a client gets, which is one line.
std::string Link::told_reason(std::string_view reason) {
  std::string told(reason.substr(0, kMostReason));
  for (char& c : told) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return told;
}

void Link::fail(std::string_view reason) {
  settle_times();
  const std::string why = told_reason(reason);  // it may point into what is cleared below
  if (socket_) worker_.transport().close(socket_);
  socket_ = nullptr;
  blocked_ = feeding_ = doubted_ = false;
  scanner_.reset();
  tail_ = {};
  told_scripts_.forget();
  const bool was_ready = state_ == State::kReady;
  const bool in_vain = !was_ready || !pendings_.empty();  // else the node only wanted the connection closed
  if (passing_) lose_passing();
  const uint32_t delay = full_jitter_ms(kFirstBackoffMs, kMostBackoffMs, failures_, worker_.transport().random());
  if (failures_ < 255) ++failures_;
  proven_ = false;
  // Who is told that a request is lost may send another one: not over this link until all have been told.
  state_ = State::kBackoff;
  backoff_until_ms_ = worker_.now_ms() + std::max(delay, 1u);
  worker_.on_link_failed(*this, was_ready, why);
  if (in_vain && peer_ == Peer::kNode && !worker_.stopping()) worker_.health().on_failure(*this, why);
  lose_pendings(why);
  if (delay == 0) {
    backoff_until_ms_ = worker_.now_ms();
    leave_backoff();
  }
  if (detached_) worker_.end_detached(this);
}

}  // namespace corral::core
