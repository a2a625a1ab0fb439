// Slots that are on their way from one node to another, or that nobody owns: a client of Corral sees values, not
// redirects, at every step of a migration.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <set>

#include "support/background.h"
#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {
namespace {

constexpr int kSlot = 42;  // of master 0 at the start

class RedirectTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<RedisCluster>();
    corral_ = std::make_unique<Corral>(CorralOptions{.upstream = cluster_->seeds()});
    corral_->wait_until_serving();
  }
  static void TearDownTestSuite() {
    corral_.reset();
    cluster_.reset();
  }
  void SetUp() override { ASSERT_EQ(client_.command("FLUSHALL"), Reply::status("OK")); }

  std::string key(int i) const { return tag_ + std::to_string(i); }
  void set_keys(int count) {
    for (int i = 0; i < count; ++i) ASSERT_EQ(client_.command("SET", key(i), i), Reply::status("OK"));
  }
  void expect_keys(int count) {
    for (int i = 0; i < count; ++i) ASSERT_EQ(client_.command("GET", key(i)), Reply::string(std::to_string(i)));
  }

  // What one iteration reports; it must end, also while slots move on and on.
  std::set<std::string> scan_all() {
    std::set<std::string> found;
    std::string cursor = "0";
    const auto start = Clock::now();
    do {
      const Reply reply = client_.command("SCAN", cursor, "COUNT", 20);
      if (reply.elements.size() != 2) throw std::runtime_error("SCAN: " + to_string(reply));
      if (seconds_since(start) > 20) throw std::runtime_error("SCAN does not end; cursor " + cursor);
      cursor = reply.elements[0].text;
      for (const Reply& name : reply.elements[1].elements) found.insert(name.text);
    } while (cursor != "0");
    return found;
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
  static inline std::unique_ptr<Corral> corral_;
  const std::string tag_ = tag_of_slot(kSlot);
  Client client_ = corral_->connect();
};

TEST_F(RedirectTest, a_moved_slot_is_followed) {
  set_keys(20);
  const auto moved = corral_->counter("redirects_moved");
  const size_t from = cluster_->owner(kSlot), to = (from + 1) % 3;
  cluster_->migrate_slot(kSlot, from, to);
  expect_keys(20);
  EXPECT_EQ(client_.command("INCR", key(20)), Reply::number(1));
  EXPECT_TRUE(eventually([&] { return corral_->counter("redirects_moved") > moved; }));
  // Learnt: it goes straight there now.
  require_eventually("the new owner is known", [&] {
    const auto before = corral_->counter("redirects_moved");
    expect_keys(20);
    return corral_->counter("redirects_moved") == before;
  });
}

TEST_F(RedirectTest, keys_on_both_sides_of_a_migration_are_read_and_written) {
  set_keys(100);
  const size_t from = cluster_->owner(kSlot), to = (from + 1) % 3;
  cluster_->begin_migration(kSlot, from, to);
  expect_keys(100);
  ASSERT_EQ(cluster_->move_keys(kSlot, from, to, 50), 50u);
  const auto asked = corral_->counter("redirects_ask");
  expect_keys(100);
  EXPECT_GE(corral_->counter("redirects_ask"), asked + 50);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client_.command("INCRBY", key(i), 1000), Reply::number(1000 + i));
  EXPECT_EQ(client_.command("SET", key(500), "new"), Reply::status("OK"));
  EXPECT_EQ(client_.command("GET", key(500)).text, "new");
  EXPECT_TRUE(client_.command("GET", key(501)).is_nil());
  EXPECT_EQ(client_.command("DEL", key(0)), Reply::number(1));
  EXPECT_TRUE(client_.command("GET", key(0)).is_nil());
  cluster_->move_keys(kSlot, from, to);
  cluster_->end_migration(kSlot, from, to);
  for (int i = 1; i < 100; ++i) ASSERT_EQ(client_.command("GET", key(i)).text, std::to_string(1000 + i));
  EXPECT_EQ(client_.command("GET", key(500)).text, "new");
}

TEST_F(RedirectTest, split_reads_span_both_sides) {
  set_keys(10);
  const size_t from = cluster_->owner(kSlot), to = (from + 1) % 3;
  cluster_->begin_migration(kSlot, from, to);
  for (int i = 0; i < 10; i += 2) cluster_->move_key(key(i), from, to);
  client_.command("SET", "elsewhere", "e");
  Args mget = {"MGET", "elsewhere"}, exists = {"EXISTS", "elsewhere"};
  std::vector<Reply> values = {Reply::string("e")};
  for (int i = 0; i < 10; ++i) {
    mget.push_back(key(i));
    exists.push_back(key(i));
    values.push_back(Reply::string(std::to_string(i)));
  }
  EXPECT_EQ(client_.command(mget), Reply::array(values));
  EXPECT_EQ(client_.command(exists), Reply::number(11));
  cluster_->move_keys(kSlot, from, to);
  cluster_->end_migration(kSlot, from, to);
  EXPECT_EQ(client_.command(mget), Reply::array(values));
}

