// Who clients are and what they may do: before and after authentication, in transactions, with large values, and when
// the users change. (What rules mean is tested in tests/policy; throttling and limits in access_limits_test.cc.)
#include "proxy/core/access.h"

#include <gtest/gtest.h>

#include "proxy/core/policies.h"
#include "resp/reply_builder.h"
#include "stage.h"

namespace corral::core {
namespace {

config::Settings with_users(std::vector<std::string> lines) {
  config::Settings settings;
  settings.server.users = std::move(lines);
  return settings;
}

const config::Settings kGuarded =
    with_users({"user default on >root ~* &* +@all", "user reader on >pw ~r:* &news +@all -@write",
                "user getter on >pw ~allowed:* +get"});

constexpr std::string_view kNoAuth = "-NOAUTH Authentication required.\r\n";
constexpr std::string_view kNoKey =
    "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n";

class AccessTest : public ::testing::Test {
 protected:
  explicit AccessTest(const config::Settings& settings = kGuarded) : stage_(settings) {}

  std::string ask(const Stage::Client& client, std::string_view line) {
    stage_.client_sends(client, std::string(line) + "\r\n");
    return stage_.received(client);
  }
  Stage::Client connect_as(std::string_view user, std::string_view password = "pw") {
    const auto client = stage_.connect_client();
    EXPECT_EQ(ask(client, "AUTH " + std::string(user) + " " + std::string(password)), resp::kOk);
    return client;
  }
  void set_users(std::vector<std::string> lines) {
    const auto policies = make_policies(with_users(std::move(lines)));
    stage_.turn([&] { stage_.worker.set_policies(policies); });
  }

