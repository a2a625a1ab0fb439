// SUBSCRIBE and UNSUBSCRIBE: when they are confirmed, what comes before and after, and that clients share.
#include <gtest/gtest.h>

#include "proxy/core/policies.h"
#include "pubsub_stage.h"

namespace corral::core {
namespace {

std::string subscribed(std::string_view name, int count, char type = '*') {
  return frame({"subscribe", name, ":" + std::to_string(count)}, type);
}
std::string unsubscribed(std::string_view name, int count, char type = '*') {
  return frame({"unsubscribe", name, ":" + std::to_string(count)}, type);
}
std::string message(std::string_view channel, std::string_view text, char type = '*') {
  return frame({"message", channel, text}, type);
}

TEST(PubSubSubscribe, IsConfirmedWhenTheNodeHasConfirmed) {
  PubSubStage stage;
  const auto client = stage.connect();
  stage.sends(client, "SUBSCRIBE news");
  EXPECT_EQ(stage.accept(kNodeA), (Commands{"CLIENT SETNAME corral", "CLIENT INFO"}));
  EXPECT_EQ(stage.received(client), "");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SUBSCRIBE news"});
  stage.says(kNodeA, subscribed("news", 1));
  EXPECT_EQ(stage.received(client), subscribed("news", 1));
  stage.says(kNodeA, message("news", "hello"));
  EXPECT_EQ(stage.received(client), message("news", "hello"));
  EXPECT_FALSE(stage.has_node(kNodeB));
}

// The right to hear it is gone by then.
TEST(PubSubSubscribe, IsNotConfirmedToWhoMayNotHearItAnyMore) {
  config::Settings settings;
  settings.server.users = {"user default on nopass ~* &* +@all"};
  PubSubStage stage(settings);
  const auto client = stage.connect(), other = stage.connect();
  stage.sends(client, "SUBSCRIBE news");
  stage.sends(other, "SUBSCRIBE weather");
  stage.accept(kNodeA);
  settings.server.users = {"user default on nopass ~* &weather +@all"};
  const auto policies = make_policies(settings);
  stage.turn([&] { stage.stage.worker.set_policies(policies); });
  EXPECT_FALSE(client.socket->closed);
  stage.serve(kNodeA);
  EXPECT_TRUE(client.socket->closed);
  EXPECT_EQ(stage.received(client), "");
  EXPECT_EQ(stage.received(other), subscribed("weather", 1));
}

TEST(PubSubSubscribe, ANameThatIsGivenManyTimesIsAskedForOnce) {
  PubSubStage stage;
  const auto client = stage.connect();
  stage.sends(client, "SUBSCRIBE news news news");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SUBSCRIBE news"});
  stage.says(kNodeA, subscribed("news", 1));
  EXPECT_EQ(stage.received(client), subscribed("news", 1) + subscribed("news", 1) + subscribed("news", 1));
}

TEST(PubSubSubscribe, ClientsShareOneSubscription) {
  PubSubStage stage;
  const auto first = stage.subscriber("SUBSCRIBE news");
  const auto second = stage.connect(3);
  const auto third = stage.connect_to_hub_worker();
  stage.sends(second, "SUBSCRIBE news");
  stage.sends(third, "SUBSCRIBE news");
  EXPECT_EQ(stage.received(second), "") << "what is on its way was published before";
  EXPECT_EQ(stage.serve(kNodeA), (Commands{"PING", "PING"}));
  EXPECT_EQ(stage.received(second), subscribed("news", 1, '>'));
  EXPECT_EQ(stage.received(third), subscribed("news", 1));
  stage.says(kNodeA, message("news", "a") + message("other", "b") + message("news", "c"));
  EXPECT_EQ(stage.received(first), message("news", "a") + message("news", "c"));
  EXPECT_EQ(stage.received(second), message("news", "a", '>') + message("news", "c", '>'));
  EXPECT_EQ(stage.received(third), message("news", "a") + message("news", "c"));
}

TEST(PubSubSubscribe, WhatWasPublishedBeforeDoesNotCome) {
  PubSubStage stage;
  const auto first = stage.subscriber("SUBSCRIBE news");
  const auto second = stage.connect();
  stage.sends(second, "SUBSCRIBE news");
  stage.says(kNodeA, message("news", "before") + frame({"pong", ""}) + message("news", "after"));
  EXPECT_EQ(stage.received(first), message("news", "before") + message("news", "after"));
  EXPECT_EQ(stage.received(second).substr(0, subscribed("news", 1).size()), subscribed("news", 1));
}

TEST(PubSubSubscribe, NamesAreConfirmedOneByOne) {
  PubSubStage stage;
  const auto client = stage.connect();
  stage.sends(client, "SUBSCRIBE a b a");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"SUBSCRIBE a", "SUBSCRIBE b"}));
  stage.says(kNodeA, subscribed("a", 1));
  EXPECT_EQ(stage.received(client), "");
  stage.says(kNodeA, subscribed("b", 2));
  EXPECT_EQ(stage.received(client), subscribed("a", 1) + subscribed("b", 2) + subscribed("a", 2));
  stage.sends(client, "PSUBSCRIBE b*");
  stage.serve(kNodeA);
  EXPECT_EQ(stage.received(client), frame({"psubscribe", "b*", ":3"}));
  stage.sends(client, "SSUBSCRIBE a");
  stage.accept(kNodeB);
  EXPECT_EQ(stage.serve(kNodeB), Commands{"SSUBSCRIBE a"});
  EXPECT_EQ(stage.received(client), frame({"ssubscribe", "a", ":1"}));
}

