// The log of slow requests: what is in it, where the time went, what is left out, and that it is bounded.
#include "proxy/core/slow_requests.h"

#include <gtest/gtest.h>

#include "stage.h"

namespace corral::core {
namespace {

config::Settings slow_after_50_ms() {
  config::Settings settings;
  settings.slow_request_ms = 50;
  return settings;
}

class SlowRequestsTest : public testing::Test {
 protected:
  SlowRequestsTest() {
    stage.client_sends(client, "GET bar\r\n");
    stage.accept(kNodeA);
    stage.taken(kNodeA);
    stage.answer(kNodeA, "$-1\r\n");
    stage.received(client);
  }

  std::vector<SlowRequest> told() { return stage.process.slow_requests().entries(SIZE_MAX); }

  Stage stage{slow_after_50_ms()};
  Stage::Client client = stage.connect_client();
};

TEST_F(SlowRequestsTest, WhatTookTooLongIsToldWithTheNodeAndItsTime) {
  stage.client_sends(client, "SET bar value\r\n");
  stage.pass(80);
  stage.answer(kNodeA, "+OK\r\n");
  stage.client_sends(client, "GET bar\r\n");
  stage.pass(10);
  stage.answer(kNodeA, "$-1\r\n");
  const auto slow = told();
  ASSERT_EQ(slow.size(), 1u);
  EXPECT_EQ(slow[0].args, (std::vector<std::string>{"SET", "bar", "value"}));
  EXPECT_EQ(slow[0].node, "10.0.0.1:7001");
  EXPECT_EQ(slow[0].client, client.session->addresses().peer);
  EXPECT_EQ(slow[0].duration_us, slow[0].queue_us + slow[0].upstream_us + slow[0].lease_us);
  EXPECT_GE(slow[0].upstream_us, 70'000u);
  EXPECT_LE(slow[0].upstream_us, 90'000u);
  EXPECT_LE(slow[0].queue_us, 10'000u);
  EXPECT_EQ(stage.count(&Stats::slow_requests), 1u);
}

TEST_F(SlowRequestsTest, TimeBeforeTheNodeThatAnsweredIsTheQueues) {
  stage.client_sends(client, "GET bar\r\n");
  stage.pass(100);
  stage.answer(kNodeA, "-ASK 5061 10.0.0.2:7002\r\n");
  stage.accept(kNodeB);
  stage.pass(20);
  stage.answer(kNodeB, "+OK\r\n$-1\r\n");
  const auto slow = told();
  ASSERT_EQ(slow.size(), 1u);
  EXPECT_EQ(slow[0].node, "10.0.0.2:7002");
  EXPECT_GE(slow[0].queue_us, 90'000u);
  EXPECT_LE(slow[0].upstream_us, 30'000u);
}

TEST_F(SlowRequestsTest, WhatMayWaitAndWhatCorralAsksItselfAreNotTold) {
  stage.client_sends(client, "BLPOP bar 0\r\n");
  stage.pass(5);
  stage.accept(kNodeA, 2);
  stage.pass(500);
  stage.answer(kNodeA, "*2\r\n$3\r\nbar\r\n$1\r\nv\r\n");
  EXPECT_EQ(stage.received(client), "*2\r\n$3\r\nbar\r\n$1\r\nv\r\n");
  EXPECT_TRUE(told().empty());
}

TEST_F(SlowRequestsTest, NoneAreToldIfTheTimeIsZero) {
  stage.process.slow_requests().set_least_ms(0);
  stage.client_sends(client, "GET bar\r\n");
  stage.pass(500);
  stage.answer(kNodeA, "$-1\r\n");
  EXPECT_TRUE(told().empty());
}

TEST_F(SlowRequestsTest, OfVeryManyThatComeTogetherSomeAreToldAndAllAreCounted) {
  std::string requests, replies;
  for (int i = 0; i < 1000; ++i) requests += "GET bar\r\n", replies += "$-1\r\n";
  stage.client_sends(client, requests);
  stage.pass(60);
  stage.answer(kNodeA, replies);
  EXPECT_EQ(stage.count(&Stats::slow_requests), 1000u);
  EXPECT_LE(told().size(), SlowRequests::kMostKept);
  EXPECT_GE(told().size(), 10u);
}

TEST(SlowRequestsLog, KeepsTheNewestAndNumbersThem) {
  SlowRequests log;
  for (uint64_t i = 0; i < SlowRequests::kMostKept + 5; ++i) {
    SlowRequest one;
    one.duration_us = i;
    log.add(std::move(one));
  }
  EXPECT_EQ(log.size(), SlowRequests::kMostKept);
  const auto two = log.entries(2);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].id, SlowRequests::kMostKept + 4);
  EXPECT_EQ(two[0].duration_us, SlowRequests::kMostKept + 4);
  EXPECT_EQ(two[1].id, SlowRequests::kMostKept + 3);
  log.clear();
  EXPECT_EQ(log.size(), 0u);
}

}  // namespace
}  // namespace corral::core
