// A user without rights learns and changes nothing: every command of the table, in several forms, as a user that may do
// nothing and as one that may only GET some keys, with a near cache that holds what they must not see.
#include <algorithm>
#include <random>
#include <set>

#include "access_users.h"
#include "random_requests.h"
#include "resp/command_table.h"

namespace corral::test {
namespace {

const std::vector<std::string> kUsers = {
    "user default on >root ~* &* +@all",
    "user none on >pw",
    "user little on >pw ~allowed:* +get",
};
constexpr int kForms = 6;  // of each command

class AllCommandsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    wait_until_serving(root_);
    for (const char* key : {"allowed:1", "secret:1", "1k", "2k", "3k"}) {
      root_.command("SET", key, "hidden");
      for (int i = 0; i < 100; ++i) root_.command("GET", key);  // until it is kept
    }
    root_.command("HSET", "secret:hash", "f", "hidden");
    root_.command("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('1k', function() return 'hidden' end)");
    root_.command("CLIENT", "SETNAME", "hidden");
  }

  // Everything that could be changed: keys with their values, settings, functions, users.
  std::string state() {
    std::string text;
    for (size_t i = 0; i < cluster_.size(); ++i) {
      RedisServer& node = cluster_.node(i);
      for (const std::string& key : node.command("KEYS", "*").sorted_strings()) {
        text += key + '=' + node.command("DUMP", key).text + ' ' + to_string(node.command("PTTL", key)) + '\n';
      }
      text += to_string(node.command("CONFIG", "GET", "*")) + to_string(node.command("FUNCTION", "LIST"));
    }
    return text + to_string(root_.command("ACL", "LIST"));
  }

  // Commands that the nodes were given, but for what Corral and this test ask for themselves.
  std::set<std::string> seen_by_nodes() {
    std::set<std::string> names;
    for (size_t i = 0; i < cluster_.size(); ++i) {
      const std::string info = cluster_.node(i).command("INFO", "commandstats").text;
      for (size_t at = 0; (at = info.find("cmdstat_", at)) != std::string::npos; ++at) {
        const std::string name = info.substr(at + 8, info.find(':', at) - at - 8);
        const bool own = name.starts_with("cluster|") || name.starts_with("client|");
        static const std::set<std::string> kOwn = {"info",  "config|get", "config|resetstat", "hello", "keys",
                                                   "dump",  "pttl",       "function|list",    "ping",  "get",
                                                   "select"};
        if (!own && !kOwn.contains(name)) names.insert(name);
      }
    }
    return names;
  }

  void expect_all_refused(const std::string& user);

  RedisCluster cluster_;
  Corral corral_{
      {.upstream = cluster_.seeds(), .settings = users_setting(kUsers) + "[[rule]]\nmatch = \"*\"\nnear_cache = {}\n"}};
  Client root_ = connect_as(corral_, "default", "root");
};

std::vector<const resp::CommandSpec*> all_specs() {
  std::vector<const resp::CommandSpec*> specs;
  for (const resp::CommandSpec& spec : resp::all_commands()) {
    if (spec.subcommands.empty()) specs.push_back(&spec);
    for (const resp::CommandSpec& sub : spec.subcommands) specs.push_back(&sub);
  }
  return specs;
}

std::string in_some_case(std::string word, std::mt19937_64& random) {
  for (char& c : word) c = random() % 2 ? static_cast<char>(toupper(c)) : c;
  return word;
}