TEST(PubSubSubscribe, ConfirmationsHaveTheirPlaceAmongReplies) {
  PubSubStage stage;
  const auto client = stage.connect(3);
  stage.sends(client, "GET bar\r\nSUBSCRIBE news\r\nGET bar");
  stage.stage.accept(kNodeA);
  EXPECT_EQ(stage.stage.taken(kNodeA), Commands{"GET bar"});
  EXPECT_FALSE(stage.has_node(kNodeA)) << "it waits for the reply before it";
  stage.stage.answer(kNodeA, "$1\r\nx\r\n");
  stage.settle();
  stage.accept(kNodeA);
  EXPECT_EQ(stage.stage.taken(kNodeA), Commands{}) << "what follows is not sent before the confirmation";
  stage.serve(kNodeA);
  EXPECT_EQ(stage.stage.taken(kNodeA), Commands{"GET bar"});
  stage.stage.answer(kNodeA, "$1\r\ny\r\n");
  EXPECT_EQ(stage.received(client), "$1\r\nx\r\n" + subscribed("news", 1, '>') + "$1\r\ny\r\n");
}

TEST(PubSubSubscribe, RefusedIsAnErrorAndNothingIsSubscribedTo) {
  PubSubStage stage;
  const auto client = stage.connect();
  stage.sends(client, "SUBSCRIBE good bad");
  stage.accept(kNodeA);
  stage.taken(kNodeA);
  stage.says(kNodeA, subscribed("good", 1) + "-NOPERM no permission\r\n");
  EXPECT_EQ(stage.received(client), "-NOPERM no permission\r\n");
  EXPECT_EQ(stage.serve(kNodeA), Commands{"UNSUBSCRIBE good"});
  EXPECT_EQ(client.session->modes(), 0);
  EXPECT_TRUE(stage.stage.process.pubsub().empty());
  stage.sends(client, "ECHO hi");
  EXPECT_EQ(stage.received(client), "$2\r\nhi\r\n");
  stage.pass(3000);
  EXPECT_EQ(stage.serve(kNodeA), Commands{"PING"}) << "nobody wants it any more";
}

TEST(PubSubSubscribe, WithoutAnAnswerItIsAnErrorInTime) {
  config::Settings settings;
  settings.upstream.request_timeout_ms = 1000;
  PubSubStage stage(settings);
  const auto client = stage.connect();
  stage.sends(client, "SUBSCRIBE news");
  stage.accept(kNodeA);
  stage.pass(900);
  EXPECT_EQ(stage.received(client), "");
  stage.pass(300);
  EXPECT_TRUE(stage.received(client).starts_with("-CLUSTERDOWN "));
  EXPECT_EQ(client.session->modes(), 0);
  EXPECT_TRUE(stage.stage.process.pubsub().empty());
}

