// A user without rights learns and changes nothing: every command of the table, in several forms, as a user that may do
// nothing, as one that may only GET some keys, and as one that may do everything with some keys, with a near cache that
// holds what they must not see, and under leases.
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
    "user tenant on >pw ~allowed:* &allowed:* +@all",
    "user plain on >pw ~allowed:* &allowed:* +@all -@dangerous",
};
constexpr int kForms = 6;  // of each command
const std::string kNoKey = "NOPERM this user has no permissions to access one of the keys used as arguments";

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
                                                   "dump",  "pttl",       "function|list",    "ping",
                                                   "select", "exists"};
        if (!own && !kOwn.contains(name)) names.insert(name);
      }
    }
    return names;
  }

  // What near cache, leases and TTLs have done, and which leases are out.
  std::string counters() {
    std::string text;
    const Reply stats = root_.command("CORRAL", "STATS");
    for (const char* prefix : {"near_", "reads_shared", "leases_", "waits", "stale_", "early_", "ttl_", "guard_"}) {
      for (size_t i = 0; i + 1 < stats.elements.size(); i += 2) {
        const std::string& name = stats.elements[i].text;
        if (name.starts_with(prefix)) text += name + '=' + to_string(stats.elements[i + 1]) + '\n';
      }
    }
    const Reply leases = root_.command("CORRAL", "LEASES");
    for (const Reply& lease : leases.at("leases").elements) {
      for (const char* field : {"key", "kind", "client", "waiting"}) text += to_string(lease.at(field)) + ' ';
    }
    return text + to_string(leases.at("rules"));
  }

  // Commands that `user` gives, in forms that `wanted` takes, are refused with the text that `expected` tells.
  template <class Wanted, class Expected>
  void expect_all_refused(const std::string& user, Wanted wanted, Expected expected);

  RedisCluster cluster_;
  Corral corral_{
      {.upstream = cluster_.seeds(),
                  .settings = users_setting(kUsers) +
                              "[[rule]]\nmatch = \"*\"\nnear_cache = {}\nstampede = { lease = \"10m\", wait = \"1s\" }\n"}};
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

template <class Wanted, class Expected>
void AllCommandsTest::expect_all_refused(const std::string& user, Wanted wanted, Expected expected) {
  auto random = seeded_generator("AllCommands");
  RandomRequests requests("AllCommands");
  Client client = connect_as(corral_, user, "pw");
  const std::string before = state(), counted = counters();
  for (size_t i = 0; i < cluster_.size(); ++i) cluster_.node(i).command("CONFIG", "RESETSTAT");
  size_t refused = 0;
  for (const auto* spec : all_specs()) {
    if (spec->is(resp::kFlagNoAuth)) continue;  // see below
    std::vector<Args> forms;
    for (int tries = 0; forms.size() < kForms && tries < 1000; ++tries) {
      Args words = requests.of(*spec);
      for (std::string& word : words) {
        if (word == "4k") word = "secret:1";
      }
      if (!spec->arity_fits(words.size()) || !wanted(*spec, words)) continue;
      words[0] = in_some_case(words[0], random);
      forms.push_back(std::move(words));
    }
    for (const Reply& reply : client.pipeline(forms)) {
      const bool ends = spec->action == resp::Action::kExec;
      const std::string code = ends ? "EXECABORT Transaction discarded because of: " : "";
      EXPECT_EQ(reply, Reply::error(code + expected(*spec))) << spec->name;
      ++refused;
    }
  }
  EXPECT_GT(refused, 900u);
  EXPECT_EQ(state(), before);
  EXPECT_EQ(seen_by_nodes(), std::set<std::string>{});
  EXPECT_EQ(counters(), counted);
  const std::string denied = info_field(root_.command("INFO", "corral").text, "acl_denied");
  EXPECT_GE(std::stoull(denied), refused);
}

bool is_refusal(const Reply& reply) {
  return reply.is_error("NOPERM") || reply.text.ends_with("option of SORT denied due to insufficient ACL permissions.");
}

bool in_any_form(const resp::CommandSpec&, const Args&) { return true; }

std::string no_command(const resp::CommandSpec& spec) {
  return "NOPERM this user has no permissions to run the '" + std::string(spec.name) + "' command";
}

TEST_F(AllCommandsTest, user_without_rights) {
  expect_all_refused("none", in_any_form, no_command);
  Client client = connect_as(corral_, "none", "pw");
  EXPECT_TRUE(client.command("GET", "allowed:1").is_error("NOPERM"));
  EXPECT_TRUE(client.command("GET", "secret:1").is_error("NOPERM"));
}

