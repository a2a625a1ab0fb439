// A client's connection: finds the requests in what it sends, hands each to its handler, and gives the replies back in
// order.
//
// Reading stops while the client has too much under way or does not read its replies (backpressure), while a command
// is being looked up, and while a command without a slot of its own has to wait for held ones. What has been read but
// not handled then stays in the input. A session lives until its connection is closed and no request refers to it any
// more.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "policy/acl_user.h"
#include "proxy/core/byte_queue.h"
#include "proxy/core/key_marks.h"
#include "proxy/core/link_kind.h"
#include "proxy/core/reply_queue.h"
#include "proxy/core/request.h"
#include "proxy/core/transport.h"
#include "resp/command_table.h"
#include "resp/request_scanner.h"
#include "resp/request_stream.h"

namespace corral::core {

class Link;
struct SessionLeases;
class SessionTracking;
class Subscriptions;
class Transaction;
class Upload;
class Worker;

/// A command of a session that waits at a node for what others do.
class BlockedCommand {
 public:
  /// The client is gone: nothing is answered any more.
  virtual void on_session_closed() = 0;
  /// CLIENT UNBLOCK: ends as if its time were over, or with an error. `done`, called once, hears whether that is so;
  /// the command may have got its answer meanwhile.
  using UnblockDone = std::function<void(bool unblocked)>;
  virtual void unblock(bool with_error, UnblockDone done) = 0;
  /// Ten times a second: sees to it that a node that says nothing is not waited for without reason. May end it.
  virtual void check() = 0;

 protected:
  ~BlockedCommand() = default;
};

/// Where a client comes from and what it connected to, as text ("127.0.0.1:50312").
struct ClientAddresses {
  std::string peer, local;
  int fd = -1;            // for CLIENT LIST only
  bool is_local = false;  // of this machine: through the loopback interface or a unix socket
};

/// The start of a request that has not wholly arrived, and what came behind a pause.
struct PartialInput {
  std::string bytes;
  resp::RequestScanner scanner;
};

class Session final : public Endpoint {
 public:
  ~Session();
  Session(Worker& worker, uint64_t id, Socket* socket, ClientAddresses addresses);

  uint64_t id() const { return id_; }
  int resp() const { return link_kind_.resp(); }
  uint16_t database() const { return link_kind_.database(); }
  /// Of the links that serve it. Changes only while nothing is under way (quiet()).
  LinkKind link_kind() const { return link_kind_; }
  void set_link_kind(LinkKind kind) { link_kind_ = kind; }
  /// Of a connection of its own, for one command or a few: nobody tracks what is read there.
  LinkKind own_link_kind() const { return {resp(), database()}; }
  /// All replies due have been given (but perhaps not sent).
  bool quiet() const { return replies_.empty(); }
  /// How many replies are due.
  uint32_t due() const { return replies_.size(); }
  /// A part of a request has come, or more than it may send now: behind the one that is handled now, if one is.
  bool has_input() const { return input_ != nullptr && !last_of_input_; }
  bool open() const { return socket_ != nullptr; }
  /// The client sends nothing more, and will perhaps not read a reply either.
  bool hung_up() const { return ended_ || hung_up_; }
  /// Its command waits: for what others do, or since clients are paused.
  bool is_blocked() const { return blocked_command_ || (paused_ & kByClient) != 0; }
  bool idle() const { return replies_.empty() && output_.empty() && !input_; }
  Worker& worker() const { return worker_; }

  // Access (access.h). The user is a part of the policies that are in force.
  const policy::AclUser& user() const { return *user_; }
  bool authenticated() const { return unauthenticated_since_ms_ == 0; }
  /// No check of what it may do can fail.
  bool unrestricted() const { return unrestricted_; }
  uint64_t unauthenticated_since_ms() const { return unauthenticated_since_ms_; }
  /// `unauthenticated_since_ms`: 0 if it has authenticated, or need not.
  void set_user(const policy::AclUser& user, uint64_t unauthenticated_since_ms) {
    user_ = &user;
    unauthenticated_since_ms_ = unauthenticated_since_ms;
    unrestricted_ = authenticated() && user.unrestricted();
  }
  /// Its user is not what it was: what is under way may end, and then the connection does.
  void end_for_new_rights();