TEST_F(RedirectTest, a_refused_write_of_several_keys_waits_the_migration_out) {
  set_keys(4);
  const size_t from = cluster_->owner(kSlot), to = (from + 1) % 3;
  cluster_->begin_migration(kSlot, from, to);
  cluster_->move_key(key(1), from, to);
  client_.send(encode({"RENAME", key(0), key(1)}));
  EXPECT_FALSE(client_.readable(milliseconds(100))) << client_.read_reply();
  cluster_->move_keys(kSlot, from, to);
  cluster_->end_migration(kSlot, from, to);
  EXPECT_EQ(client_.read_reply(), Reply::status("OK"));
  EXPECT_EQ(client_.command("GET", key(1)), Reply::string("0"));
}

TEST_F(RedirectTest, a_migration_that_never_ends_gives_tryagain) {
  Corral hasty({.upstream = cluster_->seeds(), .settings = "[upstream]\nrequest_timeout = \"500ms\"\n"});
  hasty.wait_until_serving();
  set_keys(2);
  const size_t from = cluster_->owner(kSlot), to = (from + 1) % 3;
  cluster_->begin_migration(kSlot, from, to);
  cluster_->move_key(key(1), from, to);
  Client client = hasty.connect();
  EXPECT_TRUE(client.command("RENAME", key(0), key(1)).is_error("TRYAGAIN"));
  EXPECT_EQ(client.command("GET", key(0)), Reply::string("0"));
  EXPECT_EQ(client.command("GET", key(1)), Reply::string("1"));
  cluster_->move_keys(kSlot, from, to);
  cluster_->end_migration(kSlot, from, to);
}

TEST_F(RedirectTest, a_script_follows_its_slot_but_its_own_errors_are_its_own) {
  set_keys(2);
  const size_t from = cluster_->owner(kSlot), to = (from + 1) % 3;
  cluster_->migrate_slot(kSlot, from, to);
  EXPECT_EQ(client_.command("EVAL", "return redis.call('incr', KEYS[1])", 1, key(1)), Reply::number(2));
  for (const char* error : {"TRYAGAIN mine", "CLUSTERDOWN mine", "LOADING mine", "READONLY mine"}) {
    EXPECT_EQ(client_.command("EVAL", "return redis.error_reply(ARGV[1])", 1, key(1), error), Reply::error(error));
  }
}

TEST_F(RedirectTest, order_holds_within_a_pipeline_over_a_migration) {
  const size_t from = cluster_->owner(kSlot), to = (from + 1) % 3;
  std::vector<Args> commands;
  for (int i = 0; i < 2000; ++i) {
    commands.push_back({"SET", key(i % 5), std::to_string(i)});
    commands.push_back({"GET", key(i % 5)});
  }
  Background mover([&](Background::Stop) {
    cluster_->begin_migration(kSlot, from, to);
    cluster_->move_keys(kSlot, from, to);
    cluster_->end_migration(kSlot, from, to);
  });
  const auto replies = client_.pipeline(commands);
  mover.join();
  for (int i = 0; i < 2000; ++i) {
    const auto at = static_cast<size_t>(2 * i);
    ASSERT_EQ(replies[at], Reply::status("OK")) << i;
    ASSERT_EQ(replies[at + 1], Reply::string(std::to_string(i)));
  }
}

TEST_F(RedirectTest, scan_misses_nothing_while_slots_move) {
  constexpr int kMoving = 30, kCount = 3000;
  std::set<std::string> keys;
  std::vector<Args> sets;
  for (int i = 0; i < kCount; ++i) {
    sets.push_back({"SET", tag_of_slot(i % kMoving) + std::to_string(i), "v"});
    keys.insert(sets.back()[1]);
  }
  client_.pipeline(sets);
  std::atomic<int> moves = 0;
  Background mover([&](Background::Stop stop) {
    for (int slot = 0; !stop; slot = (slot + 1) % kMoving) {
      const size_t from = cluster_->owner(slot);
      cluster_->migrate_slot(slot, from, (from + 1 + static_cast<size_t>(slot % 2)) % 3);
      ++moves;
    }
  });
  for (int round = 0; round < 5; ++round) {
    const auto found = scan_all();
    std::vector<std::string> missed;
    std::ranges::set_difference(keys, found, std::back_inserter(missed));
    EXPECT_EQ(missed, std::vector<std::string>());
    EXPECT_EQ(found.size(), keys.size());
  }
  mover.finish();
  EXPECT_GT(moves, 10);
}

TEST(UnownedSlotTest, gives_clusterdown_and_the_others_are_served) {
  RedisCluster cluster({.last_slot = 9999});
  Corral corral({.upstream = cluster.seeds(), .settings = "[upstream]\nrequest_timeout = \"1s\"\n"});
  Client client = corral.connect();
  const std::string owned = tag_of_slot(100), unowned = tag_of_slot(12'000);
  require_eventually("owned slots are served", [&] { return !client.command("GET", owned).is_error(); });
  EXPECT_TRUE(client.command("GET", unowned).is_error("CLUSTERDOWN"));
  EXPECT_TRUE(client.command("SET", unowned, "v").is_error("CLUSTERDOWN"));
  EXPECT_TRUE(client.command("MGET", owned, unowned).is_error("CLUSTERDOWN"));
  EXPECT_EQ(client.command("SET", owned, "v"), Reply::status("OK"));
  for (int slot = 10'000; slot < kSlots; slot += 3192) {
    cluster.node(2).command("CLUSTER", "ADDSLOTSRANGE", slot, std::min(slot + 3191, kSlots - 1));
  }
  EXPECT_TRUE(eventually([&] { return client.command("SET", unowned, "v") == Reply::status("OK"); }));
}

}  // namespace
}  // namespace corral::test
