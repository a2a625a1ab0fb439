#include "proxy/core/transaction.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "proxy/core/exec_task.h"
#include "proxy/core/handlers.h"
#include "proxy/core/near.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/rules.h"
#include "proxy/core/session.h"
#include "proxy/core/ttl_look.h"
#include "proxy/core/worker.h"
#include "resp/refusal.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Action;
using resp::Command;
using resp::CommandSpec;
using resp::Handling;
using resp::Merge;

namespace {

constexpr std::string_view kUnwatchFrame = "*1\r\n$7\r\nUNWATCH\r\n";
constexpr std::string_view kNotAllowed = "ERR Command not allowed inside a transaction";

// A walk over the keyspace, which no node can do for all.
bool is_walk(const CommandSpec& spec) {
  return spec.merge == Merge::kScan || spec.merge == Merge::kKeys || spec.merge == Merge::kRandomKey;
}

Transaction::Item make_item(const Session& session, const Command& command, const CommandSpec& spec) {
  const bool fans_out = spec.handling == Handling::kFanOut;
  const bool by_corral = fans_out || spec.handling == Handling::kLocal || spec.handling == Handling::kSubscription ||
                         spec.handling == Handling::kTransaction;
  const bool selects = spec.action == Action::kSelect && session.worker().one_owner();
  return {std::string(command.bytes()), &spec, !by_corral || selects || (fans_out && !is_walk(spec)), by_corral};
}

// What has been looked at, as it is to be sent.
void take_bytes(std::vector<Transaction::Item>& items, std::vector<TtlLook::Item>& looked) {
  size_t next = 0;
  for (Transaction::Item& item : items) {
    if (item.at_node) item.bytes = std::move(looked[next++].bytes);
  }
}

// A watching client's command on the pinned connection. If that is redirected or lost, the command goes the ordinary
// way, and the watch is broken.
class WatchedRequest final : public Task {
 public:
  WatchedRequest(const Request& request, std::string_view bytes) : request_(request), bytes_(bytes) {}

  void on_reply(uint32_t, std::string_view reply) override {
    Session& session = *request_.session;
    const bool refused = resp::parse_refusal(reply).kind != resp::RefusalKind::kNone && !(request_.flags & kScript);
    if (refused || reply.starts_with("-INDOUBT ")) session.transaction().break_watch();
    if (refused) {
      session.worker().refresh_topology();
      session.worker().send(request_, bytes_);
    } else {
      session.worker().answer(request_, reply);
    }
    delete this;
  }

 private:
  const Request request_;  // holds a reference to the session
  const std::string bytes_;
};

}  // namespace

bool Transaction::passes_queue(const CommandSpec& spec) {
  return spec.action == Action::kExec || spec.action == Action::kDiscard || spec.action == Action::kQuit ||
         spec.action == Action::kReset || spec.action == Action::kHangUp;
}

void Transaction::begin() {
  session_.set_mode(Session::kQueueing, true);
  session_.reply(resp::kOk);
}

bool Transaction::queue(const Command& command, const CommandSpec& spec) {
  if (passes_queue(spec)) return false;
  if (spec.action == Action::kMulti || spec.action == Action::kWatch) {
    session_.reply_error(spec.action == Action::kMulti ? "ERR MULTI calls can not be nested"
                                                       : "ERR WATCH inside MULTI is not allowed");
    return true;
  }
  std::string_view error;
  if (spec.is(resp::kFlagNoMulti) || is_subscribing(spec) || spec.action == Action::kClientReply) {
    error = kNotAllowed;
  } else if (!join_slot(command, spec)) {
    error = kCrossSlot;
  } else if (bytes_ + command.bytes().size() > session_.worker().settings().limits.transaction_bytes) {
    session_.worker().stats().transactions_too_large.add();
    error = "ERR the transaction is too large";
  }
  if (!error.empty()) {
    abort();
    session_.reply_error(error);
    return true;
  }
  bytes_ += command.bytes().size();
  if (spec.action == Action::kEval) session_.worker().show_script(command.arg(1));
  items_.push_back(make_item(session_, command, spec));
  session_.reply("+QUEUED\r\n");
  return true;
}

// One slot for all keys that are queued or watched; false if the command has others.
bool Transaction::join_slot(const Command& command, const CommandSpec& spec) {
  std::vector<uint32_t> indexes;
  if (!resp::find_keys(spec, command, indexes) || indexes.empty()) return true;
  uint16_t slot;
  if (!find_slot(session_, command, spec, slot)) return false;
  if (slot_ == kNoSlot) slot_ = slot;
  return slot == slot_;
}

void Transaction::end_queueing() {
  session_.set_mode(Session::kQueueing, false);
  items_.clear();
  bytes_ = 0;
  aborted_ = false;
  if (!link_ && !broken_) slot_ = kNoSlot;
}

