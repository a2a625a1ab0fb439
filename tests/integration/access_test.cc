// Users beside a Redis that has the same: what is answered before and after authentication, what each may do, word for
// word, also for a random mix of commands. (The differences are said where they are made.)
#include <random>

#include "access_users.h"
#include "beside_front.h"
#include "command_mix.h"
#include "support/env.h"

namespace corral::test {
namespace {

const std::vector<std::string> kUsers = {
    "user default on >root ~* &* +@all",
    "user alice on >pw ~{a}* &ch* +get +set +del +multi +exec +subscribe +psubscribe +publish +@connection +eval +sort",
    "user writer on >pw %W~{a}* +set +georadius",
    "user off off >pw ~* &* +@all",
    "user two on >one >other ~* +@all -@dangerous (%R~{b}x &a +get)",
    "user nobody on >pw",
};

class AccessTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<RedisCluster>();
    corral_ = std::make_unique<Corral>(CorralOptions{.upstream = cluster_->seeds(), .settings = users_setting(kUsers)});
    redis_ = std::make_unique<RedisServer>();
    redis_admin_ = std::make_unique<Client>(redis_->connect());
    give_users(*redis_admin_, kUsers);
    Client root = connect_as(*corral_, "default", "root");
    wait_until_serving(root);
  }
  static void TearDownTestSuite() {
    redis_admin_.reset();
    redis_.reset();
    corral_.reset();
    cluster_.reset();
  }
  void SetUp() override {
    for (Client* client : {&actual_, &expected_}) {
      Client& fresh = *client;
      ASSERT_EQ(fresh.command("AUTH", "root"), Reply::status("OK"));
      ASSERT_EQ(fresh.command("FLUSHALL"), Reply::status("OK"));
      ASSERT_EQ(fresh.command("ACL", "LOG", "RESET"), Reply::status("OK"));
      ASSERT_EQ(fresh.command("RESET"), Reply::status("RESET"));
    }
  }

