// The lease of one key that is to hold for all proxies before the cluster: the node is asked for it first.
#include <gtest/gtest.h>

#include "lease_bench.h"
#include "policy/key_lease.h"

namespace corral::policy {
namespace {

using What = Told::What;
using Asked = KeyLease::Asked;

constexpr uint64_t kOthersMs = 4'000;

LeaseBench shared() {
  LeaseBench key;
  key.rule.for_all_proxies = true;
  return key;
}

Asked granted(const Finding& finding = nothing()) { return {.granted = true, .at_node = true, .finding = finding}; }
Asked refused(const Finding& finding = nothing()) { return {.others_left_ms = kOthersMs, .finding = finding}; }

uint64_t lease(LeaseBench& key, uint64_t client) {
  const uint64_t serial = key.grant(client);
  key.asked(client, serial, granted());
  return serial;
}

TEST(KeyLeaseForAllProxies, ReadThatFindsNothingHasTheNodeAskedFirst) {
  LeaseBench key = shared();
  const Told told = key.read(1, nothing());
  EXPECT_EQ(told.what, What::kAsk);
  EXPECT_FALSE(key.lease.is_held(told.serial));
  EXPECT_EQ(key.tell(2, nothing()), What::kWait) << "meanwhile";
}

TEST(KeyLeaseForAllProxies, NodeGrantsIt) {
  LeaseBench key = shared();
  const uint64_t serial = key.grant(1);
  key.now_ms += 30;
  const Told told = key.asked(1, serial, granted());
  EXPECT_EQ(told.what, What::kLease);
  EXPECT_EQ(told.serial, serial);
  EXPECT_TRUE(key.lease.is_held(serial));
  EXPECT_EQ(key.lease.end_ms(), key.now_ms + LeaseBench::kLeaseMs);
  key.now_ms += 70;
  EXPECT_EQ(key.set("a"), 70u) << "the time from the nil";
  EXPECT_EQ(key.wakes.release, serial);
}

TEST(KeyLeaseForAllProxies, NobodyCouldBeAskedAndThisProcessDecidesByItself) {
  LeaseBench key = shared();
  const uint64_t serial = key.grant(1);
  EXPECT_EQ(key.asked(1, serial, {.granted = true, .finding = failed()}).what, What::kLease);
  key.set("a");
  EXPECT_EQ(key.wakes.release, 0u);
}

TEST(KeyLeaseForAllProxies, ReadThatFailsAsksNobody) {
  LeaseBench key = shared();
  EXPECT_EQ(key.tell(1, failed()), What::kLease);
  key.read(2, failed());
  key.remove();
  ASSERT_TRUE(key.wakes.promoted);
  EXPECT_FALSE(key.wakes.ask);
}

TEST(KeyLeaseForAllProxies, OthersHaveItAndTheReaderWaits) {
  LeaseBench key = shared();
  const uint64_t serial = key.grant(1);
  key.read(2, nothing());
  EXPECT_EQ(key.asked(1, serial, refused()).what, What::kWait);
  EXPECT_FALSE(key.lease.is_held(serial));
  EXPECT_EQ(key.lease.end_ms(), key.now_ms + kOthersMs);
  EXPECT_EQ(key.tell(3, nothing()), What::kWait);
  key.set("a");
  EXPECT_EQ(clients(key.wakes.filled), (Clients{2, 1, 3}));
  EXPECT_EQ(key.wakes.release, 0u);
}

TEST(KeyLeaseForAllProxies, OthersHaveItAndTheReaderMayNotWait) {
  LeaseBench key = shared();
  EXPECT_EQ(key.asked(1, key.grant(1), refused(), 0).what, What::kNil);
}

TEST(KeyLeaseForAllProxies, OthersHaveItForNoLongerThanALeaseOfThisProcess) {
  LeaseBench key = shared();
  const uint64_t serial = key.grant(1);
  key.asked(1, serial, {.others_left_ms = UINT64_MAX, .finding = nothing()});
  EXPECT_EQ(key.lease.end_ms(), key.now_ms + LeaseBench::kLeaseMs);
}

TEST(KeyLeaseForAllProxies, OthersComputeWhileTheReaderIsToldTheOldValue) {
  LeaseBench key = shared();
  key.rule.stale_ms = 30'000;
  const uint64_t serial = key.grant(1, value(30'000));
  EXPECT_EQ(key.asked(1, serial, refused(value(29'990))).what, What::kOld);
  EXPECT_EQ(key.tell(2, value(29'980)), What::kOld);
  EXPECT_FALSE(key.lease.hides_from(1, key.now_ms));
}

TEST(KeyLeaseForAllProxies, OthersRefreshEarlyWhileTheReaderIsToldTheValue) {
  LeaseBench key = shared();
  key.rule.early_refresh = 1;
  key.guess_ms = 100;
  key.random = 0;
  const uint64_t serial = key.grant(1, value(50));
  EXPECT_EQ(key.asked(1, serial, refused(value(50))).what, What::kFound);
}

TEST(KeyLeaseForAllProxies, NodeGrantsItForAnOldValue) {
  LeaseBench key = shared();
  key.rule.stale_ms = 30'000;
  const Told told = key.asked(1, key.grant(1, value(30'000)), granted(value(29'990)));
  EXPECT_EQ(told.what, What::kLease);
  EXPECT_EQ(told.kind, LeaseKind::kSoft);
  EXPECT_TRUE(key.lease.hides_from(1, key.now_ms));
}

TEST(KeyLeaseForAllProxies, OldValueThatHasGoneMeanwhileIsNotHidden) {
  LeaseBench key = shared();
  key.rule.stale_ms = 30'000;
  const Told told = key.asked(1, key.grant(1, value(5)), granted(nothing()));
  EXPECT_EQ(told.what, What::kLease);
  EXPECT_EQ(told.kind, LeaseKind::kCold);
  EXPECT_FALSE(key.lease.hides_from(1, key.now_ms));
  EXPECT_EQ(key.tell(2, value(40'000)), What::kFound);
  EXPECT_FALSE(key.lease.is_leased()) << "somebody has set it";
}

TEST(KeyLeaseForAllProxies, ValueThatHasComeMeanwhileEndsTheLease) {
  for (const bool cold : {false, true}) {
    for (const bool is_granted : {false, true}) {
      LeaseBench key = shared();
      key.rule.stale_ms = 30'000;
      const uint64_t serial = key.grant(1, cold ? nothing() : value(30'000));
      if (cold) key.read(2, nothing());
      EXPECT_EQ(key.asked(1, serial, is_granted ? granted(value(90'000)) : refused(value(90'000))).what, What::kFound);
      EXPECT_EQ(clients(key.wakes.again), cold ? (Clients{2}) : Clients());
      EXPECT_EQ(key.wakes.release, is_granted ? serial : 0);
      EXPECT_FALSE(key.lease.is_leased());
    }
  }
}

TEST(KeyLeaseForAllProxies, SetWhileTheNodeIsAskedEndsTheLeaseAndWhatTheNodeGrantsIsReleased) {
  LeaseBench key = shared();
  const uint64_t serial = key.grant(1);
  EXPECT_EQ(key.set("a"), std::nullopt) << "nobody has been told nil";
  EXPECT_EQ(key.wakes.release, 0u);
  EXPECT_EQ(key.asked(1, serial, granted(value(90'000))).what, What::kFound);
  EXPECT_EQ(key.wakes.release, serial);
  EXPECT_FALSE(key.lease.is_leased());
}

TEST(KeyLeaseForAllProxies, AnswerThatComesAfterTheLeasesEndIsReleasedAndItsReaderWaits) {
  LeaseBench key = shared();
  const uint64_t serial = key.grant(1);
  key.read(2, nothing());
  key.pass(LeaseBench::kLeaseMs);
  EXPECT_FALSE(key.wakes.lapsed) << "nobody was told nil";
  ASSERT_TRUE(key.wakes.promoted);
  EXPECT_TRUE(key.wakes.ask);
  EXPECT_EQ(key.asked(1, serial, granted()).what, What::kWait);
  EXPECT_EQ(key.wakes.release, serial);
}

TEST(KeyLeaseForAllProxies, GoneHolderPromotesOneWhoAsksAnew) {
  LeaseBench key = shared();
  const uint64_t serial = lease(key, 1);
  key.read(2, nothing());
  key.holder_gone(serial);
  EXPECT_EQ(key.wakes.release, serial);
  ASSERT_TRUE(key.wakes.promoted);
  EXPECT_EQ(key.wakes.promoted->client, 2u);
  EXPECT_TRUE(key.wakes.ask);
  const uint64_t next = key.wakes.serial;
  EXPECT_FALSE(key.lease.is_held(next));
  EXPECT_EQ(key.asked(2, next, granted()).what, What::kLease);
  EXPECT_TRUE(key.lease.is_held(next));
}

TEST(KeyLeaseForAllProxies, GoneHolderReleasesALeaseThatNobodyWaitsFor) {
  LeaseBench key = shared();
  const uint64_t serial = lease(key, 1);
  key.holder_gone(serial);
  EXPECT_EQ(key.wakes.release, serial);
  EXPECT_FALSE(key.lease.is_leased());
}

TEST(KeyLeaseForAllProxies, LapseCountsAndReleases) {
  LeaseBench key = shared();
  const uint64_t serial = lease(key, 1);
  key.pass(LeaseBench::kLeaseMs);
  EXPECT_TRUE(key.wakes.lapsed);
  EXPECT_EQ(key.wakes.release, serial);
  lease(key, 1);
  key.pass(LeaseBench::kLeaseMs);
  EXPECT_EQ(key.tell(2, nothing()), What::kNil);
}

TEST(KeyLeaseForAllProxies, ReleaseElsewherePromotesOneWhoAsks) {
  LeaseBench key = shared();
  key.asked(1, key.grant(1), refused());
  key.released_elsewhere();
  ASSERT_TRUE(key.wakes.promoted);
  EXPECT_EQ(key.wakes.promoted->client, 1u);
  EXPECT_TRUE(key.wakes.ask);
  EXPECT_EQ(key.wakes.release, 0u);
}

TEST(KeyLeaseForAllProxies, ReleaseElsewhereThatNobodyWaitsForEndsTheState) {
  LeaseBench key = shared();
  key.asked(1, key.grant(1), refused(), 0);
  key.released_elsewhere();
  EXPECT_TRUE(key.wakes_nobody());
  EXPECT_EQ(key.tell(2, nothing()), What::kAsk);
}

TEST(KeyLeaseForAllProxies, ReleaseElsewhereIsNothingToALeaseOfThisProcess) {
  LeaseBench key = shared();
  const uint64_t serial = lease(key, 1);
  key.read(2, nothing());
  key.released_elsewhere();
  EXPECT_TRUE(key.wakes_nobody());
  EXPECT_TRUE(key.lease.is_held(serial));
}

TEST(KeyLeaseForAllProxies, EndOfTheOthersTimePromotesOneWhoAsksAndIsNoLapse) {
  LeaseBench key = shared();
  for (int round = 0; round < 3; ++round) {
    key.asked(1, round == 0 ? key.grant(1) : key.wakes.serial, refused());
    key.pass(kOthersMs);
    EXPECT_FALSE(key.wakes.lapsed);
    ASSERT_TRUE(key.wakes.promoted);
    EXPECT_TRUE(key.wakes.ask);
  }
}

TEST(KeyLeaseForAllProxies, GoneAskerPromotesOneWhoAsks) {
  LeaseBench key = shared();
  const uint64_t serial = key.grant(1);
  key.read(2, nothing());
  key.holder_gone(serial);
  ASSERT_TRUE(key.wakes.promoted);
  EXPECT_TRUE(key.wakes.ask);
  EXPECT_EQ(key.wakes.release, 0u) << "the node has not said that it holds it";
}

}  // namespace
}  // namespace corral::policy
