// Users that change while clients are served (CORRAL RELOAD): who has to authenticate again is closed, others go on, a
// wrong line changes nothing and says where it is. And what strangers may cost, over real sockets.
#include <fstream>

#include "access_users.h"
#include "support/redis.h"

namespace corral::test {
namespace {

const std::string kRoot = "user default on >root ~* &* +@all", kApp = "user app on >pw ~* &* +@all";

class AccessReloadTest : public ::testing::Test {
 protected:
  void write(const std::vector<std::string>& users, const std::string& more = "") {
    std::ofstream(file()) << users_setting(users) + more + "[upstream]\nmode = \"standalone\"\n";
  }
  std::string file() const { return (dir_.path() / "corral.toml").string(); }
  std::unique_ptr<Corral> start(const std::vector<std::string>& users, const std::string& more = "") {
    write(users, more);
    return std::make_unique<Corral>(CorralOptions{.upstream = redis_.address(), .flags = {"--config", file()}});
  }
  static void reload(Client& root) { ASSERT_EQ(root.command("CORRAL", "RELOAD"), Reply::status("OK")); }

  TempDir dir_;
  RedisServer redis_;
};

TEST_F(AccessReloadTest, who_has_to_authenticate_again_is_closed) {
  const auto corral = start({kRoot, kApp, "user other on >pw ~* +@all", "user gone on >pw +@all"});
  Client root = connect_as(*corral, "default", "root"), app = connect_as(*corral, "app", "pw");
  Client other = connect_as(*corral, "other", "pw"), gone = connect_as(*corral, "gone", "pw");
  Client stranger = corral->connect();
  write({kRoot, "user app on >pw ~app:* +get +acl", "user other on >new ~* +@all"});
  reload(root);
  EXPECT_TRUE(other.closes());
  EXPECT_TRUE(gone.closes());
  EXPECT_EQ(app.command("ACL", "WHOAMI"), Reply::string("app"));
  EXPECT_TRUE(app.command("GET", "k").is_error("NOPERM")) << "its rights are the new ones";
  EXPECT_TRUE(app.command("GET", "app:k").is_nil());
  EXPECT_EQ(root.command("ACL", "USERS"),
            Reply::array({Reply::string("app"), Reply::string("default"), Reply::string("other")}));
  EXPECT_TRUE(stranger.command("PING").is_error("NOAUTH"));
  EXPECT_TRUE(stranger.command("AUTH", "gone", "pw").is_error("WRONGPASS"));
  EXPECT_EQ(stranger.command("AUTH", "other", "new"), Reply::status("OK"));
}

TEST_F(AccessReloadTest, who_asks_for_it_gets_its_answer_and_is_closed) {
  const auto corral = start({kRoot});
  Client root = connect_as(*corral, "default", "root");
  write({"user default on >new ~* &* +@all"});
  EXPECT_EQ(root.command("CORRAL", "RELOAD"), Reply::status("OK"));
  EXPECT_TRUE(root.closes());
  connect_as(*corral, "default", "new");
}

TEST_F(AccessReloadTest, users_come_into_force_where_there_were_none) {
  const auto corral = start({});
  Client client = corral->connect(), blocked = corral->connect(), subscriber = corral->connect();
  Client watcher = corral->connect();
  EXPECT_EQ(watcher.command("MONITOR"), Reply::status("OK"));
  EXPECT_EQ(client.command("SET", "k", "v"), Reply::status("OK"));
  blocked.send(encode({"BLPOP", "list", "0"}));
  EXPECT_EQ(subscriber.command("SUBSCRIBE", "news").elements.size(), 3u);
  write({"user default on nopass ~* &other +@all"});
  EXPECT_EQ(client.command("CORRAL", "RELOAD"), Reply::status("OK"));
  EXPECT_EQ(client.command("GET", "k"), Reply::string("v"));
  EXPECT_TRUE(subscriber.closes()) << "it must not hear of news any more";
  EXPECT_EQ(client.command("RPUSH", "list", "x"), Reply::number(1));
  EXPECT_EQ(blocked.read_reply().elements.size(), 2u);
  write({"user default on nopass ~public:* +get +corral|reload"});
  EXPECT_EQ(client.command("CORRAL", "RELOAD"), Reply::status("OK"));
  EXPECT_FALSE(watcher.read_until_close().empty()) << "it must not watch any more";
  EXPECT_TRUE(client.command("GET", "k").is_error("NOPERM"));
  EXPECT_TRUE(client.command("GET", "public:k").is_nil());
  write({kRoot});
  EXPECT_EQ(client.command("CORRAL", "RELOAD"), Reply::status("OK"));
  EXPECT_TRUE(client.closes());
  EXPECT_TRUE(blocked.closes());
}

TEST_F(AccessReloadTest, wrong_line_changes_nothing_and_says_where_it_is) {
  const auto corral = start({kRoot, kApp});
  Client root = connect_as(*corral, "default", "root");
  write({kRoot, "user app on >secret-word +nosuch"});
  EXPECT_EQ(
      root.command("CORRAL", "RELOAD"),
      Reply::error("ERR " + file() +
                   ":4: server.users has a line that is wrong: user 'app': '+nosuch': Unknown command or category "
                   "name in ACL"));
  write({kRoot, "user app on secret-word"});
  EXPECT_EQ(root.command("CORRAL", "RELOAD").text,
            "ERR " + file() + ":4: server.users has a line that is wrong: user 'app': rule 2: Syntax error");
  EXPECT_EQ(corral->log().find("secret-word"), std::string::npos);
  connect_as(*corral, "app", "pw");
}

// --- what strangers may cost ---

TEST_F(AccessReloadTest, large_requests_of_strangers_are_not_taken) {
  const auto corral = start({kRoot});
  const uint64_t before = corral->rss_bytes();
  for (int i = 0; i < 50; ++i) {
    Client client = corral->connect();
    client.send("*10\r\n$536870912\r\n" + std::string(1000, 'x'));
    EXPECT_EQ(client.read_until_close(), "-ERR Protocol error: unauthenticated bulk length\r\n");
  }
  Client client = corral->connect();
  client.send("*1000000\r\n");
  EXPECT_EQ(client.read_until_close(), "-ERR Protocol error: unauthenticated multibulk length\r\n");
  EXPECT_LT(corral->rss_bytes(), before + (8u << 20) + kSanitizerBytes);
}

TEST_F(AccessReloadTest, strangers_that_do_not_read_are_closed) {
  const auto corral = start({kRoot});
  Client root = connect_as(*corral, "default", "root");
  const auto closed = [&] { return info_field(root.command("INFO", "corral").text, "clients_unauthenticated"); };
  Client client = corral->connect();
  client.shrink_receive_buffer(4096);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "PING\r\n";
  const uint64_t before = corral->rss_bytes();
  require_eventually("the stranger is closed", [&] {
    try {
      client.send_some(many);
    } catch (const Disconnected&) {
    }
    return closed() == "1";
  });
  EXPECT_LT(corral->rss_bytes(), before + (8u << 20) + kSanitizerBytes);
}

TEST_F(AccessReloadTest, strangers_that_wait_are_closed) {
  const auto corral = start({kRoot}, "[limits]\nauth_timeout = \"200ms\"\n");
  Client root = connect_as(*corral, "default", "root"), stranger = corral->connect();
  EXPECT_TRUE(stranger.closes());
  EXPECT_EQ(root.command("PING"), Reply::status("PONG"));
}

TEST_F(AccessReloadTest, passwords_cannot_be_tried_fast) {
  const auto corral = start({kRoot});
  const auto start = Clock::now();
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(corral->connect().command("AUTH", "guess" + std::to_string(i)).is_error("WRONGPASS"));
  }
  connect_as(*corral, "default", "root");
  EXPECT_GE(seconds_since(start), 0.05 + 0.1 + 0.2 + 0.4 - 0.01);
}

}  // namespace
}  // namespace corral::test