  // Replies. `reply` is one whole RESP reply.
  ReplyQueue::Ticket expect_reply();
  void complete(ReplyQueue::Ticket ticket, std::string_view reply);
  /// A reply is made of several (collected.h): `size` bytes of it are kept, after `own` of the same one. False: the
  /// client has gone, or goes now since too much is kept for it; nothing is to be kept.
  bool collect(size_t size, size_t own);
  void forget_collected(size_t size) { collected_ -= size; }
  /// An answer that is there at once, in its place in the order.
  void reply(std::string_view reply) {
    if (sink_.task) [[unlikely]]
      return sink_.task->on_reply(sink_.part, reply);
    complete(expect_reply(), reply);
  }
  /// While a sink is set, what a handler replies, at once or later, goes to part `part` of this task and not to the
  /// client: for commands that stand for a part of another one (EXEC).
  struct Sink {
    Task* task = nullptr;
    uint32_t part = 0;
  };
  void set_sink(Sink sink) { sink_ = sink; }
  bool has_sink() const { return sink_.task != nullptr; }
  bool hides_replies() const { return replies_off_ || skip_this_; }
  // A large reply in parts. Until its end nothing else comes in between.
  /// Whether the reply to `ticket` is what the client gets next.
  bool can_take_part(ReplyQueue::Ticket ticket) { return socket_ && replies_.is_next(ticket); }
  /// `source` is told when the client has taken most of what it was given.
  void begin_parts(Link* source) { source_ = source; }
  void take_part(std::string_view bytes);
  /// The reply is then completed with nothing more.
  void end_parts();
  /// Of its output.
  size_t waiting_bytes() const { return output_.unsent(); }
  /// Out of the order of replies: a message of pub/sub, whole frames. A client that does not read is closed.
  void push(std::string_view frames);
  /// The ticket that its next request will take, and whether all before a ticket have been given their replies.
  ReplyQueue::Ticket next_ticket() const { return replies_.next(); }
  bool has_passed(ReplyQueue::Ticket ticket) const { return replies_.has_passed(ticket); }
  /// `text` begins with its code and has no CRLF.
  void reply_error(std::string_view text);
  /// Forwards one request by slot; the reply comes back by itself.
  void forward(std::string_view bytes, uint16_t slot, uint8_t flags);
  /// A request for which the session waits, with a reference to it: for tasks.
  Request request_for_reply(uint16_t slot, uint8_t flags);
  /// For a reply that CLIENT REPLY OFF does not hide.
  Request request_for_push();

  /// A reply of `size` bytes, which `fill(char*)` writes.
  template <class Fill>
  void reply_with(uint32_t size, Fill&& fill);  // worker.h
  /// What its next request touches of the near cache; the request takes it.
  void set_touch(Touch touch) { touch_ = touch; }
  const Touch& touch() const { return touch_; }
  Touch take_touch() { return std::exchange(touch_, {}); }
  bool has_touch() const { return static_cast<bool>(touch_); }
  /// The command that was begun last is to come again.
  void put_off_command() { skip_next_ = std::exchange(skip_this_, false); }

  // References: one for each request under way and each hold.
  void add_reference() { ++references_; }
  void release();
  bool referenced() const { return references_ > 0; }
  uint32_t next_order() { return next_order_++; }
  uint32_t holds() const { return holds_; }
  void add_hold();
  void remove_hold();

  // Reading stops until every reason is gone.
  enum Pause : uint16_t {
    kFull = 1,
    kLookup = 2,
    kHeld = 4,
    kWalk = 8,       // a command is under way behind which nothing may be sent (SCAN, EXEC under WATCH, SUBSCRIBE)
    kQuiet = 16,     // until quiet()
    kBlocked = 32,   // a command waits at a node for what others do (BLPOP); ends also when the client hangs up
    kByClient = 64,  // CLIENT PAUSE
    kUpload = 128,   // a large request goes to its node as it comes, and the node has to take it first
    kNear = 256,     // replies of the near cache's fills, or of what went past it, have to come first
    kAuth = 512,     // too many wrong passwords have come from its address (auth_throttle.h)
  };
  void pause(Pause reason);
  void resume(Pause reason);
  /// The worker, for which a pause waits, has room again.
  void on_backlog_gone();
  /// Takes up the input that a pause left.
  void continue_input();
  /// Handles no more input, and closes once all replies due are out.
  void close_after_replies();
  /// Closes at once.
  void close();
  /// Tells the client, and closes after all replies due.
  void protocol_error(std::string_view error);

