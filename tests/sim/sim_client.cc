#include "sim_client.h"

#include <algorithm>

#include "resp/reply_builder.h"

namespace corral::sim {

namespace {

constexpr int kSharedKeys = 4;   // of a kind, for each tag
constexpr int kPrivateKeys = 3;  // likewise, and for each client
constexpr int64_t kDozeUs = 20'000;

}  // namespace

SimClient::SimClient(SimLoop& loop, Checker& checker, uint32_t number, ClientPlan plan)
    : loop_(loop), checker_(checker), number_(number), plan_(std::move(plan)) {
  if (plan_.ending == Ending::kMidway) leaves_at_ = static_cast<uint32_t>(loop.random().below(plan_.requests));
}

void SimClient::start(SimTransport& transport) {
  connection_ = &transport.accept(this);
  if (plan_.slow_reader) doze();
  go_on();
}

void SimClient::doze() {
  if (closed_) return;
  connection_->set_peer_reading(false);
  loop_.after(loop_.random().between(0, 2 * kDozeUs), [this] {
    if (closed_) return;
    connection_->set_peer_reading(true);
    loop_.after(loop_.random().between(1, 2000), [this] { doze(); });
  });
}

void SimClient::go_on() {
  if (scheduled_ || ended_ || closed_) return;
  scheduled_ = true;
  loop_.after(loop_.random().between(0, 2 * plan_.think_us), [this] {
    scheduled_ = false;
    if (!ended_ && !closed_) send_some();
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
  connection_->send(out);
  if (history_.size() >= leaves_at_) return go_away();
  if (history_.size() < plan_.requests) return go_on();
  if (plan_.ending != Ending::kHalfClose) return;
  ended_ = true;
  if (loop_.random().chance(50)) connection_->send("*2\r\n$3\r\nGE");  // an end in the middle of a request
  connection_->finish();
}

void SimClient::go_away() {
  loop_.after(loop_.random().between(0, 3000), [this] {
    if (closed_) return;
    loop_.trace([&] { return "client " + std::to_string(number_) + " goes away"; });
    closed_ = true;
    connection_->leave(loop_.random().chance(50));
  });
}

void SimClient::close() {
  if (closed_) return;
  closed_ = true;
  connection_->leave(loop_.random().chance(50));
}

void SimClient::ask_once_more() {
  if (closed_ || ended_) return;
  ++plan_.requests;
  plan_.slow_reader = false;
  connection_->set_peer_reading(true);
  history_.push_back(make_op());
  connection_->send(encode(history_.back()));
}

std::string SimClient::pick_key(char kind, const std::string& tag) {
  std::string key = std::string(1, kind) + '{' + tag + "}:";
  if (kind == 's') return key + std::to_string(loop_.random().below(kSharedKeys));
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
  if (op.kind == OpKind::kEcho) return op;
  pick_keys(op);
  return op;
}

void SimClient::pick_keys(Op& op) {
  Random& random = loop_.random();
  const bool counts = op.kind == OpKind::kDel || op.kind == OpKind::kExists;
  const bool many = counts || op.kind == OpKind::kMget || op.kind == OpKind::kMset;
  const bool is_private = counts || (op.kind == OpKind::kSet && random.chance(40));
  const char kind = op.kind == OpKind::kIncr ? 'i' : is_private ? 'd' : 's';
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
  std::string out;
  resp::append_command(out, args);
  loop_.trace([&] {
    return "client " + std::to_string(number_) + " (#" + std::to_string(connection_->id()) + ") request " +
           std::to_string(number) + ": " + readable(out);
  });
  return out;
}

void SimClient::on_bytes(Connection&, std::string_view bytes) {
  if (closed_) return;
  input_ += bytes;
  size_t at = 0;
  while (at < input_.size()) {
    const auto status = scanner_.scan(input_.data() + at, input_.size() - at);
    if (status == resp::ScanStatus::kNeedMore) break;
    if (status == resp::ScanStatus::kError) {
      return checker_.fail("client " + std::to_string(number_) +
                           " was sent what is not RESP: " + readable(input_.substr(at)));
    }
    on_reply(std::string_view(input_).substr(at, scanner_.consumed()));
    at += scanner_.consumed();
    scanner_.reset();
  }
  input_.erase(0, at);
  go_on();
}

void SimClient::on_reply(std::string_view reply) {
  if (answered_ >= history_.size()) {
    return checker_.fail("client " + std::to_string(number_) + " got a reply to nothing: " + readable(reply));
  }
  Op& op = history_[answered_];
  op.answered = true;
  op.asked_by_then = static_cast<uint32_t>(history_.size());
  op.reply = reply;
  loop_.trace([&] {
    return "client " + std::to_string(number_) + " reply " + std::to_string(answered_) + ": " + readable(reply);
  });
  checker_.on_reply(number_, answered_++, op);
}

void SimClient::on_closed(Connection&) {
  if (closed_) return;
  closed_ = true;
  if (ended_ && answered_ == history_.size()) return;
  checker_.fail("client " + std::to_string(number_) + " was closed with " +
                std::to_string(history_.size() - answered_) + " requests unanswered");
}

}  // namespace corral::sim
