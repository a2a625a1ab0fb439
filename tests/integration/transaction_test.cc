// MULTI, EXEC, DISCARD, WATCH and UNWATCH: the replies and errors of one Redis, in both protocols. What a cluster
// cannot do, keys of several slots in one transaction, is refused with words that help.
#include "beside_front.h"

namespace corral::test {
namespace {

class TransactionTest : public BesideFront, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    BesideFront::SetUp();
    if (GetParam() == 3) actual_.command("HELLO", "3"), expected_.command("HELLO", "3");
  }
  void all_same(const std::vector<Args>& commands) {
    for (const Args& args : commands) both(args);
  }
  // The same change to both, past the connections under test.
  void elsewhere(const Args& args) {
    Client other = front_->connect(), same = redis_->connect();
    EXPECT_EQ(other.command(args), same.command(args));
  }
  // The same change to both, past Corral.
  void directly(const std::string& key, const Args& args) {
    Client node = front_->owner_of(key).connect(), same = redis_->connect();
    EXPECT_EQ(node.command(args), same.command(args));
  }
};

INSTANTIATE_TEST_SUITE_P(, TransactionTest, ::testing::Values(2, 3),
                         [](const auto& version) { return "resp" + std::to_string(version.param); });

TEST_P(TransactionTest, commands_are_queued_and_run_together) {
  all_same({{"MULTI"}, {"SET", "{t}a", "1"}, {"INCR", "{t}a"}, {"HSET", "{t}h", "f", "v"}, {"HGETALL", "{t}h"}});
  EXPECT_TRUE(front_->connect().command("GET", "{t}a").is_nil()) << "nothing has run yet";
  all_same({{"GET", "{t}absent"}, {"ZADD", "{t}z", "1.5", "m"}, {"ZSCORE", "{t}z", "m"}, {"EXEC"}, {"GET", "{t}a"}});
  all_same({{"MULTI"}, {"EXEC"}, {"EXEC"}});
  all_same({{"MULTI"}, {"MGET", "{t}a", "{t}b"}, {"DEL", "{t}a", "{t}b"}, {"EXEC"}, {"multi"}, {"exec"}});
}

TEST_P(TransactionTest, errors_at_queueing_abort) {
  all_same({{"MULTI"}, {"SET", "k", "v"}, {"BOGUS", "x"}, {"EXEC"}, {"GET", "k"}});
  all_same({{"MULTI"}, {"SET", "k"}, {"SET", "k", "v"}, {"EXEC"}, {"GET", "k"}});
  all_same({{"MULTI"}, {"OBJECT", "BOGUS", "k"}, {"SET", "k", "v"}, {"EXEC"}, {"GET", "k"}});
  all_same({{"MULTI"}, {"SET", "k", "v"}, {"EXEC", "x"}, {"EXEC"}, {"GET", "k"}});
  all_same({{"MULTI"}, {"SET", "k", "v"}, {"BOGUS"}, {"DISCARD"}, {"GET", "k"}, {"EXEC"}});
  all_same({{"MULTI"}, {"BOGUS"}, {"EXEC"}, {"MULTI"}, {"SET", "k", "v"}, {"EXEC"}, {"GET", "k"}});
}

TEST_P(TransactionTest, multi_is_not_nested_and_watch_not_inside) {
  all_same({{"MULTI"}, {"MULTI"}, {"SET", "k", "v"}, {"EXEC"}, {"GET", "k"}});
  all_same({{"MULTI"}, {"WATCH", "k"}, {"SET", "k", "w"}, {"EXEC"}, {"GET", "k"}});
  all_same({{"MULTI"}, {"UNWATCH"}, {"SET", "k", "x"}, {"EXEC"}, {"GET", "k"}});
  all_same({{"MULTI", "x"}, {"EXEC"}, {"MULTI"}, {"MULTI", "x"}, {"EXEC"}});
  all_same({{"MULTI"}, {"WATCH"}, {"SET", "k", "y"}, {"EXEC"}, {"GET", "k"}});
}

TEST_P(TransactionTest, out_of_place) {
  all_same({{"EXEC"}, {"DISCARD"}, {"EXEC", "x"}, {"DISCARD", "x"}, {"UNWATCH"}, {"UNWATCH", "x"}, {"WATCH"}});
  all_same({{"MULTI"}, {"DISCARD"}, {"EXEC"}, {"MULTI"}, {"DISCARD", "x"}, {"EXEC"}});
}

