// A connection to a node on which nothing but subscriptions goes: RESP2, in subscriber mode. Confirmations come in the
// order of what was sent; messages, and the end of shard channels whose slot has gone, in between.
//
// It belongs to the hub, which is told of everything and decides what to subscribe to and when to connect anew. A
// connection on which nothing comes is asked with PING, and failed if no answer comes in time: a half-open one would
// lose messages silently.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "config/settings.h"
#include "proxy/core/handshake.h"
#include "proxy/core/pubsub_frame.h"
#include "proxy/core/slot_map.h"
#include "proxy/core/transport.h"
#include "resp/reply_scanner.h"

namespace corral::core {

class PubSubLink;
class Worker;

/// Who uses the connection. Within these calls it may be failed, but not destroyed.
class PubSubListener {
 public:
  virtual void on_ready(PubSubLink& link) = 0;
  /// It may be connected anew from now on: connect().
  virtual void on_lost(PubSubLink& link) = 0;
  /// `reply` is the frame as it came.
  virtual void on_message(PubSubLink& link, const PubSubFrame& frame, std::string_view reply) = 0;
  /// A PING has been answered: see passed().
  virtual void on_progress() = 0;
  /// What was sent has been done.
  virtual void on_confirmed(PubSubLink& link, bool subscribed, ChannelKind kind, std::string_view name) = 0;
  /// What was sent has been refused with an error.
  virtual void on_refused(PubSubLink& link, bool subscribe, ChannelKind kind, std::string_view name,
                          std::string_view error) = 0;
  /// The node has ended the subscription to a shard channel by itself.
  virtual void on_ended(PubSubLink& link, std::string_view name) = 0;

 protected:
  ~PubSubListener() = default;
};

class PubSubLink final : public Endpoint {
 public:
  PubSubLink(Worker& worker, PubSubListener& listener, NodeId node, config::Address address);
  ~PubSubLink();

  NodeId node() const { return node_; }
  const config::Address& address() const { return address_; }
  bool ready() const { return state_ == State::kReady; }
  /// Not connected, and not about to be.
  bool lost() const { return state_ == State::kLost; }
  uint32_t failures() const { return failures_; }  // in a row
  /// When to try again after it was lost.
  uint32_t retry_at_ms() const { return retry_at_ms_; }

  /// Only while it is lost.
  void connect();
  /// Only while it is ready. Nothing is written before flush().
  void send(bool subscribe, ChannelKind kind, std::string_view name);
  void flush();
  /// passed() is true of the mark when the node has answered all that was sent before, and so whatever it had to tell
  /// before this has come; or when the connection was lost.
  uint64_t mark();
  bool passed(uint64_t mark) const { return static_cast<int64_t>(answered_count_ - mark) >= 0; }
  /// PING where nothing has come for a while; fails the link if it is stuck.
  void check(uint32_t now_ms);

  void on_connected() override;
  void on_bytes(const char* data, size_t size) override;
  void on_writable() override;
  void on_end() override { fail("connection closed by the node"); }
  void on_failed(std::string_view reason) override;

  uint32_t sources = 0;          // subscriptions that it has or is asked for; for the hub
  uint32_t unused_since_ms = 0;  // likewise

 private:
  enum class State : uint8_t { kLost, kConnecting, kHandshake, kReady };
  struct Sent {
    enum class What : uint8_t { kSubscribe, kUnsubscribe, kPing } what;
    ChannelKind kind;
    std::string name;
  };

  void fail(std::string_view reason);
  size_t consume(const char* data, size_t size);
  void on_handshake_reply(std::string_view reply);
  void on_reply(std::string_view reply);
  void on_error(std::string_view reply);
  void on_change(const PubSubFrame& frame);
  void ping();
  void push(Sent sent);
  Sent pop();

  Worker& worker_;
  PubSubListener& listener_;
  const NodeId node_;
  const config::Address address_;
  Socket* socket_ = nullptr;
  State state_ = State::kLost;
  bool blocked_ = false;  // the socket took less than all; on_writable() follows
  uint32_t failures_ = 0;
  uint32_t state_since_ms_ = 0;
  uint32_t received_ms_ = 0;  // when the last bytes came
  uint32_t waiting_ms_ = 0;   // since when the first of what was sent has been waited for
  uint32_t retry_at_ms_ = 0;
  Handshake handshake_;
  uint64_t sent_count_ = 0, answered_count_ = 0;
  bool unsent_ = false;    // what was sent last is wholly in out_
  std::string out_;        // not written yet
  std::deque<Sent> sent_;  // not answered yet
  resp::ReplyScanner scanner_;
  std::string tail_;  // of a reply that has not wholly arrived
};

}  // namespace corral::core