TEST(PubSubSubscribe, ClientThatGoesMeanwhileLeavesNothing) {
  PubSubStage stage;
  const auto client = stage.connect();
  stage.sends(client, "SUBSCRIBE news");
  stage.accept(kNodeA);
  stage.close(client);
  EXPECT_EQ(stage.serve(kNodeA), Commands{"SUBSCRIBE news"});
  EXPECT_EQ(stage.serve(kNodeA), Commands{"UNSUBSCRIBE news"});
  EXPECT_TRUE(stage.stage.process.pubsub().empty());
}

TEST(PubSubSubscribe, ReplyOffHidesNoConfirmation) {
  PubSubStage stage;
  const auto client = stage.connect(3);
  stage.sends(client, "CLIENT REPLY OFF\r\nSUBSCRIBE news\r\nECHO hidden\r\nUNSUBSCRIBE news");
  stage.accept(kNodeA);
  stage.serve(kNodeA);
  stage.serve(kNodeA);
  EXPECT_EQ(stage.received(client), subscribed("news", 1, '>') + unsubscribed("news", 0, '>'));
}

// --- UNSUBSCRIBE ---

TEST(PubSubUnsubscribe, TheLastOneEndsTheSubscriptionAndIsConfirmedThen) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE news");
  stage.sends(client, "UNSUBSCRIBE news");
  EXPECT_EQ(stage.received(client), "");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"UNSUBSCRIBE news"});
  stage.says(kNodeA, message("news", "before") + unsubscribed("news", 0) + message("news", "never"));
  EXPECT_EQ(stage.received(client), message("news", "before") + unsubscribed("news", 0));
  EXPECT_TRUE(stage.stage.process.pubsub().empty());
  EXPECT_EQ(client.session->modes(), 0);
}

TEST(PubSubUnsubscribe, OthersKeepTheSubscription) {
  PubSubStage stage;
  const auto first = stage.subscriber("SUBSCRIBE news"), second = stage.subscriber("SUBSCRIBE news");
  stage.sends(first, "UNSUBSCRIBE news");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"PING"});
  stage.says(kNodeA, message("news", "before") + frame({"pong", ""}));
  EXPECT_EQ(stage.received(first), message("news", "before") + unsubscribed("news", 0));
  stage.says(kNodeA, message("news", "after"));
  EXPECT_EQ(stage.received(first), "");
  EXPECT_EQ(stage.received(second), message("news", "before") + message("news", "after"));
}

TEST(PubSubUnsubscribe, AnotherWorkerKeepsTheSubscription) {
  PubSubStage stage;
  const auto first = stage.subscriber("SUBSCRIBE news");
  const auto second = stage.connect_to_hub_worker();
  stage.sends(second, "SUBSCRIBE news");
  stage.serve(kNodeA);
  stage.received(second);
  stage.sends(first, "UNSUBSCRIBE news");
  EXPECT_EQ(stage.taken(kNodeA), Commands{"PING"});
  stage.says(kNodeA, message("news", "before") + frame({"pong", ""}));
  EXPECT_EQ(stage.received(first), message("news", "before") + unsubscribed("news", 0));
  EXPECT_EQ(stage.received(second), message("news", "before"));
}

TEST(PubSubUnsubscribe, WithoutNamesLeavesAll) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE b a");
  stage.sends(client, "UNSUBSCRIBE");
  EXPECT_EQ(stage.serve(kNodeA), (Commands{"UNSUBSCRIBE a", "UNSUBSCRIBE b"}));
  EXPECT_EQ(stage.received(client), unsubscribed("a", 1) + unsubscribed("b", 0));
  stage.sends(client, "UNSUBSCRIBE\r\nPUNSUBSCRIBE x y\r\nSUNSUBSCRIBE");
  EXPECT_EQ(stage.received(client), "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n" + frame({"punsubscribe", "x", ":0"}) +
                                        frame({"punsubscribe", "y", ":0"}) +
                                        "*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n");
}

