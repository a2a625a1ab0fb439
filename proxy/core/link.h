// An upstream connection: requests of many clients go in, one after the other, and the replies come back in that order.
//
// idle -> connecting -> handshake -> ready; a failure answers or holds everything under way and leads to backoff, in
// which the link takes nothing; after it, and once the node is not given up any more (health.h), the next request
// connects anew. Requests taken before the link is ready are sent when it is. Request bytes stay in the log until they
// are answered, so that a refused one can be sent elsewhere.
//
// Before a new connection carries traffic it closes the node's end of the one before it for certain (CLIENT KILL), so
// that nothing of it runs late from a half-open connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/core/byte_queue.h"
#include "proxy/core/handshake.h"
#include "proxy/core/link_kind.h"
#include "proxy/core/node_stats.h"
#include "proxy/core/pending_index.h"
#include "proxy/core/request.h"
#include "proxy/core/ring.h"
#include "proxy/core/told_scripts.h"
#include "proxy/core/transport.h"
#include "resp/reply_scanner.h"

namespace corral::core {

class Worker;

inline constexpr std::string_view kAskingFrame = "*1\r\n$6\r\nASKING\r\n";

/// Who is at the other end, and so which login is used.
enum class Peer : uint8_t { kNode, kSentinel };

class Link final : public Endpoint {
 public:
  static constexpr uint32_t kSharedLogBlock = 16 * 1024;

  struct Pending {
    Request request;
    const char* bytes;  // in the log
    uint32_t size;
    uint32_t sent_ms;
  };

  /// `log_block`: the log's first block, in bytes.
  Link(Worker& worker, NodeId node, LinkKind kind, config::Address address, uint32_t log_block = kSharedLogBlock,
       Peer peer = Peer::kNode);
  ~Link();

  NodeId node() const { return node_; }
  LinkKind kind() const { return kind_; }
  const config::Address& address() const { return address_; }
  bool ready() const { return state_ == State::kReady; }
  bool connected() const { return socket_ != nullptr; }
  /// When the last bytes came, on the worker's clock.
  uint32_t received_ms() const { return received_ms_; }
  /// It is connected, or is to be.
  bool begun() const { return state_ != State::kIdle && state_ != State::kBackoff; }
  /// What connecting has waited for is there (tracking_targets.h).
  void proceed();
  /// False in backoff: a request would only wait.
  bool accepts() { return state_ != State::kBackoff || leave_backoff(); }
  int failures() const { return failures_; }  // in a row
  uint32_t in_flight() const { return pendings_.size(); }
  /// Of requests under way and of a reply that has not wholly arrived.
  size_t memory_bytes() const { return log_.size() + tail_.capacity(); }
  /// The node's number for this connection, as CLIENT UNBLOCK and CLIENT KILL want it; empty before it is ready.
  std::string_view id_at_node() const { return handshake_.id_at_node(); }

  /// Takes a request; the link must accept. Nothing is written before flush(). `bytes` is one frame, copied.
  void send(const Request& request, std::string_view bytes);
  /// The node does not know a script that it was given.
  void on_script_lost() { told_scripts_.forget(); }
  /// Like send, after an ASKING.
  void send_asking(const Request& request, std::string_view bytes);
  /// Writes what has gathered, if it can; or leaves it for more to join it: true, and flush() is to be called again at
  /// the end of the next turn, a millisecond from now at the latest.
  bool flush();

  // --- a large request, on a link of one's own (upload.h) ---
  /// Who feeds it.
  class Feeder {
   public:
    /// There is room again.
    virtual void on_room() = 0;

   protected:
    ~Feeder() = default;
  };
  /// Takes a request whose bytes follow in pieces by feed(); nothing else is under way. They are not kept.
  void begin_feeding(const Request& request, Feeder* feeder);
  /// False: there is no room for more until on_room() (these bytes have been taken).
  bool feed(std::string_view bytes);
  void end_feeding();

  // --- a large reply, passed on to its client as it comes (link_passing.cc) ---
  /// The client has taken what it was given (or is gone).
  void on_client_room();

  /// How many requests under way are of `session` and `slot`, and may go elsewhere.
  uint32_t count(const Session* session, uint16_t slot);
  Pending& pending(uint32_t i) { return pendings_[i]; }