TEST_F(AllCommandsTest, user_that_may_get_some_keys) {
  expect_all_refused("little", in_any_form, [](const resp::CommandSpec& spec) {
    return spec.name == "get" ? kNoKey : no_command(spec);
  });
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

// Whatever has a key that is not allowed, also beside one that is, is refused before anybody looks at it.
TEST_F(AllCommandsTest, user_that_may_do_everything_with_some_keys) {
  CommandMaker maker;
  size_t mixed = 0;
  const auto has_keys = [&](const resp::CommandSpec& spec, Args& words) {
    std::vector<resp::KeyUse> uses;
    if (!resp::find_key_uses(spec, maker.make(words), uses) || uses.empty()) return false;
    if (uses.size() > 1) words[uses[mixed++ % uses.size()].arg] = "allowed:1";
    return true;
  };
  expect_all_refused("tenant", has_keys, [](const resp::CommandSpec&) { return kNoKey; });
  EXPECT_GT(mixed, 200u);
}

// What a user of some keys gets of others', where Redis does not show it either. (SCAN, RANDOMKEY and DBSIZE know of all
// keys there too.)
TEST_F(AllCommandsTest, what_is_of_others) {
  Client tenant = connect_as(corral_, "tenant", "pw"), plain = connect_as(corral_, "plain", "pw");
  root_.command("SET", "allowed:list", "x");
  root_.command("DEL", "allowed:list");
  root_.command("RPUSH", "allowed:list", "1");
  EXPECT_TRUE(root_.command("GET", "secret:absent").is_nil()) << "now it has the lease";
  const std::string before = state(), counted = counters();
  const std::vector<Args> refused = {
      {"GET", "secret:1"},
      {"GET", "secret:absent"},
      {"MGET", "allowed:1", "secret:1"},
      {"MGET", "secret:absent", "allowed:1"},
      {"EVAL", "return redis.call('get', KEYS[1])", "1", "secret:1"},
      {"EVAL_RO", "return 1", "2", "allowed:1", "secret:1"},
      {"FCALL", "1k", "1", "secret:1"},
      {"SORT", "secret:list"},
      {"SORT", "allowed:list", "BY", "secret:*"},
      {"SORT", "allowed:list", "GET", "secret:*"},
      {"SORT_RO", "allowed:list", "GET", "secret:*"},
      {"SORT", "allowed:list", "STORE", "secret:2"},
      {"COPY", "secret:1", "allowed:2"},
      {"SUBSCRIBE", "secret"},
      {"SUBSCRIBE", "allowed:1", "secret"},
      {"PSUBSCRIBE", "*"},
      {"SSUBSCRIBE", "secret"},
      {"PUBLISH", "secret", "x"},
      {"SPUBLISH", "secret", "x"},
  };
  for (const Args& args : refused) EXPECT_TRUE(is_refusal(tenant.command(args))) << args[0] << ' ' << args[1];
  EXPECT_EQ(tenant.command("MULTI"), Reply::status("OK"));
  EXPECT_EQ(tenant.command("GET", "secret:1"), Reply::error(kNoKey));
  EXPECT_TRUE(tenant.command("EXEC").is_error("EXECABORT"));
  EXPECT_EQ(tenant.command("WATCH", "secret:1"), Reply::error(kNoKey));
  const std::vector<Args> dangerous = {{"CLIENT", "LIST"},     {"CLIENT", "KILL", "TYPE", "normal"},
                                       {"CLIENT", "PAUSE", "1"}, {"MONITOR"},
                                       {"CORRAL", "STATS"},    {"CORRAL", "TOPOLOGY"},
                                       {"CORRAL", "RULES"},    {"CORRAL", "RULE", "secret:1"},
                                       {"CORRAL", "LEASES"},   {"CORRAL", "CACHE", "STATS"},
                                       {"CORRAL", "CACHE", "PURGE", "*"}, {"CORRAL", "RELOAD"},
                                       {"CORRAL", "HOTKEYS"},  {"CORRAL", "BIGKEYS"},
                                       {"CORRAL", "SLOWLOG", "GET"},
                                       {"CONFIG", "GET", "*"}, {"SLOWLOG", "GET"},
                                       {"ACL", "LIST"},        {"ACL", "LOG"},
                                       {"ACL", "USERS"},       {"ACL", "GETUSER", "default"},
                                       {"ACL", "DRYRUN", "default", "GET", "x"}, {"INFO"},
                                       {"KEYS", "*"},          {"FLUSHALL"},
                                       {"SORT", "allowed:list"}, {"RESTORE", "allowed:2", "0", "x"}};
  for (const Args& args : dangerous) EXPECT_TRUE(is_refusal(plain.command(args))) << args[0] << ' ' << args[1];
  EXPECT_EQ(state(), before);
  EXPECT_EQ(counters(), counted);
  EXPECT_EQ(plain.command("GET", "allowed:1"), Reply::string("hidden"));
  EXPECT_FALSE(plain.command("SCAN", "0").is_error());
  EXPECT_FALSE(plain.command("RANDOMKEY").is_error());
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