void AllCommandsTest::expect_all_refused(const std::string& user) {
  auto random = seeded_generator("AllCommands");
  RandomRequests requests("AllCommands");
  Client client = connect_as(corral_, user, "pw");
  const std::string before = state();
  for (size_t i = 0; i < cluster_.size(); ++i) cluster_.node(i).command("CONFIG", "RESETSTAT");
  size_t refused = 0;
  for (const auto* spec : all_specs()) {
    if (spec->is(resp::kFlagNoAuth)) continue;  // see below
    std::vector<Args> forms;
    while (forms.size() < kForms) {
      Args words = requests.of(*spec);
      words[0] = in_some_case(words[0], random);
      for (std::string& word : words) {
        if (word == "4k") word = "secret:1";
      }
      if (spec->arity_fits(words.size())) forms.push_back(std::move(words));
    }
    for (const Reply& reply : client.pipeline(forms)) {
      const bool of_key = user == "little" && spec->name == "get";
      const std::string expected =
          of_key ? "NOPERM this user has no permissions to access one of the keys used as arguments"
                 : "NOPERM this user has no permissions to run the '" + std::string(spec->name) + "' command";
      EXPECT_EQ(reply, Reply::error(expected)) << spec->name;
      ++refused;
    }
  }
  EXPECT_GT(refused, 1500u);
  EXPECT_EQ(state(), before);
  EXPECT_EQ(seen_by_nodes(), std::set<std::string>{});
  const std::string denied = info_field(root_.command("INFO", "corral").text, "acl_denied");
  EXPECT_GE(std::stoull(denied), refused);
}

TEST_F(AllCommandsTest, user_without_rights) {
  expect_all_refused("none");
  Client client = connect_as(corral_, "none", "pw");
  EXPECT_TRUE(client.command("GET", "allowed:1").is_error("NOPERM"));
  EXPECT_TRUE(client.command("GET", "secret:1").is_error("NOPERM"));
}

TEST_F(AllCommandsTest, user_that_may_get_some_keys) {
  expect_all_refused("little");
  Client client = connect_as(corral_, "little", "pw");
  EXPECT_EQ(client.command("GET", "allowed:1"), Reply::string("hidden"));
  EXPECT_EQ(client.command("get", "allowed:2"), Reply::nil());
  for (const char* key : {"secret:1", "allowed", "Allowed:1", "", "xallowed:1", "1k"}) {
    EXPECT_TRUE(client.command("GET", key).is_error("NOPERM")) << key;
  }
  client.send("GET secret:1\r\nget \"secret:1\"\r\nGET allowed:1\r\n");
  EXPECT_TRUE(client.read_reply().is_error("NOPERM"));
  EXPECT_TRUE(client.read_reply().is_error("NOPERM"));
  EXPECT_EQ(client.read_reply(), Reply::string("hidden"));
}

// What everyone may do tells of Corral, not of others, and needs the right password.
TEST_F(AllCommandsTest, commands_that_need_no_authentication) {
  for (const auto* spec : all_specs()) {
    if (!spec->is(resp::kFlagNoAuth)) continue;
    static const std::set<std::string_view> kKnown = {"auth", "hello", "quit", "reset", "post", "host:"};
    EXPECT_TRUE(kKnown.contains(spec->name)) << spec->name << ": what does it tell?";
  }
  Client client = connect_as(corral_, "none", "pw");
  EXPECT_EQ(client.command("HELLO").elements.size(), 14u);
  EXPECT_TRUE(client.command("AUTH", "default", "pw").is_error("WRONGPASS"));
  EXPECT_TRUE(client.command("ACL", "WHOAMI").is_error("NOPERM")) << "still the same user";
  EXPECT_EQ(client.command("RESET"), Reply::status("RESET"));
  EXPECT_TRUE(client.command("GET", "allowed:1").is_error("NOAUTH"));
}

// The names of commands that a node knows and the table does not are the only thing that may be asked of it.
TEST_F(AllCommandsTest, commands_that_nobody_knows) {
  Client client = connect_as(corral_, "none", "pw"), stranger = corral_.connect();
  EXPECT_TRUE(client.command("NOSUCH", "a").is_error("ERR"));
  EXPECT_TRUE(client.command("CLIENT", "NOSUCH").is_error("ERR"));
  EXPECT_TRUE(stranger.command("NOSUCH", "a").is_error("ERR"));
  EXPECT_TRUE(stranger.command("GET", "allowed:1").is_error("NOAUTH"));
}

}  // namespace
}  // namespace corral::test