  /// Once it is closed, and not in a turn in which it has been.
  void drop_input();
  void flush();
  /// Closes if the client has been silent, or busy with one command, for too long, or (draining) as soon as nothing is
  /// under way.
  void check(uint32_t now_ms, bool draining);

  void on_bytes(const char* data, size_t size) override;
  void on_writable() override;
  void on_end() override;
  void on_failed(std::string_view reason) override;
  void on_hang_up() override;

  /// A command begins to be handled; null: it is not known yet.
  void begin_command(const resp::CommandSpec* spec);
  const resp::CommandSpec* last_command() const { return last_command_; }

  // What few sessions have is kept together and made at need, so that an idle one stays small.
  struct Details {
    std::string name, lib_name, lib_version;  // what CLIENT and its kin show and set
    std::string late_pushes;                  // what was pushed during a large reply in parts
    std::string lookup_error;
  };
  Details& details();
  const Details* details_if_any() const { return details_.get(); }
  const ClientAddresses& addresses() const { return addresses_; }
  /// What the upstream said when it could not be asked about a command; empty if nothing. Given once.
  std::string take_lookup_error() { return details_ ? std::exchange(details_->lookup_error, {}) : std::string(); }
  bool lookup_failed() const { return details_ && !details_->lookup_error.empty(); }
  void set_lookup_error(std::string error) { details().lookup_error = std::move(error); }
  /// Its line of CLIENT LIST, without the newline. `running_bytes`: of its command that is being executed.
  std::string describe(size_t running_bytes = 0) const;
  void set_replies_off(bool off) {
    replies_off_ = off;
    skip_this_ = false;
  }
  void skip_next_reply() { skip_next_ = !replies_off_; }
  void set_no_evict(bool on) { no_evict_ = on; }
  bool no_evict() const { return no_evict_; }
  /// What it holds: of requests, of replies, of a transaction.
  size_t memory_bytes() const;
  void set_no_touch(bool on) { no_touch_ = on; }
  void reset();  // RESET: as if newly connected

  // What makes a command's way other than the ordinary one.
  enum Mode : uint8_t {
    kQueueing = 1,    // after MULTI
    kWatching = 2,    // after WATCH
    kSubscribed = 4,  // to a channel or pattern
    kMonitoring = 8,  // after MONITOR
  };
  uint8_t modes() const { return modes_; }
  void set_mode(Mode mode, bool on) { modes_ = static_cast<uint8_t>(on ? modes_ | mode : modes_ & ~mode); }
  /// MULTI and WATCH (transaction.h); made when first asked for.
  Transaction& transaction();
  /// Of pub/sub; null as long as nobody has set it.
  Subscriptions* subscriptions() const { return subscriptions_.get(); }
  void set_subscriptions(std::unique_ptr<Subscriptions> subscriptions);
  /// CLIENT TRACKING is on.
  bool tracks() const { return tracking_ != nullptr; }
  SessionTracking* tracking() const { return tracking_.get(); }
  void set_tracking(std::unique_ptr<SessionTracking> tracking);
  /// Of the requests from now on.
  void set_tracked(Tracked tracked) { tracked_ = tracked; }
  /// What it has to do with leases (leases.h); made when first asked for.
  SessionLeases& leases();
  SessionLeases* leases_if_any() const { return leases_.get(); }
  void set_upload(Upload* upload) { upload_ = upload; }
  BlockedCommand* blocked() const { return blocked_command_; }
  void set_blocked(BlockedCommand* command);
  /// The nodes that it wrote to, or may have: bit NodeId % 64, for WAIT.
  uint64_t written() const { return written_; }
  void note_written(NodeId node) { written_ |= uint64_t{1} << (node & 63); }
  void forget_written(uint64_t nodes) { written_ &= ~nodes; }

