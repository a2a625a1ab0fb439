// The near cache against a real cluster: what is kept is answered byte for byte as a server does, in both versions of
// RESP, until it changes; and what Corral tells of it. What holds under load and faults is seen in tests/coherence.
#include "beside_front.h"

namespace corral::test {
namespace {

constexpr std::string_view kSettings =
    "[near_cache]\nmemory = \"16MiB\"\n"
    "[[rule]]\nname = \"kept\"\nmatch = [\"*\"]\nnear_cache = { max_value = \"64KiB\" }\n";

class NearCacheTest : public BesideFront {
 protected:
  static void SetUpTestSuite() {
    front_ = std::make_unique<Front>(FrontOptions{.settings = std::string(kSettings)});
    redis_ = std::make_unique<RedisServer>();
  }
  void SetUp() override {
    BesideFront::SetUp();
    wait_until_kept("warm");
  }

  int64_t hits() { return front_->corral().counter("near_cache_hits"); }
  // The connections to the nodes that vouch for what is kept are there, and nothing is in the way.
  void wait_until_kept(const std::string& key) {
    require_eventually("a read is a hit", [&] {
      const int64_t before = hits();
      actual_.command("GET", key);
      return hits() > before;
    });
  }
  // A number of CORRAL CACHE STATS.
  int64_t stat(const std::string& name) {
    const Reply stats = actual_.command("CORRAL", "CACHE", "STATS");
    for (size_t i = 0; i + 1 < stats.elements.size(); i += 2) {
      if (stats.elements[i].text == name) return stats.elements[i + 1].integer;
    }
    return -1;
  }
};

const std::vector<Args> kReads = {{"GET", "string"},
                                  {"GET", "absent"},
                                  {"GET", "hash"},
                                  {"STRLEN", "string"},
                                  {"GETRANGE", "string", "1", "3"},
                                  {"SUBSTR", "string", "0", "1"},
                                  {"EXISTS", "string"},
                                  {"EXISTS", "absent"},
                                  {"TYPE", "zset"},
                                  {"TYPE", "absent"},
                                  {"GETBIT", "string", "3"},
                                  {"BITCOUNT", "string"},
                                  {"HGET", "hash", "f1"},
                                  {"HGET", "hash", "absent"},
                                  {"HMGET", "hash", "f1", "absent", "f2"},
                                  {"HMGET", "absent", "f1"},
                                  {"HGETALL", "hash"},
                                  {"HGETALL", "absent"},
                                  {"HLEN", "hash"},
                                  {"HEXISTS", "hash", "f1"},
                                  {"HKEYS", "hash"},
                                  {"HVALS", "hash"},
                                  {"HSTRLEN", "hash", "f1"},
                                  {"LRANGE", "list", "0", "-1"},
                                  {"LRANGE", "absent", "0", "-1"},
                                  {"LLEN", "list"},
                                  {"LINDEX", "list", "1"},
                                  {"LINDEX", "list", "9"},
                                  {"SMEMBERS", "set"},
                                  {"SISMEMBER", "set", "1"},
                                  {"SMISMEMBER", "set", "1", "9"},
                                  {"SCARD", "set"},
                                  {"ZRANGE", "zset", "0", "-1"},
                                  {"ZRANGE", "zset", "0", "-1", "WITHSCORES"},
                                  {"ZRANGE", "zset", "-inf", "+inf", "BYSCORE", "LIMIT", "0", "2"},
                                  {"ZRANGEBYSCORE", "zset", "1", "3", "WITHSCORES"},
                                  {"ZREVRANGE", "zset", "0", "1", "WITHSCORES"},
                                  {"ZREVRANGEBYSCORE", "zset", "inf", "1"},
                                  {"ZRANGEBYLEX", "zset", "-", "+"},
                                  {"ZREVRANGEBYLEX", "zset", "+", "-"},
                                  {"ZSCORE", "zset", "one"},
                                  {"ZSCORE", "zset", "absent"},
                                  {"ZSCORE", "zset", "most"},
                                  {"ZMSCORE", "zset", "one", "absent"},
                                  {"ZCARD", "zset"},
                                  {"ZCOUNT", "zset", "1", "2"},
                                  {"ZLEXCOUNT", "zset", "-", "+"},
                                  {"ZRANK", "zset", "one"},
                                  {"ZRANK", "zset", "absent"},
                                  {"ZREVRANK", "zset", "one"},
                                  {"MGET", "string", "absent", "hash", "other", "string"},
                                  {"TTL", "string"},
                                  {"TTL", "absent"},
                                  {"PTTL", "string"},
                                  {"ZCARD", "hash"},
                                  {"LRANGE", "list", "x", "y"}};

TEST_F(NearCacheTest, what_is_kept_is_answered_as_a_server_does) {
  both({"SET", "string", "some value"});
  both({"SET", "other", "another"});
  both({"HSET", "hash", "f1", "v1", "f2", ""});
  both({"RPUSH", "list", "a", "b", "c"});
  both({"SADD", "set", "1", "2"});  // whose order is given
  both({"ZADD", "zset", "1.5", "one", "2", "two", "inf", "most", "-3e20", "least"});
  for (const char* version : {"2", "3", "2"}) {
    for (Client* client : {&actual_, &expected_}) ASSERT_FALSE(client->command("HELLO", version).is_error());
    const int64_t before = hits();
    for (int round = 0; round < 3; ++round) {
      for (const Args& read : kReads) both(read);
    }
    EXPECT_GT(hits() - before, static_cast<int64_t>(kReads.size())) << "RESP" << version;
  }
}

TEST_F(NearCacheTest, an_own_write_is_read_at_once_on_any_connection) {
  Client other = front_->connect();
  for (int i = 0; i < 300; ++i) {
    const std::string value = std::to_string(i);
    actual_.command("SET", "own", value);
    ASSERT_EQ(other.command("GET", "own").text, value);
    ASSERT_EQ(other.command("GET", "own").text, value);
  }
}

TEST_F(NearCacheTest, a_write_past_corral_is_seen) {
  actual_.command("SET", "shared", "old");
  wait_until_kept("shared");
  const int64_t before = front_->corral().counter("near_cache_invalidations");
  front_->owner_of("shared").command("SET", "shared", "new");
  require_eventually("the new value is seen", [&] { return actual_.command("GET", "shared").text == "new"; });
  EXPECT_GT(front_->corral().counter("near_cache_invalidations"), before);
}

TEST_F(NearCacheTest, nothing_outlives_its_key) {
  actual_.command("SET", "brief", "x", "PX", "300");
  wait_until_kept("brief");
  const int64_t left_ms = actual_.command("PTTL", "brief").integer;
  EXPECT_GT(left_ms, 0);
  EXPECT_LE(left_ms, 300);
  require_eventually("it is gone", [&] { return actual_.command("GET", "brief").is_nil(); });
  EXPECT_EQ(actual_.command("PTTL", "brief").integer, -2);
}

TEST_F(NearCacheTest, a_large_value_is_passed_on_and_not_kept) {
  const std::string large(6 << 20, 'x'), larger_than_kept(100'000, 'y');
  actual_.command("SET", "large", large);
  actual_.command("SET", "larger", larger_than_kept);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(actual_.command("GET", "large").text, large);
    EXPECT_EQ(actual_.command("GET", "larger").text, larger_than_kept);
    EXPECT_EQ(actual_.command("STRLEN", "large").integer, static_cast<int64_t>(large.size()));
  }
  actual_.command("SET", "large", "small");
  EXPECT_EQ(actual_.command("GET", "large").text, "small");
}

TEST_F(NearCacheTest, stats_and_purge_tell_and_drop_what_is_kept) {
  for (const char* key : {"page:1", "page:2", "user:1"}) {
    actual_.command("SET", key, "x");
    wait_until_kept(key);
  }
  EXPECT_GE(stat("keys"), 3);
  EXPECT_GT(stat("hits"), 0);
  EXPECT_EQ(stat("memory"), 16 << 20);
  EXPECT_LE(stat("bytes"), 16 << 20);
  EXPECT_EQ(actual_.command("CORRAL", "CACHE", "PURGE", "page:*").integer, 2);
  EXPECT_EQ(actual_.command("CORRAL", "CACHE", "PURGE", "page:*").integer, 0);
  EXPECT_TRUE(actual_.command("CORRAL", "CACHE", "PURGE").is_error());
  EXPECT_TRUE(actual_.command("CORRAL", "CACHE", "NONSENSE").is_error());
}

TEST_F(NearCacheTest, hits_are_told_of_by_what_comes_right_behind_them) {
  actual_.command("SET", "piped", "value");
  wait_until_kept("piped");
  const auto field = [](const Reply& stats, std::string_view name) {
    for (size_t i = 0; i + 1 < stats.elements.size(); i += 2) {
      if (stats.elements[i].text == name) return stats.elements[i + 1];
    }
    return Reply();
  };
  const Reply before = actual_.command("CORRAL", "CACHE", "STATS");
  const auto told = actual_.pipeline({{"GET", "piped"}, {"GET", "piped"}, {"CORRAL", "CACHE", "STATS"}});
  EXPECT_EQ(told[1].text, "value");
  EXPECT_EQ(field(told[2], "hits").integer, field(before, "hits").integer + 2);
  EXPECT_EQ(field(field(field(told[2], "rules"), "kept"), "hits").integer,
            field(field(field(before, "rules"), "kept"), "hits").integer + 2);
}

TEST_F(NearCacheTest, most_keys_are_passed_by_while_it_is_narrowed) {
  constexpr int kMany = 64;
  const auto key = [](int number) { return "passed:" + std::to_string(number); };
  for (int i = 0; i < kMany; ++i) actual_.command("SET", key(i), "old");
  wait_until_kept(key(0));
  EXPECT_EQ(actual_.command("CORRAL", "CACHE", "NARROW"), Reply::status("OK"));
  EXPECT_EQ(stat("narrowed"), 1);
  const int64_t passed_by = stat("passed_by"), narrowings = stat("narrowings");
  EXPECT_GE(narrowings, 1);
  for (int i = 0; i < kMany; ++i) EXPECT_EQ(actual_.command("GET", key(i)).text, "old");
  EXPECT_GT(stat("passed_by"), passed_by + kMany / 2);
  EXPECT_LE(stat("passed_by"), passed_by + kMany);
  for (int i = 0; i < kMany; ++i) actual_.command("SET", key(i), "new");
  EXPECT_EQ(actual_.command("CORRAL", "CACHE", "WIDEN"), Reply::status("OK"));
  EXPECT_EQ(stat("narrowed"), 0);
  EXPECT_EQ(stat("narrowings"), narrowings);
  for (int i = 0; i < kMany; ++i) EXPECT_EQ(actual_.command("GET", key(i)).text, "new");
  wait_until_kept(key(0));
}

}  // namespace
}  // namespace corral::test
