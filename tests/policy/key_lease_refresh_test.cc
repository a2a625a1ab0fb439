// The lease of one key that has a value still: soft TTL, early refresh, how long computing takes; and values that no
// node could take.
#include <gtest/gtest.h>

#include <cmath>

#include "lease_bench.h"
#include "policy/key_lease.h"

namespace corral::policy {
namespace {

using What = Told::What;

constexpr int64_t kStaleMs = 30'000;

LeaseBench soft() {
  LeaseBench key;
  key.rule.stale_ms = kStaleMs;
  return key;
}

// --- soft TTL ---

TEST(KeyLeaseSoftTtl, OneReaderIsToldNilAndAllOthersTheOldValue) {
  LeaseBench key = soft();
  const Told told = key.read(1, value(kStaleMs));
  EXPECT_EQ(told.what, What::kLease);
  EXPECT_EQ(told.kind, LeaseKind::kSoft);
  for (uint64_t client = 2; client < 5; ++client) EXPECT_EQ(key.tell(client, value(kStaleMs)), What::kOld);
  EXPECT_EQ(key.tell(1, value(kStaleMs - 1)), What::kOld) << "the holder, if it asks again";
  EXPECT_EQ(key.tell(2, value(0)), What::kOld);
}

TEST(KeyLeaseSoftTtl, ValueBeforeItsSoftTtlIsFound) {
  LeaseBench key = soft();
  EXPECT_EQ(key.tell(1, value(kStaleMs + 1)), What::kFound);
  EXPECT_EQ(key.tell(1, value(Finding::kForever)), What::kFound);
  EXPECT_EQ(key.tell(1, value(Finding::kUnknown)), What::kFound);
  EXPECT_FALSE(key.lease.is_leased());
}

TEST(KeyLeaseSoftTtl, RuleWithoutStaleTimeHasNone) {
  LeaseBench key;
  EXPECT_EQ(key.tell(1, value(0)), What::kFound);
}

TEST(KeyLeaseSoftTtl, SetEndsTheLeaseAndTheNextEndHasOneOfItsOwn) {
  LeaseBench key = soft();
  key.grant(1, value(kStaleMs));
  key.set("a");
  EXPECT_EQ(key.tell(2, value(kStaleMs + 1000)), What::kFound);
  key.now_ms += 1000;
  EXPECT_EQ(key.tell(2, value(kStaleMs)), What::kLease);
}

TEST(KeyLeaseSoftTtl, LapseLetsTheNextReaderOfTheOldValueHaveTheLease) {
  LeaseBench key = soft();
  key.grant(1, value(kStaleMs));
  key.now_ms += LeaseBench::kLeaseMs;
  EXPECT_EQ(key.tell(2, value(kStaleMs - LeaseBench::kLeaseMs)), What::kLease);
  EXPECT_TRUE(key.wakes.lapsed);
  key.now_ms += LeaseBench::kLeaseMs;
  EXPECT_EQ(key.tell(3, value(kStaleMs - 2 * LeaseBench::kLeaseMs)), What::kOld) << "barred";
}

TEST(KeyLeaseSoftTtl, ReadersWaitOnceTheOldValueHasGone) {
  LeaseBench key = soft();
  const uint64_t serial = key.grant(1, value(5));
  key.now_ms += 5;
  EXPECT_EQ(key.tell(2, nothing()), What::kWait);
  EXPECT_TRUE(key.lease.is_held(serial));
  key.set("a");
  EXPECT_EQ(clients(key.wakes.filled), (Clients{2}));
}

TEST(KeyLeaseSoftTtl, OldValueIsThereStillWhenItsNodeCanBeAskedAgain) {
  LeaseBench key = soft();
  const uint64_t serial = key.grant(1, value(kStaleMs));
  EXPECT_EQ(key.tell(2, failed()), What::kWait);
  EXPECT_EQ(key.tell(3, value(kStaleMs - 10)), What::kOld);
  EXPECT_TRUE(key.lease.is_held(serial));
  EXPECT_TRUE(key.lease.hides_from(1, key.now_ms));
}

TEST(KeyLeaseSoftTtl, OldValueIsStillTheOldOneAfterAPromotion) {
  LeaseBench key = soft();
  const uint64_t serial = key.grant(1, value(kStaleMs));
  key.read(2, failed());
  key.holder_gone(serial);
  ASSERT_TRUE(key.wakes.promoted);
  EXPECT_EQ(key.tell(3, value(kStaleMs - 10)), What::kOld);
  EXPECT_EQ(key.lease.holder(), 2u);
}

TEST(KeyLeaseSoftTtl, ValueWhoseEndHasMovedIsAnotherOneAndEndsTheLease) {
  LeaseBench key = soft();
  const uint64_t serial = key.grant(1, value(kStaleMs));
  key.tell(2, value(kStaleMs + 900));
  EXPECT_TRUE(key.lease.is_held(serial)) << "so much may be delays";
  EXPECT_EQ(key.tell(2, value(kStaleMs + 60'000)), What::kFound);
  EXPECT_FALSE(key.lease.is_leased());
  key.grant(1, value(kStaleMs));
  EXPECT_EQ(key.tell(2, value(Finding::kForever)), What::kFound);
  EXPECT_FALSE(key.lease.is_leased());
}

TEST(KeyLeaseSoftTtl, OldValueThatWasReadBeforeItWentDoesNotEndTheLease) {
  LeaseBench key = soft();
  const uint64_t serial = key.grant(1, value(5));
  Finding old = value(1);
  old.sent_ms = key.now_ms + 4;
  key.now_ms += 5;
  key.read(2, nothing());
  EXPECT_EQ(key.tell(3, old), What::kOld) << "its reply came on another connection";
  EXPECT_TRUE(key.wakes_nobody());
  EXPECT_TRUE(key.lease.is_held(serial));
  old.sent_ms = key.now_ms + 1;
  key.read(3, old);
  EXPECT_EQ(clients(key.wakes.again), (Clients{2}));
}

TEST(KeyLeaseSoftTtl, ReadThatWasSentBeforeTheOldValueWasSetHasNotSeenItGo) {
  LeaseBench key = soft();
  const uint64_t serial = key.grant(1, value(kStaleMs));
  Finding absent = nothing();
  absent.sent_ms = key.now_ms - 1;
  EXPECT_EQ(key.tell(2, absent), What::kWait);
  EXPECT_EQ(key.tell(3, value(kStaleMs)), What::kOld);
  EXPECT_TRUE(key.lease.is_held(serial));
  EXPECT_TRUE(key.lease.hides_from(1, key.now_ms));
}

TEST(KeyLeaseSoftTtl, ValueIsHiddenFromTheHolderWhileItsLeaseLives) {
  LeaseBench key = soft();
  key.grant(1, value(kStaleMs));
  EXPECT_EQ(key.lease.deadline_ms(), key.now_ms + kStaleMs);
  EXPECT_TRUE(key.lease.hides_from(1, key.now_ms));
  EXPECT_FALSE(key.lease.hides_from(2, key.now_ms));
  EXPECT_FALSE(key.lease.hides_from(1, key.now_ms + LeaseBench::kLeaseMs));
  key.read(2, nothing());
  EXPECT_FALSE(key.lease.hides_from(1, key.now_ms)) << "nothing is there any more";
  key.set("a");
  EXPECT_FALSE(key.lease.hides_from(1, key.now_ms));
  key.grant(1);
  EXPECT_FALSE(key.lease.hides_from(1, key.now_ms)) << "nothing was there";
}

TEST(KeyLeaseSoftTtl, ValueThatHasChangedSinceIsNotHidden) {
  using Change = void (*)(LeaseBench&);
  const Change changes[] = {[](LeaseBench& key) { key.change(); }, [](LeaseBench& key) { key.invalidated(); },
                            [](LeaseBench& key) { key.set("a", LeaseOutcome::kUnknown); }};
  for (const Change change : changes) {
    LeaseBench key = soft();
    const uint64_t serial = key.grant(1, value(kStaleMs));
    key.set("refused", LeaseOutcome::kNotDone);
    EXPECT_TRUE(key.lease.hides_from(1, key.now_ms));
    change(key);
    EXPECT_FALSE(key.lease.hides_from(1, key.now_ms)) << "the holder has not seen what it would overwrite";
    EXPECT_TRUE(key.lease.is_held(serial));
    key.holder_gone(serial);
    key.grant(1, value(kStaleMs));
    EXPECT_TRUE(key.lease.hides_from(1, key.now_ms));
  }
}

// --- early refresh ---

uint64_t random_of(double u) { return (static_cast<uint64_t>(std::ldexp(u, 53)) - 1) << 11; }

LeaseBench early(double beta, double compute_ms) {
  LeaseBench key;
  key.rule.early_refresh = beta;
  key.guess_ms = compute_ms;
  return key;
}

TEST(KeyLeaseEarlyRefresh, IsDueByTheFormula) {
  for (const double beta : {0.5, 1.0, 3.0}) {
    for (const double u : {1.0 / 64, 0.25, 0.75}) {
      const auto earliness_ms = static_cast<int64_t>(-100 * beta * std::log(u));
      LeaseBench key = early(beta, 100);
      key.random = random_of(u);
      EXPECT_EQ(key.tell(1, value(earliness_ms + 1)), What::kFound) << beta << ' ' << u;
      const Told told = key.read(1, value(earliness_ms));
      EXPECT_EQ(told.what, What::kLease) << beta << ' ' << u;
      EXPECT_EQ(told.kind, LeaseKind::kEarly);
    }
  }
}

TEST(KeyLeaseEarlyRefresh, HoldsAtBothEndsOfChance) {
  LeaseBench key = early(1, 100);
  key.random = UINT64_MAX;  // u = 1
  EXPECT_EQ(key.tell(1, value(1)), What::kFound);
  key.random = 0;  // u = 2^-53
  EXPECT_EQ(key.tell(1, value(3'674)), What::kFound);
  EXPECT_EQ(key.tell(1, value(3'673)), What::kLease);
}

TEST(KeyLeaseEarlyRefresh, CountsFromTheSoftTtl) {
  LeaseBench key = early(1, 100);
  key.rule.stale_ms = kStaleMs;
  key.random = random_of(0.25);  // 138 ms
  EXPECT_EQ(key.tell(1, value(kStaleMs + 139)), What::kFound);
  EXPECT_EQ(key.read(1, value(kStaleMs + 138)).kind, LeaseKind::kEarly);
  EXPECT_EQ(key.tell(2, value(kStaleMs + 138)), What::kFound) << "one is enough";
  EXPECT_EQ(key.tell(2, value(kStaleMs)), What::kOld);
}

TEST(KeyLeaseEarlyRefresh, NeedsToKnowHowLongComputingTakes) {
  LeaseBench key = early(1, 0);
  key.random = 0;
  EXPECT_EQ(key.tell(1, value(1)), What::kFound);
  key.guess_ms = 1;
  EXPECT_EQ(key.tell(1, value(1)), What::kLease);
}

TEST(KeyLeaseEarlyRefresh, IsOffWithoutBeta) {
  LeaseBench key = early(0, 1'000);
  key.random = 0;
  EXPECT_EQ(key.tell(1, value(1)), What::kFound);
}

TEST(KeyLeaseEarlyRefresh, WhatWasLearnedCountsMoreThanTheGuess) {
  LeaseBench key = early(1, 100'000);
  key.grant(1);
  key.now_ms += 100;
  key.set("a");
  key.random = random_of(0.25);
  EXPECT_EQ(key.tell(1, value(139)), What::kFound);
  EXPECT_EQ(key.tell(1, value(138)), What::kLease);
}

TEST(KeyLeaseEarlyRefresh, IsNotDueWhileTheKeyIsBarred) {
  LeaseBench key = early(1, 100);
  key.lapse(1);
  key.lapse(1);
  key.random = 0;
  EXPECT_EQ(key.tell(2, value(10)), What::kFound);
}

// --- how long computing takes ---

TEST(KeyLeaseComputeTime, IsAMovingAverageOfTimesFromNilToSet) {
  LeaseBench key;
  const auto compute = [&key](uint64_t ms) {
    key.grant(1);
    key.now_ms += ms;
    return key.set("a");
  };
  EXPECT_EQ(compute(100), 100u);
  EXPECT_DOUBLE_EQ(key.lease.compute_ms(), 100);
  EXPECT_EQ(compute(200), 200u);
  EXPECT_DOUBLE_EQ(key.lease.compute_ms(), 125);
  EXPECT_EQ(compute(0), 0u);
  EXPECT_DOUBLE_EQ(key.lease.compute_ms(), 94) << "no time counts as a millisecond";
}

TEST(KeyLeaseComputeTime, CountsFromThePromotion) {
  LeaseBench key;
  const uint64_t serial = key.grant(1);
  key.read(2, nothing());
  key.now_ms += 500;
  key.holder_gone(serial);
  key.now_ms += 60;
  EXPECT_EQ(key.set("a"), 60u);
}

TEST(KeyLeaseComputeTime, IsNoneIfTheSetEndsOnAThreadWhoseTimeIsBehind) {
  LeaseBench key;
  key.grant(1);
  key.now_ms -= 3;
  EXPECT_EQ(key.set("a"), 0u);
  EXPECT_DOUBLE_EQ(key.lease.compute_ms(), 1);
}

TEST(KeyLeaseComputeTime, IsNotLearnedFromWhatNoLeaseWasFor) {
  LeaseBench key;
  EXPECT_EQ(key.set("a"), std::nullopt);
  key.grant(1);
  EXPECT_EQ(key.set("a", LeaseOutcome::kNotDone), std::nullopt);
  EXPECT_EQ(key.set("a", LeaseOutcome::kNodeGone), std::nullopt);
  key.remove();
  EXPECT_EQ(key.set("a"), std::nullopt);
  EXPECT_EQ(key.lease.compute_ms(), 0);
}

// --- a value that no node could take ---

TEST(KeyLeaseFed, WhoWaitsAndWhoReadsGetItUntilTheLeaseEnds) {
  LeaseBench key;
  EXPECT_EQ(key.tell(1, failed()), What::kLease);
  key.read(2, failed());
  key.feed("a");
  EXPECT_EQ(clients(key.wakes.filled), (Clients{2}));
  EXPECT_EQ(*key.wakes.value, "a");
  const Told told = key.read(3, failed());
  EXPECT_EQ(told.what, What::kFed);
  EXPECT_EQ(*told.value, "a");
  EXPECT_EQ(key.tell(1, nothing()), What::kFed) << "the node is there again, and has not got it";
  key.now_ms += LeaseBench::kLeaseMs;
  EXPECT_EQ(key.tell(4, failed()), What::kLease);
}

TEST(KeyLeaseFed, OnlyWhereTheRuleSaysSoAndALeaseIsOut) {
  LeaseBench key;
  key.feed("nobody has asked for it");
  EXPECT_EQ(key.tell(1, failed()), What::kLease);
  key.set("a", LeaseOutcome::kNodeGone);
  EXPECT_EQ(key.tell(2, failed()), What::kWait);
}

TEST(KeyLeaseFed, LeaseThatEndsSoIsNoLapse) {
  LeaseBench key;
  for (uint64_t client = 1; client < 5; ++client) {
    EXPECT_EQ(key.tell(client, failed()), What::kLease);
    key.feed("a");
    key.pass(LeaseBench::kLeaseMs);
    EXPECT_FALSE(key.wakes.lapsed);
  }
}

TEST(KeyLeaseFed, StaysWhenTheHolderGoes) {
  LeaseBench key;
  const uint64_t serial = key.grant(1, failed());
  key.feed("a");
  key.holder_gone(serial);
  EXPECT_EQ(key.tell(2, failed()), What::kFed);
}

TEST(KeyLeaseFed, LaterOneIsGivenInstead) {
  LeaseBench key;
  key.grant(1, failed());
  key.feed("a");
  key.feed("b");
  EXPECT_EQ(*key.read(2, failed()).value, "b");
}

TEST(KeyLeaseFed, WriteThatANodeHasTakenEndsIt) {
  using Change = void (*)(LeaseBench&);
  const Change changes[] = {[](LeaseBench& key) { key.set("b"); }, [](LeaseBench& key) { key.remove(); },
                            [](LeaseBench& key) { key.change(); },
                            [](LeaseBench& key) { key.read(3, value(Finding::kForever)); }};
  for (const Change change : changes) {
    LeaseBench key;
    key.grant(1, failed());
    key.feed("a");
    change(key);
    EXPECT_NE(key.tell(2, nothing()), What::kFed);
  }
}

}  // namespace
}  // namespace corral::policy
