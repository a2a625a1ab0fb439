// Runs each scenario with many seeds. A seed that fails is printed with its last events.
//
// CORRAL_SIM_SEED=n runs this seed alone and prints all its events; CORRAL_SIM_SEEDS=n runs so many of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "scenarios.h"

namespace corral::sim {
namespace {

constexpr size_t kShownEvents = 80;
constexpr uint64_t kRepeatedEvery = 8;  // so many seeds one is run twice, to compare

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

Outcome run(const Scenario& scenario, uint64_t seed, bool tracing) { return Simulation(scenario, seed, tracing).run(); }

void print_trace(const Outcome& outcome, size_t most) {
  const size_t from = outcome.trace.size() > most ? outcome.trace.size() - most : 0;
  for (size_t i = from; i < outcome.trace.size(); ++i) std::printf("%s\n", outcome.trace[i].c_str());
}

void print_summary(const std::string& name, const Outcome& sum) {
  std::printf("%s: %llu requests, %llu error replies; core:", name.c_str(),
              static_cast<unsigned long long>(sum.requests), static_cast<unsigned long long>(sum.errors));
  for (const auto& [counter, value] : sum.counters) {
    if (value > 0) std::printf(" %s=%llu", counter.c_str(), static_cast<unsigned long long>(value));
  }
  std::printf("\n");
}

void add(Outcome& sum, const Outcome& one) {
  sum.requests += one.requests;
  sum.errors += one.errors;
  if (sum.counters.empty()) return void(sum.counters = one.counters);
  for (size_t i = 0; i < one.counters.size(); ++i) sum.counters[i].second += one.counters[i].second;
}

// Runs are repeatable, so only a seed that fails is traced: in a second run.
bool run_seed(const Scenario& scenario, uint64_t seed, Outcome& sum) {
  const Outcome outcome = run(scenario, seed, false);
  add(sum, outcome);
  for (const std::string& failure : outcome.failures) {
    ADD_FAILURE() << scenario.name << ", CORRAL_SIM_SEED=" << seed << ": " << failure;
  }
  const bool repeat = seed % kRepeatedEvery == 0 || !outcome.failures.empty();
  if (!repeat) return true;
  const Outcome again = run(scenario, seed, !outcome.failures.empty());
  EXPECT_EQ(outcome.hash, again.hash) << scenario.name << ", seed " << seed << ": a run is not repeatable";
  print_trace(again, kShownEvents);
  return outcome.failures.empty() && outcome.hash == again.hash;
}

/// All seeds, until one fails.
Outcome run_seeds(const Scenario& scenario, uint64_t seeds) {
  Outcome sum;
  if (std::getenv("CORRAL_SIM_SEED")) {
    sum = run(scenario, number_from("CORRAL_SIM_SEED", 0), true);
    print_trace(sum, SIZE_MAX);
    for (const std::string& failure : sum.failures) ADD_FAILURE() << failure;
  } else {
    const uint64_t count = number_from("CORRAL_SIM_SEEDS", seeds);
    for (uint64_t seed = 1; seed <= count; ++seed) {
      if (!run_seed(scenario, seed, sum)) break;
    }
  }
  print_summary(scenario.name, sum);
  return sum;
}

uint64_t counter(const Outcome& outcome, std::string_view name) {
  for (const auto& [each, value] : outcome.counters) {
    if (each == name) return value;
  }
  return 0;
}

/// A scenario must bring about what it is there for.
void expect_some(const Outcome& outcome, std::initializer_list<std::string_view> counters) {
  if (std::getenv("CORRAL_SIM_SEED")) return;
  for (const std::string_view name : counters) EXPECT_GT(counter(outcome, name), 0u) << name;
}

TEST(Sim, SteadyStateHasNoError) {
  const Outcome outcome = run_seeds(steady_state(), 300);
  EXPECT_EQ(outcome.errors, 0u);
}

TEST(Sim, ReshardingStormHasNoErrorAndExactCounts) {
  const Outcome outcome = run_seeds(resharding_storm(), 300);
  EXPECT_EQ(outcome.errors, 0u);
  expect_some(outcome, {"redirects_moved", "redirects_ask", "retries"});
}

TEST(Sim, TryagainWindowsAreWaitedOut) {
  expect_some(run_seeds(tryagain_windows(), 300), {"redirects_ask", "retries"});
}

TEST(Sim, CancelledMigrationsKeepTheOrder) {
  expect_some(run_seeds(cancelled_migrations(), 200), {"redirects_ask", "retries"});
}

TEST(Sim, FailoverLosesAndDoublesNothing) {
  expect_some(run_seeds(failover(), 200), {"redirects_moved", "upstream_errors", "indoubt", "retries"});
}

TEST(Sim, BreakingConnectionsLeaveCountsWithinDoubt) {
  expect_some(run_seeds(breaking_connections(), 300), {"upstream_errors", "indoubt", "retries"});
}

TEST(Sim, HalfOpenConnectionsRunNothingLate) {
  expect_some(run_seeds(half_open_connections(), 300), {"upstream_errors", "indoubt", "retries"});
}

TEST(Sim, SlowClientsAreHeldBackAndServed) {
  const Outcome outcome = run_seeds(slow_clients(), 200);
  EXPECT_EQ(outcome.errors, 0u);
}

TEST(Sim, TwoWorkersShareOneCluster) {
  expect_some(run_seeds(two_workers(), 200), {"redirects_moved", "redirects_ask", "indoubt", "retries"});
}

TEST(Sim, EverythingAtOnce) {
  expect_some(run_seeds(everything(), 200), {"redirects_moved", "redirects_ask", "indoubt", "retries"});
}

}  // namespace
}  // namespace corral::sim