TEST_P(TransactionTest, an_error_at_run_time_stops_nothing) {
  all_same({{"SET", "{t}s", "text"}, {"MULTI"}, {"LPUSH", "{t}s", "x"}, {"INCR", "{t}s"}, {"SET", "{t}s", "new"}});
  all_same({{"EVAL", "return redis.error_reply('MINE own words')", "1", "{t}s"},
            {"EVAL", "return redis.error_reply('MOVED 1 127.0.0.1:1')", "1", "{t}s"},
            {"EVALSHA", std::string(40, 'f'), "1", "{t}s"},
            {"GET", "{t}s"},
            {"EXEC"},
            {"GET", "{t}s"}});
}

TEST_P(TransactionTest, discard_forgets) {
  all_same({{"SET", "k", "1"}, {"MULTI"}, {"INCR", "k"}, {"DISCARD"}, {"GET", "k"}});
  both_pipelined(
      {{"MULTI"}, {"SET", "k", "x"}, {"DISCARD"}, {"GET", "k"}, {"MULTI"}, {"INCR", "k"}, {"EXEC"}, {"GET", "k"}});
}

TEST_P(TransactionTest, commands_without_keys_are_part_of_it) {
  all_same({{"MULTI"},
            {"PING"},
            {"PING", "x"},
            {"ECHO", "hello"},
            {"SELECT", "0"},
            {"CLIENT", "SETNAME", "me"},
            {"CLIENT", "GETNAME"},
            {"DBSIZE"},
            {"SET", "k", "v"},
            {"DBSIZE"},
            {"SCRIPT", "LOAD", "return 'loaded'"},
            {"SCRIPT", "EXISTS", "1d3db8f79fd3f3bd1d7e1e4c3ba3b6f3f8a2f9e0"},
            {"PUBLISH", "nobody", "listens"},
            {"CONFIG", "GET", "no-such-parameter"},
            {"UNWATCH"},
            {"EXEC"}});
  all_same({{"CLIENT", "GETNAME"}, {"MULTI"}, {"FLUSHALL"}, {"DBSIZE"}, {"EXEC"}, {"DBSIZE"}});
  all_same({{"MULTI"}, {"PING"}, {"EXEC"}, {"MULTI"}, {"FLUSHDB", "BOGUS"}, {"PING"}, {"EXEC"}});
  all_same({{"MULTI"}, {"KEYS", "*"}, {"RANDOMKEY"}, {"EXEC"}});
  all_same(
      {{"MULTI"}, {"EVAL", "return ARGV[1]", "0", "x"}, {"EVAL", "return {1,2}", "0"}, {"SET", "k", "v"}, {"EXEC"}});
}

TEST_P(TransactionTest, what_has_its_own_reply_each_time_has_its_place) {
  for (Client* client : {&actual_, &expected_}) {
    const auto replies =
        client->pipeline({{"MULTI"}, {"TIME"}, {"INFO", "server"}, {"CLIENT", "ID"}, {"SET", "k", "v"}, {"EXEC"}});
    ASSERT_EQ(replies[5].elements.size(), 4u) << replies[5];
    EXPECT_EQ(replies[5].elements[0].elements.size(), 2u) << replies[5];
    EXPECT_NE(replies[5].elements[1].text.find("redis_version"), std::string::npos);
    EXPECT_EQ(replies[5].elements[2], client->command("CLIENT", "ID"));
    EXPECT_EQ(replies[5].elements[3], Reply::status("OK"));
  }
}

TEST_P(TransactionTest, blocking_commands_do_not_block_inside) {
  all_same({{"MULTI"},
            {"BLPOP", "{t}l", "0"},
            {"BRPOP", "{t}l", "{t}m", "0"},
            {"BLMOVE", "{t}l", "{t}m", "LEFT", "LEFT", "0"}});
  all_same({{"BZPOPMIN", "{t}z", "0"},
            {"BLMPOP", "0", "1", "{t}l", "LEFT"},
            {"XREAD", "BLOCK", "0", "STREAMS", "{t}x", "$"}});
  all_same({{"RPUSH", "{t}l", "a"}, {"BLPOP", "{t}l", "0"}, {"WAIT", "0", "0"}, {"EXEC"}, {"PING"}});
}

TEST_P(TransactionTest, a_script_that_was_loaded_runs_inside) {
  const std::string sha = both("SCRIPT", "LOAD", "return redis.call('incr', KEYS[1])").text;
  all_same({{"MULTI"}, {"EVALSHA", sha, "1", "k"}, {"EVALSHA", sha, "1", "k"}, {"EXEC"}, {"GET", "k"}});
  all_same(
      {{"MULTI"}, {"SCRIPT", "LOAD", "return 'new'"}, {"EVALSHA", "7f923f79fe76194c868d7e1d0820de36700eb649", "0"}});
  all_same({{"SET", "k", "v"}, {"DISCARD"}});
}

