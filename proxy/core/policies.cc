#include "proxy/core/policies.h"

#include <algorithm>

namespace corral::core {

namespace {

using Mode = policy::TtlRule::Mode;

policy::Rule make_rule(const config::RuleSettings& from) {
  policy::Rule rule{.name = from.name, .match = from.match, .ttl = {}, .max_value_bytes = from.max_value_bytes};
  if (const auto& ttl = from.ttl) {
    const Mode mode = ttl->mode == "reject" ? Mode::kReject : ttl->mode == "observe" ? Mode::kObserve : Mode::kEnforce;
    rule.ttl = {.default_ms = ttl->default_ms, .max_ms = ttl->max_ms, .jitter = ttl->jitter, .mode = mode};
  }
  return rule;
}

}  // namespace

policy::PoliciesPtr make_policies(const config::Settings& settings) {
  auto policies = std::make_shared<policy::Policies>();
  policies->guard = policy::Guard(settings.guard.deny);
  policies->keys_denied = settings.guard.keys == "deny";
  policies->del_as_unlink = settings.guard.del == "unlink";
  policies->max_value_bytes = settings.guard.max_value_bytes;
  policies->least_max_value_bytes = policies->max_value_bytes;
  std::vector<policy::Rule> rules;
  for (const auto& rule : settings.rules) {
    rules.push_back(make_rule(rule));
    if (rule.max_value_bytes == 0) continue;
    policies->least_max_value_bytes = std::min(policies->least_max_value_bytes, rule.max_value_bytes);
  }
  policies->rules = policy::RuleBook(std::move(rules));
  return policies;
}

}  // namespace corral::core
