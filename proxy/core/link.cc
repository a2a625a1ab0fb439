#include "proxy/core/link.h"

#include <algorithm>

#include "proxy/core/tracking_clients.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

namespace {

constexpr std::string_view kGivenUp = "-INDOUBT the connection to the node was given up\r\n";
constexpr size_t kKeptTailBytes = 64 * 1024;
constexpr size_t kTailStepBytes = 64;
constexpr uint32_t kEnoughForAWrite = 16;
constexpr int kMaxParts = 64;           // of one write
constexpr size_t kFeedBytes = 1 << 20;  // of a large request that wait to be sent

}  // namespace

Link::Link(Worker& worker, NodeId node, LinkKind kind, config::Address address, uint32_t log_block, Peer peer)
    : worker_(worker),
      stats_(worker.node_stats(node)),
      node_(node),
      kind_(kind),
      peer_(peer),
      address_(std::move(address)),
      log_(worker.pool(), log_block) {}

Link::~Link() {
  if (socket_) worker_.transport().close(socket_);
}

void Link::send_asking(const Request& request, std::string_view bytes) {
  if (request.flags & (kScript | kPiece)) tell_scripts(bytes, (request.flags & (kPiece | kScript)) == kPiece);
  Request asking;
  asking.flags = kDiscard;
  push(asking, kAskingFrame);
  submit(request, bytes);
}

void Link::tell_scripts(std::string_view bytes, bool again) {
  for (const auto& body : told_scripts_.missing(worker_, bytes, again)) {
    Request load;
    load.flags = kDiscard;
    std::string frame;
    resp::append_command(frame, {"SCRIPT", "LOAD", *body});
    push(load, frame);
  }
}

void Link::connect() {
  state_ = State::kConnecting;
  state_since_ms_ = worker_.now_ms();
  if (kind_.redirects() && worker_.tracking().targets().id_for(*this).empty()) return;  // proceed() follows
  socket_ = worker_.transport().connect(address_, this);
}

void Link::proceed() {
  if (state_ == State::kConnecting && !socket_) socket_ = worker_.transport().connect(address_, this);
}

// The handshake goes out before anything in the log.
void Link::on_connected() {
  state_ = State::kHandshake;
  state_since_ms_ = worker_.now_ms();
  const auto& upstream = worker_.settings().upstream;
  const Login login = peer_ == Peer::kSentinel ? Login{upstream.sentinel_username, upstream.sentinel_password}
                                               : Login{upstream.username, upstream.password};
  const std::string_view target = kind_.redirects() ? worker_.tracking().targets().id_for(*this) : "";
  std::string out = handshake_.begin(login, kind_, target);
  const iovec part{out.data(), out.size()};
  if (worker_.transport().write(socket_, &part, 1) != out.size()) fail("could not send the handshake");
}

void Link::on_handshake_reply(std::string_view reply) {
  switch (handshake_.on_reply(reply)) {
    case Handshake::Result::kMore:
      return;
    case Handshake::Result::kRefused:
      return fail(resp::ReplyView(reply).text());
    case Handshake::Result::kDone:
      state_ = State::kReady;
      if (std::exchange(failures_, uint8_t{0}) > 0) worker_.on_link_recovered(*this);
      // Of one that waits nothing else may be heard for long.
      if (!pendings_.empty() && (pendings_.front().request.flags & kMayWait)) prove();
      worker_.on_link_ready(*this);
      flush();
  }
}

// Nagle's algorithm (RFC 896), while many clients are active: as long as requests are under way, the next few are
// gathered until the answers come, until there are enough for a write of their own, or for a millisecond. So a write, a
// wake-up of the node and a read of its answers serve several of them.
bool Link::waits_for_more() const {
  return worker_.many_clients() && !feeding_ && pendings_.size() > unsent_ && unsent_ < kEnoughForAWrite &&
         worker_.now_ms() == gathering_since_ms_;
}

