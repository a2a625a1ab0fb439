#include "proxy/core/ttl_piece.h"

#include "policy/ttl.h"
#include "proxy/core/rules.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/ascii.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

using policy::TtlRule;
using resp::ReplyView;
using resp::TtlEffect;

namespace {

constexpr std::string_view kOne = ":1\r\n", kWithout = ":-1\r\n";

// Whether the key may get more time than its rule allows from the command.
bool may_exceed(TtlEffect effect) {
  return effect == TtlEffect::kCarries || effect == TtlEffect::kScript || effect >= TtlEffect::kSet;
}

// COPY source destination DB 3, which only one server knows.
int64_t database_of_copy(const resp::Command& command, int64_t otherwise) {
  int64_t database = otherwise;  // the last one counts
  for (uint32_t i = 3; i + 1 < command.argc(); ++i) {
    if (resp::same_option(command.arg(i), "db")) database = resp::parse_decimal(command.arg(++i)).value_or(otherwise);
  }
  return database;
}

}  // namespace

void FollowUps::add(const resp::Command& command, const resp::CommandSpec& spec) {
  const bool other = worker_.one_owner() && spec.ttl == TtlEffect::kCarries;
  const int64_t database = other ? database_of_copy(command, database_) : database_;
  std::vector<uint32_t>& indexes = worker_.scratch_indexes();
  if (!resp::find_written_keys(spec, command, indexes)) return;
  for (const uint32_t index : indexes) {
    const TtlRule* rule = ttl_rule(worker_, command.arg(index));
    if (rule) add_key(command.arg(index), database, *rule, may_exceed(spec.ttl));
  }
}

void FollowUps::select(std::string_view argument) {
  const int64_t database = resp::parse_decimal(argument).value_or(-1);
  if (database < 0 || database >= worker_.process().upstream_databases()) return;  // the node refuses it
  database_ = database;
  at_ = -1;
}

void FollowUps::finish() { go_to(home_); }

void FollowUps::go_to(int64_t database) {
  if (at_ == database) return;
  at_ = database;
  append(Kind::kSelect, {"SELECT", std::to_string(database)});
}

void FollowUps::add_key(std::string_view key, int64_t database, const TtlRule& rule, bool cap) {
  if (rule.mode == TtlRule::Mode::kOff) return;
  const auto [it, is_new] = added_.try_emplace({database, std::string(key)}, false);
  bool& capped = it->second;
  go_to(database);
  RuleStats* of_rule = &worker_.rule_stats().of(rule);
  if (rule.mode == TtlRule::Mode::kObserve) {
    if (is_new) append(Kind::kLook, {"PTTL", key}, of_rule);
    return;
  }
  const int64_t ttl_ms = policy::default_ttl_ms(rule, worker_.transport().random()) + rule.stale_ms;
  if (is_new) append(Kind::kDefault, {"PEXPIRE", key, std::to_string(ttl_ms), "NX"}, of_rule);
  if (!cap || capped || rule.max_ms == 0) return;
  capped = true;
  append(Kind::kCap, {"PEXPIRE", key, std::to_string(rule.max_ms + rule.stale_ms), "LT"}, of_rule);
}

void FollowUps::append(Kind kind, std::initializer_list<std::string_view> args, RuleStats* of_rule) {
  resp::append_command(bytes_, args);
  commands_.push_back({kind, bytes_.size(), of_rule});
}

std::string_view FollowUps::frame(uint32_t i) const {
  const size_t begin = i == 0 ? 0 : commands_[i - 1].end;
  return std::string_view(bytes_).substr(begin, commands_[i].end - begin);
}

void FollowUps::count_effects(const std::vector<std::string_view>& replies, bool failed) const {
  Stats& stats = worker_.stats();
  for (size_t i = 0; i < commands_.size() && i < replies.size(); ++i) {
    const auto& [kind, end, of_rule] = commands_[i];
    const auto count = [&stats, of_rule = of_rule](Counter Stats::*total, uint64_t RuleStats::*by_rule) {
      (stats.*total).add();
      ++(of_rule->*by_rule);
    };
    if (kind == Kind::kDefault && replies[i] == kOne) count(&Stats::ttl_defaulted, &RuleStats::ttl_defaulted);
    if (kind == Kind::kCap && replies[i] == kOne) count(&Stats::ttl_clamped, &RuleStats::ttl_clamped);
    if (kind == Kind::kLook && replies[i] == kWithout && !failed) count(&Stats::ttl_observed, &RuleStats::ttl_observed);
  }
}

void TtlPiece::start(Worker& worker, const Request& whole, std::string_view command, FollowUps follow_ups) {
  follow_ups.finish();
  std::string bytes;
  bytes.reserve(kMultiFrame.size() + command.size() + follow_ups.bytes().size() + kExecFrame.size());
  bytes.append(kMultiFrame).append(command).append(follow_ups.bytes()).append(kExecFrame);
  Request request = whole;
  request.task = new TtlPiece(worker, whole, std::move(follow_ups));
  request.ticket = 0;
  request.flags |= kPiece;
  request.session->add_reference();
  worker.send(request, bytes);
}

void TtlPiece::begin() {
  taken_ = 0;
  error_.clear();
}

bool TtlPiece::take(std::string_view reply) {
  const bool is_last = ++taken_ == follow_ups_.count() + 3;
  if (!is_last) {
    if (reply[0] == '-' && error_.empty()) error_ = reply;
    return false;
  }
  verdict_ = error_.empty() ? reply : error_;
  // A script that its node does not know is given to it as if there were no rule (HoldTable); nothing has been done.
  const std::string_view own = reply.substr(std::min(reply.size(), reply.find('\n') + 1));
  if ((whole_.flags & kScript) && error_.empty() && own.starts_with("-NOSCRIPT")) {
    verdict_ = own.substr(0, own.find('\n') + 1);
  }
  return true;
}

void TtlPiece::on_reply(uint32_t, std::string_view reply) {
  const ReplyView view(reply);
  const auto elements = view.is_error() ? std::vector<ReplyView>() : view.elements();
  if (elements.empty()) {
    worker_.answer(whole_, reply);
  } else {
    std::vector<std::string_view> replies;
    for (size_t i = 1; i < elements.size(); ++i) replies.push_back(elements[i].bytes());
    follow_ups_.count_effects(replies, elements[0].is_error());
    worker_.answer(whole_, elements[0].bytes());
  }
  delete this;
}

}  // namespace corral::core