  // --- link_health.cc ---
  /// Fails the link if it is stuck, answers what has waited for too long: `now` is the worker's clock.
  void check_timeouts(uint32_t now_ms);
  /// The node has answered a probe that was sent over another connection.
  void on_node_answered(uint32_t probed_ms);
  /// Requests are not to wait for the node any more (health.h); it answers again.
  void on_node_given_up();
  void on_node_back();
  /// The node takes no writes any more: if it is known by a name, that may stand for another one by now. The
  /// connection is made anew as soon as nothing is under way.
  void doubt_address();
  /// Nothing is under way, and nothing has been for so long.
  bool unused_since(uint32_t now_ms, uint32_t ms) const;
  /// Answers or holds all that is under way and closes; for failures that the core itself finds.
  void fail(std::string_view reason);
  /// Closes; what is under way is answered -INDOUBT. The link is of no more use.
  void abandon();

  void on_connected() override;
  void on_bytes(const char* data, size_t size) override;
  void on_writable() override;
  void on_end() override { fail("connection closed by the node"); }
  void on_failed(std::string_view reason) override;

  bool dirty = false;         // in the worker's list of links to flush
  uint64_t number = 0;        // in a LinkPool, for its user
  bool always_tried = false;  // also while the node is given up

 private:
  enum class State : uint8_t { kIdle, kConnecting, kHandshake, kReady, kBackoff };

  void connect();
  bool waits_for_more() const;
  bool leave_backoff();
  void push(const Request& request, std::string_view bytes);
  void submit(const Request& request, std::string_view bytes);
  void tell_scripts(std::string_view bytes, bool again);
  void on_handshake_reply(std::string_view reply);
  size_t consume(const char* data, size_t size);
  void fail_for_size();
  void check_silence(uint32_t now_ms);
  bool is_doubtful(uint32_t now_ms) const;
  bool is_late(const Pending& pending, uint32_t now_ms) const;
  void expire_unsent(uint32_t now_ms);
  void drop_taken_back();
  void expire_requests(uint32_t now_ms);
  static std::string told_reason(std::string_view reason);
  void prove();
  void on_reply(std::string_view reply);
  void lose_pendings(std::string_view reason);
  void lose(const Pending& pending, bool was_sent, std::string_view reason);
  void keep_tail(const char* data, size_t size);
  bool may_be_reply();
  bool may_pass();
  bool may_drop();
  void begin_passing();
  void pass_on(const char* data, size_t size);
  void pass_bytes(size_t size);
  void end_passing();
  void end_dropping();
  void check_passing(uint32_t now_ms);
  void lose_passing();
  void note_time(const Request& request);
  void settle_times();

  Worker& worker_;
  NodeStats& stats_;
  const NodeId node_;
  const LinkKind kind_;
  const Peer peer_;
  const config::Address address_;
  Socket* socket_ = nullptr;
  State state_ = State::kIdle;
  uint32_t unsent_ = 0;              // requests not written yet
  uint32_t gathering_since_ms_ = 0;  // when the first of these came
  bool blocked_ = false;             // the socket took less than all; on_writable() follows
  bool proven_ = false;              // a request has been answered since it was connected
  uint8_t failures_ = 0;             // in a row, without being ready in between
  uint32_t state_since_ms_ = 0;
  uint32_t received_ms_ = 0;  // when the last bytes came
  uint32_t backoff_until_ms_ = 0;
  ByteQueue log_;
  Ring<Pending> pendings_;
  PendingIndex index_;
  resp::ReplyScanner scanner_;
  std::string tail_;  // of a reply that has not wholly arrived
  Handshake handshake_;
  ToldScripts told_scripts_;
  Feeder* feeder_ = nullptr;
  bool feeding_ = false;   // what is sent is not kept
  bool passing_ = false;   // the reply to the first request goes to its client as it comes
  bool dropping_ = false;  // passing: nobody wants it
  bool waiting_ = false;   // passing: not read from until the client has taken what it was given
  bool hurried_ = false;   // passing: others have waited long enough
  bool detached_ = false;  // not shared any more: gone when nothing is under way
  uint32_t passing_since_ms_ = 0;
  bool doubted_ = false;  // its address
  uint32_t doubted_ms_ = 0;
  uint64_t passed_bytes_ = 0;  // of this reply
  std::string passed_start_;   // its first bytes
  uint32_t wrote_ms_ = 0;      // when bytes were last taken, while feeding
  uint32_t timed_since_us_ = 0;
  uint32_t timed_ = 0;  // replies in this turn to what was sent then
};

}  // namespace corral::core
