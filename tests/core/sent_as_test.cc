// The guard's choices on the way to a node: DEL is sent as UNLINK, KEYS may be denied; and what CORRAL tells of rules.
#include <gtest/gtest.h>

#include "stage.h"

namespace corral::core {
namespace {

config::Settings with_guard(const std::string& keys, const std::string& del) {
  config::Settings settings;
  settings.guard.keys = keys;
  settings.guard.del = del;
  return settings;
}

uint64_t calls_of(Stage& stage, std::string_view command) {
  for (const auto& [name, counts] : stage.process.server_stats().counts()) {
    if (name == command) return counts.calls;
  }
  return 0;
}

TEST(SentAs, DelIsSentAsUnlinkAndCountedAsDel) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "DEL bar\r\n*2\r\n$3\r\ndEl\r\n$3\r\nbar\r\nUNLINK bar\r\nDEL {bar}1 {bar}2\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"unlink bar", "unlink bar", "UNLINK bar", "unlink {bar}1 {bar}2"}));
  stage.answer(kNodeA, ":1\r\n:0\r\n:0\r\n:2\r\n");
  EXPECT_EQ(stage.received(client), ":1\r\n:0\r\n:0\r\n:2\r\n");
  EXPECT_EQ(calls_of(stage, "del"), 3u);
  EXPECT_NE(client.session->describe().find(" cmd=del "), std::string::npos) << client.session->describe();
}

TEST(SentAs, PartsOfADelAreSentAsUnlink) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "DEL bar foo bar\r\n");
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"unlink bar bar"});
  EXPECT_EQ(stage.taken(kNodeB), Commands{"unlink foo"});
  stage.answer(kNodeA, ":1\r\n");
  stage.answer(kNodeB, ":1\r\n");
  EXPECT_EQ(stage.received(client), ":2\r\n");
}

TEST(SentAs, DelInATransactionIsSentAsUnlink) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\nDEL bar\r\nEXEC\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"MULTI", "SET bar 1", "unlink bar", "EXEC"}));
  stage.answer(kNodeA, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n");
  EXPECT_EQ(calls_of(stage, "del"), 1u);
}

TEST(SentAs, DelOfOneOwnerIsSentAsUnlink) {
  config::Settings settings;
  settings.upstream.mode = "standalone";
  Stage stage(settings);
  const auto client = stage.connect_client();
  stage.client_sends(client, "DEL bar foo\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"unlink bar foo"});
}

TEST(SentAs, DelIsSentAsItIsIfTheGuardSaysSo) {
  Stage stage(with_guard("scan", "del"));
  const auto client = stage.connect_client();
  stage.client_sends(client, "DEL bar\r\nMULTI\r\nDEL bar\r\nEXEC\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"DEL bar", "MULTI", "DEL bar", "EXEC"}));
  EXPECT_EQ(calls_of(stage, "del"), 0u);
}

TEST(SentAs, OtherPoliciesHoldFromTheNextCommandOn) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "DEL bar\r\n");
  stage.accept(kNodeA);
  policy::Policies other;
  other.del_as_unlink = false;
  stage.turn([&] { stage.worker.set_policies(std::make_shared<const policy::Policies>(other)); });
  stage.client_sends(client, "DEL bar\r\n");
  EXPECT_EQ(stage.taken(kNodeA), (Commands{"unlink bar", "DEL bar"}));
}

TEST(Guard, KeysIsDeniedAndCountedAndAbortsATransaction) {
  Stage stage(with_guard("deny", "unlink"));
  const auto client = stage.connect_client();
  const std::string denied = "-NOPERM the command 'keys' is denied by this proxy's guard\r\n";
  stage.client_sends(client, "KEYS *\r\nMULTI\r\nKEYS *\r\nEXEC\r\n");
  EXPECT_EQ(stage.received(client),
            denied + "+OK\r\n" + denied + "-EXECABORT Transaction discarded because of previous errors.\r\n");
  EXPECT_EQ(stage.count(&Stats::guard_denied), 2u);
}

TEST(CorralRules, AreToldWithWhatTheyDo) {
  config::Settings settings;
  settings.rules = {{"pages", {"cache:*", "page:*"}, config::TtlSettings{300'000, 3'600'000, 0.1, "enforce"}, 1 << 20},
                    {"stale",
                     {"st*"},
                     {},
                     0,
                     config::NearSettings{},
                     config::StampedeSettings{10'000, 250, 50, 30'000, 1.5, "cluster"},
                     "stale",
                     60'000},
                    {"miss", {"mi*"}, {}, 0, {}, config::StampedeSettings{}, "miss"},
                    {"rest", {"*"}, config::TtlSettings{1500, 0, 0, "observe"}, 0}};
  Stage stage(settings);
  const auto client = stage.connect_client();
  const std::string pages =
      "pages: \"cache:*\" \"page:*\"; ttl default 5m, max 1h, jitter 0.1, mode enforce; max_value 1MiB";
  const std::string stale =
      "stale: \"st*\"; near_cache ttl 30s, max_value 64KiB; stampede lease 10s, wait 250ms, wait_shared 50ms, "
      "stale_while_revalidate 30s, early_refresh 1.5, scope cluster; on_upstream_error stale, stale_if_error 1m";
  const std::string miss =
      "miss: \"mi*\"; stampede lease 10s, wait 250ms, wait_shared 0s, scope proxy; on_upstream_error miss";
  const std::string rest = "rest: \"*\"; ttl default 1500ms, jitter 0, mode observe";
  const auto bulk = [](const std::string& text) { return '$' + std::to_string(text.size()) + "\r\n" + text + "\r\n"; };
  stage.client_sends(client, "CORRAL RULES\r\nCORRAL RULE page:1\r\nCORRAL RULE x\r\n");
  EXPECT_EQ(stage.received(client),
            "*4\r\n" + bulk(pages) + bulk(stale) + bulk(miss) + bulk(rest) + bulk(pages) + bulk(rest));
}

TEST(CorralRules, KeyWithoutARuleIsToldByNull) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "CORRAL RULE x\r\nCORRAL RULES\r\nHELLO 3\r\n");
  stage.received(client);
  stage.client_sends(client, "CORRAL RULE x\r\n");
  EXPECT_EQ(stage.received(client), "_\r\n");
}

TEST(CorralReload, SaysWhyNothingWasLoaded) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "CORRAL RELOAD\r\nPING\r\nMULTI\r\nCORRAL RELOAD\r\nPING\r\nEXEC\r\n");
  const std::string error = "-ERR there are no settings to load\r\n";
  EXPECT_EQ(stage.received(client), error + "+PONG\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" + error + "+PONG\r\n");
}

}  // namespace
}  // namespace corral::core
