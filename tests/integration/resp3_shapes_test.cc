// A RESP3 client gets the shapes that Redis gives it, reply by reply: what a node answers, what is merged from several
// nodes, and what Corral answers itself. The same list is gone through in RESP2, where the shapes are others.
#include "beside_front.h"

namespace corral::test {
namespace {

class ShapesTest : public BesideFront, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    BesideFront::SetUp();
    for (Client* client : {&actual_, &expected_}) {
      ASSERT_FALSE(client->command("HELLO", GetParam()).is_error());
    }
    for (const char* key : {"a", "b", "c", "d", "e"}) both("SET", key, key);
    both("HSET", "hash", "f1", "v1", "f2", "v2", "f3", "v3");
    both("SADD", "set", "x", "y", "z");
    both("SADD", "numbers", "1", "2", "3");
    both("ZADD", "zset", "1.5", "one", "2", "two", "inf", "three", "-inf", "four");
    both("RPUSH", "list", "1", "2", "3");
    both("XADD", "{s}stream", "1-1", "f", "v");
    both("XADD", "{s}stream", "1-2", "f", "v", "g", "w");
    both("XADD", "{s}other", "2-1", "f", "v");
    both("XGROUP", "CREATE", "{s}stream", "group", "0");
    both("GEOADD", "geo", "13.361389", "38.115556", "Palermo", "15.087269", "37.502669", "Catania");
  }

  void all_same(const std::vector<Args>& commands, bool sort_arrays = false) {
    for (const Args& args : commands) both(args, sort_arrays);
  }
  // The same type, and the same number of elements if those are counted.
  Reply same_type(const Args& args, bool count = false) {
    const Reply expected = expected_.command(args);
    Reply actual = actual_.command(args);
    EXPECT_EQ(static_cast<int>(actual.type), static_cast<int>(expected.type)) << args[0] << ": " << actual;
    if (count) {
      EXPECT_EQ(actual.elements.size(), expected.elements.size()) << args[0] << ": " << actual;
    }
    return actual;
  }
};

INSTANTIATE_TEST_SUITE_P(, ShapesTest, ::testing::Values(2, 3),
                         [](const auto& version) { return "resp" + std::to_string(version.param); });

TEST_P(ShapesTest, hashes_and_sets) {
  all_same({{"HGETALL", "hash"},
            {"HGETALL", "absent"},
            {"HGET", "hash", "f1"},
            {"HGET", "hash", "absent"},
            {"HMGET", "hash", "f1", "absent"},
            {"HKEYS", "hash"},
            {"HRANDFIELD", "absent"},
            {"HRANDFIELD", "absent", "3", "WITHVALUES"},
            {"HSCAN", "hash", "0"},
            {"SMEMBERS", "set"},
            {"SMEMBERS", "absent"},
            {"SINTER", "set", "set"},
            {"SUNION", "set", "absent{set}"},
            {"SMISMEMBER", "set", "x", "absent"},
            {"SISMEMBER", "set", "x"},
            {"SPOP", "set", "5"},
            {"SPOP", "set"},
            {"SRANDMEMBER", "set"},
            {"SRANDMEMBER", "absent", "3"}},
           true);
  same_type({"HRANDFIELD", "hash", "2", "WITHVALUES"}, true);
}

TEST_P(ShapesTest, scores_are_doubles) {
  all_same({{"ZSCORE", "zset", "one"},
            {"ZSCORE", "zset", "three"},
            {"ZSCORE", "zset", "four"},
            {"ZSCORE", "zset", "absent"},
            {"ZMSCORE", "zset", "one", "absent"},
            {"ZINCRBY", "zset", "0.1", "one"},
            {"ZADD", "zset", "INCR", "1", "two"},
            {"ZADD", "zset", "NX", "INCR", "1", "two"},
            {"ZRANGE", "zset", "0", "-1", "WITHSCORES"},
            {"ZRANGE", "zset", "0", "-1"},
            {"ZREVRANGEBYSCORE", "zset", "inf", "-inf", "WITHSCORES"},
            {"ZUNION", "2", "zset", "zset", "WITHSCORES"},
            {"ZRANK", "zset", "absent"},
            {"ZPOPMIN", "zset"},
            {"ZPOPMAX", "zset", "2"},
            {"ZPOPMAX", "absent"},
            {"ZMPOP", "1", "zset", "MIN", "COUNT", "5"},
            {"ZMPOP", "1", "zset", "MIN"},
            {"GEODIST", "geo", "Palermo", "Catania", "km"},
            {"GEODIST", "geo", "Palermo", "absent"},
            {"GEOPOS", "geo", "Palermo", "absent"},
            {"GEOSEARCH", "geo", "FROMLONLAT", "15", "37", "BYRADIUS", "900", "km", "ASC", "WITHCOORD", "WITHDIST"},
            {"INCRBYFLOAT", "float", "1.5"},
            {"HINCRBYFLOAT", "hash", "float", "1.5"}});
}