bool Link::flush() {
  if (state_ != State::kReady || blocked_ || unsent_ == 0) return false;
  if (waits_for_more()) return true;
  unsent_ = 0;
  while (log_.unsent() > 0) {
    iovec parts[kMaxParts];
    const int count = log_.gather(parts, kMaxParts);
    size_t given = 0;
    for (int i = 0; i < count; ++i) given += parts[i].iov_len;
    const size_t taken = worker_.transport().write(socket_, parts, count);
    log_.mark_sent(taken);
    worker_.stats().upstream_writes.add();
    if (feeding_) [[unlikely]] {
      log_.release(taken);
      wrote_ms_ = worker_.now_ms();
    }
    if (taken < given) {
      blocked_ = true;
      break;
    }
  }
  if (feeder_ && log_.unsent() < kFeedBytes / 2) [[unlikely]]
    feeder_->on_room();
  return false;
}

void Link::on_writable() {
  blocked_ = false;
  unsent_ = std::max(unsent_, 1u);  // there is something to write
  flush();
}

// Bytes are copied only where a reply is cut by the end of what was read: then what is missing of it, and no more.
void Link::on_bytes(const char* data, size_t size) {
  received_ms_ = worker_.now_ms();
  if (passing_) [[unlikely]]
    return pass_on(data, size);
  size_t used = 0;
  while (!tail_.empty() && used < size) {
    const size_t step = std::min(size - used, std::max(scanner_.missing(), kTailStepBytes));
    tail_.append(data + used, step);
    used += step;
    const size_t done = consume(tail_.data(), tail_.size());
    if (!socket_) return;  // failed, and has cleared the tail
    if (done == 0) {
      const bool may = may_pass() || may_drop();
      if (!may && tail_.size() + scanner_.missing() > worker_.settings().limits.reply_bytes) return fail_for_size();
      if (!may) continue;
      begin_passing();
      return pass_on(data + used, size - used);
    }
    used -= tail_.size() - done;  // what follows is handled where it is
    tail_.clear();
    if (tail_.capacity() > kKeptTailBytes) tail_ = {};
  }
  if (used == size) return;
  const size_t done = consume(data + used, size - used);
  used += done;
  if (socket_ && used < size) tail_.assign(data + used, size - used);
  if (used < size && (may_pass() || may_drop())) [[unlikely]] {
    begin_passing();
    pass_on(nullptr, 0);
  }
}

void Link::fail_for_size() {
  worker_.stats().replies_too_large.add();
  fail("a reply is larger than limits.reply allows");
}

// Handles the whole replies in data; the bytes they took.
size_t Link::consume(const char* data, size_t size) {
  size_t at = 0;
  uint32_t replies = 0;
  while (at < size) {
    const resp::ScanStatus status = scanner_.scan(data + at, size - at);
    if (status == resp::ScanStatus::kNeedMore) break;
    if (status == resp::ScanStatus::kError) {
      fail(scanner_.error());
      return size;
    }
    const size_t length = scanner_.consumed();
    scanner_.reset();
    const std::string_view reply(data + at, length);
    at += length;
    if (state_ == State::kReady) [[likely]] {
      on_reply(reply);
      ++replies;
    } else if (reply[0] != '>') {
      on_handshake_reply(reply);
    }
    if (!socket_) return size;  // failed meanwhile
  }
  if (replies > 0 && !proven_) [[unlikely]]
    prove();
  settle_times();
  worker_.stats().upstream_commands.add(replies);
  return at;
}

// The node has answered a request on this connection. (What the answer to a probe says is judged there: health.h.)
void Link::prove() {
  proven_ = true;
  if (!always_tried) worker_.health().on_answer(node_);
}

// Replies to what was sent together come together: they are counted as one run.
void Link::note_time(const Request& request) {
  if (request.flags & kMayWait) return;
  if (request.sent_us != timed_since_us_) {
    settle_times();
    timed_since_us_ = request.sent_us;
  }
  ++timed_;
}

void Link::settle_times() {
  if (timed_ > 0) stats_.times.add(worker_.turn_us() - timed_since_us_, std::exchange(timed_, 0));
}

