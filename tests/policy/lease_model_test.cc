// Leases in a model of all that surrounds them (lease_model.h), of which a seed decides. CORRAL_SEEDS=n: as many worlds
// rather than the usual number.
#include "lease_model.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <random>
#include <utility>

#include "support.h"

namespace corral::policy::lease_model {
namespace {

constexpr uint64_t kEvents = 10'000;  // of a world
constexpr int kSeeds = 100;

Config random_config(std::mt19937_64& random) {
  const auto one_of = [&]<class T>(std::initializer_list<T> list) {
    return list.begin()[test::below(random, list.size())];
  };
  Config config;
  config.rule.lease_ms = one_of({60, 400, 3'000});
  config.rule.wait_ms = one_of({0, 30, 250, 250, 1'000});
  config.rule.stale_ms = one_of({0, 0, 100, 1'000});
  config.rule.early_refresh = one_of({0.0, 1.0, 5.0});
  config.rule.for_all_proxies = one_of({false, true});
  config.most_keys = one_of({LeaseTable::kMostKeys, LeaseTable::kMostKeys, size_t{16}, size_t{32}});
  config.feeds = one_of({false, true});
  config.deadlines = config.rule.stale_ms > 0 || config.rule.early_refresh > 0 || one_of({false, true});
  config.clients = one_of({3, 10, 30});
  config.writes = one_of({0, 2, 10, 40});
  config.past = one_of({0, 20, 100});
  config.leaves = one_of({0, 3, 15});
  config.fails = one_of({0, 5, 30});
  config.unpushed = one_of({0, 30, 100});
  config.goes_down = one_of({false, true});
  config.think_ms = one_of({3, 20, 100});
  config.delay_ms = one_of({0, 2, 15});
  config.late_ms = one_of({0, 10});
  config.lag_ms = one_of({0, 0, 4});
  config.ttl_ms = one_of({20, 100, 300, 3'000});
  return config;
}

void tell(uint64_t seed, const Config& config) {
  Model again(seed, config, true);
  again.run(kEvents);
  if (again.violation().empty()) again.settle();
  for (const std::string& line : again.trace()) std::printf("%s\n", line.c_str());
}

using Counts = Model::Counts;

constexpr std::array<std::pair<const char*, uint64_t Counts::*>, 18> kCounts{{{"events", &Counts::events},
                                                                              {"found", &Counts::found},
                                                                              {"nil", &Counts::nil},
                                                                              {"leases", &Counts::leases},
                                                                              {"waits", &Counts::waits},
                                                                              {"filled", &Counts::filled},
                                                                              {"again", &Counts::again},
                                                                              {"promoted", &Counts::promoted},
                                                                              {"given back", &Counts::given_back},
                                                                              {"timed out", &Counts::timed_out},
                                                                              {"old", &Counts::old},
                                                                              {"early", &Counts::early},
                                                                              {"fed", &Counts::fed},
                                                                              {"asked", &Counts::asked},
                                                                              {"elsewhere", &Counts::elsewhere},
                                                                              {"lapsed", &Counts::lapsed},
                                                                              {"barred", &Counts::barred},
                                                                              {"overlapped", &Counts::overlapped}}};

TEST(LeaseModel, KeepsItsPromisesWhateverComesInBetween) {
  auto random = test::seeded_generator("LeaseModel");
  const char* const given = std::getenv("CORRAL_SEEDS");
  const int seeds = given != nullptr ? std::atoi(given) : kSeeds;
  Counts sum;
  for (int i = 0; i < seeds; ++i) {
    const uint64_t seed = random();
    const Config config = random_config(random);
    Model model(seed, config);
    model.run(kEvents);
    if (model.violation().empty()) model.settle();
    if (!model.violation().empty()) {
      tell(seed, config);
      FAIL() << "world " << i << ": " << model.violation();
    }
    for (const auto& [name, count] : kCounts) sum.*count += model.counts().*count;
  }
  for (const auto& [name, count] : kCounts) {
    std::printf("%s %llu, ", name, static_cast<unsigned long long>(sum.*count));
    EXPECT_TRUE(seeds < kSeeds || sum.*count > 0) << name;
  }
  std::printf("\n");
}

}  // namespace
}  // namespace corral::policy::lease_model
