// Blocking commands beside a single Redis, in both protocols: what is there at once, what comes later, what never
// comes, and whatever else ends a wait. A client counts as blocked when the nodes say so, not after some time.
#include "beside_front.h"

namespace corral::test {
namespace {

class BlockingTest : public BesideFront, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    BesideFront::SetUp();
    if (GetParam() == 3) actual_.command("HELLO", "3"), expected_.command("HELLO", "3");
    wait_until_blocked(0);
  }
  void all_same(const std::vector<Args>& commands) {
    for (const Args& args : commands) both(args);
  }
  static void wait_until_blocked(int64_t clients) {
    require_eventually(std::to_string(clients) + " are blocked", [&] {
      return front_->info_sum("blocked_clients") == clients && redis_->info_number("blocked_clients") == clients;
    });
  }
  // Both are sent a command that blocks.
  void block(const Args& args, int64_t clients = 1) {
    actual_.send(encode(args));
    expected_.send(encode(args));
    wait_until_blocked(clients);
  }
  // Others run this on both.
  void elsewhere(const std::vector<Args>& commands) {
    Client other = front_->connect(), same = redis_->connect();
    const auto replies = other.pipeline(commands), expected = same.pipeline(commands);
    for (size_t i = 0; i < commands.size(); ++i) expect_same(commands[i], expected[i], replies[i]);
  }
  Reply read_both(const std::string& what) {
    const Reply expected = expected_.read_reply();
    Reply actual = actual_.read_reply();
    expect_same({what}, expected, actual);
    return actual;
  }
  // Blocked by the one, woken by the others.
  Reply woken(const Args& args, const std::vector<Args>& others) {
    block(args);
    elsewhere(others);
    return read_both(args[0]);
  }
};

INSTANTIATE_TEST_SUITE_P(, BlockingTest, ::testing::Values(2, 3),
                         [](const auto& version) { return "resp" + std::to_string(version.param); });

TEST_P(BlockingTest, what_is_there_comes_at_once) {
  all_same({{"RPUSH", "{t}l", "a", "b", "c", "d", "e", "f"},
            {"ZADD", "{t}z", "1", "one", "2", "two", "3", "three", "4", "four"},
            {"BLPOP", "{t}l", "0"},
            {"BRPOP", "{t}absent", "{t}l", "0"},
            {"BLMOVE", "{t}l", "{t}m", "LEFT", "RIGHT", "0"},
            {"BRPOPLPUSH", "{t}l", "{t}m", "0"},
            {"BLMPOP", "0", "2", "{t}absent", "{t}l", "LEFT", "COUNT", "9"},
            {"BZPOPMIN", "{t}z", "0"},
            {"BZPOPMAX", "{t}absent", "{t}z", "0"},
            {"BZMPOP", "0", "1", "{t}z", "MIN", "COUNT", "5"},
            {"LRANGE", "{t}m", "0", "-1"},
            {"XADD", "{t}x", "1-1", "f", "v"},
            {"XREAD", "BLOCK", "0", "STREAMS", "{t}x", "{t}y", "0", "0"},
            {"XGROUP", "CREATE", "{t}x", "g", "0"},
            {"XREADGROUP", "GROUP", "g", "me", "BLOCK", "0", "STREAMS", "{t}x", ">"},
            {"XREADGROUP", "GROUP", "g", "me", "BLOCK", "0", "STREAMS", "{t}x", "0"}});
}

TEST_P(BlockingTest, what_never_comes_times_out) {
  both("XADD", "{t}x", "1-1", "f", "v");
  both("XGROUP", "CREATE", "{t}x", "g", "$");
  all_same({{"BLPOP", "{t}l", "{t}m", "0.01"},
            {"BRPOP", "{t}l", "0.02"},
            {"BLMOVE", "{t}l", "{t}m", "LEFT", "RIGHT", "0.01"},
            {"BRPOPLPUSH", "{t}l", "{t}m", "0.01"},
            {"BLMPOP", "0.01", "1", "{t}l", "LEFT"},
            {"BZPOPMIN", "{t}z", "0.01"},
            {"BZPOPMAX", "{t}z", "0.01"},
            {"BZMPOP", "0.01", "1", "{t}z", "MIN"},
            {"XREAD", "BLOCK", "10", "STREAMS", "{t}x", "$"},
            {"XREADGROUP", "GROUP", "g", "me", "BLOCK", "10", "STREAMS", "{t}x", ">"},
            {"WAIT", "1", "10"},
            {"WAIT", "0", "0"}});
  const auto start = Clock::now();
  EXPECT_TRUE(actual_.command("BLPOP", "{t}l", "0.3").is_nil());
  EXPECT_GE(seconds_since(start), 0.29);
}