// It speaks the version that the client speaks now. (Of the database see on_select().)
bool Transaction::is_usable(const Link& link) const { return link.ready() && link.kind().resp() == session_.resp(); }

void Transaction::exec() {
  if (!(session_.modes() & Session::kQueueing)) return session_.reply_error("ERR EXEC without MULTI");
  if (aborted_) {
    discard();
    return session_.reply_error("EXECABORT Transaction discarded because of previous errors.");
  }
  if (broken_ || (link_ && !is_usable(*link_))) {
    discard();
    return session_.reply(null_exec(session_));
  }
  if (!session_.unrestricted()) ask_again();
  const uint16_t slot = slot_ != kNoSlot ? slot_ : any_slot(session_);
  auto items = std::exchange(items_, {});
  end_queueing();
  if (!wants_look(items)) return ExecTask::start(session_, std::move(items), slot, link_);
  std::vector<TtlLook::Item> writes;
  for (const Item& item : items) {
    if (item.at_node) writes.push_back({item.bytes, item.spec});
  }
  const auto kept = std::make_shared<std::vector<Item>>(std::move(items));
  TtlLook::start(session_, std::move(writes), slot, link_,
                 [this, kept, slot, watching = link_, touch = session_.take_touch()](
                     std::string_view error, std::vector<TtlLook::Item>& looked) {
                   take_bytes(*kept, looked);
                   session_.set_touch(touch);
                   exec_looked(std::move(*kept), slot, watching, error);
                   if (Near* near = session_.worker().near()) near->end_unused_touch(session_);
                 });
}

// What the user may do can have changed since a command was queued.
void Transaction::ask_again() {
  Worker& worker = session_.worker();
  for (Item& item : items_) {
    const std::string error =
        worker.access().refusal_at_exec(session_, ParsedRequest(worker, item.bytes).command(), *item.spec);
    if (error.empty()) continue;
    resp::append_error(item.refusal, error);
    item.at_node = false;
    item.by_corral = true;
  }
}

bool Transaction::wants_look(const std::vector<Item>& items) const {
  Worker& worker = session_.worker();
  return std::any_of(items.begin(), items.end(), [&](const Item& item) {
    return item.at_node && may_be_ruled(worker, *item.spec) &&
           TtlLook::wanted(worker, ParsedRequest(worker, item.bytes).command(), *item.spec);
  });
}

// A client that has gone meanwhile watches nothing any more, so its transaction is not to run.
void Transaction::exec_looked(std::vector<Item> items, uint16_t slot, const Link* watching, std::string_view error) {
  const bool lost = !session_.open() || broken_ || link_ != watching || (link_ && !is_usable(*link_));
  if (error.empty() && !lost) return ExecTask::start(session_, std::move(items), slot, link_);
  unwatch();
  lost ? session_.reply(null_exec(session_)) : session_.reply_error(error);
}

void Transaction::discard() {
  end_queueing();
  unwatch();
}

void Transaction::unwatch() {
  session_.set_mode(Session::kWatching, false);
  broken_ = false;
  if (link_) {
    const bool clean = link_->ready() && link_->in_flight() == 0;
    if (clean) {
      Request request;
      request.flags = kDiscard;
      link_->send(request, kUnwatchFrame);
    }
    release_link(clean);
  }
  if (!(session_.modes() & Session::kQueueing)) slot_ = kNoSlot;
}

void Transaction::on_select(uint16_t database) {
  if (!link_) return;
  if (!link_->ready()) return break_watch();
  std::string bytes;
  resp::append_command(bytes, {"SELECT", std::to_string(database)});
  Request request;
  request.flags = kDiscard;
  link_->send(request, bytes);
  moved_ = true;
}

void Transaction::release_link(bool clean) {
  Link* link = std::exchange(link_, nullptr);
  if (!link) return;
  if (std::exchange(moved_, false)) clean = false;
  LinkPool& pool = session_.worker().own_links();
  clean ? pool.give(link) : pool.drop(link);
}

void Transaction::watch(const Command& command, const CommandSpec& spec) {
  if (!join_slot(command, spec)) {
    if (!link_) slot_ = kNoSlot;
    return session_.reply_error(kCrossSlot);
  }
  if (broken_) return session_.reply(resp::kOk);
  WatchTask::start(session_, command.bytes(), slot_);
}

void Transaction::watched(Link* link) {
  link_ = link;
  session_.set_mode(Session::kWatching, true);
}

void Transaction::watch_over() {
  if (!link_ && !broken_) slot_ = kNoSlot;
}

bool Transaction::forward_watched(const Request& request, std::string_view bytes) {
  if (!link_ || request.slot != slot_) return false;
  if (!is_usable(*link_)) {
    broken_ = true;
    release_link(false);
    return false;
  }
  Request pinned = request;
  pinned.task = new WatchedRequest(request, bytes);
  pinned.flags |= kNodeBound;
  pinned.session->add_reference();
  link_->send(pinned, bytes);
  return true;
}

}  // namespace corral::core
