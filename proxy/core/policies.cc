#include "proxy/core/policies.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "config/units.h"

namespace corral::core {

namespace {

using Mode = policy::TtlRule::Mode;
using policy::OnUpstreamError;

policy::StampedeRule make_stampede(const config::StampedeSettings& from) {
  return {.lease_ms = from.lease_ms,
          .wait_ms = from.wait_ms,
          .wait_shared_ms = from.wait_shared_ms,
          .stale_ms = from.stale_while_revalidate_ms,
          .early_refresh = from.early_refresh,
          .for_all_proxies = from.scope == "cluster"};
}

OnUpstreamError on_upstream_error(std::string_view word) {
  return word == "miss" ? OnUpstreamError::kMiss : word == "stale" ? OnUpstreamError::kStale : OnUpstreamError::kError;
}

policy::Rule make_rule(const config::RuleSettings& from) {
  policy::Rule rule{.name = from.name,
                    .match = from.match,
                    .ttl = {},
                    .on_upstream_error = on_upstream_error(from.on_upstream_error),
                    .stale_if_error_ms = from.stale_if_error_ms,
                    .max_value_bytes = from.max_value_bytes};
  if (const auto& ttl = from.ttl) {
    const Mode mode = ttl->mode == "reject" ? Mode::kReject : ttl->mode == "observe" ? Mode::kObserve : Mode::kEnforce;
    rule.ttl = {.default_ms = ttl->default_ms, .max_ms = ttl->max_ms, .jitter = ttl->jitter, .mode = mode};
  }
  if (const auto& near = from.near_cache)
    rule.near = {.ttl_ms = near->ttl_ms, .max_value_bytes = near->max_value_bytes};
  if (from.stampede) {
    rule.stampede = make_stampede(*from.stampede);
    if (!rule.ttl) rule.ttl = {.mode = Mode::kOff};
    rule.ttl->stale_ms = rule.stampede->stale_ms;
  }
  return rule;
}

std::string_view name_of(Mode mode) {
  return mode == Mode::kReject ? "reject" : mode == Mode::kObserve ? "observe" : "enforce";
}

std::string shortest(double number) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%g", number);
  return text.data();
}

std::string describe_ttl(const policy::TtlRule& ttl) {
  std::string text = "ttl default " + config::format_duration(ttl.default_ms);
  if (ttl.max_ms > 0) text += ", max " + config::format_duration(ttl.max_ms);
  return text + ", jitter " + shortest(ttl.jitter) + ", mode " + std::string(name_of(ttl.mode));
}

std::string describe_stampede(const policy::StampedeRule& stampede) {
  std::string text = "stampede lease " + config::format_duration(stampede.lease_ms) + ", wait " +
                     config::format_duration(stampede.wait_ms) + ", wait_shared " +
                     config::format_duration(stampede.wait_shared_ms);
  if (stampede.stale_ms > 0) text += ", stale_while_revalidate " + config::format_duration(stampede.stale_ms);
  if (stampede.early_refresh > 0) text += ", early_refresh " + shortest(stampede.early_refresh);
  return text + ", scope " + (stampede.for_all_proxies ? "cluster" : "proxy");
}

}  // namespace

std::string describe_rule(const policy::Rule& rule) {
  std::string text = rule.name + ':';
  for (const std::string& glob : rule.match) text += " \"" + glob + '"';
  if (rule.ttl && rule.ttl->mode != Mode::kOff) text += "; " + describe_ttl(*rule.ttl);
  if (rule.near) {
    text += "; near_cache ttl " + config::format_duration(rule.near->ttl_ms) + ", max_value " +
            config::format_size(rule.near->max_value_bytes);
  }
  if (rule.stampede) text += "; " + describe_stampede(*rule.stampede);
  if (rule.on_upstream_error == OnUpstreamError::kMiss) text += "; on_upstream_error miss";
  if (rule.on_upstream_error == OnUpstreamError::kStale) {
    text += "; on_upstream_error stale, stale_if_error " + config::format_duration(rule.stale_if_error_ms);
  }
  if (rule.max_value_bytes > 0) text += "; max_value " + config::format_size(rule.max_value_bytes);
  return text;
}

policy::PoliciesPtr make_policies(const config::Settings& settings) {
  auto policies = std::make_shared<policy::Policies>();
  for (const std::string& line : settings.server.users) policies->acl.add(line);
  policies->protected_mode = settings.server.protected_mode;
  std::vector<std::string> denied = settings.guard.deny;
  if (settings.guard.keys == "deny") denied.emplace_back("KEYS");
  policies->guard = policy::Guard(denied);
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
