// Scripts and functions: what a single Redis answers, on whatever node the keys are. A script that Corral has seen is
// known everywhere, also on a node that has forgotten it; what a script says itself is passed on, whatever it looks
// like.
#include "beside_front.h"

namespace corral::test {
namespace {

constexpr const char* kLibrary =
    "#!lua name=tests\n"
    "redis.register_function('put', function(keys, args) return redis.call('set', keys[1], args[1]) end)\n"
    "redis.register_function{function_name='get', callback=function(keys) return redis.call('get', keys[1]) end, "
    "flags={'no-writes'}}\n";

class ScriptTest : public BesideFront {
 protected:
  void SetUp() override {
    BesideFront::SetUp();
    both("SCRIPT", "FLUSH");
    both("FUNCTION", "FLUSH");
  }
  void all_same(const std::vector<Args>& commands) {
    for (const Args& args : commands) both(args);
  }
  // Takes the scripts from the nodes behind Corral's back.
  void nodes_forget() {
    for (size_t i = 0; i < front_->masters(); ++i) {
      ASSERT_EQ(front_->master(i).command("SCRIPT", "FLUSH"), Reply::status("OK"));
    }
  }
};

TEST_F(ScriptTest, eval_on_every_node) {
  for (int i = 0; i < 40; ++i) {
    const std::string key = "key:" + std::to_string(i);
    both("EVAL", "return {KEYS[1], ARGV[1], redis.call('incr', KEYS[1])}", 1, key, "argument");
    both("EVAL_RO", "return redis.call('get', KEYS[1])", 1, key);
    both("EVAL_RO", "return redis.call('incr', KEYS[1])", 1, key);
  }
  all_same({{"EVAL"},
            {"EVAL", "return 1"},
            {"EVAL", "return 1", "x"},
            {"EVAL", "return 1", "-1"},
            {"EVAL", "return 1", "3", "k"},
            {"EVAL", "return 1", "0"},
            {"EVAL", "not lua", "0"},
            {"EVAL", "not lua", "1", "k"},
            {"EVAL", "return nothing.here", "1", "k"},
            {"EVAL", "return redis.call('nosuch')", "1", "k"},
            {"EVAL", "return redis.call('blpop', KEYS[1], 0)", "1", "k"},
            {"EVAL", "return redis.pcall('lpush', KEYS[1])", "1", "k"},
            {"EVAL", "#!lua flags=no-writes\nreturn redis.call('set', KEYS[1], 'x')", "1", "k"},
            {"EVAL", "return #KEYS .. #ARGV", "2", "{t}a", "{t}b", "c"}});
}

TEST_F(ScriptTest, a_sha_is_known_once_its_script_was_shown) {
  const std::string script = "return redis.call('incr', KEYS[1])", sha = "0f3e4d3a5ccb8ab3a4e3d3b4d6ad3a1c1f1f1f1f";
  all_same(
      {{"EVALSHA", sha, "1", "k"}, {"EVALSHA_RO", sha, "1", "k"}, {"EVALSHA", sha, "0"}, {"EVALSHA", "short", "0"}});
  const std::string loaded = both("SCRIPT", "LOAD", script).text;
  for (int i = 0; i < 30; ++i) both("EVALSHA", loaded, 1, "key:" + std::to_string(i));
  both("EVAL", "return 'shown by ' .. KEYS[1]", 1, "key:0");
  const std::string shown = redis_->command("SCRIPT", "LOAD", "return 'shown by ' .. KEYS[1]").text;
  for (int i = 0; i < 30; ++i) both("EVALSHA", shown, 1, "key:" + std::to_string(i));
  for (int i = 0; i < 30; ++i) both("EVALSHA_RO", shown, 1, "key:" + std::to_string(i));
  std::string upper = shown;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  both("EVALSHA", upper, 1, "key:1");
  both("SCRIPT", "EXISTS", loaded, sha, shown);
  EXPECT_EQ(front_->connect().command("EVALSHA", shown, 1, "k"), Reply::string("shown by k")) << "another connection";
}

TEST_F(ScriptTest, script_flush_forgets) {
  const std::string sha = both("SCRIPT", "LOAD", "return 1").text;
  both("EVAL", "return 2", 1, "k");
  all_same(
      {{"SCRIPT", "FLUSH", "ASYNC"}, {"SCRIPT", "EXISTS", sha}, {"EVALSHA", sha, "1", "k"}, {"EVALSHA", sha, "0"}});
  both("SCRIPT", "FLUSH", "BOGUS");
  both("SCRIPT", "LOAD", "return 1");
  all_same({{"EVALSHA", sha, "1", "k"}, {"SCRIPT", "EXISTS", sha}, {"SCRIPT", "KILL"}, {"SCRIPT", "HELP", "x"}});
}

// A script has run when it speaks; what it says is not a node's refusal, and it does not run again.
TEST_F(ScriptTest, a_scripts_own_errors_are_passed_on) {
  int64_t runs = 0;
  for (const std::string text : {"MOVED 1 127.0.0.1:1", "ASK 1 127.0.0.1:1", "MOVED", "ASK nonsense", "TRYAGAIN later",
                                 "CLUSTERDOWN says me", "LOADING not at all", "READONLY you think",
                                 "NOSCRIPT No matching script. Please use EVAL.", "BUSY bee", "MINE"}) {
    const std::string script = "redis.call('incr', KEYS[1]) return redis.error_reply(ARGV[1])";
    both("EVAL", script, 1, "runs", text);
    const std::string sha = both("SCRIPT", "LOAD", script).text;
    both("EVALSHA", sha, 1, "runs", text);
    both("EVALSHA", sha, 1, "runs", text);
    runs += 3;
    EXPECT_EQ(both("GET", "runs").text, std::to_string(runs)) << text;
    both("EVAL", "return {err=ARGV[1]}", 0, text);
    both("EVAL", "return {1, {err=ARGV[1]}}", 1, "k", text);
  }
}

TEST_F(ScriptTest, pipelined_scripts_keep_their_order) {
  const std::string push = "return redis.call('rpush', KEYS[1], ARGV[1])";
  const std::string sha = both("SCRIPT", "LOAD", push).text;
  std::vector<Args> commands;
  for (int i = 0; i < 400; ++i) {
    const std::string number = std::to_string(i), key = "list:" + std::to_string(i % 3);
    switch (i % 4) {
      case 0:
        commands.push_back({"EVAL", push, "1", key, number});
        break;
      case 1:
        commands.push_back({"EVALSHA", sha, "1", key, number});
        break;
      case 2:
        commands.push_back({"RPUSH", key, number});
        break;
      default:
        commands.push_back({"EVAL", "return ARGV[1]", "0", number});
    }
  }
  for (int i = 0; i < 3; ++i) commands.push_back({"LRANGE", "list:" + std::to_string(i), "0", "-1"});
  both_pipelined(commands);
}

TEST_F(ScriptTest, functions_are_on_every_node) {
  all_same({{"FCALL", "put", "1", "k", "v"}, {"FUNCTION", "LOAD", kLibrary}, {"FUNCTION", "LOAD", kLibrary}});
  all_same({{"FUNCTION", "LOAD", "REPLACE", kLibrary}, {"FUNCTION", "LOAD", "not a library"}, {"FUNCTION", "KILL"}});
  for (int i = 0; i < 30; ++i) {
    const std::string key = "key:" + std::to_string(i);
    all_same({{"FCALL", "put", "1", key, key}, {"FCALL", "get", "1", key}, {"FCALL_RO", "get", "1", key}});
    both("FCALL_RO", "put", 1, key, "x");
  }
  all_same(
      {{"FCALL", "get", "0"}, {"FCALL", "get", "x"}, {"FCALL", "nosuch", "1", "k"}, {"FUNCTION", "DELETE", "nosuch"}});
  both(Args{"FUNCTION", "LIST"}, true);
  both(Args{"FUNCTION", "LIST", "LIBRARYNAME", "te*", "WITHCODE"}, true);
  const std::string dump = both("FUNCTION", "DUMP").text;
  all_same({{"FUNCTION", "DELETE", "tests"}, {"FUNCTION", "LIST"}, {"FCALL", "get", "1", "key:7"}});
  all_same({{"FUNCTION", "RESTORE", dump}, {"FUNCTION", "RESTORE", dump}, {"FUNCTION", "RESTORE", "garbage"}});
  for (int i = 0; i < 30; ++i) both("FCALL", "get", 1, "key:" + std::to_string(i));
  all_same({{"FUNCTION", "FLUSH"}, {"FUNCTION", "LIST"}, {"FCALL", "get", "1", "key:7"}, {"FUNCTION", "STATS"}});
  all_same({{"FUNCTION"}, {"FUNCTION", "BOGUS"}, {"FUNCTION", "LOAD"}, {"FUNCTION", "FLUSH", "BOGUS"}});
}

TEST_F(ScriptTest, a_connection_stays_with_one_node_for_scripts_without_keys) {
  const std::string port = "return string.match(redis.call('info', 'server'), 'tcp_port:(%d+)')";
  const Reply first = actual_.command("EVAL", port, 0);
  ASSERT_FALSE(first.is_error()) << first;
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(actual_.command("EVAL", port, 0), first);
    actual_.command("SET", "key:" + std::to_string(i), "v");
  }
}

TEST_F(ScriptTest, a_node_that_forgot_a_script_is_told_again) {
  CORRAL_NEEDS_CLUSTER();
  const std::string sha = actual_.command("SCRIPT", "LOAD", "return redis.call('incr', KEYS[1])").text;
  actual_.command("EVAL", "return ARGV[1]", 1, "k", "shown");
  const std::string shown = redis_->command("SCRIPT", "LOAD", "return ARGV[1]").text;
  for (int round = 1; round < 4; ++round) {
    nodes_forget();
    std::vector<Args> commands;
    for (int i = 0; i < 40; ++i) commands.push_back({"EVALSHA", sha, "1", "key:" + std::to_string(i)});
    for (const Reply& reply : actual_.pipeline(commands)) ASSERT_EQ(reply, Reply::number(round));
    nodes_forget();
    EXPECT_EQ(actual_.command("EVALSHA", shown, 0, "no key"), Reply::string("no key"));
    EXPECT_EQ(actual_.command("EVALSHA_RO", shown, 1, "k", "read only"), Reply::string("read only"));
  }
  EXPECT_TRUE(actual_.command("EVALSHA", std::string(40, 'a'), 1, "k").is_error("NOSCRIPT")) << "nobody has shown it";
}

TEST_F(ScriptTest, scripts_told_again_keep_their_order) {
  CORRAL_NEEDS_CLUSTER();
  const std::string push = "return redis.call('rpush', KEYS[1], ARGV[1])";
  const std::string sha = actual_.command("SCRIPT", "LOAD", push).text;
  std::vector<Args> commands;
  for (int i = 1; i <= 200; ++i) commands.push_back({"EVALSHA", sha, "1", "list", std::to_string(i)});
  nodes_forget();
  const auto replies = actual_.pipeline(commands);
  for (int i = 1; i <= 200; ++i) ASSERT_EQ(replies[static_cast<size_t>(i - 1)], Reply::number(i));
  const auto all = actual_.command("LRANGE", "list", 0, -1).strings();
  for (int i = 1; i <= 200; ++i) ASSERT_EQ(all.at(static_cast<size_t>(i - 1)), std::to_string(i));
}

TEST_F(ScriptTest, a_forgotten_script_runs_in_a_transaction) {
  CORRAL_NEEDS_CLUSTER();
  const std::string sha = actual_.command("SCRIPT", "LOAD", "return redis.call('incr', KEYS[1])").text;
  for (int round = 0; round < 3; ++round) {
    nodes_forget();
    const std::string key = "key:" + std::to_string(round);
    const auto replies =
        actual_.pipeline({{"MULTI"}, {"SET", key, "5"}, {"EVALSHA", sha, "1", key}, {"GET", key}, {"EXEC"}});
    EXPECT_EQ(replies[4], Reply::array({Reply::status("OK"), Reply::number(6), Reply::string("6")}));
  }
}

TEST(ScriptNodesTest, a_new_master_is_told_the_scripts) {
  CORRAL_NEEDS_CLUSTER();
  Front front({.cluster = {.replicas_per_master = 1, .node_timeout_ms = 1500},
               .settings = "[upstream]\nconnect_timeout = \"300ms\"\nrefresh_interval = \"500ms\"\n"});
  RedisCluster& cluster = front.cluster();
  Client client = front.connect();
  const std::string key = tag_of_slot(10) + "k";
  const std::string sha = client.command("SCRIPT", "LOAD", "return redis.call('incr', KEYS[1])").text;
  EXPECT_EQ(client.command("EVALSHA", sha, 1, key), Reply::number(1));
  cluster.fail_over_to(3, 10);
  EXPECT_EQ(client.command("EVALSHA", sha, 1, key), Reply::number(2));
  const size_t fresh = cluster.add_node();
  cluster.migrate_slot(10, 3, fresh);
  EXPECT_EQ(client.command("EVALSHA", sha, 1, key), Reply::number(3));
  EXPECT_EQ(cluster.node(fresh).command("GET", key).text, "3");
}

// Whoever asks, also a client whose commands share the connection on which the script came. A command that was sent
// behind the script on that connection waits for its end, where a single Redis says -BUSY; either is fine here.
TEST(ScriptKillTest, a_script_without_end_is_killed) {
  for (const int workers : {1, 2}) {
    Front front({.cluster = {.settings = {"--busy-reply-threshold", "100"}},
                 .settings = "[upstream]\nrequest_timeout = \"15s\"\n",
                 .workers = workers});
    const std::string here = tag_of_slot(10), far = tag_of_slot(16'000);
    Client client = front.connect(), waiting = front.connect(), other = front.connect(), elsewhere = front.connect();
    EXPECT_TRUE(client.command("SCRIPT", "KILL").is_error("NOTBUSY"));
    client.send(encode({"EVAL", "while true do end", "1", here}));
    Reply busy;
    EXPECT_TRUE(eventually([&] { return (busy = other.command("PING")).is_error("BUSY"); })) << busy;
    waiting.send(encode({"GET", here}));
    if (front.masters() > 1) {
      EXPECT_TRUE(elsewhere.command("GET", far).is_nil());
    }
    EXPECT_EQ(other.command("SCRIPT", "KILL"), Reply::status("OK"));
    const Reply killed = client.read_reply(), waited = waiting.read_reply();
    EXPECT_NE(killed.text.find("Script killed by user"), std::string::npos) << killed;
    EXPECT_TRUE(waited.is_nil() || waited.is_error("BUSY")) << waited;
    EXPECT_TRUE(other.command("GET", here).is_nil());
  }
}

TEST(ScriptKillTest, a_function_without_end_is_seen_behind_what_came_with_it) {
  Front front({.cluster = {.settings = {"--busy-reply-threshold", "100"}}});
  Client client = front.connect(), other = front.connect();
  const std::string library =
      "#!lua name=endless\nredis.register_function('endless', function() while true do end end)";
  client.send(encode({"FUNCTION", "LOAD", library}) + encode({"FCALL", "endless", "0"}));
  Reply busy;
  EXPECT_TRUE(eventually([&] { return (busy = other.command("PING")).is_error("BUSY"); })) << busy;
  EXPECT_EQ(other.command("FUNCTION", "KILL"), Reply::status("OK"));
  EXPECT_EQ(client.read_reply().text, "endless");
  EXPECT_TRUE(client.read_reply().is_error());
}

}  // namespace
}  // namespace corral::test
