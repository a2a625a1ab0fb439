// The table of leases: its look-up, its bound, the order of reads and writes. What happens to one key is tested in
// key_lease_test.cc.
#include "policy/lease_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lease_bench.h"

namespace corral::policy {
namespace {

using What = Told::What;

constexpr uint64_t kNow = 1'000'000;
constexpr size_t kShards = 16;

const StampedeRule kRule{};

/// A key of shard `shard` whose writes are counted at `place`.
struct Named {
  std::string name;
  LeaseKey key;
  explicit Named(std::string text, size_t shard = 0, size_t place = 0, uint16_t database = 0)
      : name(std::move(text)), key{name, place << 8 | shard << 4, database} {}
  Named(const Named&) = delete;
  Named& operator=(const Named&) = delete;
};

class Bench {
 public:
  LeaseTable table;
  LeaseWakes wakes;

  explicit Bench(size_t most_keys = LeaseTable::kMostKeys) : table(most_keys) {}

  Told read(const LeaseKey& key, uint64_t client, uint64_t now_ms = kNow) {
    wakes = {};
    const LeaseReader reader{.client = client, .number = client, .worker = 0, .may_wait_ms = 100};
    return table.on_read(key, kRule, nothing(), reader, {.now_ms = now_ms}, wakes);
  }
  void set(const LeaseKey& key, const char* text) {
    const LeaseTable::Begun begun = table.begin_write(key, false);
    end(key, LeaseWrite::kValue, begun, text);
  }
  void end(const LeaseKey& key, LeaseWrite what, const LeaseTable::Begun& begun, const char* text = nullptr) {
    wakes = {};
    LeaseTable::Write write{.what = what, .counted = begun.counted};
    if (begun.wants_value && text) write.value = std::make_shared<const std::string>(text);
    table.end_write(key, write, LeaseOutcome::kDone, kNow, wakes);
  }
  size_t leased() const {
    size_t count = 0;
    table.for_each_leased([&count](std::string_view, uint16_t, const KeyLease&) { ++count; });
    return count;
  }
};

// --- the order of reads and writes ---

TEST(LeaseTable, MarkIsOldOnceAWriteOfTheKeyHasEnded) {
  Bench bench;
  const Named one("one"), other("other", 0, 1), shard("shard", 1, 0);
  const uint32_t mark = bench.table.mark(one.key.hash);
  EXPECT_FALSE(bench.table.is_old(one.key.hash, mark));
  const LeaseTable::Begun begun = bench.table.begin_write(one.key, false);
  EXPECT_FALSE(bench.table.is_old(one.key.hash, mark)) << "it has not ended";
  bench.end(other.key, LeaseWrite::kValue, {});
  bench.end(shard.key, LeaseWrite::kValue, {});
  EXPECT_FALSE(bench.table.is_old(one.key.hash, mark)) << "those were of other keys";
  bench.end(one.key, LeaseWrite::kOther, begun);
  EXPECT_TRUE(bench.table.is_old(one.key.hash, mark));
  EXPECT_FALSE(bench.table.is_old(one.key.hash, bench.table.mark(one.key.hash)));
}

TEST(LeaseTable, AllMarksAreOldOnceAWriteOfUnknownKeysHasEnded) {
  Bench bench;
  const Named one("one", 3, 7), other("other", 15, 1023);
  const uint32_t mark = bench.table.mark(one.key.hash), other_mark = bench.table.mark(other.key.hash);
  bench.table.end_write_of_all(bench.wakes);
  EXPECT_TRUE(bench.table.is_old(one.key.hash, mark));
  EXPECT_TRUE(bench.table.is_old(other.key.hash, other_mark));
}

TEST(LeaseTable, WriteOfUnknownKeysLetsAllWhoWaitReadAgain) {
  Bench bench;
  const Named one("one"), other("other", 5);
  bench.read(one.key, 1);
  bench.read(one.key, 2);
  bench.read(other.key, 3);
  bench.read(other.key, 4);
  bench.wakes = {};
  bench.table.end_write_of_all(bench.wakes);
  EXPECT_EQ(clients(bench.wakes.again), (Clients{2, 4}));
  EXPECT_EQ(bench.leased(), 2u);
}

TEST(LeaseTable, WriteOfUnknownKeysOverlapsASetUnderWay) {
  Bench bench;
  const Named one("one");
  bench.read(one.key, 1);
  bench.read(one.key, 2);
  const LeaseTable::Begun begun = bench.table.begin_write(one.key, false);
  bench.table.end_write_of_all(bench.wakes);
  bench.read(one.key, 3);
  bench.end(one.key, LeaseWrite::kValue, begun, "a");
  EXPECT_TRUE(bench.wakes.filled.empty()) << "the other write may have come behind this one";
  EXPECT_EQ(clients(bench.wakes.again), (Clients{3}));
}

TEST(LeaseTable, WriteOfUnknownKeysEndsWhatNoNodeCouldTake) {
  Bench bench;
  const Named one("one");
  bench.read(one.key, 1);
  const LeaseTable::Write write{
      .what = LeaseWrite::kValue, .feeds = true, .value = std::make_shared<const std::string>("a")};
  bench.table.end_write(one.key, write, LeaseOutcome::kNodeGone, kNow, bench.wakes);
  EXPECT_EQ(bench.read(one.key, 2).what, What::kFed);
  bench.table.end_write_of_all(bench.wakes);
  EXPECT_EQ(bench.read(one.key, 3).what, What::kWait);
}

TEST(LeaseTable, WriteBegunBeforeTheKeyWasKnownIsNotCounted) {
  Bench bench;
  const Named one("one");
  EXPECT_FALSE(bench.table.begin_write(one.key, true).counted);
  bench.read(one.key, 1);
  const LeaseTable::Begun begun = bench.table.begin_write(one.key, true);
  EXPECT_TRUE(begun.counted);
  EXPECT_TRUE(begun.wants_value);
  EXPECT_FALSE(bench.table.begin_write(one.key, false).wants_value) << "nobody waits";
}

TEST(LeaseTable, SetAnswersWhoWaits) {
  Bench bench;
  const Named one("one");
  bench.read(one.key, 1);
  EXPECT_EQ(bench.read(one.key, 2).what, What::kWait);
  bench.set(one.key, "a");
  EXPECT_EQ(clients(bench.wakes.filled), (Clients{2}));
  EXPECT_EQ(*bench.wakes.value, "a");
}

// --- keys ---

TEST(LeaseTable, ValueThatIsNotDueIsNotRemembered) {
  Bench bench;
  const Named one("one");
  EXPECT_EQ(bench.table.on_read(one.key, kRule, value(), {}, {.now_ms = kNow}, bench.wakes).what, What::kFound);
  EXPECT_EQ(bench.table.keys(), 0u);
}

TEST(LeaseTable, KeysOfSeveralDatabasesAreSeveralKeys) {
  Bench bench;
  const Named zero("one", 0, 0, 0), seven("one", 0, 0, 7);
  const Told told = bench.read(zero.key, 1);
  EXPECT_EQ(bench.read(seven.key, 2).what, What::kLease);
  EXPECT_EQ(bench.read(zero.key, 3).what, What::kWait);
  bench.set(seven.key, "a");
  EXPECT_TRUE(bench.wakes.empty());
  EXPECT_TRUE(bench.table.is_held(zero.key, told.serial));
  EXPECT_FALSE(bench.table.is_held(seven.key, told.serial));
}

TEST(LeaseTable, KeysOfOneHashAreSeveralKeys) {
  Bench bench;
  const Named one("one"), two("two");
  bench.read(one.key, 1);
  EXPECT_EQ(bench.read(two.key, 2).what, What::kLease);
}

TEST(LeaseTable, SerialsAreNeverTheSame) {
  Bench bench;
  std::set<uint64_t> serials;
  for (size_t i = 0; i < 1000; ++i) {
    const Named one(std::to_string(i), i % kShards);
    const uint64_t serial = bench.read(one.key, i).serial;
    EXPECT_NE(serial, 0u);
    EXPECT_TRUE(serials.insert(serial).second);
  }
}

TEST(LeaseTable, PlaceOfAKeyThatWasForgottenMeanwhileIsNobodysElse) {
  Bench bench(kShards);
  const Named one("one"), other("other");
  bench.read(one.key, 1);
  const Told told = bench.read(one.key, 2);
  bench.set(one.key, "a");
  bench.read(other.key, 1);
  bench.set(other.key, "b");
  bench.read(one.key, 3);
  bench.read(one.key, 4);
  bench.table.leave(one.key, told.place);  // its client is gone before it has heard of the value
  bench.set(one.key, "c");
  EXPECT_EQ(clients(bench.wakes.filled), (Clients{4}));
}

TEST(LeaseTable, HiddenDeadlineIsTheHoldersOnly) {
  Bench bench;
  const Named one("one");
  StampedeRule rule;
  rule.stale_ms = 5'000;
  EXPECT_EQ(bench.table.hidden_deadline_ms(one.key, 1, kNow), 0u);
  const LeaseReader reader{.client = 1};
  EXPECT_EQ(bench.table.on_read(one.key, rule, value(4'000), reader, {.now_ms = kNow}, bench.wakes).what, What::kLease);
  EXPECT_EQ(bench.table.hidden_deadline_ms(one.key, 1, kNow), kNow + 4'000);
  EXPECT_EQ(bench.table.hidden_deadline_ms(one.key, 2, kNow), 0u);
}

TEST(LeaseTable, ValueThatNoNodeCouldTakeIsFoundUntilTheLeaseEnds) {
  Bench bench;
  const Named one("one"), other("other");
  bench.read(one.key, 1);
  EXPECT_EQ(bench.table.find_fed(one.key, kNow), nullptr);
  const LeaseTable::Write write{
      .what = LeaseWrite::kValue, .feeds = true, .value = std::make_shared<const std::string>("a")};
  bench.table.end_write(one.key, write, LeaseOutcome::kNodeGone, kNow, bench.wakes);
  ASSERT_NE(bench.table.find_fed(one.key, kNow), nullptr);
  EXPECT_EQ(*bench.table.find_fed(one.key, kNow), "a");
  EXPECT_EQ(bench.table.find_fed(other.key, kNow), nullptr);
  EXPECT_EQ(bench.table.find_fed(one.key, kNow + static_cast<uint64_t>(kRule.lease_ms)), nullptr);
}

TEST(LeaseTable, LeasesAtNodesAreCountedByDatabase) {
  Bench bench;
  StampedeRule rule;
  rule.for_all_proxies = true;
  const Named here("here"), elsewhere("elsewhere", 1), asked("asked", 2), seven("seven", 3, 0, 7);
  const auto ask = [&](const LeaseKey& key, const KeyLease::Asked& asked_for) {
    const LeaseReader reader{.client = 1};
    const Told told = bench.table.on_read(key, rule, nothing(), reader, {.now_ms = kNow}, bench.wakes);
    bench.table.on_asked(key, rule, asked_for, reader, told.serial, {.now_ms = kNow}, bench.wakes);
  };
  const KeyLease::Asked granted{.granted = true, .at_node = true, .finding = nothing()};
  ask(here.key, granted);
  ask(elsewhere.key, {.others_left_ms = 1'000, .finding = nothing()});
  ask(asked.key, {.granted = true, .finding = failed()});
  ask(seven.key, granted);
  EXPECT_EQ(bench.table.at_nodes(0), 2u);
  EXPECT_EQ(bench.table.at_nodes(7), 1u);
  bench.set(here.key, "a");
  EXPECT_EQ(bench.table.at_nodes(0), 1u);
}

TEST(LeaseTable, LongestComputeTimeIsThatOfAnyKey) {
  Bench bench;
  const Named one("one"), other("other", 9);
  const auto compute = [&](const LeaseKey& key, uint64_t ms) {
    bench.read(key, 1, kNow - ms);
    bench.set(key, "a");
  };
  EXPECT_EQ(bench.table.longest_compute_ms(), 0u);
  compute(one.key, 40);
  compute(other.key, 300);
  compute(one.key, 50);
  EXPECT_EQ(bench.table.longest_compute_ms(), 300u);
}

TEST(LeaseTable, EventsOfAKeyThatIsNotKnownAreNothing) {
  Bench bench;
  const Named one("one");
  LeaseWakes& wakes = bench.wakes;
  bench.table.on_invalidated(one.key, wakes);
  bench.table.on_holder_gone(one.key, 16, kNow, wakes);
  bench.table.on_released_elsewhere(one.key, kNow, wakes);
  bench.table.on_time(one.key, kNow, wakes);
  bench.table.leave(one.key, 1);
  EXPECT_EQ(bench.table.on_wait_over(one.key, 1, kNow), std::nullopt);
  EXPECT_FALSE(bench.table.is_held(one.key, 16));
  EXPECT_TRUE(wakes.empty());
  EXPECT_EQ(bench.table.keys(), 0u);
}

// --- the bound ---

TEST(LeaseTable, FullOfLeasesLeasesNothingMore) {
  Bench bench(2 * kShards);  // two keys a shard
  const Named a("a"), b("b"), c("c"), elsewhere("d", 1);
  const Told told = bench.read(a.key, 1);
  bench.read(b.key, 2);
  EXPECT_EQ(bench.read(c.key, 3).what, What::kNil);
  StampedeRule soft;
  soft.stale_ms = 5'000;
  EXPECT_EQ(bench.table.on_read(c.key, soft, value(1), {}, {.now_ms = kNow}, bench.wakes).what, What::kFound);
  EXPECT_EQ(bench.table.keys(), 2u);
  EXPECT_TRUE(bench.table.is_held(a.key, told.serial));
  EXPECT_EQ(bench.read(elsewhere.key, 4).what, What::kLease) << "another shard has room";
}

TEST(LeaseTable, FullForgetsIdleKeys) {
  Bench bench(2 * kShards);
  const Named a("a"), b("b"), c("c");
  bench.read(a.key, 1);
  bench.set(a.key, "a");
  const Told told = bench.read(b.key, 2);
  EXPECT_EQ(bench.read(c.key, 3).what, What::kLease);
  EXPECT_EQ(bench.table.keys(), 2u);
  EXPECT_TRUE(bench.table.is_held(b.key, told.serial));
}

TEST(LeaseTable, FullForgetsNeitherBarredKeysNorThoseThatAreWritten) {
  Bench bench(2 * kShards);
  const Named barred("barred"), written("written"), other("other");
  const auto lease_ms = static_cast<uint64_t>(kRule.lease_ms);
  bench.read(barred.key, 1, kNow);
  bench.read(barred.key, 1, kNow + lease_ms);
  const uint64_t barred_ms = kNow + 2 * lease_ms;
  EXPECT_EQ(bench.read(barred.key, 1, barred_ms).what, What::kNil);
  bench.read(written.key, 2, barred_ms);
  const LeaseTable::Begun first = bench.table.begin_write(written.key, false);
  bench.set(written.key, "a");
  EXPECT_EQ(bench.leased(), 0u);
  EXPECT_EQ(bench.read(other.key, 3, barred_ms).what, What::kNil);

  bench.end(written.key, LeaseWrite::kOther, first);
  EXPECT_EQ(bench.read(other.key, 3, barred_ms).what, What::kLease);
  EXPECT_EQ(bench.read(barred.key, 4, barred_ms).what, What::kNil) << "still";
  EXPECT_EQ(bench.read(written.key, 5, barred_ms + KeyLease::kBarMs).what, What::kLease) << "in the barred one's place";
}

TEST(LeaseTable, FullOfLeasesIsNotSearchedForEachWhoAsks) {
  constexpr size_t kMost = 160;
  Bench bench(kMost * kShards);
  std::vector<std::unique_ptr<Named>> keys;
  for (size_t i = 0; i < kMost; ++i) {
    keys.push_back(std::make_unique<Named>(std::to_string(i)));
    ASSERT_EQ(bench.read(keys.back()->key, 1).what, What::kLease);
  }
  const Named other("other");
  EXPECT_EQ(bench.read(other.key, 2).what, What::kNil);
  bench.set(keys[0]->key, "a");
  size_t refused = 0;
  while (bench.read(other.key, 2).what == What::kNil) ASSERT_LT(++refused, kMost);
  EXPECT_EQ(refused, kMost / 16);
  EXPECT_EQ(bench.table.keys(), kMost);
}

TEST(LeaseTable, FullReleasesWhatTheNodeHasGranted) {
  Bench bench(kShards);
  const Named a("a"), b("b");
  bench.read(a.key, 1);
  bench.wakes = {};
  const KeyLease::Asked asked{.granted = true, .at_node = true, .finding = nothing()};
  const Told told = bench.table.on_asked(b.key, kRule, asked, {}, 4711, {.now_ms = kNow}, bench.wakes);
  EXPECT_EQ(told.what, What::kNil);
  EXPECT_EQ(bench.wakes.release, 4711u);
}

}  // namespace
}  // namespace corral::policy