  Stage stage_;
};

// --- before authentication ---

TEST_F(AccessTest, BeforeAuthenticationLittleIsAnsweredAndNothingIsAskedOfNodes) {
  const auto client = stage_.connect_client();
  for (const char* line : {"PING", "GET a", "MULTI", "CLIENT LIST", "INFO", "COMMAND", "SUBSCRIBE a", "CORRAL STATS",
                           "ACL WHOAMI", "SELECT 0", "CLIENT SETNAME a", "MONITOR"}) {
    EXPECT_EQ(ask(client, line), kNoAuth) << line;
  }
  EXPECT_EQ(ask(client, "EXEC"), "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.\r\n");
  EXPECT_EQ(ask(client, "GET"), "-ERR wrong number of arguments for 'get' command\r\n");
  EXPECT_EQ(ask(client, "JSON.GET a"), "-ERR unknown command 'JSON.GET', with args beginning with: 'a' \r\n");
  EXPECT_TRUE(ask(client, "HELLO").starts_with("-NOAUTH HELLO must be called"));
  EXPECT_TRUE(ask(client, "HELLO 3 SETNAME x").starts_with("-NOAUTH HELLO must be called"));
  EXPECT_EQ(client.session->resp(), 2);
  EXPECT_EQ(ask(client, "RESET"), "+RESET\r\n");
  EXPECT_FALSE(stage_.has_link(kNodeA) || stage_.has_link(kNodeB));
  EXPECT_EQ(ask(client, "QUIT"), resp::kOk);
  EXPECT_TRUE(client.socket->closed);
}

TEST_F(AccessTest, AuthenticationMakesTheUserAndResetUndoesIt) {
  const auto client = stage_.connect_client();
  EXPECT_EQ(ask(client, "AUTH root"), resp::kOk);
  EXPECT_EQ(ask(client, "ACL WHOAMI"), "$7\r\ndefault\r\n");
  EXPECT_EQ(ask(client, "AUTH reader pw"), resp::kOk);
  EXPECT_EQ(ask(client, "ACL WHOAMI"), "$6\r\nreader\r\n");
  EXPECT_TRUE(ask(client, "HELLO 3 AUTH default root SETNAME me").starts_with("%7\r\n"));
  EXPECT_EQ(ask(client, "ACL WHOAMI"), "$7\r\ndefault\r\n");
  EXPECT_NE(ask(client, "CLIENT INFO").find(" name=me "), std::string::npos);
  EXPECT_EQ(ask(client, "RESET"), "+RESET\r\n");
  EXPECT_EQ(ask(client, "ACL WHOAMI"), kNoAuth);
}

TEST_F(AccessTest, WrongPasswordChangesNothing) {
  const auto client = connect_as("reader");
  constexpr std::string_view kWrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
  EXPECT_EQ(ask(client, "AUTH default pw"), kWrong);
  stage_.pass(100);
  EXPECT_EQ(ask(client, "AUTH nobody pw"), kWrong);
  stage_.pass(200);
  EXPECT_EQ(ask(client, "HELLO 3 AUTH default pw SETNAME me"), kWrong);
  EXPECT_EQ(ask(client, "ACL WHOAMI"), "$6\r\nreader\r\n");
  EXPECT_EQ(ask(client, "AUTH a b c"), "-ERR syntax error\r\n");
  EXPECT_EQ(stage_.count(&Stats::auth_failed), 3u);
}

TEST_F(AccessTest, PipelineBehindAuthIsJudgedByWhatItMade) {
  const auto client = stage_.connect_client();
  stage_.client_sends(client, "ACL WHOAMI\r\nAUTH reader pw\r\nACL WHOAMI\r\nAUTH root\r\nACL WHOAMI\r\n");
  EXPECT_EQ(stage_.received(client), std::string(kNoAuth) + "+OK\r\n$6\r\nreader\r\n+OK\r\n$7\r\ndefault\r\n");
}

TEST(AccessOpen, WithoutUsersClientsAreTheDefaultUser) {
  Stage stage;
  const auto client = stage.connect_client();
  EXPECT_TRUE(client.session->unrestricted());
  stage.client_sends(client, "ACL WHOAMI\r\nAUTH x\r\nAUTH default x\r\nAUTH nobody x\r\n");
  EXPECT_EQ(
      stage.received(client),
      "$7\r\ndefault\r\n-ERR AUTH <password> called without any password configured for the default user. Are you "
      "sure your configuration is correct?\r\n+OK\r\n-WRONGPASS invalid username-password pair or user is "
      "disabled.\r\n");
}

TEST(AccessOpen, ProtectedModeLetsInWhoIsOfThisMachineUnlessSomethingIsSaidOfTheDefaultUser) {
  const auto lets_in = [](const config::Settings& settings, bool is_local) {
    Stage stage(settings);
    FakeSocket socket;
    Session* session = nullptr;
    stage.turn([&] { session = stage.worker.accept(&socket, {"192.0.2.1:1", "192.0.2.2:2", -1, is_local}); });
    if (session) stage.turn([&] { session->close(); });
    EXPECT_EQ(session == nullptr, socket.written.starts_with("-DENIED "));
    EXPECT_EQ(stage.count(&Stats::clients_denied), session ? 0u : 1u);
    return session != nullptr;
  };
  EXPECT_TRUE(lets_in({}, true));
  EXPECT_FALSE(lets_in({}, false));
  EXPECT_FALSE(lets_in(with_users({"user alice on >pw +@all"}), false)) << "anyone is the default user still";
  EXPECT_TRUE(lets_in(with_users({"user default on >pw +@all"}), false));
  EXPECT_TRUE(lets_in(with_users({"user default off"}), false));
  EXPECT_TRUE(lets_in(with_users({"user default on nopass ~public:* +get"}), false));
  config::Settings open;
  open.server.protected_mode = false;
  EXPECT_TRUE(lets_in(open, false));
}

// --- what a user may do ---

TEST_F(AccessTest, WhatTheUserMayNotIsRefusedAndNotSent) {
  const auto client = connect_as("reader");
  EXPECT_EQ(ask(client, "SET r:1 v"), "-NOPERM this user has no permissions to run the 'set' command\r\n");
  EXPECT_EQ(ask(client, "CONFIG SET a b"), "") << "allowed, and asked of the nodes";
  stage_.accept(kNodeA);
  stage_.accept(kNodeB);
  stage_.answer(kNodeA, "+OK\r\n");
  stage_.answer(kNodeB, "+OK\r\n");
  EXPECT_EQ(stage_.received(client), "+OK\r\n");
  stage_.taken(kNodeA);
  stage_.taken(kNodeB);
  EXPECT_EQ(ask(client, "GET foo"), kNoKey);
  EXPECT_EQ(ask(client, "MGET r:1 foo"), kNoKey);
  EXPECT_EQ(ask(client, "EVAL s 1 foo"), kNoKey);
  EXPECT_EQ(ask(client, "BLPOP foo 0"), "-NOPERM this user has no permissions to run the 'blpop' command\r\n");
  EXPECT_EQ(ask(client, "WATCH foo"), kNoKey);
  constexpr std::string_view kNoChannel =
      "-NOPERM this user has no permissions to access one of the channels used as arguments\r\n";
  EXPECT_EQ(ask(client, "SUBSCRIBE news else"), kNoChannel);
  EXPECT_EQ(ask(client, "PSUBSCRIBE new?"), kNoChannel);
  EXPECT_EQ(ask(client, "PUBLISH else m"), kNoChannel);
  EXPECT_EQ(ask(client, "SORT_RO r:1 GET x*"),
            "-ERR GET option of SORT denied due to insufficient ACL permissions.\r\n");
  EXPECT_TRUE(stage_.taken(kNodeA).empty());
  EXPECT_TRUE(stage_.taken(kNodeB).empty());
  EXPECT_EQ(stage_.count(&Stats::acl_denied), 10u);
}

TEST_F(AccessTest, AccessComesBeforeTheGuardAndTheGuardBeforeTheRest) {
  const auto reader = connect_as("reader"), root = connect_as("default", "root"), getter = connect_as("getter");
  EXPECT_EQ(ask(getter, "DEBUG OBJECT x"), "-NOPERM this user has no permissions to run the 'debug' command\r\n");
  EXPECT_EQ(ask(root, "DEBUG OBJECT x"), "-NOPERM the command 'debug' is denied by this proxy's guard\r\n");
  EXPECT_EQ(ask(reader, "DEBUG OBJECT x"), "-NOPERM the command 'debug' is denied by this proxy's guard\r\n");
}

TEST_F(AccessTest, RefusalInMultiAbortsTheTransaction) {
  const auto client = connect_as("reader");
  EXPECT_EQ(ask(client, "MULTI"), "+OK\r\n");
  EXPECT_EQ(ask(client, "GET r:1"), "+QUEUED\r\n");
  EXPECT_EQ(ask(client, "GET foo"), kNoKey);
  EXPECT_EQ(ask(client, "EXEC"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
  const auto getter = connect_as("getter");
  EXPECT_EQ(ask(getter, "MULTI"), "-NOPERM this user has no permissions to run the 'multi' command\r\n");
  EXPECT_EQ(ask(getter, "EXEC"),
            "-EXECABORT Transaction discarded because of: NOPERM this user has no permissions to "
            "run the 'exec' command\r\n");
}

TEST_F(AccessTest, LargeValueThatIsRefusedWhateverFollowsIsNotWaitedFor) {
  const auto client = connect_as("reader");
  stage_.client_sends(client, "*3\r\n$3\r\nSET\r\n$3\r\nr:1\r\n$8000000\r\nxxx");
  EXPECT_EQ(stage_.received(client), "-NOPERM this user has no permissions to run the 'set' command\r\n");
  stage_.client_sends(client, std::string(8000000 - 3, 'x') + "\r\nACL WHOAMI\r\n");
  EXPECT_EQ(stage_.received(client), "$6\r\nreader\r\n");
}

TEST(AccessLarge, ValueForAKeyThatIsNotAllowedIsNotSentToANode) {
  Stage stage(with_users({"user default on nopass %W~a:* %RW~b:* +set"}));
  const auto client = stage.connect_client();
  stage.client_sends(client, "*3\r\n$3\r\nSET\r\n$3\r\nfoo\r\n$8000000\r\nx");
  EXPECT_EQ(stage.received(client), kNoKey);
  stage.client_sends(client, std::string(8000000 - 1, 'x') + "\r\n");
  EXPECT_FALSE(stage.has_link(kNodeA) || stage.has_link(kNodeB));
  // With GET at its end it would also read, which has to be seen first.
  stage.client_sends(client, "*4\r\n$3\r\nSET\r\n$3\r\na:1\r\n$8000000\r\nx");
  stage.client_sends(client, std::string(8000000 - 1, 'x') + "\r\n$3\r\nGET\r\n");
  EXPECT_EQ(stage.received(client), kNoKey);
  EXPECT_FALSE(stage.has_link(kNodeA) || stage.has_link(kNodeB));
  stage.client_sends(client, "*4\r\n$3\r\nSET\r\n$3\r\nb:1\r\n$8000000\r\nx");
  EXPECT_TRUE(stage.has_link(kNodeA) || stage.has_link(kNodeB)) << "sent on as it comes";
}

// --- users that change ---

TEST_F(AccessTest, ClientsWhoseUserIsAsItWasStay) {
  const auto reader = connect_as("reader"), fresh = stage_.connect_client();
  set_users({"user default on >other ~* &* +@all", "user reader on >pw ~r:* &news +@all -@write"});
  EXPECT_EQ(ask(reader, "ACL WHOAMI"), "$6\r\nreader\r\n");
  EXPECT_EQ(ask(fresh, "PING"), kNoAuth);
  EXPECT_EQ(ask(fresh, "AUTH other"), "+OK\r\n");
}

TEST_F(AccessTest, ClientsWhoseUserIsGoneOrHasAnotherPasswordAreClosed) {
  const auto reader = connect_as("reader"), getter = connect_as("getter"), root = connect_as("default", "root");
  set_users({"user default on >new ~* &* +@all", "user getter off >pw ~allowed:* +get"});
  for (const auto& client : {reader, getter, root}) EXPECT_TRUE(client.socket->closed);
}

TEST_F(AccessTest, ClientsWhoseUserHasOtherRightsHaveThemAtOnce) {
  const auto reader = connect_as("reader"), getter = connect_as("getter");
  EXPECT_EQ(ask(reader, "MULTI"), "+OK\r\n");
  EXPECT_EQ(ask(reader, "ECHO x"), "+QUEUED\r\n");
  EXPECT_EQ(ask(getter, "PING"), "-NOPERM this user has no permissions to run the 'ping' command\r\n");
  set_users({"user default on >root ~* &* +@all", "user reader on >pw ~r:* &else +@all -@write -echo",
             "user getter on >pw ~allowed:* +@all"});
  EXPECT_EQ(ask(reader, "ECHO x"), "-NOPERM this user has no permissions to run the 'echo' command\r\n");
  EXPECT_TRUE(ask(reader, "EXEC").starts_with("-EXECABORT"));
  EXPECT_EQ(ask(getter, "PING"), "+PONG\r\n");
}

TEST_F(AccessTest, ReplyUnderWayIsGivenBeforeTheConnectionIsClosed) {
  const auto client = connect_as("reader");
  EXPECT_EQ(ask(client, "GET r:1"), "");
  const auto& node = stage_.has_link(kNodeA) ? kNodeA : kNodeB;
  stage_.accept(node);
  set_users({});
  EXPECT_FALSE(client.socket->closed);
  stage_.answer(node, "$1\r\nx\r\n");
  EXPECT_EQ(stage_.received(client), "$1\r\nx\r\n");
  EXPECT_TRUE(client.socket->closed);
}

TEST(AccessChange, DefaultUserWithoutPasswordIsJudgedByItsNewRulesAtOnce) {
  Stage stage(with_users({"user default on nopass ~* &* +@all"}));
  const auto client = stage.connect_client();
  const auto set_users = [&](std::vector<std::string> lines) {
    const auto policies = make_policies(with_users(std::move(lines)));
    stage.turn([&] { stage.worker.set_policies(policies); });
  };
  stage.client_sends(client, "MULTI\r\nGET {bar}a\r\nSET {bar}b 1\r\nPING\r\nGET {bar}c\r\n");
  set_users({"user default on nopass ~{bar}a +get +exec +acl|whoami"});
  EXPECT_FALSE(client.session->unrestricted());
  stage.received(client);
  stage.client_sends(client, "EXEC\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "GET {bar}a", "EXEC"}));
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n*1\r\n$1\r\nx\r\n");
  const std::string changed =
      "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command "
      "is "
      "no longer allowed for the following reason: ";
  EXPECT_EQ(stage.received(client), "*4\r\n$1\r\nx\r\n" + changed +
                                        "no permission to execute the command or subcommand\r\n" + changed +
                                        "no permission to execute the command or subcommand\r\n" + changed +
                                        "no permission to touch the specified keys\r\n");
  set_users({});
  EXPECT_TRUE(client.session->unrestricted());
  set_users({"user default on >pw ~* &* +@all"});
  EXPECT_TRUE(client.socket->closed);
}

TEST(AccessChange, WaitingClientsBecomeTheDefaultUserWhenItNeedsNoPasswordAnyMore) {
  Stage stage(kGuarded);
  const auto client = stage.connect_client();
  stage.turn([&] { stage.worker.set_policies(make_policies({})); });
  EXPECT_TRUE(client.session->unrestricted());
  stage.pass(11'000);
  EXPECT_FALSE(client.socket->closed);
}

TEST(AccessChange, BlockedClientIsClosedAtOnce) {
  Stage stage(with_users({"user a on >pw ~* +@all", "user default on nopass ~* &* +@all"}));
  const auto client = stage.connect_client();
  stage.client_sends(client, "AUTH a pw\r\nBLPOP bar 0\r\n");
  stage.turn([&] { stage.worker.set_policies(make_policies({})); });
  EXPECT_TRUE(client.socket->closed);
}

}  // namespace
}  // namespace corral::core
