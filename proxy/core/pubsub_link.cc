#include "proxy/core/pubsub_link.h"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/core/backoff.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

namespace {

constexpr uint32_t kPingAfterMs = 2000;
constexpr uint32_t kFirstBackoffMs = 20, kMostBackoffMs = 500;  // windows
constexpr uint32_t kLastedMs = 100;  // a connection that is lost sooner is not made again at once
constexpr size_t kKeptTailBytes = 64 * 1024;
constexpr std::string_view kPingFrame = "*1\r\n$4\r\nPING\r\n";

std::string_view command_name(bool subscribe, ChannelKind kind) {
  static constexpr std::array<std::string_view, kChannelKinds> kSubscribe = {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"};
  static constexpr std::array<std::string_view, kChannelKinds> kUnsubscribe = {"UNSUBSCRIBE", "PUNSUBSCRIBE",
                                                                               "SUNSUBSCRIBE"};
  return (subscribe ? kSubscribe : kUnsubscribe)[index_of(kind)];
}

}  // namespace

PubSubLink::PubSubLink(Worker& worker, PubSubListener& listener, NodeId node, config::Address address)
    : worker_(worker), listener_(listener), node_(node), address_(std::move(address)) {}

PubSubLink::~PubSubLink() {
  if (socket_) worker_.transport().close(socket_);
}

void PubSubLink::connect() {
  state_ = State::kConnecting;
  state_since_ms_ = worker_.now_ms();
  socket_ = worker_.transport().connect(address_, this);
}

void PubSubLink::on_connected() {
  state_ = State::kHandshake;
  state_since_ms_ = worker_.now_ms();
  const auto& upstream = worker_.settings().upstream;
  out_ = handshake_.begin({upstream.username, upstream.password}, LinkKind());
  flush();
}

void PubSubLink::on_handshake_reply(std::string_view reply) {
  switch (handshake_.on_reply(reply)) {
    case Handshake::Result::kMore:
      return;
    case Handshake::Result::kRefused:
      return fail(resp::ReplyView(reply).text());
    case Handshake::Result::kDone:
      state_ = State::kReady;
      failures_ = 0;
      state_since_ms_ = received_ms_ = unused_since_ms = worker_.now_ms();
      listener_.on_ready(*this);
  }
}

void PubSubLink::push(Sent sent) {
  if (sent_.empty()) waiting_ms_ = worker_.now_ms();
  sent_.push_back(std::move(sent));
  ++sent_count_;
  unsent_ = true;
}

PubSubLink::Sent PubSubLink::pop() {
  Sent sent = std::move(sent_.front());
  sent_.pop_front();
  ++answered_count_;
  waiting_ms_ = worker_.now_ms();
  return sent;
}

void PubSubLink::send(bool subscribe, ChannelKind kind, std::string_view name) {
  resp::append_command(out_, {command_name(subscribe, kind), name});
  push({subscribe ? Sent::What::kSubscribe : Sent::What::kUnsubscribe, kind, std::string(name)});
}

void PubSubLink::flush() {
  if (!socket_ || blocked_ || out_.empty()) return;
  const iovec part{out_.data(), out_.size()};
  const size_t taken = worker_.transport().write(socket_, &part, 1);
  blocked_ = taken < out_.size();
  out_.erase(0, taken);
  unsent_ = false;
}

void PubSubLink::ping() {
  out_ += kPingFrame;
  push({Sent::What::kPing, ChannelKind::kChannel, {}});
}

uint64_t PubSubLink::mark() {
  if (!unsent_ && ready()) ping();
  return sent_count_;
}

void PubSubLink::on_writable() {
  blocked_ = false;
  flush();
}

void PubSubLink::on_bytes(const char* data, size_t size) {
  received_ms_ = worker_.now_ms();
  if (tail_.empty()) {
    const size_t used = consume(data, size);
    if (socket_ && used < size) tail_.assign(data + used, size - used);
    return;
  }
  tail_.append(data, size);
  const size_t used = consume(tail_.data(), tail_.size());
  if (!socket_) return;  // failed, and has cleared the tail
  tail_.erase(0, used);
  if (tail_.size() > worker_.settings().limits.reply_bytes) {
    worker_.stats().replies_too_large.add();
    return fail("a reply is larger than limits.reply allows");
  }
  if (tail_.empty() && tail_.capacity() > kKeptTailBytes) tail_ = {};
}

// Handles the whole replies in data; the bytes they took.
size_t PubSubLink::consume(const char* data, size_t size) {
  size_t at = 0;
  while (at < size) {
    const resp::ScanStatus status = scanner_.scan(data + at, size - at);
    if (status == resp::ScanStatus::kNeedMore) break;
    if (status == resp::ScanStatus::kError) {
      fail(scanner_.error());
      return size;
    }
    const std::string_view reply(data + at, scanner_.consumed());
    scanner_.reset();
    at += reply.size();
    state_ == State::kReady ? on_reply(reply) : on_handshake_reply(reply);
    if (!socket_) return size;  // failed meanwhile
  }
  return at;
}

void PubSubLink::on_reply(std::string_view reply) {
  const PubSubFrame frame = parse_pubsub_frame(reply);
  switch (frame.type) {
    case PubSubFrame::Type::kMessage:
      return listener_.on_message(*this, frame, reply);
    case PubSubFrame::Type::kSubscribed:
    case PubSubFrame::Type::kUnsubscribed:
      return on_change(frame);
    default:
      if (reply[0] == '-') return on_error(reply);
      if (sent_.empty() || sent_.front().what != Sent::What::kPing) return fail("an unexpected reply");
      pop();
      listener_.on_progress();
  }
}

void PubSubLink::on_change(const PubSubFrame& frame) {
  const bool subscribed = frame.type == PubSubFrame::Type::kSubscribed;
  const auto what = subscribed ? Sent::What::kSubscribe : Sent::What::kUnsubscribe;
  const bool asked = !sent_.empty() && sent_.front().what == what && sent_.front().kind == frame.kind &&
                     sent_.front().name == frame.name;
  if (asked) {
    pop();
    listener_.on_confirmed(*this, subscribed, frame.kind, frame.name);
  } else if (!subscribed && frame.kind == ChannelKind::kShard) {
    listener_.on_ended(*this, frame.name);
  } else {
    fail("an unexpected reply");
  }
}

void PubSubLink::on_error(std::string_view reply) {
  if (sent_.empty() || sent_.front().what == Sent::What::kPing) return fail(resp::ReplyView(reply).text());
  const Sent sent = pop();
  listener_.on_refused(*this, sent.what == Sent::What::kSubscribe, sent.kind, sent.name, reply);
}

void PubSubLink::check(uint32_t now_ms) {
  const auto& limits = worker_.settings().upstream;
  if (state_ == State::kConnecting || state_ == State::kHandshake) {
    if (now_ms - state_since_ms_ > limits.connect_timeout_ms) fail("connecting timed out");
  } else if (state_ == State::kReady) {
    const bool late = !sent_.empty() && now_ms - waiting_ms_ > limits.request_timeout_ms;
    if (late && now_ms - received_ms_ > limits.request_timeout_ms) return fail("no answer within the request timeout");
    if (sent_.empty() && now_ms - received_ms_ > kPingAfterMs) {
      ping();
      flush();
    }
  }
}

void PubSubLink::on_failed(std::string_view reason) {
  socket_ = nullptr;
  fail(reason);
}

void PubSubLink::fail(std::string_view reason) {
  const std::string why(reason);  // may point into what is cleared below
  if (socket_) worker_.transport().close(std::exchange(socket_, nullptr));
  const bool lasted = state_ == State::kReady && worker_.now_ms() - state_since_ms_ >= kLastedMs;
  const uint32_t delay =
      full_jitter_ms(kFirstBackoffMs, kMostBackoffMs, lasted ? 0 : failures_ + 1, worker_.transport().random());
  if (++failures_ == 1) {
    worker_.transport().log(LogLevel::kWarn,
                            "subscriptions at " + address_.host + ':' + std::to_string(address_.port) + ": " + why);
  }
  retry_at_ms_ = worker_.now_ms() + delay;
  state_ = State::kLost;
  blocked_ = false;
  scanner_.reset();
  tail_ = {};
  out_.clear();
  sent_.clear();
  answered_count_ = sent_count_;
  unsent_ = false;
  worker_.stats().upstream_errors.add();
  listener_.on_lost(*this);
}

}  // namespace corral::core
