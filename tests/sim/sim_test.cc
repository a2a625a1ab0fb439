// Runs each scenario with some seeds; `tests/sim/run` replays one that fails. CORRAL_SIM_SEEDS=n runs so many of each.
#include <gtest/gtest.h>

#include <cstdlib>

#include "sim_runs.h"

namespace corral::sim {
namespace {

constexpr uint64_t kRepeatedEvery = 8;  // so many seeds one is run twice, to compare

/// All seeds, until one fails.
Outcome run_seeds(const Scenario& scenario, uint64_t seeds) {
  Sum sum;
  const char* wanted = std::getenv("CORRAL_SIM_SEEDS");
  const uint64_t count = wanted ? std::strtoull(wanted, nullptr, 10) : seeds;
  for (uint64_t seed = 1; seed <= count; ++seed) {
    if (!run_seed(scenario, seed, seed % kRepeatedEvery == 0, sum)) break;
  }
  for (const std::string& failure : sum.failures) ADD_FAILURE() << failure;
  print_sum(scenario.name, sum);
  return sum.total;
}

/// A scenario must bring about what it is there for.
void expect_some(const Outcome& outcome, std::initializer_list<std::string_view> counters) {
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

TEST(Sim, NearCacheKeepsItsGuarantees) {
  const Outcome outcome = run_seeds(near_cache(), 200);
  EXPECT_EQ(outcome.errors, 0u);
  expect_some(outcome, {"near_cache_hits", "near_cache_invalidations", "reads_shared"});
}

TEST(Sim, NearCachesOfTwoProxiesKeepTheirGuarantees) {
  expect_some(run_seeds(near_two_proxies(), 200), {"near_cache_hits", "near_cache_invalidations", "ttl_defaulted"});
}

TEST(Sim, NearCacheKeepsItsGuaranteesWhereItIsNarrowedAndWidened) {
  expect_some(run_seeds(near_narrowed(), 200), {"near_cache_hits", "near_cache_passed_by", "near_cache_invalidations"});
}

TEST(Sim, NearCacheKeepsItsGuaranteesWhileSlotsMove) {
  expect_some(run_seeds(near_moving(), 200),
              {"near_cache_hits", "near_cache_passed_by", "near_cache_flushes", "redirects_moved"});
}

TEST(Sim, NearCacheIsStaleWithinBoundsWhereItCannotKnow) {
  expect_some(run_seeds(near_blind(), 200), {"near_cache_hits", "near_cache_flushes", "redirects_moved"});
}

TEST(Sim, LeasesAreExclusiveAndWaitsBounded) {
  const Outcome outcome = run_seeds(leases(), 200);
  EXPECT_EQ(outcome.errors, 0u);
  expect_some(outcome, {"leases_granted", "leases_filled", "waits_filled", "waits_timed_out"});
}

TEST(Sim, SoftTtlAndEarlyRefreshLetOneCompute) {
  expect_some(run_seeds(leases_soft(), 200), {"leases_granted", "leases_filled", "stale_served", "early_refreshes"});
}

TEST(Sim, LeasesHoldForAFleet) {
  expect_some(run_seeds(leases_of_a_fleet(), 200), {"leases_granted", "leases_filled", "waits_filled"});
}

TEST(Sim, LeasesOutliveBreakingConnections) {
  expect_some(run_seeds(leases_breaking(), 200),
              {"leases_granted", "leases_filled", "waits_filled", "upstream_errors"});
}

TEST(Sim, TransactionsQueuesAndChannelsLoseNothing) { EXPECT_EQ(run_seeds(sessions(), 200).errors, 0u); }

TEST(Sim, TransactionsQueuesAndChannelsOutliveFaults) {
  expect_some(run_seeds(sessions_breaking(), 200), {"redirects_moved", "upstream_errors", "indoubt"});
}

}  // namespace
}  // namespace corral::sim
