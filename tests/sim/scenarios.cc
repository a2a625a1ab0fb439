#include "scenarios.h"

namespace corral::sim {

namespace {

constexpr Allowed kLossAllowed{.indoubt = true, .refusals = true, .overtaken = true};

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

}  // namespace corral::sim
