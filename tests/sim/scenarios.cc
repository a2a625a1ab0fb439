#include "scenarios.h"

namespace corral::sim {

namespace {

constexpr Allowed kLossAllowed{.indoubt = true, .refusals = true, .overtaken = true};

config::RuleSettings near_rule(int64_t ttl_ms) {
  config::RuleSettings rule;
  rule.name = "near";
  rule.match = {"n{*"};
  rule.near_cache = config::NearSettings{.ttl_ms = ttl_ms};
  return rule;
}

config::RuleSettings lease_rule() {
  config::RuleSettings rule;
  rule.name = "aside";
  rule.match = {"a{*"};
  rule.stampede = config::StampedeSettings{.lease_ms = 150, .wait_ms = 60};
  return rule;
}

}  // namespace

Scenario steady_state() {
  Scenario scenario;
  scenario.name = "steady_state";
  scenario.clients_vanish = true;
  scenario.faults_us = 50'000;
  return scenario;
}

Scenario resharding_storm() {
  Scenario scenario;
  scenario.name = "resharding_storm";
  scenario.plan.requests = 80;
  scenario.plan.one_key_a_slot = true;
  scenario.migration_every_us = 8'000;
  scenario.migration_pace_us = 2'000;
  return scenario;
}

Scenario tryagain_windows() {
  Scenario scenario = resharding_storm();
  scenario.name = "tryagain_windows";
  scenario.tags = 2;
  scenario.plan.one_key_a_slot = false;
  scenario.allowed.overtaken = true;
  scenario.migration_every_us = 20'000;
  scenario.migration_pace_us = 15'000;
  return scenario;
}

Scenario cancelled_migrations() {
  Scenario scenario = resharding_storm();
  scenario.name = "cancelled_migrations";
  scenario.plan.one_key_a_slot = false;
  scenario.migrations_cancel = true;
  scenario.allowed.overtaken = true;
  return scenario;
}

Scenario failover() {
  Scenario scenario;
  scenario.name = "failover";
  scenario.replicas = true;
  scenario.plan.requests = 100;
  scenario.plan.think_us = 20'000;
  scenario.faults_us = 1'500'000;
  scenario.failover_every_us = 400'000;
  scenario.request_timeout_ms = 1000;
  scenario.allowed = kLossAllowed;
  return scenario;
}

Scenario breaking_connections() {
  Scenario scenario;
  scenario.name = "breaking_connections";
  scenario.plan.requests = 80;
  scenario.break_every_us = 10'000;
  scenario.refuse_every_us = 100'000;
  scenario.down_every_us = 150'000;
  scenario.request_timeout_ms = 1000;
  scenario.chop_percent = 50;
  scenario.window = 600;
  scenario.allowed = kLossAllowed;
  return scenario;
}

Scenario half_open_connections() {
  Scenario scenario;
  scenario.name = "half_open_connections";
  scenario.plan.requests = 60;
  scenario.plan.think_us = 15'000;
  scenario.faults_us = 800'000;
  scenario.hang_every_us = 60'000;
  scenario.request_timeout_ms = 200;
  scenario.allowed = kLossAllowed;
  return scenario;
}

Scenario slow_clients() {
  Scenario scenario;
  scenario.name = "slow_clients";
  scenario.plan.requests = 60;
  scenario.plan.window = 60;
  scenario.plan.padding = 3000;
  scenario.plan.slow_reader = true;
  scenario.clients_vanish = true;
  scenario.window = 8000;
  scenario.limits.client_pipeline = 16;
  scenario.limits.inflight_bytes = 8000;
  return scenario;
}

Scenario two_workers() {
  Scenario scenario = resharding_storm();
  scenario.name = "two_workers";
  scenario.plan.one_key_a_slot = false;
  scenario.workers = 2;
  scenario.clients_vanish = true;
  scenario.plan.requests = 60;
  scenario.break_every_us = 40'000;
  scenario.request_timeout_ms = 1000;
  scenario.allowed = kLossAllowed;
  return scenario;
}

Scenario everything() {
  Scenario scenario = two_workers();
  scenario.name = "everything";
  scenario.replicas = true;
  scenario.plan.padding = 500;
  scenario.plan.slow_reader = true;
  scenario.migrations_cancel = true;
  scenario.migration_every_us = 20'000;
  scenario.failover_every_us = 400'000;
  scenario.hang_every_us = 200'000;
  scenario.refuse_every_us = 200'000;
  scenario.down_every_us = 200'000;
  scenario.faults_us = 800'000;
  scenario.window = 2000;
  scenario.limits.client_pipeline = 16;
  scenario.limits.inflight_bytes = 4000;
  return scenario;
}

Scenario near_cache() {
  Scenario scenario;
  scenario.name = "near_cache";
  scenario.workers = 2;
  scenario.tags = 2;
  scenario.plan.near_percent = 80;
  scenario.plan.requests = 120;
  scenario.plan.window = 4;
  scenario.faults_us = 500'000;
  scenario.direct_every_us = 8'000;
  scenario.max_staleness_ms = 200;
  scenario.rules = {near_rule(30'000)};
  return scenario;
}

Scenario near_two_proxies() {
  Scenario scenario = near_cache();
  scenario.name = "near_two_proxies";
  scenario.processes = 2;
  scenario.clients = 8;
  scenario.tracking_overflows = true;
  scenario.rules = {near_rule(100)};
  scenario.rules[0].ttl = config::TtlSettings{.default_ms = 200, .max_ms = 400};
  return scenario;
}

Scenario near_narrowed() {
  Scenario scenario = near_two_proxies();
  scenario.name = "near_narrowed";
  scenario.plan.window = 16;
  scenario.near_turn_every_us = 5'000;
  return scenario;
}

Scenario near_moving() {
  Scenario scenario = near_two_proxies();
  scenario.name = "near_moving";
  scenario.processes = 1;
  scenario.clients_vanish = true;
  scenario.plan.window = 16;
  scenario.migration_every_us = 20'000;
  scenario.migration_pace_us = 2'000;
  scenario.migrations_cancel = true;
  scenario.near_turn_every_us = 20'000;
  scenario.break_every_us = 40'000;
  scenario.refuse_every_us = 200'000;
  scenario.request_timeout_ms = 1000;
  scenario.allowed = kLossAllowed;
  return scenario;
}

Scenario near_blind() {
  Scenario scenario = near_cache();
  scenario.name = "near_blind";
  scenario.replicas = true;
  scenario.plan.think_us = 20'000;
  scenario.faults_us = 1'500'000;
  scenario.hang_every_us = 100'000;
  scenario.failover_every_us = 500'000;
  scenario.give_away_every_us = 150'000;
  scenario.request_timeout_ms = 200;
  scenario.allowed = kLossAllowed;
  return scenario;
}

Scenario leases() {
  Scenario scenario;
  scenario.name = "leases";
  scenario.workers = 2;
  scenario.tags = 1;
  scenario.clients = 0;
  scenario.cache_asides = 8;
  scenario.direct_every_us = 100'000;
  scenario.max_staleness_ms = 200;
  scenario.faults_us = 500'000;
  scenario.rules = {lease_rule()};
  return scenario;
}

Scenario leases_soft() {
  Scenario scenario = leases();
  scenario.name = "leases_soft";
  scenario.actors.together_percent = 20;
  scenario.actors.may_be_told_nil_early = true;
  scenario.actors.ttl_ms = 60;
  scenario.rules[0].near_cache = config::NearSettings{.ttl_ms = 30'000};
  scenario.rules[0].stampede->stale_while_revalidate_ms = 60;
  scenario.rules[0].stampede->early_refresh = 1.0;
  scenario.rules[0].stampede->wait_shared_ms = 10;
  return scenario;
}

Scenario leases_of_a_fleet() {
  Scenario scenario = leases();
  scenario.name = "leases_of_a_fleet";
  scenario.processes = 2;
  scenario.workers = 1;
  scenario.rules[0].stampede->scope = "cluster";
  scenario.actors.together_percent = 20;
  return scenario;
}

Scenario leases_breaking() {
  Scenario scenario = leases_of_a_fleet();
  scenario.name = "leases_breaking";
  scenario.workers = 2;
  scenario.tags = 2;
  scenario.clients_vanish = true;
  scenario.break_every_us = 30'000;
  scenario.migration_every_us = 50'000;
  scenario.request_timeout_ms = 1000;
  scenario.allowed = kLossAllowed;
  return scenario;
}

Scenario sessions() {
  Scenario scenario;
  scenario.name = "sessions";
  scenario.workers = 2;
  scenario.tags = 2;
  scenario.clients = 2;
  scenario.transactors = 4;
  scenario.producers = scenario.publishers = 2;
  scenario.consumers = scenario.subscribers = 3;
  return scenario;
}

Scenario sessions_breaking() {
  Scenario scenario = sessions();
  scenario.name = "sessions_breaking";
  scenario.replicas = true;
  scenario.clients_vanish = true;
  scenario.migration_every_us = 20'000;
  scenario.break_every_us = 40'000;
  scenario.failover_every_us = 400'000;
  scenario.faults_us = 800'000;
  scenario.request_timeout_ms = 1000;
  scenario.allowed = kLossAllowed;
  return scenario;
}

const std::vector<Scenario>& all_scenarios() {
  static const std::vector<Scenario> kAll = {steady_state(),
                                             resharding_storm(),
                                             tryagain_windows(),
                                             cancelled_migrations(),
                                             failover(),
                                             breaking_connections(),
                                             half_open_connections(),
                                             slow_clients(),
                                             two_workers(),
                                             everything(),
                                             near_cache(),
                                             near_two_proxies(),
                                             near_narrowed(),
                                             near_moving(),
                                             near_blind(),
                                             leases(),
                                             leases_soft(),
                                             leases_of_a_fleet(),
                                             leases_breaking(),
                                             sessions(),
                                             sessions_breaking()};
  return kAll;
}

}  // namespace corral::sim
