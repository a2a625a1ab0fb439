// The lease of one key as time passes: its end, what a lapse leads to, and how long who waits is kept waiting.
#include <gtest/gtest.h>

#include "lease_bench.h"
#include "policy/key_lease.h"

namespace corral::policy {
namespace {

using What = Told::What;

TEST(KeyLeaseTime, EndOfTheLeasePromotesTheFirstWhoWaits) {
  LeaseBench key;
  key.grant(1);
  key.read(2, nothing());
  key.pass(LeaseBench::kLeaseMs - 1);
  EXPECT_TRUE(key.wakes_nobody());
  EXPECT_FALSE(key.wakes.lapsed);
  key.pass(1);
  EXPECT_TRUE(key.wakes.lapsed);
  expect_promoted(key, 2);
}

TEST(KeyLeaseTime, EndOfTheLeaseIsNoticedByAReadToo) {
  LeaseBench key;
  key.grant(1);
  key.read(2, nothing());
  key.now_ms += LeaseBench::kLeaseMs;
  EXPECT_EQ(key.tell(3, nothing()), What::kWait);
  EXPECT_TRUE(key.wakes.lapsed);
  expect_promoted(key, 2);
}

TEST(KeyLeaseTime, EndOfALeaseThatNobodyWaitsForLetsTheNextReaderHaveIt) {
  LeaseBench key;
  const uint64_t serial = key.grant(1);
  key.now_ms += LeaseBench::kLeaseMs;
  const Told told = key.read(1, nothing());
  EXPECT_EQ(told.what, What::kLease);
  EXPECT_NE(told.serial, serial);
  EXPECT_TRUE(key.wakes.lapsed);
}

TEST(KeyLeaseTime, SecondLapseInARowBarsTheKeyForTwoMinutes) {
  LeaseBench key;
  key.grant(1);
  key.read(2, nothing());
  key.read(3, nothing());
  key.pass(LeaseBench::kLeaseMs);
  expect_promoted(key, 2);
  key.pass(LeaseBench::kLeaseMs);
  EXPECT_TRUE(key.wakes.lapsed);
  EXPECT_FALSE(key.wakes.promoted);
  EXPECT_EQ(clients(key.wakes.nil), (Clients{3}));
  EXPECT_FALSE(key.lease.is_leased());
  EXPECT_FALSE(key.lease.is_idle(key.now_ms));

  key.pass(KeyLease::kBarMs - 1);
  EXPECT_EQ(key.tell(4, nothing()), What::kNil);
  key.pass(1);
  EXPECT_TRUE(key.lease.is_idle(key.now_ms));
  EXPECT_EQ(key.tell(4, nothing()), What::kLease);
  key.pass(LeaseBench::kLeaseMs);
  EXPECT_EQ(key.tell(4, nothing()), What::kLease) << "one lapse more bars nothing";
}

TEST(KeyLeaseTime, SetLiftsTheBar) {
  LeaseBench key;
  key.lapse(1);
  key.lapse(2);
  EXPECT_EQ(key.tell(3, nothing()), What::kNil);
  key.set("a");
  EXPECT_EQ(key.tell(3, nothing()), What::kLease);
}

TEST(KeyLeaseTime, DelDoesNotLiftTheBar) {
  LeaseBench key;
  key.lapse(1);
  key.lapse(2);
  key.remove();
  EXPECT_EQ(key.tell(3, nothing()), What::kNil);
}

TEST(KeyLeaseTime, SetBetweenTwoLapsesMakesThemNoneInARow) {
  LeaseBench key;
  key.lapse(1);
  key.set("late");
  key.lapse(2);
  EXPECT_EQ(key.tell(3, nothing()), What::kLease);
}

TEST(KeyLeaseTime, GoneHoldersAreNoLapses) {
  LeaseBench key;
  key.lapse(1);
  key.holder_gone(key.grant(2));
  key.remove();
  EXPECT_EQ(key.tell(3, nothing()), What::kLease);
}

TEST(KeyLeaseTime, WaitIsOverWhenItsTimeIs) {
  LeaseBench key;
  key.grant(1);
  key.now_ms += 10;
  const Told told = key.read(2, nothing());
  const uint64_t until_ms = key.now_ms + LeaseBench::kWaitMs;
  EXPECT_EQ(key.lease.on_wait_over(told.place, until_ms - 1), until_ms);
  EXPECT_EQ(key.lease.waiting(), 1u);
  EXPECT_EQ(key.lease.on_wait_over(told.place, until_ms), std::nullopt);
  EXPECT_EQ(key.lease.waiting(), 0u);
  EXPECT_EQ(key.lease.on_wait_over(told.place, key.now_ms), std::nullopt);
}

TEST(KeyLeaseTime, WaitStartsAnewAtAPromotion) {
  LeaseBench key;
  const uint64_t serial = key.grant(1);
  key.read(2, nothing());
  const Told third = key.read(3, nothing());
  key.now_ms += 200;
  key.holder_gone(serial);
  EXPECT_EQ(key.lease.on_wait_over(third.place, key.now_ms + 100), key.now_ms + LeaseBench::kWaitMs);
  EXPECT_EQ(key.lease.on_wait_over(third.place, key.now_ms + LeaseBench::kWaitMs), std::nullopt);
}

}  // namespace
}  // namespace corral::policy
