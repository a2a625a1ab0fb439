// The settings are loaded again while clients are served (SIGHUP, CORRAL RELOAD): rules and guard change at once and as
// a whole, no request is lost, and a file that is wrong changes nothing and says why. And DEL as UNLINK, on real nodes.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <fstream>

#include "support/background.h"
#include "support/cluster.h"
#include "support/corral.h"
#include "support/env.h"

namespace corral::test {
namespace {

class ReloadTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<RedisCluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }

  // Replaces the file in one step, as an editor does: it is never seen half written.
  void write(const std::string& toml) {
    const auto next = dir_.path() / "next";
    std::ofstream(next) << toml;
    std::filesystem::rename(next, dir_.path() / "corral.toml");
  }
  std::string file() const { return (dir_.path() / "corral.toml").string(); }
  std::unique_ptr<Corral> start(const std::string& toml) {
    write(toml);
    auto corral = std::make_unique<Corral>(CorralOptions{.upstream = cluster_->seeds(), .flags = {"--config", file()}});
    corral->wait_until_serving();
    return corral;
  }
  // Of the masters.
  int64_t calls(const std::string& command) {
    int64_t sum = 0;
    for (size_t i = 0; i < cluster_->size(); ++i) {
      sum += calls_in(cluster_->node(i).command("INFO", "commandstats").text, command);
    }
    return sum;
  }
  static int64_t calls_in(const std::string& info, const std::string& command) {
    const std::string field = info_field(info, "cmdstat_" + command);
    return field.empty() ? 0 : std::stoll(field.substr(field.find('=') + 1));
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
  TempDir dir_;
};

std::string rule(const std::string& name, const std::string& globs) {
  return "[[rule]]\nname = \"" + name + "\"\nmatch = " + globs + "\nttl = { default = \"1h\", mode = \"enforce\" }\n";
}

TEST_F(ReloadTest, command_puts_rules_and_guard_in_force_at_once) {
  const auto corral = start("");
  Client client = corral->connect(), other = corral->connect();
  EXPECT_EQ(client.command("CORRAL", "RULES"), Reply::array({}));
  EXPECT_TRUE(client.command("CORRAL", "RULE", "cache:1").is_nil());
  write("guard = { keys = \"deny\", deny = [\"CONFIG SET\"] }\n" + rule("pages", "[\"cache:*\"]"));
  EXPECT_EQ(client.command("CORRAL", "RELOAD"), Reply::status("OK"));
  for (Client* one : {&client, &other}) {
    EXPECT_EQ(one->command("CORRAL", "RULES").elements.size(), 1u);
    EXPECT_TRUE(one->command("CORRAL", "RULE", "cache:1").text.starts_with("pages: \"cache:*\"; ttl default 1h"));
    EXPECT_TRUE(one->command("CORRAL", "RULE", "else").is_nil());
    EXPECT_TRUE(one->command("KEYS", "*").is_error("NOPERM"));
    EXPECT_TRUE(one->command("CONFIG", "SET", "maxmemory-samples", "5").is_error("NOPERM"));
  }
  write("");
  EXPECT_EQ(other.command("CORRAL", "RELOAD"), Reply::status("OK"));
  EXPECT_EQ(client.command("CORRAL", "RULES"), Reply::array({}));
  EXPECT_TRUE(client.command("KEYS", "*").is_array());
}

TEST_F(ReloadTest, what_follows_on_the_connection_is_judged_by_what_was_loaded) {
  const auto corral = start("");
  Client client = corral->connect();
  for (int i = 0; i < 20; ++i) {
    write(i % 2 == 0 ? "guard.keys = \"deny\"" : "");
    const auto replies = client.pipeline({{"CORRAL", "RELOAD"}, {"KEYS", "none"}});
    ASSERT_EQ(replies[0], Reply::status("OK"));
    ASSERT_EQ(replies[1].is_error("NOPERM"), i % 2 == 0) << replies[1];
  }
}

TEST_F(ReloadTest, sighup_does_the_same_and_flags_stand_above_the_file) {
  const auto corral = start("[log]\nlevel = \"info\"");
  Client client = corral->connect();
  write("[server]\nworkers = 1\nlisten = \"127.0.0.1:1\"\nmax_clients = 77\n[upstream]\nrequest_timeout = \"9s\"\n" +
        rule("a", "\"*\""));
  corral->signal(SIGHUP);
  require_eventually("the rule is there", [&] { return client.command("CORRAL", "RULE", "x").text.starts_with("a:"); });
  const std::string log = corral->log();
  // The flags say what is listened on and how many workers there are.
  EXPECT_NE(log.find("changed only by a restart, and as before until then: server.max_clients, "
                     "upstream.request_timeout\n"),
            log.npos)
      << log;
  EXPECT_EQ(info_field(client.command("INFO", "clients").text, "maxclients"), "10000");
}

TEST_F(ReloadTest, bad_file_changes_nothing_and_says_why) {
  const auto corral = start("guard.keys = \"deny\"\n" + rule("old", "\"*\""));
  Client client = corral->connect();
  const auto nothing_changed = [&] {
    EXPECT_TRUE(client.command("CORRAL", "RULE", "x").text.starts_with("old:"));
    EXPECT_TRUE(client.command("KEYS", "*").is_error("NOPERM"));
  };
  write("guard.keys = \"scan\"\n" + rule("new", "\"*\"") + "[[rule]]\nmatch = []\n");
  const std::string why =
      file() + ":7: rule.match is empty; it must be a Redis glob such as \"cache:*\", or a list of these";
  EXPECT_EQ(client.command("CORRAL", "RELOAD"), Reply::error("ERR " + why));
  nothing_changed();
  const auto refusals = [&] {
    const std::string log = corral->log(), line = "nothing has changed: " + why;
    size_t count = 0;
    for (size_t at = 0; (at = log.find(line, at)) != log.npos; ++at) ++count;
    return count;
  };
  EXPECT_EQ(refusals(), 1u);
  corral->signal(SIGHUP);
  require_eventually("the second refusal is logged", [&] { return refusals() == 2; });
  nothing_changed();
  std::filesystem::remove(file());
  EXPECT_EQ(client.command("CORRAL", "RELOAD"),
            Reply::error("ERR " + file() + ": cannot be read: No such file or directory"));
  nothing_changed();
}

TEST_F(ReloadTest, without_a_file_there_is_nothing_to_load) {
  Corral corral({.upstream = cluster_->seeds()});
  Client client = corral.connect();
  EXPECT_EQ(client.command("CORRAL", "RELOAD"),
            Reply::error("ERR there is no settings file: the program was started without --config"));
  corral.signal(SIGHUP);
  require_eventually("it is logged",
                     [&] { return corral.log().find("nothing has changed: there is no") != std::string::npos; });
  EXPECT_EQ(client.command("PING"), Reply::status("PONG"));
}

TEST_F(ReloadTest, under_load_no_request_is_lost_or_wrong) {
  const auto corral = start("");
  std::atomic<int64_t> rounds = 0;
  std::atomic<bool> wrong = false;
  std::deque<Background> load;
  for (int id = 0; id < 4; ++id) {
    load.emplace_back([&, id](Background::Stop stop) {
      Client client = corral->connect();
      for (int64_t round = 0; !stop && !wrong; ++round) {
        std::vector<Args> commands;
        for (int i = 0; i < 16; ++i) {
          const std::string key = "load:" + std::to_string(id) + ':' + std::to_string(i), value = std::to_string(round);
          commands.insert(commands.end(), {{"SET", key, value}, {"GET", key}, {"DEL", key}});
        }
        const auto replies = client.pipeline(commands);
        for (size_t i = 0; i < replies.size(); i += 3) {
          const bool right = replies[i] == Reply::status("OK") &&
                             replies[i + 1] == Reply::string(std::to_string(round)) &&
                             replies[i + 2] == Reply::number(1);
          EXPECT_TRUE(right) << replies[i] << replies[i + 1] << replies[i + 2];
          if (!right) wrong = true;
        }
        ++rounds;
      }
    });
  }
  Client client = corral->connect();
  const auto reloads = static_cast<int>(from_environment("CORRAL_STEPS", 300));
  for (int i = 0; i < reloads && !wrong; ++i) {
    const int64_t before = rounds;
    const std::string name = "rule" + std::to_string(i);
    write((i % 2 == 0 ? "guard.del = \"del\"\n" : "") + rule(name, i % 3 == 0 ? "\"other\"" : "\"load:*\""));
    if (i % 2 == 0) {
      ASSERT_EQ(client.command("CORRAL", "RELOAD"), Reply::status("OK"));
    } else {
      corral->signal(SIGHUP);
    }
    const std::string probe = i % 3 == 0 ? "other" : "load:x";
    require_eventually("the rules of reload " + std::to_string(i) + " are in force",
                       [&] { return client.command("CORRAL", "RULE", probe).text.starts_with(name + ':'); });
    require_eventually("requests go on", [&] { return rounds > before || wrong; });
  }
  load.clear();
}

TEST_F(ReloadTest, del_reaches_the_nodes_as_unlink_unless_the_guard_says_otherwise) {
  const auto corral = start("");
  Client client = corral->connect();
  client.command("CONFIG", "RESETSTAT");
  client.pipeline({{"SET", "a", "1"}, {"MSET", "b", "1", "c", "2", "d", "3"}, {"SET", "e", "1"}});
  EXPECT_EQ(client.command("DEL", "a"), Reply::number(1));
  EXPECT_EQ(client.command("DEL", "b", "c", "d", "none"), Reply::number(3));
  EXPECT_EQ(client.pipeline({{"MULTI"}, {"DEL", "e"}, {"EXEC"}})[2], Reply::array({Reply::number(1)}));
  const int64_t unlinks = calls("unlink");
  EXPECT_GE(unlinks, 3);
  EXPECT_EQ(calls("del"), 0);
  const std::string info = client.command("INFO", "commandstats").text;
  EXPECT_EQ(calls_in(info, "del"), unlinks);
  EXPECT_EQ(calls_in(info, "unlink"), 0);
  EXPECT_EQ(client.command("UNLINK", "a"), Reply::number(0));
  EXPECT_EQ(calls_in(client.command("INFO", "commandstats").text, "unlink"), 1);
  EXPECT_EQ(client.command("EVAL", "return redis.call('DEL', KEYS[1])", "1", "a"), Reply::number(0));
  EXPECT_EQ(calls("del"), 1);  // a script is as it is

  write("guard.del = \"del\"");
  ASSERT_EQ(client.command("CORRAL", "RELOAD"), Reply::status("OK"));
  EXPECT_EQ(client.command("DEL", "a"), Reply::number(0));
  EXPECT_EQ(calls("del"), 2);
  EXPECT_EQ(calls("unlink"), unlinks + 1);
}

}  // namespace
}  // namespace corral::test
