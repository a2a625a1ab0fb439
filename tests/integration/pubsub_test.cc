// Subscriptions beside a single Redis, in both protocols: confirmations in their order with other replies, subscriber
// mode, counts, and what PUBSUB tells.
#include "beside_front.h"

namespace corral::test {
namespace {

class PubsubTest : public BesideFront, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    BesideFront::SetUp();
    for (Client* client : {&actual_, &expected_}) {
      require_eventually("the subscribers of the last test are gone", [&] {
        return client->command("PUBSUB", "CHANNELS").elements.empty() &&
               client->command("PUBSUB", "SHARDCHANNELS").elements.empty() &&
               client->command("PUBSUB", "NUMPAT").integer == 0;
      });
    }
    if (resp3()) actual_.command("HELLO", "3"), expected_.command("HELLO", "3");
  }
  static bool resp3() { return GetParam() == 3; }

  // The same command to both, which answer it by `count` replies. They may differ in order if it is not said.
  void both_get(const Args& args, size_t count, bool ordered = true) {
    actual_.send(encode(args));
    expected_.send(encode(args));
    read_same(args, count, ordered);
  }
  void read_same(const Args& args, size_t count, bool ordered = true) {
    std::vector<std::string> actual, expected;
    for (size_t i = 0; i < count; ++i) {
      expected.push_back(printable(expected_.read_reply().raw));
      actual.push_back(printable(actual_.read_reply().raw));
    }
    if (!ordered) std::sort(actual.begin(), actual.end()), std::sort(expected.begin(), expected.end());
    EXPECT_EQ(actual, expected) << "after " << args[0];
  }
  // Nothing more has come but the answer of this PING.
  void expect_nothing_more() { both_get({"PING", "still here"}, 1); }
  // Published through Corral and on the Redis alike, by others; both must count the same.
  int64_t publish(const std::string& channel, const std::string& message, const char* command = "PUBLISH") {
    Client through = front_->connect();
    const Reply actual = through.command(command, channel, message);
    EXPECT_EQ(actual, redis_->command(command, channel, message)) << channel;
    return actual.integer;
  }
};

INSTANTIATE_TEST_SUITE_P(, PubsubTest, ::testing::Values(2, 3),
                         [](const auto& version) { return "resp" + std::to_string(version.param); });

TEST_P(PubsubTest, subscriptions_are_confirmed_one_by_one) {
  both_get({"SUBSCRIBE", "a", "b", "a"}, 3);
  both_get({"PSUBSCRIBE", "p*", "q*", "p*"}, 3);
  both_get({"UNSUBSCRIBE", "a", "nosuch"}, 2);
  both_get({"PUNSUBSCRIBE", "nosuch", "p*"}, 2);
  both_get({"SUBSCRIBE", "c", "d"}, 2);
  actual_.send(encode({"UNSUBSCRIBE"}));
  expected_.send(encode({"UNSUBSCRIBE"}));
  std::vector<int64_t> counts;
  std::vector<std::string> left;
  for (int i = 0; i < 3; ++i) {
    const Reply reply = actual_.read_reply();
    EXPECT_EQ(reply.elements[2], expected_.read_reply().elements[2]);
    left.push_back(reply.elements[1].text);
  }
  std::sort(left.begin(), left.end());
  EXPECT_EQ(left, (std::vector<std::string>{"b", "c", "d"}));
  both_get({"UNSUBSCRIBE"}, 1);
  both_get({"PUNSUBSCRIBE"}, 1);
  both_get({"PUNSUBSCRIBE"}, 1);
  both_get({"SUNSUBSCRIBE"}, 1);
  both("SET", "k", "v");
}

TEST_P(PubsubTest, confirmations_have_their_place_among_replies) {
  for (int round = 0; round < 20; ++round) {
    std::vector<Args> commands = {{"GET", "far"}, {"MGET", "x", "y", "z"}, {"SUBSCRIBE", "one"}};
    if (resp3()) {
      const std::vector<Args> more = {{"MGET", "x", "y", "z"},  {"SUBSCRIBE", "two"},    {"INCR", "n"}, {"ECHO", "e"},
                                      {"UNSUBSCRIBE", "one"},   {"SSUBSCRIBE", "shard"}, {"INCR", "n"}, {"DBSIZE"},
                                      {"SUNSUBSCRIBE", "shard"}};
      commands.insert(commands.end(), more.begin(), more.end());
    }
    for (const Args& args : std::vector<Args>{{"PSUBSCRIBE", "p*"},
                                              {"PING"},
                                              {"PUNSUBSCRIBE", "p*"},
                                              {"SUBSCRIBE", "x"},
                                              {"UNSUBSCRIBE", "x"},
                                              {"UNSUBSCRIBE", "one"},
                                              {"UNSUBSCRIBE", "two"},
                                              {"INCR", "n"}}) {
      commands.push_back(args);
    }
    both_pipelined(commands);
  }
}

