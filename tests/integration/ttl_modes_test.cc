// The TTL rules in their modes, and where the servers are not as usual: blocked, moving, out of memory, one alone.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "ttl_rules.h"

namespace corral::test {
namespace {

class TtlModesTest : public BesideRule {
 protected:
  // Another one before the same cluster.
  static std::unique_ptr<Corral> corral_with(const std::string& ttl) {
    const std::string settings = "[[rule]]\nname = \"all\"\nmatch = [\"*\"]\nttl = " + ttl + "\n";
    auto corral = std::make_unique<Corral>(CorralOptions{.upstream = front_->cluster().seeds(), .settings = settings});
    corral->wait_until_serving();
    return corral;
  }
};

TEST_F(TtlModesTest, observe_changes_nothing_and_counts) {
  const auto corral = corral_with("{ default = \"5m\", max = \"1h\", mode = \"observe\" }");
  Client client = corral->connect();
  const auto observes = [&](int64_t count, const Args& command) {
    const int64_t before = corral->counter("ttl_observed");
    const Reply reply = client.command(command), expected = expected_.command(command);
    EXPECT_EQ(canonical(reply), canonical(expected)) << command[0];
    EXPECT_EQ(corral->counter("ttl_observed") - before, count) << command[0];
  };
  observes(1, {"SET", "{o}1", "v"});
  observes(1, {"SET", "{o}1", "w"});
  observes(1, {"HSET", "{o}2", "f", "v"});
  observes(1, {"HSET", "{o}2", "f", "w"});
  observes(3, {"MSET", "o3", "v", "o4", "v", "o5", "v"});
  observes(1, {"SETNX", "{o}6", "v"});
  observes(1, {"GETSET", "{o}6", "w"});
  observes(1, {"EVAL", "return redis.call('set', KEYS[1], 'v')", "1", "{o}7"});
  observes(0, {"SET", "{o}8", "v", "EX", "999999"});
  observes(0, {"APPEND", "{o}8", "v"});
  observes(0, {"SETEX", "{o}9", "1000", "v"});
  observes(0, {"HSET", "{o}1", "f", "wrong type"});
  observes(0, {"GET", "{o}1"});
  observes(1, {"PERSIST", "{o}9"});
  observes(0, {"MULTI"});
  observes(0, {"RPUSH", "{o}10", "v"});
  observes(0, {"SET", "{o}11", "v"});
  observes(2, {"EXEC"});
  for (const char* key : {"{o}1", "{o}2", "o3", "o4", "o5", "{o}6", "{o}7", "{o}9", "{o}10", "{o}11"}) {
    EXPECT_EQ(pttl_ms(key), -1) << key;
  }
  EXPECT_GT(pttl_ms("{o}8"), 990'000'000);
  EXPECT_EQ(corral->counter("ttl_defaulted"), 0);
  EXPECT_EQ(corral->counter("ttl_clamped"), 0);
}

TEST_F(TtlModesTest, reject_refuses_what_would_leave_a_key_without_a_ttl) {
  const auto corral = corral_with("{ default = \"5m\", max = \"1h\", jitter = 0, mode = \"reject\" }");
  Client client = corral->connect();
  const auto refused = [&](const Args& command) {
    const int64_t before = corral->counter("ttl_rejected");
    const Reply reply = client.command(command);
    EXPECT_TRUE(reply.is_error("TTLREQUIRED")) << command[0] << ' ' << command[1] << ": " << reply;
    EXPECT_EQ(corral->counter("ttl_rejected") - before, 1) << command[0];
  };
  const auto served = [&](const Args& command) {
    const Reply reply = client.command(command), expected = expected_.command(command);
    EXPECT_EQ(canonical(reply), canonical(expected)) << command[0] << ' ' << command[1];
  };
  refused({"SET", "{r}1", "v"});
  refused({"MSET", "r1", "v", "r2", "v"});
  refused({"HSET", "{r}2", "f", "v"});
  served({"EXISTS", "{r}1", "{r}2"});
  served({"SET", "{r}1", "1", "EX", "999999"});
  EXPECT_LE(pttl_ms("{r}1"), 3'600'000) << "capped as ever";
  served({"INCR", "{r}1"});
  served({"SET", "{r}1", "5", "KEEPTTL"});
  served({"HSET", "{r}1", "f", "wrong type"});
  refused({"PERSIST", "{r}1"});
  refused({"GETEX", "{r}1", "PERSIST"});
  served({"RENAME", "{r}1", "{r}3"});
  served({"COPY", "{r}3", "{r}4"});
  served({"LMOVE", "{r}none", "{r}5", "LEFT", "LEFT"});
  served({"LPUSHX", "{r}5", "v"});
  served({"SUNIONSTORE", "{r}6", "{r}none"});
  refused({"BITOP", "NOT", "{r}7", "{r}3"});
  served({"MULTI"});
  served({"RPUSH", "{r}8", "v"});
  served({"EXPIRE", "{r}8", "100"});
  served({"EXEC"});
  client.command("MULTI");
  client.command("RPUSH", "{r}9", "v");
  client.command("RPUSH", "{r}8", "v");
  refused({"EXEC"});
  EXPECT_EQ(client.command("LLEN", "{r}8"), Reply::number(1)) << "all or nothing";
  for (const char* key : {"{r}3", "{r}4", "{r}8"}) EXPECT_GT(pttl_ms(key), 0) << key;
}

TEST_F(TtlModesTest, without_a_maximum_only_the_default_counts) {
  const auto corral = corral_with("{ default = \"10m\", jitter = 0.0 }");
  Client client = corral->connect();
  client.command("SET", "{w}1", "v", "EX", 999'999);
  client.command("SET", "{w}2", "v");
  client.command("HSET", "{w}3", "f", "v");
  client.command("EXPIRE", "{w}3", 999'999);
  client.command("SADD", "{w}4", "v");
  for (const char* key : {"{w}1", "{w}3"}) EXPECT_GT(pttl_ms(key), 999'900'000) << key;
  for (const char* key : {"{w}2", "{w}4"}) {
    EXPECT_GT(pttl_ms(key), 580'000) << key;
    EXPECT_LE(pttl_ms(key), 600'000) << key;
  }
}

TEST_F(TtlModesTest, redis_benchmark_runs_with_a_rule_on_every_key) {
  const auto corral = corral_with("{ default = \"5m\" }");
  for (const char* depth : {"1", "16"}) {
    const Finished done = run({"redis-benchmark", "-q", "-p", std::to_string(corral->port()), "-n", "10000", "-r",
                               "1000", "-P", depth, "-t", "set,incr,lpush,sadd,hset,mset"},
                              milliseconds(90'000));
    EXPECT_EQ(done.status, 0) << done.output;
    EXPECT_EQ(done.output.find("rror"), std::string::npos) << done.output;
  }
  size_t ruled = 0;
  EXPECT_EQ(offenders(keys_behind(*front_), ruled), "");
  EXPECT_GT(ruled, 1000u);
}

TEST_F(TtlModesTest, what_blocks_leaves_a_ttl_when_it_is_served) {
  for (const Args& command :
       {Args{"BLMOVE", "{b}from", "{b}to", "LEFT", "RIGHT", "0"}, Args{"BRPOPLPUSH", "{b}from", "{b}to", "0"}}) {
    actual_.command("FLUSHALL");
    actual_.send(encode(command));
    require_eventually("it waits", [&] { return front_->info_sum("blocked_clients") == 1; });
    past("{b}from", "RPUSH", "{b}from", "x");
    EXPECT_EQ(actual_.read_reply(), Reply::string("x"));
    EXPECT_TRUE(eventually([&] { return pttl_ms("{b}to") > 0; }));
    expect_default("{b}to");
  }
}

TEST_F(TtlModesTest, jitter_spreads_what_would_expire_at_once) {
  constexpr int kKeys = 500;
  std::vector<Args> sets;
  for (int i = 0; i < kKeys; ++i) {
    const std::string n = std::to_string(i);
    sets.push_back({"SET", "ex:" + n, "v", "EX", "1000"});
    sets.push_back({"SETEX", "setex:" + n, "1000", "v"});
    sets.push_back({"SET", "default:" + n, "v"});
    sets.push_back({"HSET", "hash:" + n, "f", "v"});
    sets.push_back({"SET", "max:" + n, "v", "EX", "3600"});
    sets.push_back({"SET", "over:" + n, "v", "EX", "99999"});
  }
  for (const Reply& reply : actual_.pipeline(sets)) EXPECT_FALSE(reply.is_error()) << reply;
  const std::map<std::string, int64_t> most = {{"ex", 1'000'000},    {"setex", 1'000'000}, {"default", kDefaultMs},
                                               {"hash", kDefaultMs}, {"max", kMaxMs},      {"over", kMaxMs}};
  constexpr int64_t kSlackMs = 20'000;  // since they were written
  std::map<std::string, std::set<int64_t>> percents;
  for (const FoundKey& one : keys_behind(*front_)) {
    const std::string kind = one.key.substr(0, one.key.find(':'));
    const int64_t most_ms = most.at(kind);
    EXPECT_LE(one.pttl_ms, most_ms) << one.key;
    EXPECT_GE(one.pttl_ms, most_ms * 9 / 10 - kSlackMs) << one.key;
    percents[kind].insert((most_ms - one.pttl_ms) / (most_ms / 100));
  }
  for (const auto& [kind, unused] : most) EXPECT_GE(percents[kind].size(), 10u) << kind;
}

TEST_F(TtlModesTest, out_of_memory_is_said_as_the_node_says_it) {
  both("SET", "text", "v");
  const auto limit = [&](const char* bytes) {
    for (size_t i = 0; i < front_->masters(); ++i) front_->master(i).command("CONFIG", "SET", "maxmemory", bytes);
    redis_->command("CONFIG", "SET", "maxmemory", bytes);
  };
  limit("1");
  for (const Args& command : {Args{"HSET", "h", "f", "v"}, Args{"SET", "k", "v"}, Args{"SETNX", "k", "v"},
                              Args{"INCR", "n"}, Args{"MSET", "a", "1"}, Args{"GETSET", "text", "w"}}) {
    EXPECT_TRUE(both(command).is_error("OOM")) << command[0];
  }
  limit("0");
}

TEST_F(TtlModesTest, a_slot_that_moves_makes_no_exception) {
  CORRAL_NEEDS_CLUSTER();
  RedisCluster& cluster = front_->cluster();
  const int slot = slot_of("{mv}");
  const size_t from = cluster.owner(slot), to = (from + 1) % front_->masters();
  both("SET", "{mv}old", "1");
  cluster.begin_migration(slot, from, to);
  both("INCR", "{mv}old");
  both("INCR", "{mv}new");
  both("HSET", "{mv}hash", "f", "v");
  both("SETNX", "{mv}nx", "v");
  both("EVAL", "return redis.call('set', KEYS[1], 'v')", 1, "{mv}script");
  both("HSET", "{mv}hash", "f", "w");
  cluster.move_keys(slot, from, to);
  cluster.end_migration(slot, from, to);
  both("RPUSH", "{mv}list", "v");
  both("SET", "{mv}keep", "v", "KEEPTTL");
  both("EXISTS", "{mv}old", "{mv}new", "{mv}hash", "{mv}nx", "{mv}script", "{mv}list", "{mv}keep");
  size_t ruled = 0;
  EXPECT_EQ(offenders(keys_behind(*front_), ruled), "");
  EXPECT_EQ(ruled, 7u);
  cluster.migrate_slot(slot, to, from);
}

TEST(TtlStandaloneTest, keys_in_other_databases_are_ruled_too) {
  Front front({.settings = ttl_settings(), .standalone = true});
  if (Front::is_control()) GTEST_SKIP() << "needs Corral";
  Client client = front.connect();
  client.command("SET", "a", "v");
  client.command("COPY", "a", "b", "DB", 2);
  client.pipeline({{"MULTI"}, {"SELECT", "3"}, {"HSET", "h", "f", "v"}, {"SELECT", "0"}, {"EXEC"}});
  client.pipeline({{"SELECT", "1"}, {"HSET", "h", "f", "v"}, {"SET", "s", "v"}});
  client.pipeline({{"SET", "free:{x}", "v"}, {"COPY", "free:{x}", "x", "DB", "4"}});
  Client direct = front.master(0).connect();
  const std::vector<std::pair<int, const char*>> keys = {{0, "a"}, {2, "b"}, {3, "h"}, {1, "h"}, {1, "s"}, {4, "x"}};
  for (const auto& [database, key] : keys) {
    direct.command("SELECT", database);
    EXPECT_GT(direct.command("PTTL", key).integer, 0) << key << " in database " << database;
  }
}

}  // namespace
}  // namespace corral::test
