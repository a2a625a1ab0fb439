#include "proxy/core/rules.h"

#include "policy/ttl.h"
#include "proxy/core/handlers.h"
#include "proxy/core/near.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/session.h"
#include "proxy/core/ttl_look.h"
#include "proxy/core/ttl_piece.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

using policy::TtlRule;
using policy::TtlVerdict;
using resp::Command;
using resp::CommandSpec;
using resp::TtlEffect;

namespace {

// A command in place of one that answers with a number: +OK is :1, nil is :0.
class NumberTask final : public Task {
 public:
  NumberTask(Worker& worker, const Request& whole) : worker_(worker), whole_(whole) {}

  void on_reply(uint32_t, std::string_view reply) override {
    worker_.answer(whole_, reply == resp::kOk ? ":1\r\n" : reply[0] == '-' ? reply : ":0\r\n");
    delete this;
  }

 private:
  Worker& worker_;
  const Request whole_;  // holds a reference to the session
};

void refuse_looked(Session& session, const Touch& touch, std::string_view error) {
  if (touch) session.worker().near()->touches().end(touch, session, {});
  session.reply_error(error);
}

void look_first(Session& session, const Command& command, const CommandSpec& spec, uint16_t slot) {
  const Touch touch = session.take_touch();
  TtlLook::start(session, {{std::string(command.bytes()), &spec}}, slot, nullptr,
                 [&session, &spec, slot, touch](std::string_view error, std::vector<TtlLook::Item>& items) {
                   if (!error.empty()) return refuse_looked(session, touch, error);
                   session.set_touch(touch);
                   const Request request = session.request_for_reply(slot, request_flags(spec));
                   send_part(session.worker(), request, items[0].bytes);
                 });
}

bool send_with_follow_ups(Session& session, const Command& command, const CommandSpec& spec, uint16_t slot) {
  Worker& worker = session.worker();
  if (TtlLook::wanted(worker, command, spec)) {
    look_first(session, command, spec, slot);
    return true;
  }
  FollowUps follow_ups(worker, session.database());
  follow_ups.add(command, spec);
  if (follow_ups.empty()) return false;
  TtlPiece::start(worker, session.request_for_reply(slot, request_flags(spec)), command.bytes(), std::move(follow_ups));
  return true;
}

// Counts keys that were found without a TTL although a rule demands one: they were written past this proxy.
class TellTask final : public Task {
 public:
  TellTask(Worker& worker, const Request& whole, RuleStats* demanding, std::optional<SoftTtl> soft)
      : worker_(worker), whole_(whole), demanding_(demanding), soft_(std::move(soft)) {}

  void on_reply(uint32_t, std::string_view reply) override {
    if (demanding_ && reply == ":-1\r\n") {
      worker_.stats().ttl_missing.add();
      ++demanding_->ttl_missing;
    }
    soft_ ? worker_.answer(whole_, soft_->reply(reply)) : worker_.answer(whole_, reply);
    delete this;
  }

 private:
  Worker& worker_;
  const Request whole_;         // holds a reference to the session
  RuleStats* const demanding_;  // of the rule that demands a TTL; null: it does not
  const std::optional<SoftTtl> soft_;
};

template <class ReplyTask, class... More>
bool forward_through(Session& session, std::string_view bytes, uint16_t slot, const CommandSpec& spec, More... more) {
  Worker& worker = session.worker();
  Request request = session.request_for_reply(slot, request_flags(spec));
  request.task = new ReplyTask(worker, request, std::move(more)...);
  session.add_reference();
  worker.send(request, bytes);
  return true;
}

bool apply_to_telling(Session& session, const Command& command, const CommandSpec& spec, uint16_t slot) {
  const TtlRule* rule = ttl_rule(session.worker(), command.arg(spec.only_key));
  if (!rule) return false;
  RuleStats* demanding = rule->mode == TtlRule::Mode::kOff ? nullptr : &session.worker().rule_stats().of(*rule);
  auto soft = find_soft_ttl(session.worker(), command, spec);
  if (!soft && !demanding) return false;
  const std::string bytes(soft ? std::string_view(soft->bytes) : command.bytes());
  return forward_through<TellTask>(session, bytes, slot, spec, demanding, std::move(soft));
}

bool refuse(Session& session, const CommandSpec& spec, const TtlRule& rule) {
  session.worker().stats().ttl_rejected.add();
  ++session.worker().rule_stats().of(rule).ttl_rejected;
  session.reply_error("TTLREQUIRED '" + std::string(spec.name) +
                      "' would leave its key without a time to live, which a rule of this proxy demands");
  return true;
}

TtlVerdict judge(Worker& worker, const TtlRule& rule, const Command& command, const CommandSpec& spec,
                 std::string& rewritten, bool drop_nx = false) {
  Transport& transport = worker.transport();
  const policy::TtlContext context{
      .wall_ms = transport.wall_clock_us() / 1000, .random = transport.random(), .drop_nx = drop_nx};
  return policy::judge_ttl(rule, spec.ttl, command, context, rewritten);
}

void count(Worker& worker, const TtlRule& rule, const TtlVerdict& verdict) {
  if (rule.mode == TtlRule::Mode::kOff) return;
  const auto add = [&, &of_rule = worker.rule_stats().of(rule)](Counter Stats::*total, uint64_t RuleStats::*by_rule) {
    (worker.stats().*total).add();
    ++(of_rule.*by_rule);
  };
  const bool observes = rule.mode == TtlRule::Mode::kObserve;
  if (verdict.without && observes) add(&Stats::ttl_observed, &RuleStats::ttl_observed);
  if (verdict.without && !observes) add(&Stats::ttl_defaulted, &RuleStats::ttl_defaulted);
  if (verdict.clamped) add(&Stats::ttl_clamped, &RuleStats::ttl_clamped);
}

// Who computes a value that is there all the same.
bool was_told_nil(const Session& session) {
  const Touch& touch = session.touch();
  return touch && !touch.is_read() && touch.object()->overwrites;
}

// A command that says a TTL, or might.
bool apply_to_saying(Session& session, const Command& command, const CommandSpec& spec, uint16_t slot) {
  Worker& worker = session.worker();
  const TtlRule* rule = ttl_rule(worker, command.arg(spec.only_key));
  if (!rule) return false;
  std::string& rewritten = worker.scratch_text();
  const TtlVerdict verdict = judge(worker, *rule, command, spec, rewritten, was_told_nil(session));
  if (verdict.form == TtlVerdict::Form::kAddPExpire) return send_with_follow_ups(session, command, spec, slot);
  if (verdict.without && rule->mode == TtlRule::Mode::kReject) {
    // With NX, XX or PERSIST it depends on what is there.
    const bool depends = spec.ttl == TtlEffect::kSetNx || spec.ttl == TtlEffect::kGetEx ||
                         (spec.ttl == TtlEffect::kSet && command.argc() > 3);
    if (!depends) return refuse(session, spec, *rule);
    look_first(session, command, spec, slot);
    return true;
  }
  count(worker, *rule, verdict);
  if (verdict.form == TtlVerdict::Form::kAsItCame) return false;
  if (verdict.integer_reply) return forward_through<NumberTask>(session, rewritten, slot, spec);
  session.forward(rewritten, slot, request_flags(spec));
  return true;
}

}  // namespace

