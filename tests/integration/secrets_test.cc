// No password is shown anywhere: not by INFO, CONFIG GET, SLOWLOG, MONITOR, CLIENT LIST, ACL, an error, or in the log.
#include <fstream>

#include "access_users.h"
#include "support/redis.h"

namespace corral::test {
namespace {

// Each is a word that occurs nowhere else.
constexpr std::array kSecrets = {"default-secret", "app-secret",     "upstream-secret", "wrong-secret", "hello-secret",
                                 "migrate-secret", "setuser-secret", "config-secret",   "late-secret"};

void expect_no_secret(const std::string& text, const std::string& where) {
  for (const std::string_view secret : kSecrets) {
    const size_t at = text.find(secret);
    EXPECT_EQ(at, std::string::npos) << where << ": " << text.substr(at < 60 ? 0 : at - 60, 200);
  }
}

TEST(Secrets, AreNotShown) {
  RedisServer redis;
  Client direct = redis.connect();
  ASSERT_EQ(direct.command("CONFIG", "SET", "requirepass", "upstream-secret"), Reply::status("OK"));
  TempDir dir;
  const std::string file = (dir.path() / "corral.toml").string();
  const std::string rest =
      "[upstream]\nmode = \"standalone\"\npassword = \"upstream-secret\"\n[log]\nlevel = \"trace\"\n";
  const std::vector<std::string> users = {"user default on >default-secret ~* &* +@all",
                                          "user app on >app-secret ~* &* +@all"};
  std::ofstream(file) << users_setting(users) + rest;
  Corral corral({.upstream = redis.address(), .flags = {"--config", file}});
  Client client = corral.connect();
  ASSERT_EQ(client.command("AUTH", "default-secret"), Reply::status("OK"));
  ASSERT_EQ(client.command("CONFIG", "SET", "slowlog-log-slower-than", "0"), Reply::status("OK"));
  Client monitor = connect_as(corral, "app", "app-secret");
  ASSERT_EQ(monitor.command("MONITOR"), Reply::status("OK"));

  std::string told;
  const auto run = [&](const Args& args) { told += to_string(client.command(args)) + '\n'; };
  run({"AUTH", "wrong-secret"});
  run({"AUTH", "app", "wrong-secret"});
  run({"HELLO", "3", "AUTH", "app", "hello-secret"});
  run({"HELLO", "2", "AUTH", "app", "app-secret", "NOSUCH"});
  run({"AUTH", "app", "app-secret", "wrong-secret"});
  run({"AUTH", "default", "default-secret"});
  run({"MIGRATE", "127.0.0.1", "1", "k", "0", "10", "AUTH", "migrate-secret"});
  run({"SET", "k", "v"});
  run({"MIGRATE", "127.0.0.1", "1", "k", "0", "10", "AUTH2", "someone", "migrate-secret"});
  run({"ACL", "SETUSER", "new", "on", ">setuser-secret"});
  run({"CONFIG", "SET", "masterauth", "config-secret"});
  run({"MULTI"});
  run({"AUTH", "app", "wrong-secret"});
  run({"CONFIG", "SET", "masterauth", "config-secret"});
  run({"CONFIG", "GET", "masterauth"});
  run({"EXEC"});
  std::ofstream(file) << users_setting({users[0], "user app on late-secret"}) + rest;
  run({"CORRAL", "RELOAD"});
  run({"CONFIG", "GET", "*"});
  for (const char* section : {"everything", "corral"}) run({"INFO", section});
  run({"SLOWLOG", "GET", "-1"});
  run({"CLIENT", "LIST"});
  run({"CLIENT", "INFO"});
  for (const char* what : {"LIST", "USERS", "LOG"}) run({"ACL", what});
  for (const char* user : {"default", "app"}) run({"ACL", "GETUSER", user});
  for (const char* what : {"STATS", "RULES", "TOPOLOGY"}) run({"CORRAL", what});
  run({"LATENCY", "DOCTOR"});
  run({"PING", "the-end"});
  expect_no_secret(told, "a reply");
  EXPECT_EQ(client.command("CONFIG", "GET", "masterauth").elements.at(1), Reply::string("(redacted)"));
  EXPECT_EQ(client.command("CONFIG", "GET", "requirepass").elements.at(1), Reply::string("(redacted)"));
  EXPECT_NE(told.find("(redacted)"), std::string::npos);

  std::string shown;
  while (shown.find("the-end") == std::string::npos) shown += monitor.read_reply().text + '\n';
  expect_no_secret(shown, "MONITOR");
  EXPECT_NE(shown.find("\"AUTH\" \"(redacted)\""), std::string::npos) << "it is shown that somebody authenticated";
  expect_no_secret(corral.log(), "the log");
}

TEST(Secrets, OfUsersAreNotPrinted) {
  TempDir dir;
  const std::string file = (dir.path() / "corral.toml").string();
  std::ofstream(file) << users_setting({"user app on >app-secret <app-secret >app-secret"});
  const Finished printed = run({corral_binary(), "--config", file, "--print-config"});
  EXPECT_EQ(printed.status, 0);
  EXPECT_NE(printed.output.find("user app on #"), std::string::npos);
  expect_no_secret(printed.output, "--print-config");
  std::ofstream(file) << users_setting({"user app on late-secret"});
  const Finished checked = run({corral_binary(), "--config", file, "--check"});
  EXPECT_EQ(checked.status, 2);
  expect_no_secret(checked.output, "--check");
}

// A wrong password for the nodes, or none where they want one: clients and the log are told why nothing works.
class UpstreamPassword : public ::testing::TestWithParam<const char*> {
 protected:
  void expect_told(const std::string& settings, const std::string& code) {
    RedisCluster cluster;
    for (size_t i = 0; i < cluster.size(); ++i) {
      ASSERT_EQ(cluster.node(i).command("CONFIG", "SET", "requirepass", "upstream-secret"), Reply::status("OK"));
    }
    Corral corral({.upstream = GetParam() == std::string("cluster") ? cluster.seeds() : cluster.node(0).address(),
                   .settings = "[upstream]\nmode = \"" + std::string(GetParam()) + "\"\n" + settings,
                   .wait_until_ready = false});
    Reply reply;
    require_eventually("the client is told why", [&] {
      try {
        reply = corral.connect().command("GET", "k");
      } catch (const Disconnected&) {  // it has not started yet
      }
      return reply.text.find(code) != std::string::npos;
    });
    EXPECT_TRUE(reply.is_error("CLUSTERDOWN")) << reply.text;
    EXPECT_NE(corral.log().find(code), std::string::npos) << corral.log();
    expect_no_secret(reply.text + corral.log(), "what is told");
  }
};

TEST_P(UpstreamPassword, ThatIsWrongIsTold) { expect_told("password = \"wrong-secret\"\n", "WRONGPASS"); }
TEST_P(UpstreamPassword, OfAUserThatIsNotThereIsTold) {
  expect_told("username = \"nobody\"\npassword = \"upstream-secret\"\n", "WRONGPASS");
}
TEST_P(UpstreamPassword, ThatIsMissingIsTold) { expect_told("", "NOAUTH"); }
INSTANTIATE_TEST_SUITE_P(Modes, UpstreamPassword, ::testing::Values("cluster", "standalone"));

}  // namespace
}  // namespace corral::test
