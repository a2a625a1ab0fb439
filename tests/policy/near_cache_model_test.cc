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

TEST(NearCacheModel, KeepsItsPromisesWhateverComesInBetween) {
  auto random = test::seeded_generator("NearCacheModel");
  const char* const rounds_text = std::getenv("CORRAL_TEST_ROUNDS");
  const int rounds = rounds_text != nullptr ? std::atoi(rounds_text) : 100;
  Model::Counts sum;
  for (int round = 0; round < rounds; ++round) {
    const uint64_t seed = random();
    const Config config = random_config(random);
    Model model(seed, config);
    model.run(kSteps);
    model.settle();
    if (!model.violation().empty()) {
      tell(seed, config, kSteps);
      FAIL() << "round " << round << ", " << model.violation();
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
}

}  // namespace
}  // namespace corral::policy::model
