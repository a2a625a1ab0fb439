// The lease of one key: each way from one of its states to another, who is woken on it, and what readers are told.
#include "policy/key_lease.h"

#include <gtest/gtest.h>

#include "lease_bench.h"

namespace corral::policy {
namespace {

using What = Told::What;

// --- reads ---

TEST(KeyLease, ReadThatFindsNothingIsGrantedTheLease) {
  LeaseBench key;
  const Told told = key.read(1, nothing());
  EXPECT_EQ(told.what, What::kLease);
  EXPECT_EQ(told.kind, LeaseKind::kCold);
  EXPECT_TRUE(key.lease.is_held(told.serial));
  EXPECT_EQ(key.lease.holder(), 1u);
  EXPECT_EQ(key.lease.end_ms(), key.now_ms + LeaseBench::kLeaseMs);
}

TEST(KeyLease, ReadThatFindsAValueNeedsNoLease) {
  LeaseBench key;
  EXPECT_EQ(key.tell(1, value()), What::kFound);
  EXPECT_EQ(key.tell(1, value(Finding::kForever)), What::kFound);
  EXPECT_EQ(key.tell(1, value(1)), What::kFound);
  EXPECT_FALSE(key.lease.is_leased());
}

TEST(KeyLease, ReadThatFindsNothingWhileLeasedWaits) {
  LeaseBench key;
  key.grant(1);
  const Told second = key.read(2, nothing()), third = key.read(3, nothing());
  EXPECT_EQ(second.what, What::kWait);
  EXPECT_EQ(third.what, What::kWait);
  EXPECT_LT(second.place, third.place);
  EXPECT_EQ(key.lease.waiting(), 2u);
}

TEST(KeyLease, ReadThatMayNotWaitIsToldNil) {
  LeaseBench key;
  key.grant(1);
  EXPECT_EQ(key.tell(2, nothing(), 0), What::kNil);
  EXPECT_EQ(key.lease.waiting(), 0u);
}

TEST(KeyLease, ReadByTheHolderIsToldNilAgain) {
  LeaseBench key;
  const uint64_t serial = key.grant(1);
  EXPECT_EQ(key.tell(1, nothing()), What::kNil);
  EXPECT_TRUE(key.lease.is_held(serial));
}

TEST(KeyLease, ReadThatFindsWhatSomebodyElseHasSetEndsTheLease) {
  LeaseBench key;
  key.grant(1);
  key.read(2, nothing());
  EXPECT_EQ(key.tell(3, value()), What::kFound);
  EXPECT_EQ(clients(key.wakes.again), (Clients{2}));
  EXPECT_FALSE(key.lease.is_leased());
}

TEST(KeyLease, ReadThatWasSentBeforeTheLeaseWasGrantedDoesNotEndIt) {
  LeaseBench key;
  const uint64_t serial = key.grant(1);
  key.read(2, nothing());
  for (const int64_t left_ms : {Finding::kUnknown, Finding::kForever, int64_t{60'000}}) {
    Finding finding = value(left_ms);
    finding.sent_ms = key.now_ms;
    EXPECT_EQ(key.tell(3, finding), What::kFound);
    EXPECT_TRUE(key.wakes_nobody());
    EXPECT_TRUE(key.lease.is_held(serial)) << "what it has found was there before there was nothing";
  }
  Finding finding = value();
  finding.sent_ms = key.now_ms + 1;
  key.tell(3, finding);
  EXPECT_EQ(clients(key.wakes.again), (Clients{2}));
  EXPECT_FALSE(key.lease.is_held(serial));
}

TEST(KeyLease, ReadThatFindsItSetAfterTheLeasesEndPromotesNobody) {
  LeaseBench key;
  key.rule.stale_ms = 30'000;
  key.grant(1);
  key.read(2, nothing());
  key.now_ms += LeaseBench::kLeaseMs;
  EXPECT_EQ(key.tell(3, value(60'000)), What::kFound);
  EXPECT_EQ(clients(key.wakes.again), (Clients{2}));
  EXPECT_FALSE(key.wakes.promoted) << "it would be told nil, and have no lease";
  EXPECT_FALSE(key.wakes.lapsed);
  EXPECT_FALSE(key.lease.is_leased());
}

// --- writes ---

TEST(KeyLease, SetAnswersWhoWaitsAndEndsTheLease) {
  LeaseBench key;
  key.grant(1);
  key.read(2, nothing());
  key.read(3, nothing());
  key.now_ms += 40;
  EXPECT_EQ(key.set("a"), 40u);
  EXPECT_EQ(clients(key.wakes.filled), (Clients{2, 3}));
  EXPECT_EQ(*key.wakes.value, "a");
  EXPECT_FALSE(key.lease.is_leased());
  EXPECT_EQ(key.lease.waiting(), 0u);
}

TEST(KeyLease, SetBySomebodyElseDoesToo) {
  LeaseBench key;
  const uint64_t serial = key.grant(1);
  key.set("past the holder");
  EXPECT_FALSE(key.lease.is_held(serial));
  EXPECT_EQ(key.tell(2, nothing()), What::kLease);
}

TEST(KeyLease, SetWhoseValueIsNotKnownLetsThemReadAgain) {
  LeaseBench key;
  key.grant(1);
  key.lease.on_write_begun();
  key.read(2, nothing());
  key.end(LeaseWrite::kValue, LeaseOutcome::kDone);
  EXPECT_EQ(clients(key.wakes.again), (Clients{2}));
  EXPECT_TRUE(key.wakes.filled.empty());
  EXPECT_FALSE(key.lease.is_leased());
}

TEST(KeyLease, WantsValueOnlyForWhoWaitsOrIsFed) {
  LeaseBench key;
  EXPECT_FALSE(key.lease.wants_value(true));
  key.grant(1);
  EXPECT_FALSE(key.lease.wants_value(false));
  EXPECT_TRUE(key.lease.wants_value(true));
  key.read(2, nothing());
  EXPECT_TRUE(key.lease.wants_value(false));
}

TEST(KeyLease, OverlappedSetsLetThemReadAgainWhicheverEndsFirst) {
  for (const bool other_ends : {false, true}) {
    LeaseBench key;
    key.grant(1);
    key.lease.on_write_begun();
    key.lease.on_write_begun();
    if (other_ends) key.end(LeaseWrite::kOther, LeaseOutcome::kNotDone);
    key.read(2, nothing());
    key.end_set("a");
    EXPECT_EQ(clients(key.wakes.again), (Clients{2})) << other_ends;
    EXPECT_TRUE(key.wakes.filled.empty());
  }
}

TEST(KeyLease, SetBehindOverlappedOnesAnswersAgain) {
  LeaseBench key;
  key.lease.on_write_begun();
  key.lease.on_write_begun();
  key.end_set("a");
  key.end_set("b");
  key.grant(1);
  key.read(2, nothing());
  key.set("c");
  EXPECT_EQ(clients(key.wakes.filled), (Clients{2}));
}

TEST(KeyLease, SetThatBeganBeforeTheKeyWasKnownLetsThemReadAgain) {
  LeaseBench key;
  key.grant(1);
  key.read(2, nothing());
  key.end(LeaseWrite::kValue, LeaseOutcome::kDone, "a", false);
  EXPECT_EQ(clients(key.wakes.again), (Clients{2}));
  EXPECT_FALSE(key.lease.is_leased());
}

TEST(KeyLease, WriteThatBeganBeforeTheKeyWasKnownOverlapsTheSetDuringWhichItEnds) {
  LeaseBench key;
  key.grant(1);
  key.lease.on_write_begun();
  key.end(LeaseWrite::kOther, LeaseOutcome::kDone, nullptr, false);
  key.read(2, nothing());
  key.end_set("a");
  EXPECT_EQ(clients(key.wakes.again), (Clients{2}));
}

TEST(KeyLease, WriteOfUnknownOutcomeLetsThemReadAgainWhileTheLeaseStays) {
  for (const auto what : {LeaseWrite::kValue, LeaseWrite::kRemoves, LeaseWrite::kOther}) {
    for (const auto outcome : {LeaseOutcome::kNotDone, LeaseOutcome::kUnknown, LeaseOutcome::kNodeGone}) {
      LeaseBench key;
      const uint64_t serial = key.grant(1);
      key.read(2, nothing());
      key.lease.on_write_begun();
      key.end(what, outcome, "a");
      // What was refused and would not have been a value has changed nothing that somebody waits for.
      const bool tells = outcome != LeaseOutcome::kNotDone || what == LeaseWrite::kValue;
      EXPECT_EQ(clients(key.wakes.again), tells ? (Clients{2}) : Clients{});
      EXPECT_TRUE(key.lease.is_held(serial));
    }
  }
}

TEST(KeyLease, OtherWriteLetsThemReadAgainWhileTheLeaseStays) {
  LeaseBench key;
  const uint64_t serial = key.grant(1);
  key.read(2, nothing());
  key.change();
  EXPECT_EQ(clients(key.wakes.again), (Clients{2}));
  EXPECT_TRUE(key.lease.is_held(serial));
}

TEST(KeyLease, InvalidationLetsThemReadAgainUnlessAWriteUnderWayWill) {
  LeaseBench key;
  key.grant(1);
  key.read(2, nothing());
  key.lease.on_write_begun();
  key.invalidated();
  EXPECT_TRUE(key.wakes_nobody());
  key.end_set("a");
  EXPECT_EQ(clients(key.wakes.filled), (Clients{2}));

  const uint64_t serial = key.grant(1);
  key.read(2, nothing());
  key.invalidated();
  EXPECT_EQ(clients(key.wakes.again), (Clients{2}));
  EXPECT_TRUE(key.lease.is_held(serial));
}

// --- the lease goes to who waits ---

TEST(KeyLease, DelPromotesTheFirstWhoWaits) {
  LeaseBench key;
  key.grant(1);
  key.read(2, nothing());
  key.read(3, nothing());
  key.now_ms += 5;
  key.remove();
  expect_promoted(key, 2);
  EXPECT_EQ(key.lease.waiting(), 1u);
}

TEST(KeyLease, DelEndsALeaseThatNobodyWaitsFor) {
  LeaseBench key;
  key.grant(1);
  key.remove();
  EXPECT_TRUE(key.wakes_nobody());
  EXPECT_FALSE(key.lease.is_leased());
}

TEST(KeyLease, GoneHolderPromotesTheFirstWhoWaits) {
  LeaseBench key;
  const uint64_t serial = key.grant(1);
  key.read(2, nothing());
  key.holder_gone(serial + 100);
  EXPECT_TRUE(key.wakes_nobody());
  key.holder_gone(serial);
  expect_promoted(key, 2);
  EXPECT_FALSE(key.lease.is_held(serial));
}

TEST(KeyLease, GoneHolderEndsALeaseThatNobodyWaitsFor) {
  LeaseBench key;
  key.holder_gone(key.grant(1));
  EXPECT_FALSE(key.lease.is_leased());
  EXPECT_EQ(key.tell(2, nothing()), What::kLease);
}

TEST(KeyLease, PromotedWhoIsGoneToGivesTheLeaseToTheNext) {
  LeaseBench key;
  const uint64_t serial = key.grant(1);
  key.read(2, nothing());
  key.read(3, nothing());
  key.holder_gone(serial);
  key.holder_gone(key.wakes.serial);
  expect_promoted(key, 3);
}

TEST(KeyLease, WhoLeavesIsNeitherPromotedNorWoken) {
  LeaseBench key;
  const uint64_t serial = key.grant(1);
  const Told second = key.read(2, nothing());
  key.read(3, nothing());
  key.lease.leave(second.place);
  key.holder_gone(serial);
  expect_promoted(key, 3);
  key.lease.leave(second.place);
  key.set("a");
  EXPECT_TRUE(key.wakes_nobody());
}

TEST(KeyLease, IsIdleOnlyIfNothingIsLost) {
  LeaseBench key;
  EXPECT_TRUE(key.lease.is_idle(key.now_ms));
  key.lease.on_write_begun();
  EXPECT_FALSE(key.lease.is_idle(key.now_ms));
  key.end_set("a");
  EXPECT_TRUE(key.lease.is_idle(key.now_ms));
  key.grant(1);
  EXPECT_FALSE(key.lease.is_idle(key.now_ms));
}

}  // namespace
}  // namespace corral::policy