TEST_P(TransactionTest, watch_sees_every_change) {
  all_same({{"SET", "{t}k", "1"}, {"WATCH", "{t}k"}, {"GET", "{t}k"}, {"MULTI"}, {"INCR", "{t}k"}, {"EXEC"}});
  all_same({{"WATCH", "{t}k"}, {"MULTI"}, {"INCR", "{t}k"}});
  elsewhere({"SET", "{t}k", "7"});
  all_same({{"EXEC"}, {"GET", "{t}k"}, {"WATCH", "{t}k", "{t}other"}, {"GET", "{t}k"}});
  directly("{t}k", {"SET", "{t}other", "8"});
  all_same({{"MULTI"}, {"SET", "{t}k", "lost"}, {"EXEC"}, {"GET", "{t}k"}});
  all_same({{"WATCH", "{t}k"}, {"SET", "{t}k", "own"}, {"MULTI"}, {"SET", "{t}k", "lost"}, {"EXEC"}, {"GET", "{t}k"}});
  all_same({{"WATCH", "{t}k"}, {"MULTI"}, {"SET", "{t}k", "2"}});
  elsewhere({"DEL", "{t}k"});
  all_same({{"EXEC"}, {"WATCH", "{t}k"}, {"MULTI"}, {"SET", "{t}k", "3"}});
  elsewhere({"GET", "{t}k"});
  all_same({{"EXEC"}, {"GET", "{t}k"}, {"WATCH", "{t}k"}, {"MULTI"}, {"GET", "{t}k"}});
  elsewhere({"FLUSHALL"});
  all_same({{"EXEC"}, {"GET", "{t}k"}});
}

TEST_P(TransactionTest, watch_before_and_after_other_commands) {
  all_same({{"WATCH", "{t}k"}, {"PING"}, {"SET", "far", "away"}, {"MGET", "far", "further", "{t}k"}, {"MULTI"}});
  all_same({{"SET", "{t}k", "1"}, {"EXEC"}, {"GET", "{t}k"}});
  all_same({{"WATCH", "{t}a"}, {"WATCH", "{t}b"}, {"WATCH", "{t}a"}});
  elsewhere({"SET", "{t}b", "x"});
  all_same({{"MULTI"}, {"PING"}, {"EXEC"}, {"MULTI"}, {"PING"}, {"EXEC"}});
}

TEST_P(TransactionTest, watch_ends_with_exec_discard_unwatch_and_reset) {
  const auto changed_after = [&](const std::vector<Args>& ends) {
    both("WATCH", "{t}k");
    all_same(ends);
    elsewhere({"INCR", "{t}k"});
    all_same({{"MULTI"}, {"INCR", "{t}k"}, {"EXEC"}});
  };
  changed_after({{"UNWATCH"}});
  changed_after({{"MULTI"}, {"EXEC"}});
  changed_after({{"MULTI"}, {"DISCARD"}});
  changed_after({{"MULTI"}, {"BOGUS"}, {"EXEC"}});
  changed_after({});
  changed_after({{"RESET"}});
}

TEST_P(TransactionTest, a_whole_round_in_one_write) {
  both_pipelined(
      {{"WATCH", "{t}k"}, {"GET", "{t}k"}, {"MULTI"}, {"INCR", "{t}k"}, {"EXEC"}, {"GET", "{t}k"}, {"PING"}});
  both_pipelined(
      {{"WATCH", "{t}k"}, {"INCR", "{t}k"}, {"MULTI"}, {"INCR", "{t}k"}, {"EXEC"}, {"GET", "{t}k"}, {"EXEC"}});
}

TEST_P(TransactionTest, many_transactions_of_many_slots_in_one_pipeline) {
  std::vector<Args> commands;
  for (int i = 0; i < 300; ++i) {
    const std::string tag = "{" + std::to_string(i % 40) + "}";
    commands.push_back({"INCR", tag + "count"});
    commands.push_back({"MULTI"});
    commands.push_back({"INCR", tag + "count"});
    commands.push_back({"RPUSH", tag + "list", std::to_string(i)});
    if (i % 5 == 0) commands.push_back({"BOGUS"});
    commands.push_back({i % 7 == 0 ? "DISCARD" : "EXEC"});
    commands.push_back({"LRANGE", tag + "list", "0", "-1"});
    commands.push_back({"MGET", "{1}count", "{2}count", "{3}count"});
  }
  both_pipelined(commands);
}

