// Corral in front of a master that sentinels watch: it finds the master, follows it when another one takes over, by
// command or after a kill, and doubles no write on the way.
#include "support/sentinel.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "support/background.h"
#include "support/corral.h"

namespace corral::test {
namespace {

constexpr int kWriters = 4;
constexpr int kPipeline = 10;

std::string settings(const std::string& more = "") {
  return "[upstream]\nmode = \"sentinel\"\nmaster = \"mymaster\"\nconnect_timeout = \"300ms\"\nrequest_timeout = "
         "\"15s\"\n" +
         more;
}

// What becomes of INCRs of one key.
struct Tally {
  int64_t acknowledged = 0, in_doubt = 0;
  std::string unexpected;

  void increment(Client client, Background::Stop stop) {
    client.set_timeout(milliseconds(60'000));
    while (!stop) {
      for (const Reply& reply : client.pipeline(std::vector<Args>(kPipeline, Args{"INCR", "n"}))) {
        acknowledged += reply.type == Reply::Type::kInteger;
        in_doubt += reply.is_error("INDOUBT");
        if (reply.is_error() && !reply.is_error("INDOUBT")) unexpected = to_string(reply);
      }
    }
  }
};

// A fresh set of servers for each test: they leave it in pieces.
class SentinelTest : public ::testing::Test {
 protected:
  void begin_writers() {
    for (Tally& tally : tallies_) {
      writers_.push_back(
          std::make_unique<Background>([&](Background::Stop stop) { tally.increment(corral_.connect(), stop); }));
    }
  }
  Tally end_writers() {
    for (const auto& writer : writers_) writer->finish();
    Tally sum;
    for (const Tally& tally : tallies_) {
      sum.acknowledged += tally.acknowledged;
      sum.in_doubt += tally.in_doubt;
      if (!tally.unexpected.empty()) sum.unexpected = tally.unexpected;
    }
    return sum;
  }
  int64_t count_at(size_t server) { return std::atoll(watched_.server(server).command("GET", "n").text.c_str()); }
  // Until the writers get on at the master that is named now.
  void wait_until_writers_get_on() {
    const size_t master = watched_.master(running_sentinel_);
    const int64_t before = count_at(master);
    EXPECT_TRUE(eventually([&] { return count_at(master) > before + 10 * kWriters * kPipeline; }));
  }
  bool is_followed(size_t server) {
    const std::string text = corral_.connect().command("CORRAL", "TOPOLOGY").text;
    return text.find(watched_.server(server).address()) != std::string::npos;
  }

  WatchedMaster watched_;
  Corral corral_{{.upstream = watched_.seeds(), .settings = settings()}};
  Client client_ = corral_.connect(milliseconds(60'000));
  size_t running_sentinel_ = 0;
  std::vector<Tally> tallies_{kWriters};
  std::vector<std::unique_ptr<Background>> writers_;
};

TEST_F(SentinelTest, all_keys_and_databases_are_those_of_the_master) {
  EXPECT_EQ(client_.command("MSET", "a", "1", "b", "2", "c", "3"), Reply::status("OK"));
  EXPECT_EQ(client_.command("MGET", "a", "b", "c").strings(), (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(client_.command("RENAME", "a", "z"), Reply::status("OK"));
  EXPECT_EQ(client_.command("SELECT", 5), Reply::status("OK"));
  EXPECT_EQ(client_.command("SET", "a", "five"), Reply::status("OK"));
  Client direct = watched_.server(0).connect();
  EXPECT_EQ(direct.command("GET", "z").text, "1");
  direct.command("SELECT", 5);
  EXPECT_EQ(direct.command("GET", "a").text, "five");
}

TEST_F(SentinelTest, a_switch_by_command_is_followed_under_load) {
  begin_writers();
  EXPECT_TRUE(eventually([&] { return count_at(0) > 1000; }));
  watched_.fail_over();
  const size_t master = watched_.master();
  EXPECT_NE(master, 0u);
  EXPECT_TRUE(eventually([&] { return is_followed(master); }));
  wait_until_writers_get_on();
  const Tally sum = end_writers();
  EXPECT_EQ(sum.unexpected, "");
  EXPECT_LE(count_at(master), sum.acknowledged + sum.in_doubt);
  EXPECT_LE(sum.in_doubt, 4 * kWriters * kPipeline) << "only what was under way";
}

TEST_F(SentinelTest, a_killed_master_is_replaced_under_load) {
  begin_writers();
  EXPECT_TRUE(eventually([&] { return count_at(0) > 1000; }));
  watched_.server(0).kill();
  EXPECT_TRUE(eventually([&] { return watched_.master() != 0; }, milliseconds(30'000)));
  const size_t master = watched_.master();
  EXPECT_TRUE(eventually([&] { return is_followed(master); }));
  wait_until_writers_get_on();
  watched_.server(0).restart();  // comes back as a master of its own, until the sentinels make it a replica
  EXPECT_TRUE(eventually([&] { return watched_.server(0).command("ROLE").elements.at(0).text == "slave"; },
                         milliseconds(30'000)));
  wait_until_writers_get_on();
  const Tally sum = end_writers();
  EXPECT_EQ(sum.unexpected, "");
  EXPECT_LE(count_at(master), sum.acknowledged + sum.in_doubt);
  EXPECT_LE(sum.in_doubt, kWriters * kPipeline) << "only what was under way";
}

// What the old master had not passed on is lost with it, so it acknowledges nothing before the kill.
TEST_F(SentinelTest, what_is_acknowledged_around_a_kill_is_kept) {
  ASSERT_EQ(client_.command("SET", "n", "0"), Reply::status("OK"));
  watched_.server(0).pause();
  begin_writers();
  EXPECT_TRUE(eventually([&] { return corral_.counter("requests") >= kWriters * kPipeline; }));
  watched_.server(0).kill();
  EXPECT_TRUE(eventually([&] { return watched_.master() != 0; }, milliseconds(30'000)));
  wait_until_writers_get_on();
  const Tally sum = end_writers();
  EXPECT_EQ(sum.unexpected, "");
  const int64_t count = count_at(watched_.master());
  EXPECT_GE(count, sum.acknowledged);
  EXPECT_LE(count, sum.acknowledged + sum.in_doubt);
}

TEST_F(SentinelTest, sentinels_that_were_not_named_are_asked_when_the_seed_is_gone) {
  Corral other({.upstream = watched_.sentinel(0).address(), .settings = settings()});
  Client client = other.connect(milliseconds(60'000));
  ASSERT_EQ(client.command("SET", "k", "v"), Reply::status("OK"));
  watched_.sentinel(0).kill();
  running_sentinel_ = 1;
  watched_.server(0).kill();
  EXPECT_TRUE(eventually([&] { return watched_.master(1) != 0; }, milliseconds(30'000)));
  EXPECT_EQ(client.command("SET", "k", "w"), Reply::status("OK"));
  EXPECT_EQ(watched_.server(watched_.master(1)).command("GET", "k").text, "w");
}

TEST_F(SentinelTest, a_scan_begins_anew_at_another_master) {
  std::vector<Args> sets;
  std::set<std::string> keys, found;
  for (int i = 0; i < 2000; ++i) {
    sets.push_back({"SET", "key:" + std::to_string(i), "v"});
    keys.insert("key:" + std::to_string(i));
  }
  client_.pipeline(sets);
  const auto step = [&](const std::string& cursor) {
    const Reply reply = client_.command("SCAN", cursor, "COUNT", 100);
    if (reply.elements.size() != 2) throw std::runtime_error("SCAN: " + to_string(reply));
    for (const std::string& key : reply.elements[1].strings()) found.insert(key);
    return reply.elements[0].text;
  };
  std::string cursor = "0";
  for (int i = 0; i < 10; ++i) cursor = step(cursor);
  EXPECT_LT(found.size(), keys.size());
  found.clear();
  watched_.fail_over();
  const size_t master = watched_.master();
  ASSERT_TRUE(eventually([&] { return is_followed(master); }));
  do {
    cursor = step(cursor);
  } while (cursor != "0");
  EXPECT_EQ(found, keys);
}

TEST(SentinelLoginTest, sentinels_and_servers_have_logins_of_their_own) {
  WatchedMaster watched({.replicas = 0, .sentinels = 1, .sentinel_lines = {"user watcher on >watch ~* &* +@all"}});
  watched.server(0).command("ACL", "SETUSER", "proxy", "on", ">secret", "~*", "&*", "+@all");
  Corral corral({.upstream = watched.seeds(),
                 .settings = settings("username = \"proxy\"\npassword = \"secret\"\nsentinel_username = "
                                      "\"watcher\"\nsentinel_password = \"watch\"\n")});
  Client client = corral.connect();
  EXPECT_EQ(client.command("SET", "k", "v"), Reply::status("OK"));
  EXPECT_NE(watched.server(0).command("CLIENT", "LIST").text.find("user=proxy"), std::string::npos);
  EXPECT_NE(watched.sentinel(0).command("CLIENT", "LIST").text.find("user=watcher"), std::string::npos);
}

}  // namespace
}  // namespace corral::test