void Link::on_reply(std::string_view reply) {
  if (reply[0] == '>') [[unlikely]]
    return worker_.on_push(*this, reply);
  if (pendings_.empty()) [[unlikely]]
    return fail("a reply to nothing");
  const Pending done = pendings_.front();
  if (done.request.flags & kPiece) [[unlikely]] {
    auto* piece = static_cast<Piece*>(done.request.task);
    if (!piece->take(reply)) return;
    reply = piece->verdict();
  }
  // The first commands of a piece may be answered before the last one has been sent, but not the last one.
  if (done.size > log_.size() - log_.unsent()) [[unlikely]]
    return fail("a reply to nothing");
  pendings_.pop();
  note_time(done.request);
  if (pendings_.size() > 1 && pendings_[1].request.touch.needs_key())
    worker_.prefetch_touch(pendings_[1].request.touch);
  if (feeding_ && pendings_.empty()) [[unlikely]] {
    feeding_ = false;
    feeder_ = nullptr;
  }
  worker_.on_upstream_reply(*this, done, reply);
  worker_.remove_inflight_bytes(done.size);
  if (socket_) log_.release(done.size);
  if (detached_ && pendings_.empty()) [[unlikely]]
    worker_.end_detached(this);
}

void Link::begin_feeding(const Request& request, Feeder* feeder) {
  feeder_ = feeder;
  feeding_ = true;
  wrote_ms_ = worker_.now_ms();
  if (request.session) request.session->note_written(node_);
  pendings_.push({request, nullptr, 0, worker_.now_ms()});
  pendings_.back().request.sent_us = worker_.turn_us();
}

bool Link::feed(std::string_view bytes) {
  log_.append(bytes);
  unsent_ = 1;
  if (!dirty) worker_.flush_later(this);
  return log_.unsent() < kFeedBytes;
}

// From now on the node is to answer within the request timeout.
void Link::end_feeding() {
  feeder_ = nullptr;
  if (pendings_.empty()) return;
  pendings_.front().sent_ms = pendings_.front().request.since_ms = worker_.now_ms();
  pendings_.front().request.flags &= static_cast<uint8_t>(~kMayWait);
}

uint32_t Link::count(const Session* session, uint16_t slot) {
  const auto key_of = [](const Session* of, uint16_t in) { return of->id() << 16 | in; };
  return index_.count(pendings_, key_of(session, slot), [&](const Pending& pending) {
    const Request& request = pending.request;
    return request.session && !(request.flags & kNodeBound) ? key_of(request.session, request.slot) : 0;
  });
}

void Link::on_failed(std::string_view reason) {
  socket_ = nullptr;
  fail(reason);
}

void Link::abandon() {
  settle_times();
  if (socket_) worker_.transport().close(std::exchange(socket_, nullptr));
  state_ = State::kBackoff;
  backoff_until_ms_ = worker_.now_ms() + 1'000'000;
  unsent_ = 0;
  feeder_ = nullptr;
  if (passing_) lose_passing();
  while (!pendings_.empty()) {
    const Pending pending = pendings_.front();
    pendings_.pop();
    worker_.remove_inflight_bytes(pending.size);
    if (!(pending.request.flags & kDiscard)) worker_.answer(pending.request, kGivenUp);
  }
  log_.clear();
}

// What was not wholly sent cannot have run; that, and what only reads, is held and sent again. The rest may have run.
void Link::lose_pendings(std::string_view reason) {
  const size_t sent = log_.size() - log_.unsent();
  size_t offset = 0;
  while (!pendings_.empty()) {
    const Pending pending = pendings_.front();
    pendings_.pop();
    worker_.remove_inflight_bytes(pending.size);
    offset += pending.size;
    lose(pending, offset <= sent, reason);
  }
  unsent_ = 0;
  log_.clear();
  index_.clear(pendings_.front_number());
}

void Link::lose(const Pending& pending, bool was_sent, std::string_view reason) {
  if (pending.request.flags & kDiscard) return;
  const bool may_have_run = was_sent && !(pending.request.flags & kReadOnly);
  worker_.on_upstream_lost(*this, pending, may_have_run, reason);
}

}  // namespace corral::core