TEST_P(ShapesTest, streams) {
  all_same({{"XRANGE", "{s}stream", "-", "+"},
            {"XRANGE", "absent", "-", "+"},
            {"XREAD", "COUNT", "5", "STREAMS", "{s}stream", "{s}other", "0", "0"},
            {"XREAD", "STREAMS", "{s}stream", "$"},
            {"XREADGROUP", "GROUP", "group", "me", "COUNT", "1", "STREAMS", "{s}stream", ">"},
            {"XREADGROUP", "GROUP", "group", "me", "STREAMS", "{s}stream", "0"},
            {"XPENDING", "{s}stream", "group"},
            {"XINFO", "STREAM", "{s}stream"},
            {"XINFO", "GROUPS", "{s}stream"},
            {"XAUTOCLAIM", "{s}stream", "group", "you", "0", "0"},
            {"XCLAIM", "{s}stream", "group", "me", "0", "1-1"},
            {"XDEL", "{s}stream", "1-1"}});
  same_type({"XINFO", "STREAM", "{s}stream", "FULL"}, true);
}

TEST_P(ShapesTest, what_is_merged_from_several_nodes) {
  all_same({{"MGET", "a", "absent", "b", "hash", "c", "d", "e"},
            {"MGET", "a"},
            {"EXISTS", "a", "b", "c", "absent"},
            {"TOUCH", "a", "b"},
            {"MSET", "a", "1", "b", "2"},
            {"MSET", "a", "1", "b"},
            {"DEL", "a", "b", "absent"},
            {"UNLINK", "c", "d"},
            {"DBSIZE"},
            {"SCRIPT", "EXISTS", std::string(40, 'a'), "x"},
            {"SCRIPT", "FLUSH"},
            {"RANDOMKEY", "x"},
            {"KEYS", "nothing*"},
            {"SCAN", "x"},
            {"FLUSHALL", "BOGUS"}});
  all_same({{"KEYS", "*"}}, true);
  EXPECT_EQ(actual_.command("SCAN", "0", "COUNT", 1000).raw.substr(0, 5), "*2\r\n$");
  both("FLUSHALL");
  both("RANDOMKEY");
}

TEST_P(ShapesTest, what_a_script_says) {
  const auto eval = [](const std::string& script) { return Args{"EVAL", script, "1", "a"}; };
  all_same({eval("return true"), eval("return false"), eval("return nil"), eval("return {1, 'two', 3.9, {4}}"),
            eval("return redis.call('get', 'a')"), eval("return redis.call('get', KEYS[1])"),
            eval("return redis.call('hgetall', KEYS[1])"), eval("return {double=3.25}"),
            eval("return {big_number='123'}"), eval("return {map={map={a=1}}}"), eval("return {set={one=true}}"),
            eval("return {verbatim_string={string='text', format='txt'}}"), eval("redis.setresp(3) return true"),
            eval("redis.setresp(3) return false"), eval("redis.setresp(3) return {double=1.5, x=1}"),
            eval("redis.setresp(3) return {map={}}"), eval("return {err='MINE own'}"), eval("return {ok='FINE'}")});
  all_same({{"EVAL", "redis.setresp(3) return redis.call('hgetall', KEYS[1])", "1", "hash"},
            {"EVAL", "redis.setresp(3) return redis.call('smembers', KEYS[1])", "1", "set"},
            {"EVAL", "redis.setresp(3) return redis.call('zscore', KEYS[1], 'one')", "1", "zset"},
            {"EVAL", "redis.setresp(3) return redis.call('zrange', KEYS[1], 0, -1, 'withscores')", "1", "zset"},
            {"EVAL", "redis.setresp(3) return true", "0"},
            {"FUNCTION", "LIST"},
            {"FCALL", "nothing", "0"}});
}

