#include "proxy/core/wait_task.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "proxy/core/blocking_task.h"
#include "proxy/core/worker.h"
#include "resp/refusal.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

namespace {

constexpr uint32_t kNoMastersPauseMs = 50;
constexpr std::string_view kPingFrame = "*1\r\n$4\r\nPING\r\n";

bool is_master(const SlotMap& map, NodeId node) {
  return std::any_of(map.masters.begin(), map.masters.end(), [node](const auto& master) { return master.id == node; });
}

// The node is no master, or not in a state to tell; any other error is about the arguments.
bool says_nothing(std::string_view reply) {
  return resp::parse_refusal(reply).kind != resp::RefusalKind::kNone || is_forced_unblock(reply) ||
         reply.starts_with("-ERR WAIT cannot be used with replica instances");
}

}  // namespace

WaitTask::WaitTask(Session& session, const resp::Command& command, const resp::CommandSpec& spec)
    : session_(session),
      whole_(session.request_for_reply(kNoSlot, kReadOnly)),
      bytes_(command.bytes()),
      limit_(spec, command, session.worker().now64_ms()) {}

void WaitTask::start(Session& session, const resp::Command& command, const resp::CommandSpec& spec) {
  auto* task = new WaitTask(session, command, spec);
  session.pause(Session::kBlocked);
  session.set_blocked(task);
  task->attempt();
}

void WaitTask::attempt() {
  if (ended_) {
    delete this;
    return;
  }
  Worker& worker = session_.worker();
  for (const NodeId node : choose_nodes()) parts_.push_back({node});
  awaited_ = static_cast<uint32_t>(parts_.size());
  for (uint32_t i = 0; i < parts_.size(); ++i) ask(i);
  if (awaited_ > 0) return;
  if (worker.stopping() || worker.now_ms() - whole_.since_ms > worker.settings().upstream.request_timeout_ms) {
    return finish("-CLUSTERDOWN no master of the cluster is known\r\n");
  }
  worker.refresh_topology();
  timer_ = true;
  worker.after(kNoMastersPauseMs, [this] {
    timer_ = false;
    attempt();
  });
}

// The masters that the client wrote to; if one of those is none any more, that is seen to here.
std::vector<NodeId> WaitTask::choose_nodes() {
  const auto& masters = session_.worker().map().masters;
  std::vector<NodeId> nodes;
  uint64_t missing = session_.written();
  for (const auto& master : masters) {
    const uint64_t bit = uint64_t{1} << (master.id & 63);
    if (session_.written() & bit) nodes.push_back(master.id);
    missing &= ~bit;
  }
  if (masters.empty()) return nodes;
  if (missing != 0) least_ = 0;
  session_.forget_written(missing);
  if (nodes.empty()) nodes.push_back(masters[session_.id() % masters.size()].id);
  return nodes;
}

void WaitTask::ask(uint32_t part) {
  Part& asked = parts_[part];
  asked.link = session_.worker().own_links().take(asked.node, session_.own_link_kind());
  if (session_.written() != 0) {
    Request ping;
    ping.flags = kDiscard;
    asked.link->send(ping, kPingFrame);
  }
  Request request = whole_;
  request.task = this;
  request.ticket = part;
  request.flags |= kNodeBound | kMayWait;
  session_.add_reference();
  asked.link->send(request, bytes_);
}

void WaitTask::on_reply(uint32_t part, std::string_view reply) {
  if (ended_ || !parts_[part].link) return;  // its link was dropped
  if (const auto count = resp::ReplyView(reply).integer()) return settle(part, *count);
  if (!parts_[part].link->ready() || says_nothing(reply)) return settle(part, 0);
  finish(reply);
}

void WaitTask::settle(uint32_t part, int64_t count) {
  release(std::exchange(parts_[part].link, nullptr));
  least_ = std::min(least_, count);
  if (--awaited_ > 0) return;
  std::string reply;
  resp::append_integer(reply, least_);
  finish(reply);
}

// Given back only if nothing is under way on it and nobody has asked the node to unblock it.
void WaitTask::release(Link* link) {
  LinkPool& pool = session_.worker().own_links();
  link->in_flight() == 0 && !unblocking_ ? pool.give(link) : pool.drop(link);
}

void WaitTask::check() {
  const SlotMap& map = session_.worker().map();
  const uint64_t now_ms = session_.worker().now64_ms();
  const auto timeout_ms = static_cast<uint64_t>(session_.worker().settings().upstream.request_timeout_ms);
  std::vector<uint32_t> silent;
  for (uint32_t i = 0; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    if (!part.link) continue;
    part.gone_checks = is_master(map, part.node) ? 0 : part.gone_checks + 1;
    if (part.gone_checks > kSilentChecks || limit_.overdue_ms(now_ms) >= timeout_ms) silent.push_back(i);
  }
  for (const uint32_t i : silent) settle(i, 0);
}

void WaitTask::on_session_closed() { finish({}); }

void WaitTask::unblock(bool with_error, UnblockDone done) {
  std::vector<uint32_t> waiting, others;
  for (uint32_t i = 0; i < parts_.size(); ++i) {
    const Link* link = parts_[i].link;
    if (link) (link->ready() && !link->id_at_node().empty() ? waiting : others).push_back(i);
  }
  if (waiting.empty()) {
    done(true);
    if (with_error) return finish("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    if (others.empty()) return finish(":0\r\n");
  }
  unblocking_ = true;
  const auto left = std::make_shared<size_t>(waiting.size());
  const auto any = std::make_shared<bool>(false);
  for (const uint32_t i : waiting) {
    unblock_at_node(session_.worker(), *parts_[i].link, with_error, [left, any, done](bool unblocked) {
      *any |= unblocked;
      if (--*left == 0) done(*any);
    });
  }
  for (const uint32_t i : others) settle(i, 0);
}

void WaitTask::finish(std::string_view reply) {
  ended_ = true;
  const std::string answer(reply);
  for (Part& part : parts_) {
    if (part.link) release(std::exchange(part.link, nullptr));
  }
  session_.set_blocked(nullptr);
  session_.resume(Session::kBlocked);
  session_.worker().answer(whole_, answer);
  if (!timer_) delete this;
}

}  // namespace corral::core