TEST_P(TransactionTest, ten_thousand_commands_in_one) {
  std::vector<Args> commands = {{"MULTI"}};
  for (int i = 0; i < 10'000; ++i) commands.push_back({"RPUSH", "{t}list", std::to_string(i)});
  commands.push_back({"EXEC"});
  both_pipelined(commands);
  both("LLEN", "{t}list");
}

TEST_P(TransactionTest, a_client_that_goes_away_has_done_nothing) {
  const std::string half = encode_all({{"MULTI"}, {"SET", "{t}gone", "v"}});
  for (const std::string& bytes : {half, half + encode({"EXEC"}).substr(0, 8), half + encode({"DISCARD"})}) {
    Client client = front_->connect();
    client.send(bytes);
    client.read_reply(), client.read_reply();
  }
  EXPECT_TRUE(actual_.command("GET", "{t}gone").is_nil());
  {
    Client watcher = front_->connect();
    watcher.command("WATCH", "{t}gone");
  }
  both("SET", "{t}gone", "v");
  both("GET", "{t}gone");
}

TEST_P(TransactionTest, quit_and_reset_inside) {
  all_same({{"MULTI"}, {"SET", "k", "v"}, {"RESET"}, {"GET", "k"}, {"EXEC"}, {"MULTI"}, {"SET", "k", "v"}});
  for (Client* client : {&actual_, &expected_}) {
    client->send(encode_all({{"QUIT"}, {"EXEC"}}));
    EXPECT_EQ(client->read_until_close(), "+OK\r\n");
  }
  reconnect();
  both("GET", "k");
}

TEST_P(TransactionTest, nobody_sees_half_of_it) {
  constexpr int kRounds = 300;
  Client writer = front_->connect();
  std::string bytes;
  for (int i = 0; i < kRounds; ++i) bytes += encode_all({{"MULTI"}, {"INCR", "{t}a"}, {"INCR", "{t}b"}, {"EXEC"}});
  writer.send(bytes);
  for (int i = 0; i < kRounds; ++i) {
    const Reply pair = actual_.pipeline({{"MULTI"}, {"GET", "{t}a"}, {"GET", "{t}b"}, {"EXEC"}})[3];
    ASSERT_EQ(pair.elements.size(), 2u) << pair;
    ASSERT_EQ(pair.elements[0].text, pair.elements[1].text);
  }
  const auto replies = writer.exchange({}, 4 * kRounds);
  EXPECT_EQ(replies.back(), Reply::array({Reply::number(kRounds), Reply::number(kRounds)}));
}

// Whatever the moment of the refusal, nothing runs, and the words say what to do.
TEST_P(TransactionTest, keys_of_several_slots_are_refused_with_advice) {
  CORRAL_NEEDS_CLUSTER();
  const std::vector<std::vector<Args>> bodies = {{{"SET", "a", "1"}, {"SET", "b", "2"}},
                                                 {{"MGET", "a", "b"}},
                                                 {{"SET", "a", "1"}, {"PING"}, {"DEL", "a", "b"}},
                                                 {{"SET", "a", "1"}, {"EVAL", "return 1", "2", "a", "b"}}};
  for (const auto& body : bodies) {
    std::vector<Args> commands = body;
    commands.insert(commands.begin(), {"MULTI"});
    commands.push_back({"EXEC"});
    const auto replies = actual_.pipeline(commands);
    std::string words;
    for (const Reply& reply : replies) {
      if (reply.is_error("CROSSSLOT")) words = reply.text;
    }
    EXPECT_NE(words.find("hash tag"), std::string::npos) << "words: " << words;
    EXPECT_NE(words.find('{'), std::string::npos) << "words: " << words;
    EXPECT_TRUE(replies.back().is_error("CROSSSLOT") || replies.back().is_error("EXECABORT")) << replies.back();
    EXPECT_TRUE(actual_.command("GET", "a").is_nil());
    EXPECT_TRUE(actual_.command("EXEC").is_error("ERR")) << "the transaction is over";
  }
}

TEST_P(TransactionTest, a_watched_key_of_another_slot_is_not_forgotten) {
  CORRAL_NEEDS_CLUSTER();
  const Reply watched = actual_.command("WATCH", "a", "b");
  if (watched.is_error()) {
    EXPECT_TRUE(watched.is_error("CROSSSLOT")) << watched;
    return;
  }
  front_->connect().command("SET", "b", "x");
  const Reply exec = actual_.pipeline({{"MULTI"}, {"SET", "a", "v"}, {"EXEC"}})[2];
  EXPECT_TRUE(exec.is_nil() || exec.is_error("CROSSSLOT")) << exec;
}

}  // namespace
}  // namespace corral::test
