// What keeps strangers from costing much: limits before authentication, the time that it may take, and how often
// passwords may be tried. And ACL LOG, which tells of it.
#include <gtest/gtest.h>

#include "proxy/core/acl_log.h"
#include "proxy/core/auth_throttle.h"
#include "proxy/core/policies.h"
#include "resp/reply_builder.h"
#include "stage.h"

namespace corral::core {
namespace {

config::Settings guarded() {
  config::Settings settings;
  settings.server.users = {"user default on >root ~* &* +@all", "user a on >pw +@all ~* &*"};
  return settings;
}

constexpr std::string_view kWrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

class LimitsBeforeAuth : public ::testing::Test {
 protected:
  // What the client gets for the bytes, after which it is closed.
  std::string last_words(std::string_view bytes) {
    const auto client = stage_.connect_client();
    stage_.client_sends(client, bytes);
    EXPECT_TRUE(client.socket->closed) << bytes.substr(0, 60);
    return stage_.received(client);
  }
  Stage stage_{guarded()};
};

TEST_F(LimitsBeforeAuth, OnlySmallRequestsAreTaken) {
  EXPECT_EQ(last_words("*11\r\n"), "-ERR Protocol error: unauthenticated multibulk length\r\n");
  EXPECT_EQ(last_words("*10\r\n$536870912\r\n"), "-ERR Protocol error: unauthenticated bulk length\r\n");
  EXPECT_EQ(last_words("*1\r\n$16385\r\n"), "-ERR Protocol error: unauthenticated bulk length\r\n");
  std::string four = "*5\r\n";
  for (int i = 0; i < 4; ++i) four += "$16000\r\n" + std::string(16000, 'x') + "\r\n";
  EXPECT_EQ(last_words(four + "$16000\r\n"), "-ERR Protocol error: request exceeds the query buffer limit\r\n");
  EXPECT_EQ(last_words(std::string(65537, 'x')), "-ERR Protocol error: too big inline request\r\n");
  EXPECT_EQ(stage_.count(&Stats::protocol_errors), 5u);
}

TEST_F(LimitsBeforeAuth, AreGoneWithAuthenticationInTheSamePacket) {
  const auto client = stage_.connect_client();
  stage_.client_sends(client, "AUTH root\r\n*2\r\n$4\r\nECHO\r\n$20000\r\n" + std::string(20000, 'x') + "\r\n");
  EXPECT_EQ(stage_.received(client), "+OK\r\n$20000\r\n" + std::string(20000, 'x') + "\r\n");
  stage_.client_sends(client, "RESET\r\n*11\r\n");
  EXPECT_TRUE(client.socket->closed) << "and back with RESET";
}

TEST_F(LimitsBeforeAuth, WhoDoesNotReadItsRepliesIsClosed) {
  const auto client = stage_.connect_client();
  stage_.give_room(client, 100);
  std::string many;
  for (int i = 0; i < 100; ++i) many += "PING\r\n";
  for (int i = 0; i < 4 && !client.socket->closed; ++i) stage_.client_sends(client, many);
  EXPECT_FALSE(client.socket->closed) << "16 KiB may wait";
  for (int i = 0; i < 2 && !client.socket->closed; ++i) stage_.client_sends(client, many);
  EXPECT_TRUE(client.socket->closed);
  EXPECT_EQ(stage_.count(&Stats::clients_unauthenticated), 1u);
}

TEST_F(LimitsBeforeAuth, WhoReadsMayAskOften) {
  const auto client = stage_.connect_client();
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "PING\r\n";
  stage_.client_sends(client, many);
  EXPECT_FALSE(client.socket->closed);
  EXPECT_EQ(stage_.received(client).size(), 10'000 * std::string_view("-NOAUTH Authentication required.\r\n").size());
}

TEST_F(LimitsBeforeAuth, WhoDoesNotAuthenticateInTimeIsClosed) {
  const auto idle = stage_.connect_client(), busy = stage_.connect_client(), known = stage_.connect_client();
  stage_.client_sends(known, "AUTH root\r\n");
  stage_.pass(9'800);
  stage_.client_sends(busy, "PING\r\n");
  for (const auto& client : {idle, busy, known}) EXPECT_FALSE(client.socket->closed);
  stage_.pass(400);
  EXPECT_TRUE(idle.socket->closed);
  EXPECT_TRUE(busy.socket->closed);
  EXPECT_FALSE(known.socket->closed);
  EXPECT_EQ(stage_.count(&Stats::clients_unauthenticated), 2u);
  // The time begins anew with RESET.
  stage_.client_sends(known, "RESET\r\n");
  stage_.pass(9'800);
  EXPECT_FALSE(known.socket->closed);
  stage_.pass(400);
  EXPECT_TRUE(known.socket->closed);
}

// --- how often passwords may be tried ---

class Throttled : public ::testing::Test {
 protected:
  void fail(const Stage::Client& client) {
    stage_.client_sends(client, "AUTH wrong\r\n");
    EXPECT_EQ(stage_.received(client), kWrong);
  }
  Stage stage_{guarded()};
};

TEST_F(Throttled, AttemptAfterAWrongOneWaitsAlsoOnAnotherConnection) {
  const auto first = stage_.connect_client(), second = stage_.connect_client();
  fail(first);
  stage_.client_sends(second, "AUTH root\r\nPING\r\n");
  stage_.client_sends(first, "HELLO 3 AUTH default root\r\nPING\r\n");
  stage_.pass(AuthThrottle::kFirstDelayMs - 5);
  EXPECT_EQ(stage_.received(first), "");
  EXPECT_EQ(stage_.received(second), "");
  EXPECT_FALSE(first.socket->reading);
  stage_.pass(10);
  EXPECT_EQ(stage_.received(second), "+OK\r\n+PONG\r\n");
  EXPECT_TRUE(stage_.received(first).ends_with("*0\r\n+PONG\r\n"));
  EXPECT_TRUE(first.socket->reading);
}

TEST_F(Throttled, UserIsNotTriedFasterBehindAnother) {
  const auto client = stage_.connect_client();
  fail(client);
  stage_.client_sends(client, "HELLO 3 AUTH a pw AUTH default wrong\r\n");
  EXPECT_EQ(stage_.received(client), "");
  stage_.pass(100);
  EXPECT_EQ(stage_.received(client), kWrong);
  stage_.client_sends(client, "AUTH a pw\r\n");
  EXPECT_EQ(stage_.received(client), "+OK\r\n") << "another user does not wait";
}

TEST_F(Throttled, WaitGrowsUpToABound) {
  const auto client = stage_.connect_client();
  fail(client);
  uint64_t failed_ms = stage_.now_ms;
  for (uint32_t wait_ms = AuthThrottle::kFirstDelayMs; wait_ms <= AuthThrottle::kLongestDelayMs * 4; wait_ms *= 2) {
    stage_.client_sends(client, "AUTH wrong\r\n");
    std::string reply;
    for (int i = 0; i < 3000 && reply.empty(); ++i) {
      stage_.pass(1);
      reply = stage_.received(client);
    }
    EXPECT_EQ(reply, kWrong);
    EXPECT_EQ(stage_.now_ms - failed_ms, std::min(wait_ms, AuthThrottle::kLongestDelayMs));
    failed_ms = stage_.now_ms;
  }
}

TEST_F(Throttled, WhoHasWaitedForLongIsRefusedWithoutALook) {
  const auto late = stage_.connect_client();
  for (int i = 0; i < 8; ++i) stage_.process.auth_throttle().on_failure("192.0.2.1:7", "default", stage_.now_ms);
  stage_.client_sends(late, "AUTH root\r\n");
  for (int i = 0; i < 2; ++i) {  // each just before it would be its turn
    stage_.pass(1'900);
    EXPECT_EQ(stage_.received(late), "");
    stage_.process.auth_throttle().on_failure("192.0.2.1:7", "default", stage_.now_ms);
  }
  stage_.pass(200);
  EXPECT_EQ(stage_.received(late),
            "-ERR too many wrong passwords have come from this address, so this one has not been "
            "looked at; try again later\r\n");
  EXPECT_EQ(stage_.count(&Stats::auth_refused), 1u);
}

TEST_F(Throttled, ClientThatGoesAwayMeanwhileIsForgotten) {
  const auto client = stage_.connect_client();
  fail(client);
  stage_.client_sends(client, "AUTH root\r\n");
  stage_.client_fails(client);
  stage_.pass(200);
}

TEST_F(Throttled, AttemptInATransactionWaitsToo) {
  const auto client = stage_.connect_client();
  stage_.client_sends(client, "AUTH root\r\nMULTI\r\nAUTH wrong\r\nAUTH a pw\r\nACL WHOAMI\r\nEXEC\r\nPING\r\n");
  stage_.pass(100);
  const std::string replies = stage_.received(client);
  EXPECT_TRUE(replies.ends_with("+PONG\r\n")) << replies;
  EXPECT_NE(replies.find("*3\r\n" + std::string(kWrong) + "+OK\r\n$"), std::string::npos) << replies;
}

TEST(AuthThrottle, AddressesAreIndependentAndForgotten) {
  AuthThrottle throttle;
  EXPECT_EQ(throttle.wait_ms("10.0.0.1:1", "u", 1000), 0u);
  throttle.on_failure("10.0.0.1:1", "u", 1000);
  EXPECT_EQ(throttle.wait_ms("10.0.0.1:2", "u", 1000), AuthThrottle::kFirstDelayMs);
  EXPECT_EQ(throttle.wait_ms("10.0.0.2:1", "u", 1000), 0u);
  for (int i = 0; i < 100; ++i) throttle.on_failure("10.0.0.1:1", "u", 1000);
  EXPECT_EQ(throttle.wait_ms("10.0.0.1:1", "u", 1000), AuthThrottle::kLongestDelayMs);
  throttle.on_failure("10.0.0.1:1", "u", 1000 + AuthThrottle::kForgottenAfterMs);
  EXPECT_EQ(throttle.wait_ms("10.0.0.1:1", "u", 1000 + AuthThrottle::kForgottenAfterMs), AuthThrottle::kFirstDelayMs);
}

TEST(AuthThrottle, NetworksAreWhatOneWhoTriesHas) {
  EXPECT_EQ(network_of("10.0.0.1:5"), network_of("10.0.0.1:6"));
  EXPECT_NE(network_of("10.0.0.1:5"), network_of("10.0.0.2:5"));
  EXPECT_EQ(network_of("[2001:db8::1]:5"), network_of("[2001:db8::ffff:1]:6"));
  EXPECT_NE(network_of("[2001:db8:0:1::1]:5"), network_of("[2001:db8:0:2::1]:5"));
  EXPECT_EQ(network_of("[::ffff:10.0.0.1]:5"), network_of("10.0.0.1:6"));
  EXPECT_EQ(network_of("/run/corral.sock:0"), "/run/corral.sock");
}

TEST(AuthThrottle, RemembersABoundedNumberOfAddresses) {
  AuthThrottle throttle;
  for (size_t i = 0; i < AuthThrottle::kMostRecords + 10; ++i) {
    throttle.on_failure(
        "10." + std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) + "." + std::to_string(i % 256) + ":1", "u",
        1000 + i / 1000);
  }
  EXPECT_EQ(throttle.size(), AuthThrottle::kMostRecords);
  EXPECT_EQ(throttle.wait_ms("10.0.0.1:1", "u", 1020), 0u) << "the earliest are forgotten";
}

TEST(AuthThrottle, UsersOfAnAddressAreIndependentAndMadeUpOnesAreFew) {
  AuthThrottle throttle;
  throttle.on_failure("10.0.0.1:1", "old", 1000);
  EXPECT_EQ(throttle.wait_ms("10.0.0.1:2", "old", 1000), AuthThrottle::kFirstDelayMs);
  EXPECT_EQ(throttle.wait_ms("10.0.0.1:2", "app", 1000), 0u);
  for (int i = 0; i < 10'000; ++i) throttle.on_failure("10.0.0.1:1", "user" + std::to_string(i), 1000);
  EXPECT_EQ(throttle.size(), AuthThrottle::kUserGroups);
}

// --- ACL LOG ---

TEST(AclLogTest, TellsTheLatestAndCountsWhatIsTheSame) {
  AclLog log;
  const auto entry = [](std::string object, int64_t at_s) {
    AclLogEntry made;
    made.reason = AclLogEntry::Reason::kKey;
    made.object = std::move(object);
    made.user = "u";
    made.client = "at=" + std::to_string(at_s);
    made.at_us = at_s * 1'000'000;
    return made;
  };
  log.add(entry("a", 1));
  log.add(entry("b", 2));
  log.add(entry("a", 3));
  ASSERT_EQ(log.entries(10).size(), 2u);
  EXPECT_EQ(log.entries(10)[0].object, "a");
  EXPECT_EQ(log.entries(10)[0].count, 2u);
  EXPECT_EQ(log.entries(10)[0].client, "at=3");
  log.add(entry("a", 100));
  EXPECT_EQ(log.entries(10).size(), 3u) << "a minute later it is another one";
  EXPECT_EQ(log.entries(1).size(), 1u);
  for (int i = 0; i < 1000; ++i) log.add(entry(std::string(2000, 'x') + std::to_string(i), 100));
  EXPECT_EQ(log.entries(SIZE_MAX).size(), 4u) << "what is cut off is the same";
  for (int i = 0; i < 1000; ++i) log.add(entry(std::to_string(i), 100));
  EXPECT_EQ(log.entries(SIZE_MAX).size(), AclLog::kMostKept);
  log.clear();
  EXPECT_TRUE(log.entries(10).empty());
}

TEST(AclLogTest, IsWhatAclLogAnswers) {
  Stage stage(guarded());
  const auto client = stage.connect_client();
  stage.client_sends(client, "AUTH wrong\r\n");
  stage.pass(100);
  stage.client_sends(client, "AUTH root\r\nHELLO 3\r\n");
  stage.received(client);
  stage.client_sends(client, "ACL LOG\r\n");
  const std::string log = stage.received(client);
  EXPECT_TRUE(
      log.starts_with("*1\r\n%7\r\n$5\r\ncount\r\n:1\r\n$6\r\nreason\r\n$4\r\nauth\r\n$7\r\ncontext\r\n$8\r\n"
                      "toplevel\r\n$6\r\nobject\r\n$4\r\nAUTH\r\n$8\r\nusername\r\n$7\r\ndefault\r\n$11\r\n"
                      "age-seconds\r\n,"))
      << log;
  EXPECT_EQ(log.find("wrong"), std::string::npos);
  stage.client_sends(client, "ACL LOG RESET\r\nACL LOG\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n*0\r\n");
}

}  // namespace
}  // namespace corral::core