TEST_P(BlockingTest, what_is_wrong_does_not_block) {
  all_same({{"SET", "{t}s", "text"},
            {"BLPOP", "{t}s", "0"},
            {"BLPOP", "{t}l"},
            {"BLPOP", "{t}l", "-1"},
            {"BLPOP", "{t}l", "x"},
            {"BLPOP", "{t}l", ""},
            {"BLPOP", "{t}l", "inf"},
            {"BLPOP", "{t}l", "1e400"},
            {"BLPOP", "{t}l", "9223372036854775807"},
            {"BRPOPLPUSH", "{t}l", "{t}m", "-1"},
            {"BLMOVE", "{t}l", "{t}m", "LEFT", "UP", "0"},
            {"BLMPOP", "0", "0", "{t}l", "LEFT"},
            {"BLMPOP", "x", "1", "{t}l", "LEFT"},
            {"BLMPOP", "0", "5", "{t}l", "LEFT"},
            {"BZPOPMIN", "{t}s", "0"},
            {"BZMPOP", "0", "1", "{t}z", "MIDDLE"},
            {"XREAD", "BLOCK", "-1", "STREAMS", "{t}x", "$"},
            {"XREAD", "BLOCK", "x", "STREAMS", "{t}x", "$"},
            {"XREAD", "BLOCK", "0", "STREAMS", "{t}x"},
            {"XREADGROUP", "GROUP", "nosuch", "me", "BLOCK", "0", "STREAMS", "{t}x", ">"},
            {"WAIT", "x", "0"},
            {"WAIT", "1", "-1"},
            {"WAIT", "1"},
            {"PING"}});
}

TEST_P(BlockingTest, lists_wake) {
  woken({"BLPOP", "{t}a", "{t}b", "0"}, {{"RPUSH", "{t}b", "1", "2"}});
  woken({"BRPOP", "{t}a", "0"}, {{"RPUSH", "{t}a", "1", "2"}});
  both("DEL", "{t}a", "{t}b");
  woken({"BLMOVE", "{t}a", "{t}b", "LEFT", "LEFT", "0"}, {{"LPUSH", "{t}a", "x"}});
  woken({"BRPOPLPUSH", "{t}a", "{t}b", "100"}, {{"LPUSH", "{t}a", "y"}});
  both("LRANGE", "{t}b", 0, -1);
  woken({"BLMPOP", "0", "2", "{t}a", "{t}c", "RIGHT", "COUNT", "2"}, {{"RPUSH", "{t}c", "1", "2", "3"}});
  woken({"BLPOP", "{t}a", "0"}, {{"EVAL", "return redis.call('rpush', KEYS[1], 'by script')", "1", "{t}a"}});
  woken({"BLPOP", "{t}a", "0"}, {{"RPUSH", "{t}other", "renamed"}, {"RENAME", "{t}other", "{t}a"}});
  woken({"BLPOP", "{t}a", "0"},
        {{"MULTI"}, {"RPUSH", "{t}a", "gone"}, {"DEL", "{t}a"}, {"EXEC"}, {"RPUSH", "{t}a", "kept"}});
}

