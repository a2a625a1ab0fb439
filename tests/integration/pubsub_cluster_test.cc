// Subscriptions in front of a cluster: one upstream subscription for each channel, messages from every node, shard
// channels that follow their slot, subscriptions that outlive a node, and subscribers that do not read.
#include <map>

#include "support/background.h"
#include "support/front.h"

namespace corral::test {
namespace {

class PubsubClusterTest : public FrontTest {
 protected:
  // How many subscriptions the nodes have of a channel, taken together.
  static int64_t upstream(const std::string& channel, const char* what = "NUMSUB") {
    int64_t sum = 0;
    for (size_t i = 0; i < front_->masters(); ++i) {
      sum += front_->master(i).command("PUBSUB", what, channel).elements.at(1).integer;
    }
    return sum;
  }
  static Client listener(const Args& subscribe) {
    Client client = front_->connect();
    if (client.command(subscribe).is_error()) throw std::runtime_error("cannot " + subscribe[0]);
    return client;
  }
};

TEST_F(PubsubClusterTest, a_channel_is_subscribed_to_once) {
  CORRAL_NEEDS_CLUSTER();
  std::vector<Client> listeners;
  for (int i = 0; i < 60; ++i) listeners.push_back(listener({i % 2 ? "SUBSCRIBE" : "SSUBSCRIBE", "shared"}));
  for (int i = 0; i < 20; ++i) listeners.push_back(listener({"PSUBSCRIBE", "sh*"}));
  EXPECT_EQ(upstream("shared"), 1);
  EXPECT_EQ(upstream("shared", "SHARDNUMSUB"), 1);
  int64_t patterns = 0;
  for (size_t i = 0; i < front_->masters(); ++i) patterns += front_->master(i).command("PUBSUB", "NUMPAT").integer;
  EXPECT_LE(patterns, static_cast<int64_t>(front_->masters())) << "of every master, for keyspace notifications";
  EXPECT_GE(patterns, 1);
  EXPECT_EQ(client_.command("PUBLISH", "shared", "m"), Reply::number(50));
  EXPECT_EQ(client_.command("SPUBLISH", "shared", "m"), Reply::number(30));
  listeners.clear();
  EXPECT_TRUE(eventually([&] { return upstream("shared") == 0 && upstream("shared", "SHARDNUMSUB") == 0; }));
}

TEST_F(PubsubClusterTest, messages_published_on_any_node_come_once) {
  Client channel = listener({"SUBSCRIBE", "direct"}), pattern = listener({"PSUBSCRIBE", "dir*"});
  for (int i = 0; i < 30; ++i) {
    RedisServer& node = front_->master(static_cast<size_t>(i) % front_->masters());
    node.command("PUBLISH", "direct", i);
    ASSERT_EQ(channel.read_reply().elements.at(2).text, std::to_string(i));
    ASSERT_EQ(pattern.read_reply().elements.at(3).text, std::to_string(i));
  }
  client_.command("PUBLISH", "direct", "end");
  EXPECT_EQ(channel.read_reply().elements.at(2).text, "end");
  EXPECT_EQ(pattern.read_reply().elements.at(3).text, "end");
}

TEST_F(PubsubClusterTest, direct_receivers_are_counted_and_reached_once) {
  std::vector<Client> behind, direct;
  for (int i = 0; i < 5; ++i) behind.push_back(listener({"SUBSCRIBE", "both"}));
  for (size_t i = 0; i < front_->masters(); ++i) {
    direct.push_back(front_->master(i).connect());
    direct.back().command("SUBSCRIBE", "both");
  }
  // A node counts its own receivers only: the publisher's node has one of the direct ones, the others may be counted.
  const int64_t count = client_.command("PUBLISH", "both", "first").integer;
  EXPECT_GE(count, 6);
  EXPECT_LE(count, 5 + static_cast<int64_t>(direct.size()));
  client_.command("PUBLISH", "both", "second");
  for (auto* clients : {&behind, &direct}) {
    for (Client& client : *clients) {
      ASSERT_EQ(client.read_reply().elements.at(2).text, "first");
      ASSERT_EQ(client.read_reply().elements.at(2).text, "second");
    }
  }
}

TEST_F(PubsubClusterTest, keyspace_notifications_come_from_all_masters) {
  for (size_t i = 0; i < front_->masters(); ++i) {
    front_->master(i).command("CONFIG", "SET", "notify-keyspace-events", "KEA");
  }
  Client events = listener({"PSUBSCRIBE", "__keyevent@0__:s*"}), one = listener({"SUBSCRIBE", "__keyspace@0__:key:7"});
  Client plain = listener({"SUBSCRIBE", "__keyevent@0__:set"});
  std::vector<std::string> keys;
  for (int i = 0; i < 40; ++i) keys.push_back("key:" + std::to_string(i));
  for (const std::string& key : keys) client_.command("SET", key, "v");
  std::vector<std::string> seen, seen_plain;
  for (size_t i = 0; i < keys.size(); ++i) {
    seen.push_back(events.read_reply().elements.at(3).text);
    seen_plain.push_back(plain.read_reply().elements.at(2).text);
  }
  std::sort(keys.begin(), keys.end());
  std::sort(seen.begin(), seen.end());
  std::sort(seen_plain.begin(), seen_plain.end());
  EXPECT_EQ(seen, keys);
  EXPECT_EQ(seen_plain, keys);
  EXPECT_EQ(one.read_reply().elements.at(2).text, "set");
  client_.command("DEL", "key:7");
  EXPECT_EQ(one.read_reply().elements.at(2).text, "del");
  for (Client* client : {&events, &plain, &one}) EXPECT_EQ(client->command("PING").elements.at(0).text, "pong");
}

// A message is lost while the subscription moves along, as with Redis, and then it was not counted; one that was
// counted comes, once and in order.
TEST_F(PubsubClusterTest, a_shard_channel_follows_its_slot) {
  CORRAL_NEEDS_CLUSTER();
  constexpr int kSlot = 300;
  const std::string channel = tag_of_slot(kSlot) + "shard";
  Client listening = listener({"SSUBSCRIBE", channel}), other = front_->connect3();
  other.command("SSUBSCRIBE", channel);
  other.command("SSUBSCRIBE", tag_of_slot(16'000));
  std::vector<std::string> counted;
  int number = 0;
  const auto publish = [&] {
    const Reply reply = client_.command("SPUBLISH", channel, ++number);
    if (reply == Reply::number(2)) counted.push_back(std::to_string(number));
    return reply == Reply::number(2);
  };
  EXPECT_TRUE(publish());
  for (int move = 0; move < 6; ++move) {
    const size_t from = front_->cluster().owner(kSlot), to = (from + 1) % 3;
    if (move % 2) client_.command("SET", channel + "key", "so that there is something to move");
    front_->cluster().begin_migration(kSlot, from, to);
    EXPECT_TRUE(publish()) << "while it is on its way";
    front_->cluster().move_keys(kSlot, from, to);
    front_->cluster().end_migration(kSlot, from, to);
    ASSERT_TRUE(eventually(publish)) << "move " << move;
    EXPECT_TRUE(publish());
  }
  client_.command("SPUBLISH", tag_of_slot(16'000), "end");
  for (const std::string& text : counted) {
    ASSERT_EQ(to_string(listening.read_reply()), "[\"smessage\", \"" + channel + "\", \"" + text + "\"]");
    ASSERT_EQ(to_string(other.read_reply()), ">[\"smessage\", \"" + channel + "\", \"" + text + "\"]");
  }
  EXPECT_EQ(other.read_reply().elements.at(2).text, "end");
  EXPECT_EQ(listening.command("SUNSUBSCRIBE", channel).elements.at(2), Reply::number(0)) << "nothing else has come";
}

TEST(PubsubFailoverTest, subscriptions_outlive_a_node) {
  CORRAL_NEEDS_CLUSTER();
  Front front(
      {.cluster = {.replicas_per_master = 1, .node_timeout_ms = 1500},
       .settings =
           "[upstream]\nconnect_timeout = \"300ms\"\nrequest_timeout = \"1s\"\nrefresh_interval = \"500ms\"\n"});
  RedisCluster& cluster = front.cluster();
  constexpr int kChannels = 30;  // enough that each node has some
  std::vector<Client> listeners, shards;
  const auto channel = [](int i) { return tag_of_slot(i * 540 + 7) + "channel"; };
  for (int i = 0; i < kChannels; ++i) {
    listeners.push_back(front.connect());
    listeners.back().command("SUBSCRIBE", channel(i));
    shards.push_back(front.connect());
    shards.back().command("SSUBSCRIBE", channel(i));
  }
  Client pattern = front.connect(), client = front.connect();
  pattern.command("PSUBSCRIBE", "end*");
  cluster.node(0).kill();
  ASSERT_TRUE(eventually([&] { return cluster.owner_seen_by(1, 0) == 3; }));
  const auto reached = [&](const char* command, const std::string& name) {
    return eventually([&] { return client.command(command, name, "probe") == Reply::number(1); });
  };
  for (int i = 0; i < kChannels; ++i) {
    ASSERT_TRUE(reached("PUBLISH", channel(i))) << i;
    ASSERT_TRUE(reached("SPUBLISH", channel(i))) << i;
    EXPECT_EQ(client.command("PUBLISH", channel(i), "last"), Reply::number(1));
    EXPECT_EQ(client.command("SPUBLISH", channel(i), "last"), Reply::number(1));
  }
  for (auto* clients : {&listeners, &shards}) {
    for (Client& one : *clients) {
      std::string text;
      while (text != "last") text = one.read_reply().elements.at(2).text;
      EXPECT_TRUE(one.command("PING").is_array()) << "once, and nothing else";
    }
  }
  ASSERT_TRUE(reached("PUBLISH", "end"));
  EXPECT_EQ(pattern.read_reply().elements.at(3).text, "probe");
}

TEST(PubsubConnectionsTest, subscriptions_outlive_their_connections) {
  CORRAL_NEEDS_CLUSTER();
  Front front;
  Client listening = front.connect(), shard = front.connect(), client = front.connect();
  listening.command("SUBSCRIBE", "c");
  shard.command("SSUBSCRIBE", "c");
  for (int round = 0; round < 5; ++round) {
    for (size_t i = 0; i < 3; ++i) {
      for (const char* type : {"pubsub", "normal"}) front.master(i).command("CLIENT", "KILL", "TYPE", type);
    }
    const std::string text = std::to_string(round);
    EXPECT_TRUE(eventually([&] { return client.command("PUBLISH", "c", text) == Reply::number(1); }));
    EXPECT_TRUE(eventually([&] { return client.command("SPUBLISH", "c", text) == Reply::number(1); }));
    for (Client* one : {&listening, &shard}) {
      std::string read;
      while (read != text) read = one->read_reply().elements.at(2).text;
    }
  }
}

TEST(PubsubSlowTest, a_subscriber_that_does_not_read_is_closed_and_delays_nobody) {
  Front front({.cluster = {.settings = {"--client-output-buffer-limit", "pubsub 4mb 0 0"}},
               .settings = "[limits]\nclient_output = \"4MiB\"\n"});
  Client publisher = front.connect(), good = front.connect(), deaf = front.connect();
  deaf.shrink_receive_buffer(4096);
  for (Client* client : {&good, &deaf}) client->command("SUBSCRIBE", "flood");
  const std::string address = " addr=127.0.0.1:" + std::to_string(deaf.local_port()) + " ";
  const auto gone = [&] { return publisher.command("CLIENT", "LIST").text.find(address) == std::string::npos; };
  ASSERT_FALSE(gone());
  const std::string padding(10'000, 'x');
  int sent = 0;
  bool closed = false;
  for (; !closed && sent < 10'000; ++sent) {
    publisher.command("PUBLISH", "flood", std::to_string(sent) + padding);
    ASSERT_EQ(good.read_reply().elements.at(2).text, std::to_string(sent) + padding);
    if (sent % 100 == 0) closed = gone();
  }
  EXPECT_TRUE(closed || gone()) << "after " << sent << " messages";
  EXPECT_TRUE(eventually([&] { return publisher.command("PUBLISH", "flood", "end") == Reply::number(1); }));
}

}  // namespace
}  // namespace corral::test