  template <class... Words>
  Reply both(const Words&... words) {
    return both(Args{to_arg(words)...});
  }
  Reply both(const Args& args) {
    const Reply expected = expected_.command(args);
    Reply actual = actual_.command(args);
    BesideFront::expect_same(args, expected, actual);
    return actual;
  }
  void become(const std::string& user, const std::string& password) {
    EXPECT_EQ(both("AUTH", user, password), Reply::status("OK"));
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
  static inline std::unique_ptr<Corral> corral_;
  static inline std::unique_ptr<RedisServer> redis_;
  static inline std::unique_ptr<Client> redis_admin_;
  Client actual_ = corral_->connect();
  Client expected_ = redis_->connect();
};

TEST_F(AccessTest, before_authentication) {
  for (const char* command : {"PING", "NOSUCH", "GET", "INFO", "COMMAND", "MULTI", "EXEC", "SUBSCRIBE"}) both(command);
  both("GET", "a");
  both("CONFIG");
  both("CONFIG", "NOSUCH");
  both("CONFIG", "GET", "x");
  both("HELLO");
  both("HELLO", "3");
  both("HELLO", "4");
  both("HELLO", "x");
  both("HELLO", "3", "SETNAME", "named");
  both("AUTH", "a", "b", "c");
  both("AUTH");
  both("RESET");
  become("alice", "pw");
  both("CLIENT", "GETNAME");
}

TEST_F(AccessTest, authentication) {
  for (const auto& [user, password] :
       {std::pair{"alice", "wrong"}, {"nobody?", "pw"}, {"off", "pw"}, {"default", "pw"}}) {
    both("AUTH", user, password);
    both("HELLO", "3", "AUTH", user, password);
  }
  both("AUTH", "wrong");
  become("two", "one");
  become("two", "other");
  both("ACL", "WHOAMI");
  both("AUTH", "root");
  both("ACL", "WHOAMI");
  EXPECT_TRUE(actual_.command("HELLO", "3", "AUTH", "alice", "pw").at("proto").integer == 3);
  expected_.command("HELLO", "3", "AUTH", "alice", "pw");
  both("ACL", "WHOAMI");
  both("RESET");
  both("ACL", "WHOAMI");
}

TEST_F(AccessTest, what_a_user_may_do) {
  become("alice", "pw");
  both("SET", "{a}1", "v");
  both("GET", "{a}1");
  both("GET", "{b}1");
  both("DEL", "{a}1", "{b}1");
  both("DEL", "{a}1");
  both("MGET", "{a}1");
  both("CONFIG", "GET", "x");
  both("ACL", "WHOAMI");
  both("EVAL", "return 1", "1", "{b}1");
  both("EVAL", "return 1", "0");
  both("SORT", "{a}1", "BY", "x*");
  both("SORT", "{a}1", "GET", "x*");
  both("SORT", "{a}1", "BY", "nosort", "GET", "#");
  both("SORT", "{a}1", "STORE", "{b}1");
  both("SORT", "{a}1");
  both("PUBLISH", "else", "m");
  both("PUBLISH", "chan", "m");
  both("SUBSCRIBE", "else");
  both("PSUBSCRIBE", "cha*");
  become("two", "one");
  both("GET", "{c}1");
  both("FLUSHALL");
  both("SUBSCRIBE", "a");
  become("nobody", "pw");
  both("PING");
  both("GET", "a");
  both("QUIT");
}

// Redis takes options for C strings, so the node would take these for what they begin with.
TEST_F(AccessTest, options_end_at_a_zero_byte) {
  const auto with_zero = [](std::string word) { return word + std::string("\0x", 2); };
  ASSERT_EQ(both("AUTH", "root"), Reply::status("OK"));
  ASSERT_EQ(both("RPUSH", "{a}l", "1").integer, 1);
  become("writer", "pw");
  EXPECT_TRUE(both("SET", "{a}1", "v", with_zero("GET")).is_error("NOPERM"));
  EXPECT_TRUE(both("GEORADIUS", "{a}g", "1", "1", "10", "km", with_zero("STORE"), "{a}{b}").is_error("NOPERM"));
  become("alice", "pw");
  EXPECT_TRUE(both("SORT", "{a}l", with_zero("STORE"), "{b}{a}").is_error("NOPERM"));
  EXPECT_TRUE(both("SORT", "{a}l", with_zero("get"), "x*").is_error("ERR"));
  EXPECT_TRUE(both("SORT", "{a}l", with_zero("By"), "x*").is_error("ERR"));
}

TEST_F(AccessTest, transactions) {
  become("alice", "pw");
  both("MULTI");
  both("SET", "{a}1", "v");
  both("GET", "{b}1");
  both("EXEC");
  both("GET", "{a}1");
  both("MULTI");
  both("CONFIG", "GET", "x");
  both("EXEC");
  both("MULTI");
  both("GET", "{a}1");
  both("EXEC");
  both("WATCH", "{a}1");
  become("nobody", "pw");
  both("MULTI");
  both("EXEC");
  both("DISCARD");
}

TEST_F(AccessTest, subscribers) {
  become("alice", "pw");
  both("SUBSCRIBE", "chan");
  both("PSUBSCRIBE", "ch*");
  both("UNSUBSCRIBE", "chan");
  both("PUNSUBSCRIBE");
  both("ACL", "WHOAMI");
  both("GET", "{a}");
}

TEST_F(AccessTest, what_is_told_of_users) {
  both("AUTH", "root");
  both("ACL", "USERS");
  // Those whose commands are told in one order only.
  const Reply told = actual_.command("ACL", "LIST"), expected = expected_.command("ACL", "LIST");
  ASSERT_EQ(told.elements.size(), kUsers.size());
  for (const size_t user : {1, 2, 3}) EXPECT_EQ(told.elements[user], expected.elements.at(user));
  both("ACL", "GETUSER", "default");
  both("ACL", "GETUSER", "nobody");
  both("ACL", "GETUSER", "nosuch");
  for (const char* user : {"alice", "two", "off", "nobody", "nosuch"}) {
    both("ACL", "DRYRUN", user, "GET", "{a}1");
    both("ACL", "DRYRUN", user, "GET", "{b}x");
    both("ACL", "DRYRUN", user, "SET", "{b}x", "v");
    both("ACL", "DRYRUN", user, "PUBLISH", "else", "v");
    both("ACL", "DRYRUN", user, "NOSUCH", "else", "v");
    both("ACL", "DRYRUN", user, "GET");
  }
  both("CLIENT", "KILL", "USER", "nosuch");
  become("alice", "pw");
  const std::string line = actual_.command("CLIENT", "INFO").text;
  EXPECT_NE(line.find(" user=alice "), std::string::npos) << line;
  Client root = connect_as(*corral_, "default", "root");
  EXPECT_EQ(root.command("CLIENT", "KILL", "USER", "alice"), Reply::number(1));
  EXPECT_TRUE(actual_.closes());
}

// Without what differs: the client's line and the time.
std::string shown(const Reply& log) {
  std::string text;
  for (const Reply& entry : log.elements) {
    for (const char* field : {"count", "reason", "context", "object", "username"}) {
      text += to_string(entry.at(field)) + ' ';
    }
    text += std::to_string(entry.elements.size()) + '\n';
  }
  return text;
}

TEST_F(AccessTest, log) {
  both("AUTH", "alice", "wrong");
  become("alice", "pw");
  both("GET", "{b}1");
  both("GET", "{b}1");
  both("CONFIG", "GET", "x");
  both("PUBLISH", "else", "m");
  both("MULTI");
  both("CONFIG", "GET", "x");
  both("EXEC");
  become("two", "one");
  both("FLUSHALL");
  both("AUTH", "root");
  const Reply actual = actual_.command("ACL", "LOG");
  EXPECT_EQ(shown(actual), shown(expected_.command("ACL", "LOG")));
  EXPECT_EQ(shown(actual_.command("ACL", "LOG", "2")), shown(expected_.command("ACL", "LOG", "2")));
  for (const int version : {2, 3}) {
    for (Client* client : {&actual_, &expected_}) client->command("HELLO", version);
    const Reply first = actual_.command("ACL", "LOG", "1").elements.at(0);
    EXPECT_EQ(first.raw[0], expected_.command("ACL", "LOG", "1").elements.at(0).raw[0]);
    EXPECT_EQ(first.at("age-seconds").raw[0], version == 3 ? ',' : '$');
    EXPECT_NE(first.at("client-info").text.find(" user=two "), std::string::npos);
  }
  both("ACL", "LOG", "-1");
  both("ACL", "LOG", "x");
  both("ACL", "LOG", "RESET");
  both("ACL", "LOG");
}

TEST_F(AccessTest, users_cannot_be_changed_by_command) {
  Client root = connect_as(*corral_, "default", "root");
  for (const char* subcommand : {"SETUSER", "DELUSER"}) {
    EXPECT_TRUE(root.command("ACL", subcommand, "alice").is_error("ERR"));
  }
  EXPECT_TRUE(root.command("ACL", "LOAD").is_error("ERR"));
  EXPECT_TRUE(root.command("ACL", "SAVE").is_error("ERR"));
  EXPECT_EQ(root.command("ACL", "USERS").elements.size(), kUsers.size());
}

// --- a random mix ---

// Users that may do a part of what the mix does. Scripts are judged by the keys that they declare, not by what they do,
// so who may not do everything with its keys may not use them here.
std::vector<std::string> random_users(std::mt19937_64& random) {
  static const char* const kKeys[] = {"~*str:*", "%R~*hash:*", "%W~*list:*", "~*zset:*", "~{a}*",  "%R~*",
                                      "%W~{b}*", "~*stream:*", "%R~*set:*",  "~far:*",   "~{?}n*", "~[{]c*"};
  static const char* const kCommands[] = {"+@all",  "+@read",  "+@write", "+@string",  "+@hash", "-@list",
                                          "-@slow", "+mget",   "-set",    "+get",      "-hset",  "+@stream",
                                          "-sort",  "+object", "+xinfo",  "-@keyspace"};
  const auto pick = [&](const auto& list) { return list[random() % std::size(list)]; };
  std::vector<std::string> lines;
  for (int i = 0; i < 12; ++i) {
    std::string line = "user mix" + std::to_string(i) + " on >pw";
    for (size_t keys = 1 + random() % 4; keys > 0; --keys) line += std::string(" ") + pick(kKeys);
    for (size_t commands = 1 + random() % 4; commands > 0; --commands) line += std::string(" ") + pick(kCommands);
    if (random() % 2) line += std::string(" (") + pick(kKeys) + ' ' + pick(kCommands) + ')';
    lines.push_back(line + " -@scripting");
  }
  lines.push_back("user all on >pw ~* &* +@all");
  lines.push_back("user scripts on >pw ~{a}* ~*num:* +@all");
  return lines;
}

TEST_F(AccessTest, random_mix_of_users_and_commands) {
  const uint64_t seed = from_environment("CORRAL_TEST_SEED", std::random_device{}());
  std::printf("CORRAL_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  auto lines = random_users(random);
  lines.push_back("user default on nopass ~* &* +@all");
  Corral corral({.upstream = cluster_->seeds(), .settings = users_setting(lines)});
  corral.wait_until_serving();
  RedisServer redis;
  Client actual = corral.connect(), expected = redis.connect(), admin = redis.connect();
  give_users(admin, lines);
  CommandMix mix(seed);
  size_t refused = 0, steps = 0;
  for (int round = 0; round < 60; ++round) {
    const std::string& line = lines[random() % lines.size()];
    const std::string user = line.substr(5, line.find(' ', 5) - 5);
    ASSERT_EQ(actual.command("AUTH", user, "pw"), Reply::status("OK"));
    ASSERT_EQ(expected.command("AUTH", user, "pw"), Reply::status("OK"));
    std::vector<Step> batch;
    std::vector<Args> commands;
    for (int i = 0; i < 60; ++i) {
      batch.push_back(mix.next());
      commands.push_back(batch.back().args);
    }
    const auto theirs = expected.pipeline(commands), ours = actual.pipeline(commands);
    for (size_t i = 0; i < batch.size(); ++i) {
      ++steps;
      refused += ours[i].is_error("NOPERM");
      // A request whose keys make no sense is not shown to a node; Redis lets the command find out.
      if (ours[i].is_error("NOPERM") && theirs[i].is_error("ERR")) continue;
      ASSERT_EQ(difference(batch[i], theirs[i], ours[i]), "") << line;
    }
  }
  EXPECT_GT(refused, steps / 8);
  EXPECT_LT(refused, steps * 7 / 8);
}

}  // namespace
}  // namespace corral::test