TEST(PubSubUnsubscribe, SubscribedToAgainBeforeTheNodeHasAnswered) {
  PubSubStage stage;
  const auto first = stage.subscriber("SUBSCRIBE news");
  const auto second = stage.connect();
  stage.sends(first, "UNSUBSCRIBE news");
  stage.sends(second, "SUBSCRIBE news");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"UNSUBSCRIBE news", "SUBSCRIBE news"}));
  stage.says(kNodeA, message("news", "old") + unsubscribed("news", 0));
  EXPECT_EQ(stage.received(first), message("news", "old") + unsubscribed("news", 0));
  EXPECT_EQ(stage.received(second), "");
  stage.says(kNodeA, subscribed("news", 1) + message("news", "new"));
  EXPECT_EQ(stage.received(first), "");
  EXPECT_EQ(stage.received(second), subscribed("news", 1) + message("news", "new"));
}

TEST(PubSubUnsubscribe, ClientsThatGoEndTheirSubscriptions) {
  PubSubStage stage;
  const auto first = stage.subscriber("SUBSCRIBE a b"), second = stage.subscriber("SUBSCRIBE b");
  stage.close(first);
  EXPECT_EQ(stage.serve(kNodeA), Commands{"UNSUBSCRIBE a"});
  stage.sends(second, "RESET\r\nPING");
  EXPECT_EQ(stage.received(second), "+RESET\r\n+PONG\r\n");
  EXPECT_EQ(stage.serve(kNodeA), Commands{"UNSUBSCRIBE b"});
  EXPECT_TRUE(stage.stage.process.pubsub().empty());
}

TEST(PubSubUnsubscribe, ClientThatGoesWhileItLeaves) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE news");
  stage.sends(client, "UNSUBSCRIBE news");
  stage.close(client);
  EXPECT_EQ(stage.serve(kNodeA), Commands{"UNSUBSCRIBE news"});
  EXPECT_TRUE(stage.stage.process.pubsub().empty());
  stage.subscriber("SUBSCRIBE news");
  EXPECT_EQ(stage.stage.process.pubsub().clients(ChannelKind::kChannel, "news"), 1);
}

// --- subscribers ---

TEST(PubSubMode, Resp2SubscribersMaySayLittle) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE news");
  stage.sends(client, "PING\r\nPING text\r\nPUBLISH news x\r\nPUBSUB NUMPAT");
  const std::string replies = stage.received(client);
  EXPECT_TRUE(replies.starts_with(frame({"pong", ""}) + frame({"pong", "text"}) + "-ERR Can't execute 'publish': "))
      << replies;
  EXPECT_NE(replies.find("-ERR Can't execute 'pubsub|numpat': "), std::string::npos) << replies;
}

TEST(PubSubMode, ASubscriberThatDoesNotReadIsClosed) {
  config::Settings settings;
  settings.limits.subscriber_output_bytes = 100'000;
  PubSubStage stage(settings);
  const auto deaf = stage.subscriber("SUBSCRIBE news"), good = stage.subscriber("SUBSCRIBE news");
  deaf.socket->room = 0;
  const std::string one = message("news", std::string(1000, 'x'));
  int said = 0;
  while (!deaf.socket->closed && said < 1000) {
    stage.says(kNodeA, one);
    ++said;
    ASSERT_EQ(stage.received(good), one);
  }
  EXPECT_GT(said, 90);
  EXPECT_LT(said, 110);
  EXPECT_EQ(stage.stage.count(&Stats::clients_overrun), 1u);
  EXPECT_EQ(stage.stage.process.pubsub().clients(ChannelKind::kChannel, "news"), 1);
}

TEST(PubSubMode, ClientListTellsOfSubscriptions) {
  PubSubStage stage;
  const auto client = stage.subscriber("SUBSCRIBE a b", 3);
  stage.sends(client, "SSUBSCRIBE bar");
  stage.serve(kNodeA);
  stage.received(client);
  const std::string line = client.session->describe();
  EXPECT_NE(line.find(" flags=P "), std::string::npos) << line;
  EXPECT_NE(line.find(" sub=2 psub=0 ssub=1 "), std::string::npos) << line;
}

}  // namespace
}  // namespace corral::core