TEST_P(PubsubTest, subscriber_mode_allows_what_redis_allows) {
  both("SUBSCRIBE", "a");
  both("PING");
  both("PING", "text");
  both("PING", "too", "many");
  for (const Args& args : std::vector<Args>{{"GET", "k"},
                                            {"SET", "k", "v"},
                                            {"MGET", "a", "b"},
                                            {"MULTI"},
                                            {"EXEC"},
                                            {"PUBLISH", "nobody", "m"},
                                            {"CLIENT", "GETNAME"},
                                            {"BOGUS"},
                                            {"GET"},
                                            {"ECHO", "x"}}) {
    both(args);
  }
  both("UNSUBSCRIBE", "a");
  both("PING");
  both("GET", "k");
  both("SSUBSCRIBE", "shard");
  both("GET", "k");
  both("SUNSUBSCRIBE", "shard");
  both("PSUBSCRIBE", "*");
  both("GET", "k");
  both("RESET");
  both("GET", "k");
  both("PING");
}

TEST_P(PubsubTest, quit_ends_subscriber_mode) {
  both("SUBSCRIBE", "a");
  actual_.send(encode({"QUIT"}));
  EXPECT_EQ(actual_.read_until_close(), "+OK\r\n");
  EXPECT_TRUE(eventually([&] { return front_->connect().command("PUBLISH", "a", "m") == Reply::number(0); }));
}

TEST_P(PubsubTest, wrong_words) {
  for (const Args& args : std::vector<Args>{{"SUBSCRIBE"},
                                            {"PSUBSCRIBE"},
                                            {"SSUBSCRIBE"},
                                            {"PUBLISH"},
                                            {"PUBLISH", "a"},
                                            {"PUBLISH", "a", "b", "c"},
                                            {"SPUBLISH", "a"},
                                            {"PUBSUB"},
                                            {"PUBSUB", "BOGUS"},
                                            {"PUBSUB", "CHANNELS", "a", "b"},
                                            {"PUBSUB", "NUMPAT", "x"},
                                            {"PUBSUB", "NUMSUB"},
                                            {"PUBSUB", "SHARDNUMSUB"},
                                            {"PUBSUB", "HELP", "x"}}) {
    both(args);
  }
}

TEST_P(PubsubTest, messages_come_with_channel_and_pattern) {
  both_get({"SUBSCRIBE", "news", "other"}, 2);
  both_get({"PSUBSCRIBE", "n*", "*ews"}, 2);
  EXPECT_EQ(publish("news", "hello"), 3);
  read_same({"news"}, 3, false);
  EXPECT_EQ(publish("nobody", "x"), 1);
  read_same({"nobody"}, 1);
  EXPECT_EQ(publish("other", std::string("b\0in\r\nary", 9)), 1);
  read_same({"other"}, 1);
  EXPECT_EQ(publish("other", std::string(1'000'000, 'x')), 1);
  read_same({"other"}, 1);
  EXPECT_EQ(publish("other", ""), 1);
  read_same({"other"}, 1);
  both_get({"PUNSUBSCRIBE", "n*"}, 1);
  both_get({"UNSUBSCRIBE", "news"}, 1);
  EXPECT_EQ(publish("news", "again"), 1);
  read_same({"news"}, 1);
  expect_nothing_more();
}

