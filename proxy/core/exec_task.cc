#include "proxy/core/exec_task.h"

#include <algorithm>

#include "proxy/core/handlers.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/rules.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/refusal.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::RefusalKind;
using resp::ReplyView;

namespace {

bool selects_at_node(const Transaction::Item& item) {
  return item.at_node && item.spec->action == resp::Action::kSelect;
}

bool is_refusal(std::string_view reply) { return resp::parse_refusal(reply).kind != RefusalKind::kNone; }

}  // namespace

std::string_view null_exec(const Session& session) { return session.resp() == 3 ? "_\r\n" : "*-1\r\n"; }

ExecTask::ExecTask(Session& session, std::vector<Transaction::Item> items, uint16_t slot, Link* link)
    : session_(session),
      whole_(session.request_for_reply(slot, kPiece | kWrites)),
      items_(std::move(items)),
      follow_ups_(session.worker(), session.database()),
      link_(link),
      replies_(items_.size()) {
  for (const auto& item : items_) any_own_ |= item.by_corral;
  apply_rules();
}

// A command that can be written anew with the same reply is; for the rest each key gets what it lacks at the end.
void ExecTask::apply_rules() {
  Worker& worker = session_.worker();
  for (auto& item : items_) {
    if (!worker.policies().sent_as(*item.spec).empty()) item.bytes = as_sent(worker, item.bytes, *item.spec);
    const bool selects = selects_at_node(item);
    if (!selects && (!item.at_node || !may_be_ruled(worker, *item.spec))) continue;
    const ParsedRequest parsed(worker, item.bytes);
    if (selects) {
      follow_ups_.select(parsed.command().arg(1));
      continue;
    }
    if (auto soft = find_soft_ttl(worker, parsed.command(), *item.spec)) {
      const size_t i = static_cast<size_t>(&item - items_.data());
      item.bytes = soft_ttl_.emplace(i, std::move(*soft)).first->second.bytes;
      continue;
    }
    std::string bytes;
    const bool settled = settle_by_rule(worker, parsed.command(), *item.spec, bytes);
    if (!settled) follow_ups_.add(parsed.command(), *item.spec);
    if (!bytes.empty()) item.bytes.swap(bytes);
  }
  if (!follow_ups_.empty()) follow_ups_.finish();
}

// Behind what is pinned or has parts of its own nothing may overtake.
void ExecTask::start(Session& session, std::vector<Transaction::Item> items, uint16_t slot, Link* link) {
  auto* task = new ExecTask(session, std::move(items), slot, link);
  if (link || task->any_own_) session.pause(Session::kWalk);
  task->send_piece();
}

void ExecTask::send_piece() {
  std::string bytes(kMultiFrame);
  piece_replies_ = 2;
  for (const auto& item : items_) {
    if (!item.at_node) continue;
    bytes += item.bytes;
    ++piece_replies_;
  }
  if (piece_replies_ == 2 && !link_) return run_own();
  bytes += follow_ups_.bytes();
  piece_replies_ += follow_ups_.count();
  if (selects()) {  // for those who share the connection; the reply comes behind those of the items and is dropped
    resp::append_command(bytes, {"SELECT", std::to_string(session_.database())});
    ++piece_replies_;
  }
  bytes += kExecFrame;
  Request piece = whole_;
  piece.task = this;
  piece.ticket = kPiecePart;
  session_.add_reference();
  if (!link_) return session_.worker().send(piece, bytes);
  piece.flags |= kNodeBound;
  link_->send(piece, bytes);
}

bool ExecTask::selects() const { return std::any_of(items_.begin(), items_.end(), selects_at_node); }

void ExecTask::begin() {
  taken_ = 0;
  error_.clear();
}

// MULTI, the commands, EXEC. A refusal of one of the commands makes EXEC say EXECABORT, so nothing was executed.
bool ExecTask::take(std::string_view reply) {
  const bool is_last = ++taken_ == piece_replies_;
  if (reply[0] == '-' && (error_.empty() || is_refusal(reply)) && (!is_last || is_refusal(reply))) error_ = reply;
  if (!is_last) return false;
  verdict_ = reply;
  if (reply[0] != '-' || error_.empty()) return true;
  // The client has been told +QUEUED: so it hears of the error now, as where a command became wrong after it was
  // queued.
  verdict_ = is_refusal(error_) ? error_ : "-EXECABORT Transaction discarded because of: " + error_.substr(1);
  return true;
}

void ExecTask::on_reply(uint32_t part, std::string_view reply) {
  if (part == kPiecePart) return on_piece(reply);
  replies_[part] = reply;
  done_one();
}

void ExecTask::on_piece(std::string_view reply) {
  if (link_) {
    Transaction& transaction = session_.transaction();
    if (transaction.link() == link_) transaction.release_link(link_->ready() && !reply.starts_with("-INDOUBT "));
    transaction.unwatch();
    if (is_refusal(reply)) {
      session_.worker().refresh_topology();
      return finish(null_exec(session_));
    }
  }
  const ReplyView view(reply);
  if (view.is_error() || view.is_null()) return finish(reply);
  const bool as_it_came = follow_ups_.empty() && soft_ttl_.empty();
  if (!any_own_) return as_it_came ? finish(reply) : finish(own_replies(reply));
  const auto elements = view.elements();
  size_t next = 0;
  for (size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].at_node && next < elements.size()) replies_[i] = told(i, elements[next++].bytes());
  }
  count_follow_ups(elements, next);
  run_own();
}