  bool dirty = false;        // in the worker's list of sessions to flush
  bool resumable = false;    // in the worker's list of sessions whose input goes on
  KeyMarks near_fills;       // of the near cache, for whose replies it waits
  uint32_t near_fill = 0;    // the newest of them
  uint32_t near_passed = 0;  // reads under way that passed by their key (policy/near_cache.h: Narrowed)
  KeyMarks near_reads;       // under way past the near cache, of keys that it is for

 private:
  Request make_request(uint16_t slot, uint8_t flags);
  std::string flags() const;
  size_t consume(const char* data, size_t size, resp::RequestScanner& scanner);
  size_t complete_input(const char* data, size_t size);
  void consume_input();
  void note_more();
  void leave_modes();
  void take_large_argument();
  bool skip_if_refused();
  void skip(std::string_view error, const resp::CommandSpec* spec);
  void close_if_overrun();
  size_t feed_skipped(const char* data, size_t size);
  size_t feed_upload(const char* data, size_t size);
  void keep(const char* data, size_t size, resp::RequestScanner& scanner);
  size_t late_bytes() const { return details_ ? details_->late_pushes.size() : 0; }
  bool may_take(uint32_t reply_size);
  void flush_soon();
  uint64_t timed_as() const;  // worker.h
  uint64_t rarely_timed_as() const;
  bool too_full(uint32_t share) const;
  void after_output();
  void wait_for_backlog();

  Worker& worker_;
  Socket* socket_;
  const uint64_t id_;
  ByteQueue output_;
  ReplyQueue replies_;
  Sink sink_;
  std::unique_ptr<PartialInput> input_;
  std::unique_ptr<Details> details_;
  Link* source_ = nullptr;  // of a large reply in parts
  std::unique_ptr<Transaction> transaction_;
  std::unique_ptr<Subscriptions> subscriptions_;
  std::unique_ptr<SessionTracking> tracking_;
  std::unique_ptr<SessionLeases> leases_;
  BlockedCommand* blocked_command_ = nullptr;     // not owned
  Upload* upload_ = nullptr;                      // not owned
  std::unique_ptr<resp::RequestStream> skipped_;  // what is left of a request that has been refused
  uint64_t collected_ = 0;                        // bytes
  uint64_t written_ = 0;
  Touch touch_;  // of its next request
  const policy::AclUser* user_ = nullptr;
  uint64_t unauthenticated_since_ms_ = 0;  // on the worker's clock; 0: it is not
  ClientAddresses addresses_;
  LinkKind link_kind_;
  uint32_t references_ = 0;
  uint32_t holds_ = 0;
  uint32_t next_order_ = 0;
  uint32_t created_ms_;
  uint32_t window_ = 0;            // Worker::note_active
  uint32_t active_ms_;             // when it last sent something
  uint32_t partial_since_ms_ = 0;  // when the request began that has not wholly arrived
  uint32_t largest_reply_;         // so far; a guess before the first
  const resp::CommandSpec* last_command_ = nullptr;
  uint16_t paused_ = 0;  // of Pause
  uint8_t modes_ = 0;    // of Mode
  Tracked tracked_ = Tracked::kNot;
  bool replies_off_ = false;  // CLIENT REPLY OFF
  bool skip_next_ = false;    // CLIENT REPLY SKIP
  bool skip_this_ = false;
  bool unrestricted_ = false;
  bool no_evict_ = false;
  bool no_touch_ = false;
  bool blocked_ = false;        // the socket took less than all
  bool judged_ = false;         // largest_reply_ has been seen
  bool last_of_input_ = false;  // what is handled now is all that is left of input_
  bool stalled_ = false;        // in the worker's list of sessions that wait for its backlog
  bool closing_ = false;        // close_after_replies()
  bool ended_ = false;          // the client has finished sending
  bool hung_up_ = false;        // likewise, as seen while it was not read from
};

}  // namespace corral::core