TEST_P(ShapesTest, what_corral_says_itself) {
  all_same({{"PING"},
            {"PING", "x"},
            {"ECHO", "x"},
            {"CLIENT", "GETNAME"},
            {"CLIENT", "SETNAME", "x"},
            {"CLIENT", "GETNAME"},
            {"CLIENT", "GETREDIR"},
            {"CLIENT", "TRACKINGINFO"},
            {"SELECT", "0"},
            {"ACL", "WHOAMI"},
            {"CONFIG", "GET", "save"},
            {"CONFIG", "GET", "no-such-parameter"},
            {"COMMAND", "GETKEYS", "GET", "k"},
            {"MULTI"},
            {"HGETALL", "hash"},
            {"GET", "absent{hash}"},
            {"EXEC"},
            {"PUBSUB", "CHANNELS"},
            {"PUBSUB", "NUMSUB", "a", "b"},
            {"PUBSUB", "NUMPAT"},
            {"PUBSUB", "SHARDCHANNELS"},
            {"PUBSUB", "SHARDNUMSUB", "a"},
            {"SLOWLOG", "LEN", "x"},
            {"WATCH", "absent"},
            {"UNWATCH"}});
  all_same({{"CONFIG", "GET", "appendonly", "maxmemory-policy"},
            {"COMMAND", "INFO", "nosuch"},
            {"COMMAND", "INFO", "get", "nosuch", "mset", "xread", "ping", "eval"},
            {"COMMAND", "LIST", "FILTERBY", "PATTERN", "xr*"},
            {"COMMAND", "DOCS", "nosuch"}},
           true);
  for (const Args& args :
       {Args{"INFO"}, Args{"INFO", "server"}, Args{"INFO", "nosuch"}, Args{"CLIENT", "LIST"}, Args{"CLIENT", "INFO"},
        Args{"CLIENT", "ID"}, Args{"LOLWUT"}, Args{"LOLWUT", "VERSION", "5"}, Args{"COMMAND", "COUNT"}, Args{"COMMAND"},
        Args{"COMMAND", "LIST"}, Args{"SLOWLOG", "GET"}, Args{"LATENCY", "HISTOGRAM"}, Args{"LATENCY", "LATEST"},
        Args{"MEMORY", "USAGE", "hash"}, Args{"LASTSAVE"}, Args{"MEMORY", "DOCTOR"}}) {
    same_type(args);
  }
  same_type({"TIME"}, true);
  same_type({"COMMAND", "DOCS", "get"}, true);
  EXPECT_EQ(same_type({"COMMAND", "DOCS"}).elements.empty(), false);
}

TEST_P(ShapesTest, verbatim_strings_say_what_they_are) {
  const auto begins = [&](const Args& args) {
    const Reply reply = actual_.command(args);
    EXPECT_EQ(reply.type, GetParam() == 3 ? Reply::Type::kVerbatim : Reply::Type::kString) << reply;
    return reply.text.substr(0, 4);
  };
  for (const Args& args : {Args{"INFO"}, Args{"CLIENT", "LIST"}, Args{"CLIENT", "INFO"}, Args{"LOLWUT"}}) {
    EXPECT_EQ(begins(args) == "txt:", GetParam() == 3) << args[0];
  }
}

TEST_P(ShapesTest, empty_and_absent) {
  all_same({{"GET", "absent"},
            {"GETDEL", "absent"},
            {"LPOP", "absent"},
            {"LPOP", "absent", "2"},
            {"LPOP", "list", "0"},
            {"LRANGE", "absent", "0", "-1"},
            {"LPOS", "list", "9"},
            {"LINDEX", "list", "99"},
            {"LMPOP", "1", "absent", "LEFT"},
            {"RPOPLPUSH", "no{1}", "no{1}"},
            {"SET", "a", "x", "NX"},
            {"SET", "a", "x", "GET"},
            {"SET", "new", "x", "GET"},
            {"GETSET", "new2", "x"},
            {"DUMP", "absent"},
            {"OBJECT", "ENCODING", "absent"},
            {"OBJECT", "ENCODING", "list"},
            {"OBJECT", "HELP"},
            {"LCS", "a", "a", "IDX"},
            {"LCS", "a", "a"},
            {"BITFIELD", "bits", "OVERFLOW", "FAIL", "INCRBY", "u2", "0", "9"},
            {"SORT", "list", "DESC"},
            {"TYPE", "absent"},
            {"TTL", "absent"},
            {"GETEX", "absent"},
            {"COPY", "a", "a"}});
}

}  // namespace
}  // namespace corral::test
