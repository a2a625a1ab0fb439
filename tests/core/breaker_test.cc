// When a node is given up, when it is probed, and how long who failed waits before it tries again.
#include "proxy/core/breaker.h"

#include <gtest/gtest.h>

#include <random>

#include "proxy/core/backoff.h"

namespace corral::core {
namespace {

constexpr int64_t kPatienceMs = 5000;

TEST(BreakerTest, OpensWhenSeveralFailuresInARowHaveGoneOnForLongerThanARequestMayTake) {
  Breaker breaker;
  for (uint32_t now = 1000; now < 6000; now += 500) EXPECT_FALSE(breaker.on_failure(now, kPatienceMs)) << now;
  EXPECT_TRUE(breaker.on_failure(6000, kPatienceMs));
  EXPECT_EQ(breaker.since_ms(), 1000u);
  EXPECT_TRUE(breaker.closed()) << "the caller decides";
}

TEST(BreakerTest, TwoFailuresAreTooFewHoweverFarApart) {
  Breaker breaker;
  EXPECT_FALSE(breaker.on_failure(0, kPatienceMs));
  EXPECT_FALSE(breaker.on_failure(1'000'000, kPatienceMs));
  EXPECT_TRUE(breaker.on_failure(1'000'001, kPatienceMs));
}

TEST(BreakerTest, AnAnswerStartsTheCountAnew) {
  Breaker breaker;
  for (uint32_t now = 0; now < 100'000; now += 1000) {
    EXPECT_FALSE(breaker.on_failure(now, kPatienceMs));
    if (now % 3000 == 0) breaker.on_answer();
  }
}

TEST(BreakerTest, OneProbeAtATimeAndEachFurtherOff) {
  Breaker breaker;
  uint32_t now = 4'294'967'000;  // the clock wraps around meanwhile
  breaker.open(now, 100);
  EXPECT_FALSE(breaker.closed());
  EXPECT_FALSE(breaker.begin_probe(now + 99));
  EXPECT_TRUE(breaker.begin_probe(now + 100));
  EXPECT_FALSE(breaker.begin_probe(now + 1000)) << "one is under way";
  now += 1000;
  breaker.open(now, 200);  // it has failed
  EXPECT_FALSE(breaker.begin_probe(now + 199));
  EXPECT_TRUE(breaker.begin_probe(now + 200));
  for (int i = 0; i < 40; ++i) breaker.open(now, Breaker::kMostProbeMs);
  EXPECT_FALSE(breaker.begin_probe(now + Breaker::kMostProbeMs - 1));
  EXPECT_TRUE(breaker.begin_probe(now + Breaker::kMostProbeMs)) << "a node that is back is noticed soon";
  breaker.on_answer();
  EXPECT_TRUE(breaker.closed());
  EXPECT_EQ(breaker.failures(), 0u);
}

TEST(FullJitterTest, IsSpreadOverAWindowThatDoublesUpToTheMost) {
  for (uint32_t failures = 0; failures < 100; ++failures) {
    const uint32_t window = failures >= 5 ? 500 : 20u << failures;
    EXPECT_EQ(full_jitter_ms(20, 500, failures, 0), 0u);
    EXPECT_EQ(full_jitter_ms(20, 500, failures, window), window);
    EXPECT_EQ(full_jitter_ms(20, 500, failures, window + 1), 0u);
  }
}

// Eight workers of a hundred proxies that lose a node at once are not to come back at once.
TEST(FullJitterTest, WhoFailedTogetherDoesNotComeBackTogether) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  std::vector<int> in_tenth(10);
  for (int i = 0; i < 800; ++i) ++in_tenth[std::min(9u, full_jitter_ms(20, 500, 6, random()) / 50)];
  for (const int connects : in_tenth) EXPECT_NEAR(connects, 80, 55);
}

}  // namespace
}  // namespace corral::core