void ExecTask::count_follow_ups(const std::vector<ReplyView>& elements, size_t from) const {
  std::vector<std::string_view> replies;
  for (size_t i = from; i < elements.size(); ++i) replies.push_back(elements[i].bytes());
  follow_ups_.count_effects(replies, false);
}

std::string ExecTask::told(size_t item, std::string_view reply) const {
  const auto soft = soft_ttl_.find(item);
  return soft == soft_ttl_.end() ? std::string(reply) : soft->second.reply(reply);
}

// All are of items, in their order, but for those to what rules added.
std::string ExecTask::own_replies(std::string_view reply) const {
  const auto elements = ReplyView(reply).elements();
  const size_t own = elements.size() - std::min<size_t>(elements.size(), follow_ups_.count());
  count_follow_ups(elements, own);
  std::string rest;
  resp::append_array(rest, own);
  for (size_t i = 0; i < own; ++i) rest += told(i, elements[i].bytes());
  return rest;
}

// The replies may come at once or later; one more is awaited until all have been asked for.
void ExecTask::run_own() {
  awaited_ = 1;
  for (uint32_t i = 0; i < items_.size(); ++i) {
    if (!items_[i].by_corral) continue;
    ++awaited_;
    run_item(i);
  }
  done_one();
}

void ExecTask::run_item(uint32_t i) {
  if (!session_.open()) return on_reply(i, "-ERR the client is gone\r\n");
  if (!items_[i].refusal.empty()) return on_reply(i, items_[i].refusal);
  const ParsedRequest parsed(session_.worker(), items_[i].bytes);
  session_.set_sink({this, i});
  if (selects_at_node(items_[i])) {
    // The session goes where the node went.
    replies_[i][0] == '-' ? on_reply(i, std::string(replies_[i])) : run(session_, parsed.command(), *items_[i].spec);
  } else if (items_[i].at_node) {
    fan_out_to_others(session_, parsed.command(), *items_[i].spec, whole_.slot, replies_[i]);
  } else {
    run(session_, parsed.command(), *items_[i].spec);
  }
  session_.set_sink({});
}

void ExecTask::done_one() {
  if (--awaited_ > 0) return;
  std::string reply;
  resp::append_array(reply, replies_.size());
  for (const std::string& one : replies_) reply += one;
  finish(reply);
}

void ExecTask::finish(std::string_view reply) {
  if (link_ || any_own_) session_.resume(Session::kWalk);
  session_.worker().answer(whole_, reply);
  delete this;
}

// --- WATCH ---

WatchTask::WatchTask(Session& session, std::string_view bytes, uint16_t slot)
    : session_(session), whole_(session.request_for_reply(slot, 0)), bytes_(bytes) {}

void WatchTask::start(Session& session, std::string_view bytes, uint16_t slot) {
  auto* task = new WatchTask(session, bytes, slot);
  session.pause(Session::kWalk);
  task->attempt();
}

void WatchTask::attempt() {
  Worker& worker = session_.worker();
  if (!session_.open()) return finish("-ERR the client is gone\r\n");
  link_ = session_.transaction().link();
  pinned_ = link_ != nullptr;
  if (!pinned_) {
    const NodeId owner = worker.map().owner[whole_.slot];
    if (owner == kNoNode) return attempt_later();
    if (!worker.health().admits(owner)) return finish(worker.health().refusal(owner, whole_.slot));
    link_ = worker.own_links().take(owner, session_.own_link_kind());
  }
  Request request = whole_;
  request.task = this;
  request.flags = kNodeBound | kReadOnly;  // harmless to send again
  session_.add_reference();
  link_->send(request, bytes_);
}

void WatchTask::attempt_later() {
  Worker& worker = session_.worker();
  if (worker.now_ms() - whole_.since_ms > worker.settings().upstream.request_timeout_ms || worker.stopping()) {
    return finish("-CLUSTERDOWN no reachable owner of slot " + std::to_string(whole_.slot) + "\r\n");
  }
  worker.refresh_topology();
  worker.after(std::min(500u, 5u << std::min(attempts_++, 7u)), [this] { attempt(); });
}

void WatchTask::on_reply(uint32_t, std::string_view reply) {
  Transaction& transaction = session_.transaction();
  Worker& worker = session_.worker();
  const bool ok = reply == resp::kOk;
  if (pinned_) {  // keys watched before cannot be watched elsewhere; the client may have gone, and the link with it
    if (!ok && transaction.link() == link_) transaction.break_watch();
    return finish(is_refusal(reply) ? resp::kOk : reply);
  }
  if (ok && session_.open()) {
    transaction.watched(link_);
    return finish(reply);
  }
  const resp::Refusal refusal = resp::parse_refusal(reply);
  if (refusal.kind == RefusalKind::kMoved) worker.redirect_target(*link_, refusal);
  worker.own_links().drop(link_);
  if (refusal.kind == RefusalKind::kNone) return finish(reply);
  attempt_later();
}

void WatchTask::finish(std::string_view reply) {
  session_.transaction().watch_over();
  session_.resume(Session::kWalk);
  session_.worker().answer(whole_, reply);
  delete this;
}

}  // namespace corral::core
