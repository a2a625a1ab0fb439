#include "sim_client.h"

#include <algorithm>

#include "resp/reply_builder.h"

namespace corral::sim {

namespace {

constexpr int kSharedKeys = 4;   // of a kind, for each tag
constexpr int kPrivateKeys = 3;  // likewise, and for each client
constexpr int64_t kDozeUs = 20'000;

}  // namespace

SimClient::SimClient(SimLoop& loop, Checker& checker, uint32_t process, uint32_t number, ClientPlan plan)
    : SimPeer(loop, checker, process, number), plan_(std::move(plan)) {
  if (plan_.ending == Ending::kMidway) leaves_at_ = static_cast<uint32_t>(loop.random().below(plan_.requests));
}

void SimClient::start(SimTransport& transport) {
  SimPeer::start(transport);
  if (plan_.slow_reader) doze();
  go_on();
}

void SimClient::doze() {
  connection_->set_peer_reading(false);
  later(kDozeUs, [this] {
    connection_->set_peer_reading(true);
    later(1000, [this] { doze(); });
  });
}

void SimClient::go_on() {
  if (scheduled_ || ended_ || closed()) return;
  scheduled_ = true;
  later(plan_.think_us, [this] {
    scheduled_ = false;
    if (!ended_) send_some();
  });
}

void SimClient::send_some() {
  const auto unanswered = static_cast<uint32_t>(history_.size()) - answered_;
  if (unanswered >= plan_.window) return;  // a reply will wake it
  const auto most = std::min<size_t>(plan_.window - unanswered, plan_.requests - history_.size());
  if (most == 0) return;
  const uint64_t count = 1 + loop_.random().below(most);
  std::string out;
  for (uint64_t i = 0; i < count; ++i) {
    history_.push_back(make_op());
    out += encode(history_.back());
  }
  send(out);
  if (history_.size() >= leaves_at_) return later(1500, [this] { leave(random().chance(50)); });
  if (history_.size() < plan_.requests) return go_on();
  if (plan_.ending != Ending::kHalfClose) return;
  ended_ = true;
  if (loop_.random().chance(50)) connection_->send("*2\r\n$3\r\nGE");  // an end in the middle of a request
  connection_->finish();
}

void SimClient::once_more() {
  if (closed() || ended_) return;
  ++plan_.requests;
  plan_.slow_reader = false;
  connection_->set_peer_reading(true);
  history_.push_back(make_op());
  send(encode(history_.back()));
}

std::string SimClient::pick_key(char kind, const std::string& tag) {
  std::string key = std::string(1, kind) + '{' + tag + "}:";
  if (kind == 's' || kind == 'n') return key + std::to_string(loop_.random().below(kSharedKeys));
  if (kind == 'i') return key + std::to_string(loop_.random().below(2));
  return key + std::to_string(number_) + ':' + std::to_string(loop_.random().below(kPrivateKeys));
}

Op SimClient::make_op() {
  Random& random = loop_.random();
  static constexpr OpKind kMix[] = {OpKind::kGet,  OpKind::kGet,  OpKind::kSet,    OpKind::kSet,  OpKind::kSet,
                                    OpKind::kIncr, OpKind::kIncr, OpKind::kIncr,   OpKind::kMget, OpKind::kMget,
                                    OpKind::kMset, OpKind::kDel,  OpKind::kExists, OpKind::kEcho};
  Op op;
  op.kind = kMix[random.below(std::size(kMix))];
  op.padding = plan_.padding > 0 ? static_cast<uint32_t>(random.below(plan_.padding)) : 0;
  op.process = process_;
  op.asked_us = loop_.now_us();
  if (op.kind == OpKind::kEcho) return op;
  pick_keys(op);
  if (op.is_logged() && op.kind == OpKind::kSet && random.chance(50)) op.ttl_ms = random.between(1, plan_.near_ttl_ms);
  if (op.is_logged()) checker_.on_sent(op);
  return op;
}

void SimClient::pick_keys(Op& op) {
  Random& random = loop_.random();
  const bool counts = op.kind == OpKind::kDel || op.kind == OpKind::kExists;
  const bool many = counts || op.kind == OpKind::kMget || op.kind == OpKind::kMset;
  const bool is_private = counts || (op.kind == OpKind::kSet && random.chance(40));
  const bool may_be_near = op.kind != OpKind::kIncr && op.kind != OpKind::kExists;
  const bool is_near = may_be_near && plan_.near_percent > 0 && random.chance(plan_.near_percent);
  const char kind = is_near ? 'n' : op.kind == OpKind::kIncr ? 'i' : is_private ? 'd' : 's';
  const bool one_slot = !plan_.one_key_a_slot && random.chance(60);
  const uint64_t count = many ? 1 + random.below(3) : 1;
  size_t tag = random.below(plan_.tags.size());
  while (op.keys.size() < count) {
    std::string key = pick_key(kind, plan_.tags[tag]);
    if (std::find(op.keys.begin(), op.keys.end(), key) != op.keys.end()) break;
    op.keys.push_back(std::move(key));
    if (!one_slot) tag = plan_.one_key_a_slot ? (tag + 1) % plan_.tags.size() : random.below(plan_.tags.size());
  }
}

std::string SimClient::encode(const Op& op) const {
  static constexpr std::string_view kNames[] = {"GET", "SET", "MGET", "MSET", "INCR", "DEL", "EXISTS", "ECHO"};
  const auto number = static_cast<uint32_t>(history_.size() - 1);
  std::vector<std::string> values;
  std::vector<std::string_view> args = {kNames[static_cast<size_t>(op.kind)]};
  values.reserve(op.keys.size() + 1);
  if (op.kind == OpKind::kEcho) args.push_back(values.emplace_back(make_value("echo", number_, number, op.padding)));
  for (const std::string& key : op.keys) {
    args.push_back(key);
    if (op.kind != OpKind::kSet && op.kind != OpKind::kMset) continue;
    args.push_back(values.emplace_back(make_value(key, number_, number, op.padding)));
  }
  const std::string ttl = std::to_string(op.ttl_ms);
  if (op.ttl_ms != 0) args.insert(args.end(), {"PX", ttl});
  std::string out;
  resp::append_command(out, args);
  return out;
}

void SimClient::on_reply(std::string_view reply) {
  if (answered_ >= history_.size()) return fail("got a reply to nothing: " + readable(reply));
  Op& op = history_[answered_];
  op.answered = true;
  op.asked_by_then = static_cast<uint32_t>(history_.size());
  op.reply = reply;
  const int64_t since_us = plan_.held_back ? std::max(op.asked_us, answered_us_) : op.asked_us;
  answered_us_ = loop_.now_us();
  if (answered_us_ - since_us > plan_.patience_us && !plan_.slow_reader) {
    fail("waited for " + std::to_string(answered_us_ - since_us) + " us: " + readable(reply));
  }
  checker_.on_reply(number_, answered_++, op);
}

void SimClient::on_lost() {
  if (ended_ && answered_ == history_.size()) return;
  fail("was closed with " + std::to_string(history_.size() - answered_) + " requests unanswered");
}

std::string SimClient::state() const {
  return "for request " + std::to_string(answered_) + " of " + std::to_string(history_.size());
}

}  // namespace corral::sim