TEST_P(BlockingTest, sorted_sets_and_streams_wake) {
  woken({"BZPOPMIN", "{t}z", "0"}, {{"ZADD", "{t}z", "1.5", "a", "0.5", "b"}});
  both("DEL", "{t}z");
  woken({"BZPOPMAX", "{t}y", "{t}z", "0"}, {{"ZADD", "{t}z", "inf", "a", "0.5", "b"}});
  both("DEL", "{t}z");
  woken({"BZMPOP", "0", "1", "{t}z", "MAX", "COUNT", "3"}, {{"ZADD", "{t}z", "1.5", "a", "0.5", "b"}});
  woken({"XREAD", "BLOCK", "0", "STREAMS", "{t}x", "$"}, {{"XADD", "{t}x", "1-1", "f", "v"}});
  woken({"XREAD", "COUNT", "1", "BLOCK", "100000", "STREAMS", "{t}w", "{t}x", "0", "1-1"},
        {{"XADD", "{t}x", "1-2", "f", "v"}});
  both("XGROUP", "CREATE", "{t}x", "g", "$");
  woken({"XREADGROUP", "GROUP", "g", "me", "BLOCK", "0", "STREAMS", "{t}x", ">"}, {{"XADD", "{t}x", "2-1", "f", "v"}});
  both("XPENDING", "{t}x", "g");
}

TEST_P(BlockingTest, errors_may_come_late) {
  both("SET", "{t}text", "v");
  woken({"BLMOVE", "{t}a", "{t}text", "LEFT", "LEFT", "0"}, {{"LPUSH", "{t}a", "x"}});
  both("LRANGE", "{t}a", 0, -1);
  both("XGROUP", "CREATE", "{t}x", "g", "$", "MKSTREAM");
  woken({"XREADGROUP", "GROUP", "g", "me", "BLOCK", "0", "STREAMS", "{t}x", ">"}, {{"DEL", "{t}x"}});
  both("PING");
}

TEST_P(BlockingTest, what_follows_waits_its_turn) {
  for (Client* client : {&actual_, &expected_}) {
    client->send(encode_all(
        {{"SET", "before", "1"}, {"BLPOP", "{t}l", "0"}, {"SET", "after", "1"}, {"GET", "after"}, {"PING"}}));
  }
  wait_until_blocked(1);
  EXPECT_EQ(read_both("SET"), Reply::status("OK"));
  elsewhere({{"GET", "before"}, {"GET", "after"}});
  EXPECT_FALSE(actual_.readable(milliseconds(0)));
  elsewhere({{"SET", "after", "0"}, {"RPUSH", "{t}l", "x"}});
  for (const char* what : {"BLPOP", "SET", "GET", "PING"}) read_both(what);
  for (Client* client : {&actual_, &expected_}) {
    client->send(encode_all({{"BLPOP", "{t}l", "0"}, {"BLPOP", "{t}m", "0"}, {"BLPOP", "{t}l", "0"}, {"INCR", "n"}}));
  }
  wait_until_blocked(1);
  elsewhere({{"RPUSH", "{t}l", "1", "2"}, {"RPUSH", "{t}m", "3"}});
  for (const char* what : {"BLPOP", "BLPOP", "BLPOP", "INCR"}) read_both(what);
}

TEST_P(BlockingTest, the_first_to_wait_is_the_first_served) {
  std::vector<Client> waiting;
  for (int i = 0; i < 6; ++i) {
    waiting.push_back(i % 2 ? front_->connect() : front_->connect3());
    waiting.back().send(encode({"BLPOP", "queue", "0"}));
    require_eventually("it is blocked", [&] { return front_->info_sum("blocked_clients") == i + 1; });
  }
  for (int i = 0; i < 6; ++i) {
    actual_.command("RPUSH", "queue", i);
    EXPECT_EQ(waiting[static_cast<size_t>(i)].read_reply().strings(),
              (std::vector<std::string>{"queue", std::to_string(i)}));
  }
}