TEST_P(PubsubTest, channels_have_any_name) {
  const std::string names[] = {"", std::string("\0\r\n*$", 5), std::string(10'000, 'n'), "{tag}x", "*"};
  for (const std::string& name : names) both_get({"SUBSCRIBE", name}, 1);
  for (const std::string& name : names) {
    EXPECT_EQ(publish(name, "m"), 1);
    read_same({name}, 1);
  }
  both_get({"PSUBSCRIBE", "h[ae]llo", "h?llo", "h\\?llo"}, 3);
  EXPECT_EQ(publish("hello", "m"), 2);
  read_same({"hello"}, 2, false);
  expect_nothing_more();
}

TEST_P(PubsubTest, receivers_are_counted_once_each) {
  std::vector<Client> listeners, same;
  for (int i = 0; i < 10; ++i) {
    listeners.push_back(i % 2 ? front_->connect3() : front_->connect());
    same.push_back(redis_->connect());
    for (Client* client : {&listeners.back(), &same.back()}) {
      client->command("SUBSCRIBE", "counted");
      if (i < 3) client->command("PSUBSCRIBE", "count*");
    }
  }
  EXPECT_EQ(publish("counted", "m"), 13);
  EXPECT_EQ(publish("counting", "m"), 3);
  listeners.clear();
  EXPECT_TRUE(eventually([&] { return front_->connect().command("PUBLISH", "counted", "m") == Reply::number(0); }));
}

TEST_P(PubsubTest, pubsub_tells_of_subscriptions) {
  Client listeners[] = {front_->connect(), front_->connect3(), redis_->connect(), redis_->connect()};
  for (Client& client : listeners) {
    client.pipeline(
        {{"SUBSCRIBE", "chan:a"}, {"SUBSCRIBE", "chan:b"}, {"PSUBSCRIBE", "p*"}, {"SSUBSCRIBE", "shard:a"}});
  }
  for (Client* client : {&listeners[0], &listeners[2]}) {
    client->pipeline({{"SUBSCRIBE", "else"}, {"PSUBSCRIBE", "q*"}, {"SSUBSCRIBE", "shard:b"}});
  }
  both(Args{"PUBSUB", "CHANNELS"}, true);
  both(Args{"PUBSUB", "CHANNELS", "chan:*"}, true);
  both(Args{"PUBSUB", "SHARDCHANNELS"}, true);
  both(Args{"PUBSUB", "SHARDCHANNELS", "*:b"}, true);
  both("PUBSUB", "NUMSUB", "chan:a", "else", "nobody", "chan:a");
  both("PUBSUB", "SHARDNUMSUB", "shard:a", "shard:b", "nobody");
  both("PUBSUB", "NUMPAT");
}

TEST_P(PubsubTest, shard_channels_of_many_slots) {
  std::vector<std::string> names;
  for (int i = 0; i < 30; ++i) names.push_back("shard:" + std::to_string(i));
  for (const std::string& name : names) both_get({"SSUBSCRIBE", name}, 1);
  both_get({"SSUBSCRIBE", "{t}a", "{t}b", "{t}a"}, 3);
  for (const std::string& name : names) {
    EXPECT_EQ(publish(name, "to " + name, "SPUBLISH"), 1);
    EXPECT_EQ(publish(name, "not for shards"), 0);
    read_same({name}, 1);
  }
  both_get({"SUNSUBSCRIBE", "shard:3", "nosuch"}, 2);
  EXPECT_EQ(publish("shard:3", "m", "SPUBLISH"), 0);
  EXPECT_EQ(publish("{t}b", "m", "SPUBLISH"), 1);
  read_same({"{t}b"}, 1);
  expect_nothing_more();
}

TEST_P(PubsubTest, messages_of_a_publisher_keep_their_order) {
  constexpr int kMessages = 3000;
  actual_.command("SUBSCRIBE", "ordered");
  Client publisher = front_->connect();
  std::string bytes;
  for (int i = 0; i < kMessages; ++i) bytes += encode({"PUBLISH", "ordered", std::to_string(i)});
  for (const Reply& reply : publisher.exchange(bytes, kMessages)) ASSERT_EQ(reply, Reply::number(1));
  for (int i = 0; i < kMessages; ++i) ASSERT_EQ(actual_.read_reply().elements.at(2).text, std::to_string(i));
}

// Only RESP3 has both on one connection. Replies keep their order, and pushes theirs.
TEST_P(PubsubTest, a_client_hears_itself) {
  if (!resp3()) GTEST_SKIP() << "not in RESP2";
  for (int round = 0; round < 20; ++round) {
    const std::string channel = "own:" + std::to_string(round);
    actual_.send(encode_all({{"INCR", "n"},
                             {"SUBSCRIBE", channel},
                             {"PUBLISH", channel, "1"},
                             {"INCR", "n"},
                             {"PUBLISH", channel, "2"},
                             {"UNSUBSCRIBE", channel},
                             {"PUBLISH", channel, "3"},
                             {"INCR", "n"}}));
    std::vector<std::string> replies, pushes;
    while (replies.size() < 6 || pushes.size() < 4) {
      const Reply reply = actual_.read_reply();
      (reply.is_push() ? pushes : replies).push_back(to_string(reply));
    }
    const auto number = [&](int i) { return ":" + std::to_string(3 * round + i); };
    EXPECT_EQ(replies, (std::vector<std::string>{number(1), ":1", number(2), ":1", ":0", number(3)}));
    const auto push = [&](const std::string& what, const std::string& last) {
      return ">[\"" + what + "\", \"" + channel + "\", " + last + "]";
    };
    EXPECT_EQ(pushes[0], push("subscribe", ":1"));
    EXPECT_EQ(pushes[1], push("message", "\"1\""));
    EXPECT_EQ(pushes[2], push("message", "\"2\""));
    EXPECT_EQ(pushes[3], push("unsubscribe", ":0"));
  }
}

TEST_P(PubsubTest, client_list_knows_subscribers) {
  both_get({"SUBSCRIBE", "a", "b"}, 2);
  both("PSUBSCRIBE", "p*");
  const std::string line = front_->connect().command("CLIENT", "LIST", "TYPE", "pubsub").text;
  EXPECT_NE(line.find(":" + std::to_string(actual_.local_port()) + " "), std::string::npos) << line;
  EXPECT_NE(line.find(" sub=2 psub=1 "), std::string::npos) << line;
  EXPECT_EQ(front_->connect().command("CLIENT", "KILL", "TYPE", "pubsub"), Reply::number(1));
  EXPECT_TRUE(actual_.closes());
}

}  // namespace
}  // namespace corral::test
