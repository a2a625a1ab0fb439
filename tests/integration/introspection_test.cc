// What a client library asks about the server and itself, which Corral answers on its own: CLIENT, HELLO, COMMAND,
// INFO, CONFIG GET, CLUSTER, CORRAL. Where the words are Redis' own, they are compared with a Redis.
#include <algorithm>
#include <ctime>
#include <map>
#include <set>
#include <sstream>

#include "beside_redis.h"

namespace corral::test {
namespace {

using Fields = std::map<std::string, std::string>;

// One line of CLIENT LIST: words name=value.
Fields client_fields(const std::string& line) {
  Fields fields;
  for (size_t begin = 0; begin < line.size();) {
    const size_t end = std::min(line.find_first_of(" \n", begin), line.size());
    const std::string word = line.substr(begin, end - begin);
    const size_t equals = word.find('=');
    if (equals != std::string::npos) fields[word.substr(0, equals)] = word.substr(equals + 1);
    begin = end + 1;
  }
  return fields;
}

std::string address_of(const Client& client) { return "127.0.0.1:" + std::to_string(client.local_port()); }

class IntrospectionTest : public BesideRedis {
 protected:
  // The line of CLIENT LIST that has this address; no fields if there is none.
  Fields listed(const std::string& address) {
    const std::string list = actual_.command("CLIENT", "LIST").text;
    for (size_t begin = 0; begin < list.size();) {
      const size_t end = list.find('\n', begin);
      const Fields fields = client_fields(list.substr(begin, end - begin));
      if (fields.contains("addr") && fields.at("addr") == address) return fields;
      begin = end + 1;
    }
    return {};
  }
};

TEST_F(IntrospectionTest, client_knows_itself) {
  const int64_t id = actual_.command("CLIENT", "ID").integer;
  Client other = corral_->connect();
  EXPECT_GT(id, 0);
  EXPECT_GT(other.command("CLIENT", "ID").integer, id);
  EXPECT_EQ(actual_.command("CLIENT", "ID").integer, id);
  const Fields info = client_fields(actual_.command("CLIENT", "INFO").text);
  EXPECT_EQ(info.at("id"), std::to_string(id));
  EXPECT_EQ(info.at("addr"), address_of(actual_));
  EXPECT_EQ(info.at("laddr"), corral_->address());
  EXPECT_EQ(info.at("name"), "");
  EXPECT_EQ(info.at("db"), "0");
  EXPECT_EQ(info.at("cmd"), "client|info");
}

TEST_F(IntrospectionTest, names_are_set_shown_and_refused_as_redis_does) {
  both("CLIENT", "GETNAME");
  both("CLIENT", "SETNAME", "worker-1");
  both("CLIENT", "GETNAME");
  EXPECT_EQ(listed(address_of(actual_))["name"], "worker-1");
  both("CLIENT", "SETNAME", "two words");
  both("CLIENT", "SETNAME", "line\nbreak");
  both("CLIENT", "GETNAME");
  both("CLIENT", "SETNAME", "");
  both("CLIENT", "GETNAME");
  EXPECT_EQ(actual_.command("CLIENT", "SETINFO", "LIB-NAME", "tests"), Reply::status("OK"));
  both("CLIENT", "NO-EVICT", "on");
  both("CLIENT", "NO-EVICT", "bogus");
}

TEST_F(IntrospectionTest, client_list_shows_all_clients) {
  std::vector<Client> others;
  for (int i = 0; i < 5; ++i) others.push_back(corral_->connect());
  for (Client& other : others) {
    other.command("CLIENT", "SETNAME", "other");
    const Fields fields = listed(address_of(other));
    ASSERT_FALSE(fields.empty());
    EXPECT_EQ(fields.at("name"), "other");
    EXPECT_EQ(fields.at("laddr"), corral_->address());
  }
  const std::string gone = address_of(others.back());
  const auto id = others[0].command("CLIENT", "ID").integer;
  others.pop_back();
  EXPECT_TRUE(eventually([&] { return listed(gone).empty(); }));
  const std::string one = actual_.command("CLIENT", "LIST", "ID", id).text;
  EXPECT_EQ(std::count(one.begin(), one.end(), '\n'), 1);
  EXPECT_EQ(client_fields(one)["id"], std::to_string(id));
  EXPECT_NE(actual_.command("CLIENT", "LIST", "TYPE", "normal").text.find(address_of(actual_)), std::string::npos);
  EXPECT_EQ(actual_.command("CLIENT", "LIST", "TYPE", "pubsub").text, "");
}

TEST_F(IntrospectionTest, client_kill_finds_its_victim) {
  const auto kill = [&](const Args& filter) {
    Args args = {"CLIENT", "KILL"};
    args.insert(args.end(), filter.begin(), filter.end());
    return actual_.command(args);
  };
  Client by_old_form = corral_->connect(), by_address = corral_->connect(), by_id = corral_->connect();
  const auto id = by_id.command("CLIENT", "ID").integer;
  for (Client* client : {&by_old_form, &by_address}) client->command("PING");
  EXPECT_EQ(kill({address_of(by_old_form)}), Reply::status("OK"));
  EXPECT_TRUE(by_old_form.closes());
  EXPECT_EQ(kill({"ADDR", address_of(by_address)}), Reply::number(1));
  EXPECT_TRUE(by_address.closes());
  EXPECT_EQ(kill({"ID", std::to_string(id), "ADDR", "127.0.0.1:1"}), Reply::number(0)) << "both filters must match";
  EXPECT_EQ(kill({"ID", std::to_string(id)}), Reply::number(1));
  EXPECT_TRUE(by_id.closes());
  EXPECT_EQ(kill({"ID", std::to_string(id)}), Reply::number(0));
  both("CLIENT", "KILL", "127.0.0.1:1");
}

TEST_F(IntrospectionTest, client_kill_spares_the_caller_unless_told) {
  std::vector<Client> others;
  for (int i = 0; i < 3; ++i) others.push_back(corral_->connect());
  for (Client& other : others) other.command("PING");
  EXPECT_GE(actual_.command("CLIENT", "KILL", "LADDR", corral_->address(), "TYPE", "normal").integer, 3);
  for (Client& other : others) EXPECT_TRUE(other.closes());
  EXPECT_EQ(actual_.command("PING"), Reply::status("PONG"));
  EXPECT_EQ(actual_.command("CLIENT", "KILL", "TYPE", "pubsub"), Reply::number(0));
  EXPECT_EQ(actual_.command("CLIENT", "KILL", "ADDR", address_of(actual_), "SKIPME", "no"), Reply::number(1));
  EXPECT_TRUE(actual_.closes());
}

TEST_F(IntrospectionTest, client_reply_silences) {
  const std::vector<Args> commands = {
      {"SET", "r", "1"}, {"CLIENT", "REPLY", "SKIP"}, {"GET", "r"}, {"GET", "r"}, {"CLIENT", "REPLY", "OFF"},
      {"INCR", "r"},     {"MGET", "r", "other"},      {"PING"},     {"BOGUS"},    {"CLIENT", "REPLY", "ON"},
      {"GET", "r"}};
  for (Client* client : {&actual_, &expected_}) {
    const auto replies = client->exchange(encode_all(commands), 4);
    EXPECT_EQ(replies,
              (std::vector<Reply>{Reply::status("OK"), Reply::string("1"), Reply::status("OK"), Reply::string("2")}));
  }
  both("CLIENT", "REPLY", "BOGUS");
  both("PING");
}

TEST_F(IntrospectionTest, hello_tells_of_the_server_and_refuses_the_rest) {
  const Reply hello = actual_.command("HELLO", "2", "SETNAME", "greeter");
  ASSERT_EQ(hello.elements.size(), 14u) << hello;
  const Reply expected = expected_.command("HELLO", "2", "SETNAME", "greeter");
  for (size_t i = 0; i < 14; ++i) {
    const Reply& same = i == 7 ? hello.elements[i] : expected.elements[i];  // 7 is the client's id
    EXPECT_EQ(hello.elements[i], same);
  }
  EXPECT_EQ(hello.elements[7], actual_.command("CLIENT", "ID"));
  EXPECT_EQ(actual_.command("HELLO").elements.size(), 14u);
  both("CLIENT", "GETNAME");
  both("HELLO", "4");
  both("HELLO", "1");
  both("HELLO", "x");
  both("HELLO", "2", "BOGUS");
  both("HELLO", "2", "SETNAME");
  both("HELLO", "2", "SETNAME", "two words");
  both("PING");
}

TEST_F(IntrospectionTest, select_reset_quit) {
  both("SELECT", "0");
  for (const int other : {1, 999, -1}) EXPECT_TRUE(actual_.command("SELECT", other).is_error("ERR"));
  both("SELECT", "x");
  both("SELECT");
  both("CLIENT", "SETNAME", "named");
  both("RESET");
  both("CLIENT", "GETNAME");
  EXPECT_EQ(actual_.command("READONLY"), Reply::status("OK"));
  EXPECT_EQ(actual_.command("READWRITE"), Reply::status("OK"));
  actual_.send(encode_all({{"SET", "q", "v"}, {"GET", "q"}, {"QUIT"}, {"PING"}}));
  EXPECT_EQ(actual_.read_until_close(), "+OK\r\n$1\r\nv\r\n+OK\r\n");
}

TEST_F(IntrospectionTest, command_describes_what_the_server_has) {
  const auto sorted = [](const Reply& reply) { return reply.sorted_strings(); };
  EXPECT_GE(actual_.command("COMMAND", "COUNT").integer, expected_.command("COMMAND", "COUNT").integer);
  const Args info = {"COMMAND", "INFO", "get", "MSET", "eval", "xread", "sort", "object", "nosuch", "zunionstore"};
  const Reply actual = actual_.command(info), expected = expected_.command(info);
  ASSERT_EQ(actual.elements.size(), expected.elements.size());
  for (size_t i = 0; i < expected.elements.size(); ++i) {
    const auto &mine = actual.elements[i].elements, &theirs = expected.elements[i].elements;
    ASSERT_EQ(mine.size(), theirs.size()) << info[i + 2];
    for (size_t field = 0; field < theirs.size() && field < 6; ++field) {
      EXPECT_EQ(sorted(mine[field]), sorted(theirs[field])) << info[i + 2];
      if (field != 2) {  // flags have no order
        EXPECT_EQ(mine[field], theirs[field]) << info[i + 2];
      }
    }
  }
  const auto all = actual_.command("COMMAND", "LIST").sorted_strings();
  const auto needed = expected_.command("COMMAND", "LIST").sorted_strings();
  EXPECT_TRUE(std::includes(all.begin(), all.end(), needed.begin(), needed.end()));
  EXPECT_GE(actual_.command("COMMAND").elements.size(), expected_.command("COMMAND").elements.size());
  both(Step{{"COMMAND", "LIST", "FILTERBY", "PATTERN", "x*"}, Compare::kUnordered});
  const Reply docs = actual_.command("COMMAND", "DOCS", "get");
  ASSERT_EQ(docs.elements.size(), 2u) << docs;
  EXPECT_EQ(docs.elements[0].text, "get");
  const auto words = docs.elements[1].strings();
  for (const char* word : {"summary", "since", "group", "string"}) {
    EXPECT_NE(std::find(words.begin(), words.end(), word), words.end()) << word;
  }
}

TEST_F(IntrospectionTest, command_getkeys_finds_keys) {
  both("COMMAND", "GETKEYS", "GET", "k");
  both("COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2");
  both("COMMAND", "GETKEYS", "EVAL", "return 1", "2", "a", "b", "c");
  both("COMMAND", "GETKEYS", "EVAL", "return 1", "x", "a");
  both("COMMAND", "GETKEYS", "XREAD", "COUNT", "1", "STREAMS", "a", "b", "0", "0");
  both("COMMAND", "GETKEYS", "ZUNIONSTORE", "d", "2", "a", "b", "WEIGHTS", "1", "2");
  both("COMMAND", "GETKEYS", "SORT", "a", "STORE", "d");
  both("COMMAND", "GETKEYS", "GEORADIUS", "a", "1", "2", "3", "m", "STORE", "d");
  both("COMMAND", "GETKEYS", "LMPOP", "2", "a", "b", "LEFT");
  both("COMMAND", "GETKEYS", "OBJECT", "ENCODING", "a");
  both("COMMAND", "GETKEYS", "PING");
  both("COMMAND", "GETKEYS", "BOGUS", "a");
  both("COMMAND", "GETKEYS", "GET");
  both("COMMAND", "GETKEYS");
}

TEST_F(IntrospectionTest, wrong_words_get_the_words_of_redis) {
  for (const Args& args : {Args{"CLIENT"},
                           Args{"CLIENT", "BOGUS"},
                           Args{"CLIENT", "ID", "x"},
                           Args{"CLIENT", "KILL"},
                           Args{"CLIENT", "KILL", "BOGUS", "x"},
                           Args{"CLIENT", "KILL", "ID", "x"},
                           Args{"CLIENT", "KILL", "ID", "0"},
                           Args{"CLIENT", "KILL", "TYPE", "bogus"},
                           Args{"CLIENT", "KILL", "SKIPME", "maybe"},
                           Args{"CLIENT", "REPLY"},
                           Args{"CLIENT", "LIST", "TYPE", "bogus"},
                           Args{"CLIENT", "LIST", "BOGUS"},
                           Args{"CLIENT", "SETNAME"},
                           Args{"COMMAND", "BOGUS"},
                           Args{"COMMAND", "COUNT", "x"},
                           Args{"CONFIG"},
                           Args{"CONFIG", "BOGUS"},
                           Args{"CONFIG", "GET"},
                           Args{"CLUSTER"},
                           Args{"CLUSTER", "BOGUS"},
                           Args{"CLUSTER", "KEYSLOT"},
                           Args{"TIME", "x"},
                           Args{"ECHO"},
                           Args{"PING", "a", "b"},
                           Args{"READONLY", "x"},
                           Args{"INFO", "nosuch"},
                           Args{"OBJECT", "ENCODING"},
                           Args{"SCRIPT", "EXISTS"},
                           Args{"MEMORY", "BOGUS"},
                           Args{"XGROUP", "BOGUS"},
                           Args{"XINFO"}}) {
    both(Step{args});
  }
}

TEST_F(IntrospectionTest, time_is_now) {
  const Reply now = actual_.command("TIME");
  ASSERT_EQ(now.elements.size(), 2u);
  EXPECT_NEAR(std::stod(now.elements[0].text), static_cast<double>(std::time(nullptr)), 30);
  EXPECT_LT(std::stol(now.elements[1].text), 1'000'000);
}

TEST_F(IntrospectionTest, info_is_that_of_one_redis_and_of_corral) {
  const std::string plain = actual_.command("INFO").text;
  EXPECT_EQ(info_field(plain, "redis_version"), info_field(expected_.command("INFO").text, "redis_version"));
  EXPECT_EQ(info_field(plain, "redis_mode"), "standalone");
  EXPECT_EQ(info_field(plain, "cluster_enabled"), "0");
  EXPECT_EQ(info_field(plain, "loading"), "0");
  EXPECT_EQ(info_field(plain, "tcp_port"), std::to_string(corral_->port()));
  for (const char* section : {"Server", "Clients", "Memory", "Stats", "Replication", "Cluster", "Keyspace", "Corral"}) {
    EXPECT_NE(plain.find("# " + std::string(section) + "\r\n"), std::string::npos) << section;
  }
  constexpr const char* kCounters =
      "requests upstream_commands upstream_errors redirects_moved redirects_ask retries indoubt "
      "near_cache_hits near_cache_misses near_cache_keys near_cache_bytes near_cache_evictions "
      "near_cache_invalidations near_cache_flushes near_cache_passed_by near_cache_narrowed "
      "near_cache_narrowings reads_shared leases_granted leases_filled leases_lapsed waits waits_filled "
      "waits_timed_out stale_served early_refreshes ttl_defaulted ttl_clamped ttl_rejected ttl_observed "
      "guard_denied too_big";
  std::istringstream counters(kCounters);
  for (std::string name; counters >> name;) {
    EXPECT_NE(info_field(plain, name), "") << name;
  }
}

TEST_F(IntrospectionTest, info_has_sections_and_counts) {
  const std::string server = actual_.command("INFO", "server").text;
  EXPECT_NE(server.find("# Server\r\n"), std::string::npos);
  EXPECT_EQ(server.find("# Corral\r\n"), std::string::npos);
  const std::string two = actual_.command("INFO", "CORRAL", "cluster").text;
  EXPECT_NE(two.find("# Corral\r\n"), std::string::npos);
  EXPECT_NE(two.find("# Cluster\r\n"), std::string::npos);
  EXPECT_EQ(two.find("# Server\r\n"), std::string::npos);
  EXPECT_NE(actual_.command("INFO", "everything").text.find("# Corral\r\n"), std::string::npos);
  const auto requests = corral_->counter("requests"), commands = corral_->counter("upstream_commands");
  for (int i = 0; i < 50; ++i) actual_.command("SET", "k", i);
  EXPECT_TRUE(eventually([&] { return corral_->counter("requests") >= requests + 50; }));
  EXPECT_TRUE(eventually([&] { return corral_->counter("upstream_commands") >= commands + 50; }));
}

TEST_F(IntrospectionTest, config_get_answers_what_clients_ask) {
  for (const char* name : {"save", "appendonly", "maxmemory-policy"}) {
    const Reply reply = actual_.command("CONFIG", "GET", name);
    ASSERT_EQ(reply.elements.size(), 2u) << name << ": " << reply;
    EXPECT_EQ(reply.elements[0].text, name);
  }
  both(Step{{"CONFIG", "GET", "save", "appendonly"}, Compare::kPairs});
  const auto found = actual_.command("CONFIG", "GET", "MAXMEMORY-p*").strings();
  EXPECT_NE(std::find(found.begin(), found.end(), "maxmemory-policy"), found.end());
  EXPECT_EQ(actual_.command("CONFIG", "GET", "no-such-parameter"), Reply::array({}));
}

TEST_F(IntrospectionTest, cluster_is_one_node_that_owns_every_slot) {
  const std::string id = actual_.command("CLUSTER", "MYID").text;
  EXPECT_EQ(id.size(), 40u);
  EXPECT_EQ(corral_->connect().command("CLUSTER", "MYID").text, id);
  const std::string info = actual_.command("CLUSTER", "INFO").text;
  EXPECT_EQ(info_field(info, "cluster_state"), "ok");
  EXPECT_EQ(info_field(info, "cluster_slots_assigned"), "16384");
  EXPECT_EQ(info_field(info, "cluster_known_nodes"), "1");
  const Reply slots = actual_.command("CLUSTER", "SLOTS");
  ASSERT_EQ(slots.elements.size(), 1u) << slots;
  ASSERT_GE(slots.elements[0].elements.size(), 3u) << slots;
  EXPECT_EQ(slots.elements[0].elements[0], Reply::number(0));
  EXPECT_EQ(slots.elements[0].elements[1], Reply::number(kSlots - 1));
  const auto& node = slots.elements[0].elements[2].elements;
  ASSERT_GE(node.size(), 3u);
  EXPECT_EQ(node[0].text, "127.0.0.1");
  EXPECT_EQ(node[1].integer, corral_->port());
  EXPECT_EQ(node[2].text, id);
  const std::string nodes = actual_.command("CLUSTER", "NODES").text;
  EXPECT_EQ(nodes.find(id + " " + corral_->address() + "@"), 0u) << nodes;
  EXPECT_NE(nodes.find(" myself,master - "), std::string::npos) << nodes;
  // Two lines at the one address, since redis-benchmark --cluster refuses a cluster of one node.
  EXPECT_NE(nodes.find(" connected 0-8191\n"), std::string::npos) << nodes;
  EXPECT_NE(nodes.find(' ' + corral_->address() + "@" + std::to_string(corral_->port() + 10000) +
                       " master - 0 0 2 connected 8192-16383\n"),
            std::string::npos)
      << nodes;
  EXPECT_EQ(std::count(nodes.begin(), nodes.end(), '\n'), 2);
  const Reply shards = actual_.command("CLUSTER", "SHARDS");
  ASSERT_EQ(shards.elements.size(), 1u) << shards;
  EXPECT_EQ(shards.elements[0].elements.at(1), Reply::array({Reply::number(0), Reply::number(kSlots - 1)}));
}

TEST_F(IntrospectionTest, cluster_knows_the_slots_of_keys) {
  for (const char* key : {"a", "foo{bar}baz", "", "{}"}) {
    EXPECT_EQ(actual_.command("CLUSTER", "KEYSLOT", key), Reply::number(slot_of(key)));
  }
  actual_.command("SET", "{count}1", "v");
  actual_.command("SET", "{count}2", "v");
  EXPECT_EQ(actual_.command("CLUSTER", "COUNTKEYSINSLOT", slot_of("{count}")), Reply::number(2));
  EXPECT_EQ(actual_.command("CLUSTER", "GETKEYSINSLOT", slot_of("{count}"), 10).sorted_strings(),
            (std::vector<std::string>{"{count}1", "{count}2"}));
}

TEST_F(IntrospectionTest, corral_tells_about_itself) {
  const Reply help = actual_.command("CORRAL", "HELP");
  EXPECT_TRUE(help.is_array() && !help.elements.empty()) << help;
  const std::string stats = actual_.command("CORRAL", "STATS").raw;
  EXPECT_NE(stats.find("requests"), std::string::npos) << stats;
  const std::string topology = actual_.command("CORRAL", "TOPOLOGY").raw;
  for (size_t i = 0; i < front_->masters(); ++i) {
    EXPECT_NE(topology.find(std::to_string(front_->master(i).port())), std::string::npos) << topology;
  }
  EXPECT_EQ(actual_.command("CORRAL", "BOGUS"), Reply::error("ERR unknown subcommand 'BOGUS'. Try CORRAL HELP."));
  EXPECT_EQ(actual_.command("CORRAL"), Reply::error("ERR wrong number of arguments for 'corral' command"));
}

TEST_F(IntrospectionTest, the_guard_denies) {
  EXPECT_TRUE(actual_.command("DEBUG", "SLEEP", "0").is_error("NOPERM"));
  EXPECT_TRUE(actual_.command("SHUTDOWN").is_error("NOPERM"));
}

}  // namespace
}  // namespace corral::test