const TtlRule* ttl_rule(Worker& worker, std::string_view key) {
  const policy::Rule* rule = worker.policies().rules.find(key);
  return rule && rule->ttl ? &*rule->ttl : nullptr;
}

bool may_be_ruled(const Worker& worker, const CommandSpec& spec) {
  return spec.ttl != TtlEffect::kNone && !worker.policies().rules.empty();
}

bool apply_rules(Session& session, const Command& command, const CommandSpec& spec, uint16_t slot) {
  if (resp::tells_ttl(spec.ttl)) return apply_to_telling(session, command, spec, slot);
  return spec.ttl >= TtlEffect::kSet ? apply_to_saying(session, command, spec, slot)
                                     : send_with_follow_ups(session, command, spec, slot);
}

bool settle_by_rule(Worker& worker, const Command& command, const CommandSpec& spec, std::string& bytes) {
  if (spec.ttl < TtlEffect::kSet) return false;
  const TtlRule* rule = ttl_rule(worker, command.arg(spec.only_key));
  if (!rule) return true;
  std::string rewritten;
  const TtlVerdict verdict = judge(worker, *rule, command, spec, rewritten);
  if (verdict.form == TtlVerdict::Form::kAddPExpire || verdict.integer_reply) return false;
  if (rule->mode == TtlRule::Mode::kObserve && verdict.without) return false;
  count(worker, *rule, verdict);
  if (verdict.form == TtlVerdict::Form::kRewritten) bytes = std::move(rewritten);
  return true;
}

std::optional<SoftTtl> find_soft_ttl(Worker& worker, const Command& command, const CommandSpec& spec) {
  if (!resp::tells_ttl(spec.ttl)) return std::nullopt;
  const TtlRule* rule = ttl_rule(worker, command.arg(spec.only_key));
  if (!rule || rule->stale_ms == 0) return std::nullopt;
  SoftTtl soft{{}, spec.ttl, rule->stale_ms};
  resp::append_command(soft.bytes, {policy::told_by(spec.ttl), command.arg(spec.only_key)});
  return soft;
}

std::string SoftTtl::reply(std::string_view told) const {
  const resp::ReplyView view(told);
  if (view.is_error()) return std::string(told);
  std::string out;
  resp::append_integer(out, policy::visible_ttl(effect, stale_ms, view.integer().value_or(-2)));
  return out;
}

bool refuse_whole(Session& session, const Command& command, const CommandSpec& spec) {
  const TtlRule* rule = TtlLook::wanted(session.worker(), command, spec);
  return rule && refuse(session, spec, *rule);
}

void send_part(Worker& worker, const Request& request, std::string_view bytes) {
  const ParsedRequest parsed(worker, bytes);
  FollowUps follow_ups(worker, request.session->database());
  if (parsed.spec() && may_be_ruled(worker, *parsed.spec())) follow_ups.add(parsed.command(), *parsed.spec());
  if (follow_ups.empty()) return worker.send(request, bytes);
  TtlPiece::start(worker, request, bytes, std::move(follow_ups));
}

}  // namespace corral::core