TEST_P(BlockingTest, client_unblock_ends_a_wait) {
  const auto id = actual_.command("CLIENT", "ID"), same_id = expected_.command("CLIENT", "ID");
  const auto unblock = [&](const Args& options) {
    Client other = front_->connect(), same = redis_->connect();
    Args args = {"CLIENT", "UNBLOCK", std::to_string(id.integer)},
         same_args = {"CLIENT", "UNBLOCK", std::to_string(same_id.integer)};
    args.insert(args.end(), options.begin(), options.end());
    same_args.insert(same_args.end(), options.begin(), options.end());
    const Reply actual = other.command(args);
    expect_same(args, same.command(same_args), actual);
    return actual;
  };
  for (const Args& args : {Args{"BLPOP", "{t}l", "0"}, Args{"BLMOVE", "{t}l", "{t}m", "LEFT", "LEFT", "0"},
                           Args{"BZPOPMIN", "{t}z", "0"}, Args{"XREAD", "BLOCK", "0", "STREAMS", "{t}x", "$"}}) {
    for (const Args& how : {Args{}, Args{"TIMEOUT"}, Args{"ERROR"}, Args{"error"}}) {
      block(args);
      EXPECT_EQ(unblock(how), Reply::number(1));
      read_both(args[0] + " unblocked");
      both("PING");
    }
  }
  EXPECT_EQ(unblock({}), Reply::number(0)) << "it is not blocked";
  unblock({"BOGUS"});
  all_same({{"CLIENT", "UNBLOCK"}, {"CLIENT", "UNBLOCK", "x"}, {"CLIENT", "UNBLOCK", "99999999"}});
  elsewhere({{"RPUSH", "{t}l", "x"}, {"LLEN", "{t}l"}});
}

TEST_P(BlockingTest, client_list_shows_who_is_blocked) {
  const std::string id = std::to_string(actual_.command("CLIENT", "ID").integer);
  block({"BLPOP", "{t}l", "0"});
  const std::string line = front_->connect().command("CLIENT", "LIST", "ID", id).text;
  EXPECT_NE(line.find(" flags=b "), std::string::npos) << line;
  EXPECT_NE(line.find(" cmd=blpop "), std::string::npos) << line;
  elsewhere({{"RPUSH", "{t}l", "x"}});
  read_both("BLPOP");
}

TEST_P(BlockingTest, nothing_is_given_to_the_dead) {
  for (int round = 0; round < 10; ++round) {
    const std::string key = "list:" + std::to_string(round);
    {
      Client dying = front_->connect();
      dying.send(encode_all({{"BLPOP", key, "0"}, {"SET", "never", "run"}}));
      require_eventually("it is blocked", [&] { return front_->info_sum("blocked_clients") == 1; });
      if (round % 3 == 1) dying.finish_sending();
      if (round % 3 == 2) actual_.command("CLIENT", "KILL", "ADDR", "127.0.0.1:" + std::to_string(dying.local_port()));
      if (round % 3) {
        EXPECT_TRUE(dying.closes());
      }
    }
    require_eventually("its wait is over", [&] { return front_->info_sum("blocked_clients") == 0; });
    EXPECT_EQ(actual_.command("RPUSH", key, "element"), Reply::number(1));
    EXPECT_EQ(actual_.command("LLEN", key), Reply::number(1));
  }
  EXPECT_TRUE(actual_.command("GET", "never").is_nil());
}

TEST_P(BlockingTest, the_connection_is_as_before_after_a_wait) {
  for (int i = 0; i < 100; ++i) {
    const std::string key = "{t}list:" + std::to_string(i % 10);
    if (i % 10 == 0) both("BLPOP", key, "0.001");
    both("RPUSH", key, i);
    both_pipelined({{"BLPOP", key, "0"},
                    {"INCR", "{t}n"},
                    {"MULTI"},
                    {"INCR", "{t}n"},
                    {"BLPOP", key, "0"},
                    {"LLEN", key},
                    {"GET", "{t}n"},
                    {"DISCARD"}});
  }
  EXPECT_LE(front_->info_sum("connected_clients"), 60) << "connections for blocking are used again";
}

TEST_P(BlockingTest, keys_of_several_slots_are_refused) {
  CORRAL_NEEDS_CLUSTER();
  for (const Args& args : {Args{"BLPOP", "a", "b", "0"}, Args{"BLMOVE", "a", "b", "LEFT", "LEFT", "0"},
                           Args{"XREAD", "BLOCK", "0", "STREAMS", "a", "b", "$", "$"}}) {
    EXPECT_TRUE(actual_.command(args).is_error("CROSSSLOT")) << args[0];
  }
}

}  // namespace
}  // namespace corral::test
