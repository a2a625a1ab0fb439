// PUBLISH and its count, PUBSUB, and the frames.
#include <gtest/gtest.h>

#include "proxy/core/pubsub_frame.h"
#include "pubsub_stage.h"

namespace corral::core {
namespace {

/// What a client gets for its PUBLISH of which A says `told`.
std::string publish(PubSubStage& stage, std::string_view command, int told) {
  const auto publisher = stage.connect();
  stage.sends(publisher, command);
  if (!stage.stage.link(kNodeA).connected) stage.stage.accept(kNodeA);
  EXPECT_EQ(stage.stage.taken(kNodeA), Commands{std::string(command)});
  stage.stage.answer(kNodeA, ":" + std::to_string(told) + "\r\n");
  return stage.received(publisher);
}

TEST(PubSubPublish, GoesToTheHomeNodeAsItIsIfNobodyHasSubscribed) {
  PubSubStage stage;
  EXPECT_EQ(publish(stage, "PUBLISH foo hi", 3), ":3\r\n") << "slot 0 is on A, whatever slot the name is in";
}

TEST(PubSubPublish, CountsClientsAndNotCorral) {
  PubSubStage stage;
  for (int i = 0; i < 2; ++i) stage.subscriber("SUBSCRIBE news");
  EXPECT_EQ(publish(stage, "PUBLISH news x", 1), ":2\r\n");
  stage.subscriber("PSUBSCRIBE n* *s", 3);
  EXPECT_EQ(publish(stage, "PUBLISH news x", 3), ":4\r\n");
  EXPECT_EQ(publish(stage, "PUBLISH night x", 1), ":1\r\n");
  EXPECT_EQ(publish(stage, "PUBLISH other x", 0), ":0\r\n");
  EXPECT_EQ(publish(stage, "PUBLISH news x", 3 + 2), ":6\r\n") << "two are connected to the node";
}

TEST(PubSubPublish, CountsOnlyWhomItReaches) {
  PubSubStage stage;
  stage.subscriber("SSUBSCRIBE bar");
  EXPECT_EQ(publish(stage, "SPUBLISH bar x", 1), ":1\r\n");
  EXPECT_EQ(publish(stage, "SPUBLISH bar x", 0), ":0\r\n") << "the node had no subscription of ours then";
  stage.pass(200);
  stage.lose(kNodeA);
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SSUBSCRIBE bar"});
  EXPECT_EQ(publish(stage, "SPUBLISH bar x", 1), ":1\r\n") << "it has it, though its answer is still on its way";
}

TEST(PubSubPublish, ReachesTheHomeNodeThroughAnother) {
  PubSubStage stage;
  stage.subscriber("SUBSCRIBE news");
  stage.publish_map(kNodeC, kNodeB);
  const auto publisher = stage.connect();
  stage.sends(publisher, "PUBLISH news x");
  stage.stage.accept(kNodeC);
  EXPECT_EQ(stage.stage.taken(kNodeC), Commands{"PUBLISH news x"});
  stage.stage.answer(kNodeC, ":0\r\n");
  EXPECT_EQ(stage.received(publisher), ":1\r\n");
}

TEST(PubSubPublish, IsDoneAfterTheTransactionThatItIsIn) {
  PubSubStage stage;
  stage.subscriber("SUBSCRIBE news");
  const auto client = stage.connect();
  stage.sends(client, "MULTI\r\nSET bar 1\r\nPUBLISH news x\r\nINCR bar\r\nEXEC");
  EXPECT_EQ(stage.received(client), "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
  stage.stage.accept(kNodeA);
  EXPECT_EQ(stage.stage.taken(kNodeA), (Commands{"MULTI", "SET bar 1", "INCR bar", "EXEC"}));
  stage.stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:2\r\n");
  EXPECT_EQ(stage.stage.taken(kNodeA), Commands{"PUBLISH news x"});
  stage.stage.answer(kNodeA, ":1\r\n");
  EXPECT_EQ(stage.received(client), "*3\r\n+OK\r\n:1\r\n:2\r\n");
}

TEST(PubSubPublish, ErrorsArePassedOn) {
  PubSubStage stage;
  stage.subscriber("SUBSCRIBE news");
  const auto client = stage.connect();
  stage.sends(client, "PUBLISH news x");
  stage.stage.accept(kNodeA);
  stage.stage.answer(kNodeA, "-NOPERM no\r\n");
  EXPECT_EQ(stage.received(client), "-NOPERM no\r\n");
}

/// What a client gets for a PUBSUB command that A and B answer so.
std::string query(PubSubStage& stage, std::string_view command, std::string_view a, std::string_view b) {
  const auto client = stage.connect();
  stage.sends(client, command);
  for (const auto& [node, reply] : {std::pair(kNodeA, a), std::pair(kNodeB, b)}) {
    if (!stage.stage.link(node).connected) stage.stage.accept(node);
    EXPECT_EQ(stage.stage.taken(node), Commands{std::string(command)});
    stage.stage.answer(node, reply);
  }
  return stage.received(client);
}

TEST(PubSubQuery, TellsOfClientsHereAndThere) {
  PubSubStage stage;
  for (const char* command : {"SUBSCRIBE news", "SUBSCRIBE news old", "PSUBSCRIBE n*", "SSUBSCRIBE bar"}) {
    stage.subscriber(command);
  }
  EXPECT_EQ(query(stage, "PUBSUB CHANNELS", frame({"news", "old"}), frame({"direct"})),
            frame({"direct", "news", "old"}));
  EXPECT_EQ(query(stage, "PUBSUB CHANNELS n*", frame({"news"}), frame({})), frame({"news"}));
  EXPECT_EQ(query(stage, "PUBSUB SHARDCHANNELS", frame({"bar"}), frame({"foo"})), frame({"bar", "foo"}));
  EXPECT_EQ(query(stage, "PUBSUB NUMSUB news x", frame({"news", ":2", "x", ":0"}), frame({"news", ":1", "x", ":1"})),
            frame({"news", ":4", "x", ":1"}));
  EXPECT_EQ(query(stage, "PUBSUB SHARDNUMSUB bar", frame({"bar", ":1"}), frame({"bar", ":0"})), frame({"bar", ":1"}));
  EXPECT_EQ(query(stage, "PUBSUB NUMPAT", ":1\r\n", ":4\r\n"), ":5\r\n");
}

// --- frames ---

TEST(PubSubFrame, IsRead) {
  using Type = PubSubFrame::Type;
  const std::string binary("a\r\n\0b", 5);
  const std::string text = frame({"pmessage", "*", binary, "$3\r\nabc\r\n"});
  const std::string more = text + "*3\r\n";  // what is found lies in it
  const PubSubFrame one = parse_pubsub_frame(more);
  EXPECT_EQ(one.type, Type::kMessage);
  EXPECT_EQ(one.kind, ChannelKind::kPattern);
  EXPECT_EQ(one.name, "*");
  EXPECT_EQ(one.channel, binary);
  EXPECT_EQ(one.size, text.size());
  const std::string empty = frame({"smessage", "", ""});
  EXPECT_EQ(parse_pubsub_frame(empty).kind, ChannelKind::kShard);
  EXPECT_EQ(parse_pubsub_frame(empty).size, empty.size());
  EXPECT_EQ(parse_pubsub_frame(frame({"sunsubscribe", "x", ":0"})).type, Type::kUnsubscribed);
  EXPECT_EQ(parse_pubsub_frame(frame({"pong", ""})).type, Type::kPong);
  for (const std::string_view other : {"", "+PONG\r\n", "-ERR x\r\n", "*0\r\n", "*1\r\n:1\r\n", "*-1\r\n", "$-1\r\n"}) {
    EXPECT_EQ(parse_pubsub_frame(other).type, Type::kOther) << other;
  }
}

TEST(PubSubFrame, PatternsThatMayMatchKeyspaceChannels) {
  for (const std::string_view pattern : {"*", "_*", "__key*", "__keyspace@*", "__keyevent@0__:set", "?_keyspace@0__:x",
                                         "[_]*", "__keyspace@[0-9]__:a*", "__key\\space@*", "\\__keyspace@0__:*"}) {
    EXPECT_TRUE(may_match_keyspace_channel(pattern)) << pattern;
  }
  for (const std::string_view pattern :
       {"", "n*", "__k", "__keyspaces*", "__keyspac@*", "socket.io#/#*", "__keyevent"}) {
    EXPECT_FALSE(may_match_keyspace_channel(pattern)) << pattern;
  }
  EXPECT_TRUE(is_keyspace_channel("__keyevent@0__:set"));
  EXPECT_FALSE(is_keyspace_channel("__keyevent"));
}

}  // namespace
}  // namespace corral::core
