// The near cache in a model of all that surrounds it (near_model.h), of which a seed decides.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <random>
#include <string>

#include "near_model.h"
#include "support.h"

namespace corral::policy::model {
namespace {

constexpr int kSteps = 30'000;

Config random_config(std::mt19937_64& random) {
  const auto one_of = [&](std::initializer_list<size_t> list) {
    return list.begin()[test::below(random, list.size())];
  };
  Config config;
  config.admit = one_of({100, 100, 60, 10});
  config.writes = one_of({0, 5, 30});
  config.past = one_of({0, 10, 50});
  config.faults = one_of({0, 10, 50});
  config.stalls = one_of({0, 30, 100});
  config.turns = one_of({0, 10, 30});
  config.staleness = one_of({200, 600});
  config.depth = one_of({1, 2, 6});
  config.clients = one_of({2, 4, 8});
  config.large = test::below(random, 2) == 0;
  config.padded = test::below(random, 3) == 0;
  config.watch_shared = test::below(random, 2) == 0;
  return config;
}

void tell(uint64_t seed, const Config& config, int steps) {
  Model again(seed, config, true);
  again.run(steps);
  again.settle();
  for (const std::string& line : again.trace()) std::printf("%s\n", line.c_str());
}

// Rounds of this configuration, or of random ones. What has been met in them.
Model::Counts run_rounds(std::mt19937_64& random, int rounds, const Config* fixed) {
  Model::Counts sum;
  for (int round = 0; round < rounds; ++round) {
    const uint64_t seed = random();
    const Config config = fixed ? *fixed : random_config(random);
    Model model(seed, config);
    model.run(kSteps);
    model.settle();
    if (!model.violation().empty()) {
      tell(seed, config, kSteps);
      ADD_FAILURE() << "round " << round << ", " << model.violation();
      return sum;
    }
    const Model::Counts& counts = model.counts();
    sum.served += counts.served;
    sum.joined += counts.joined;
    sum.fills += counts.fills;
    sum.plain += counts.plain;
    sum.waits += counts.waits;
    sum.glances += counts.glances;
    sum.ttls += counts.ttls;
    sum.failed += counts.failed;
    sum.passed += counts.passed;
  }
  std::printf(
      "served %llu, joined %llu, fills %llu, plain %llu, waits %llu, glances %llu, ttls %llu, failed %llu, passed "
      "%llu\n",
      (unsigned long long)sum.served, (unsigned long long)sum.joined, (unsigned long long)sum.fills,
      (unsigned long long)sum.plain, (unsigned long long)sum.waits, (unsigned long long)sum.glances,
      (unsigned long long)sum.ttls, (unsigned long long)sum.failed, (unsigned long long)sum.passed);
  return sum;
}

int rounds_or(int rounds) {
  const char* const text = std::getenv("CORRAL_TEST_ROUNDS");
  return text != nullptr ? std::atoi(text) : rounds;
}

TEST(NearCacheModel, KeepsItsPromisesWhateverComesInBetween) {
  auto random = test::seeded_generator("NearCacheModel");
  run_rounds(random, rounds_or(100), nullptr);
}

// Settings under which it is found, in so many rounds, if a read that was passed by ends in another era and drops
// nothing, or if what was filled in one era is served in another: nobody writes but past the proxy, who is told late.
TEST(NearCacheModel, ServesNothingOlderThanWhatWasPassedBy) {
  auto random = test::seeded_generator("NearCacheModel.PassedBy");
  const Config config{.admit = 100,
                      .writes = 0,
                      .past = 100,
                      .faults = 0,
                      .stalls = 100,
                      .turns = 2,
                      .depth = 1,
                      .clients = 8,
                      .staleness = 1000,
                      .large = false,
                      .watch_shared = false};
  const Model::Counts counts = run_rounds(random, rounds_or(400), &config);
  EXPECT_GT(counts.passed, 0u);
  EXPECT_GT(counts.served, 0u);
}

// The same if who waits for a read that was passed by is served.
TEST(NearCacheModel, ServesNobodyWhoWaitsForWhatWasPassedBy) {
  auto random = test::seeded_generator("NearCacheModel.Order");
  const Config config{
      .admit = 100, .writes = 0, .past = 50, .faults = 5, .stalls = 100, .turns = 30, .depth = 6, .clients = 8};
  const Model::Counts counts = run_rounds(random, rounds_or(50), &config);
  EXPECT_GT(counts.passed, 0u);
  EXPECT_GT(counts.served, 0u);
}

}  // namespace
}  // namespace corral::policy::model
