// What one Redis server tells and does beside its data, as seen by clients: ACL, CLIENT PAUSE, MONITOR, INFO, SLOWLOG,
// LATENCY, MEMORY. Where there are several masters behind, their answers are one.
#include <set>
#include <tuple>

#include "beside_front.h"
#include "support/wait.h"

namespace corral::test {
namespace {

class ServerTest : public BesideFront {
 protected:
  void SetUp() override {
    BesideFront::SetUp();
    for (const char* command : {"CONFIG", "SLOWLOG", "LATENCY"}) {
      both(command, command == std::string_view("CONFIG") ? "RESETSTAT" : "RESET");
    }
  }
  // A field of INFO.
  static std::string info(Client& client, const std::string& name, const std::string& section = "everything") {
    const std::string text = client.command("INFO", section).text;
    const size_t at = text.find('\n' + name + ':');
    if (at == std::string::npos) return {};
    const size_t from = at + name.size() + 2;
    return text.substr(from, text.find('\r', from) - from);
  }
  bool blocked_clients(int count) {
    return eventually([&] { return info(actual_, "blocked_clients") == std::to_string(count); });
  }
};

TEST_F(ServerTest, acl_of_the_one_user) {
  for (const int version : {2, 3}) {
    for (Client* client : {&actual_, &expected_}) client->command("HELLO", version);
    both("ACL", "WHOAMI");
    both("ACL", "USERS");
    both("ACL", "LIST");
    both("ACL", "GETUSER", "default");
    both("ACL", "GETUSER", "nobody");
    both("ACL", "CAT");
    both("ACL", "LOG");
    both("ACL", "LOG", "RESET");
  }
  for (const char* category : {"hash", "scripting", "connection", "dangerous"}) {
    auto names = expected_.command("ACL", "CAT", category).sorted_strings();
    std::erase(names, "sentinel");
    auto own = actual_.command("ACL", "CAT", category).sorted_strings();
    std::erase_if(own, [](const std::string& name) { return name.starts_with("corral") || name == "client|setinfo"; });
    std::erase_if(own, [](const std::string& name) { return name == "client|no-touch"; });
    EXPECT_EQ(own, names) << category;
  }
  both("ACL", "CAT", "bogus");
  both("ACL", "GENPASS", "0");
  both("ACL", "GENPASS", "x");
  EXPECT_EQ(actual_.command("ACL", "GENPASS").text.size(), 64u);
  EXPECT_EQ(actual_.command("ACL", "GENPASS", "5").text.size(), 2u);
  both("ACL", "DRYRUN", "default", "GET", "k");
  both("ACL", "DRYRUN", "default", "NOSUCH");
  both("ACL", "DRYRUN", "nobody", "GET", "k");
  both("ACL", "DRYRUN", "default", "GET");
  both("ACL", "BOGUS");
  both("ACL", "CAT", "hash", "x");
  both("ACL", "LOG", "1", "x");
}

TEST_F(ServerTest, tracking_is_off) {
  both("CLIENT", "TRACKING", "OFF");
  both("CLIENT", "GETREDIR");
  both("CLIENT", "TRACKINGINFO");
  both("CLIENT", "CACHING", "YES");
  both("CLIENT", "TRACKING", "BOGUS");
}

TEST_F(ServerTest, pause_holds_writes_of_all_clients) {
  Client writer = front_->connect(), script = front_->connect(), transaction = front_->connect();
  transaction.command("MULTI");
  transaction.command("SET", "paused{x}", "0");
  EXPECT_EQ(actual_.command("CLIENT", "PAUSE", 100000, "WRITE"), Reply::status("OK"));
  writer.send(encode({"SET", "paused", "1"}));
  script.send(encode({"EVAL", "return 1", "0"}));
  transaction.send(encode({"EXEC"}));
  EXPECT_TRUE(blocked_clients(3));
  EXPECT_TRUE(actual_.command("GET", "paused").is_nil());
  EXPECT_EQ(actual_.command("EVAL", "#!lua flags=no-writes\nreturn 2", "0"), Reply::number(2));
  EXPECT_EQ(actual_.command("CLIENT", "UNPAUSE"), Reply::status("OK"));
  EXPECT_EQ(writer.read_reply(), Reply::status("OK"));
  EXPECT_EQ(script.read_reply(), Reply::number(1));
  EXPECT_TRUE(transaction.read_reply().is_array());
  EXPECT_TRUE(blocked_clients(0));
}

TEST_F(ServerTest, pause_of_everything_ends_by_itself) {
  Client other = front_->connect();
  other.command("PING");
  EXPECT_EQ(actual_.command("CLIENT", "PAUSE", 300), Reply::status("OK"));
  const auto start = Clock::now();
  EXPECT_EQ(other.command("PING"), Reply::status("PONG"));
  EXPECT_GT(seconds_since(start), 0.1);
  both("CLIENT", "PAUSE", "x");
  both("CLIENT", "PAUSE", "-1");
  both("CLIENT", "PAUSE", "1", "BOGUS");
  both("CLIENT", "PAUSE", "1", "ALL", "x");
  both("CLIENT", "PAUSE", "0");
  both("CLIENT", "UNPAUSE");
}

TEST_F(ServerTest, functions_that_do_not_write_are_not_paused) {
  const char* library =
      "#!lua name=pause\nredis.register_function{function_name='reads', callback=function() return 1 end, "
      "flags={'no-writes'}}\nredis.register_function('writes', function() return 2 end)";
  both("FUNCTION", "LOAD", "REPLACE", library);
  both("CLIENT", "PAUSE", "100000", "WRITE");
  both("FCALL", "reads", "0");
  Client writer = front_->connect();
  writer.send(encode({"FCALL", "writes", "0"}));
  EXPECT_TRUE(blocked_clients(1));
  both("CLIENT", "UNPAUSE");
  EXPECT_EQ(writer.read_reply(), Reply::number(2));
}

TEST_F(ServerTest, monitor_shows_what_all_clients_send) {
  std::vector<Client> monitors, clients;
  for (int i = 0; i < 3; ++i) monitors.push_back(front_->connect());
  for (int i = 0; i < 4; ++i) clients.push_back(front_->connect());
  for (Client& monitor : monitors) ASSERT_EQ(monitor.command("MONITOR"), Reply::status("OK"));
  for (Client& client : clients) {
    client.command("SET", "seen", "a \"b\"\n");
    client.command("AUTH", "default", "secret");
    client.command("CONFIG", "GET", "save");
  }
  const std::string first = "\"SET\" \"seen\" \"a \\\"b\\\"\\n\"", second = "\"AUTH\" \"(redacted)\" \"(redacted)\"";
  for (Client& monitor : monitors) {
    std::multiset<std::string> lines;
    for (size_t i = 0; i < clients.size() * 2; ++i) {
      const std::string line = monitor.read_reply().text;
      lines.insert(line.substr(line.find("] ") + 2));
      EXPECT_NE(line.find(" [0 127.0.0.1:"), std::string::npos) << line;
    }
    EXPECT_EQ(lines.count(first), clients.size());
    EXPECT_EQ(lines.count(second), clients.size());
  }
  EXPECT_EQ(monitors[0].command("RESET"), Reply::status("RESET"));
  EXPECT_EQ(monitors[0].command("GET", "seen"), Reply::string("a \"b\"\n"));
}

TEST_F(ServerTest, a_monitor_that_leaves_hands_nothing_on) {
  Client leaving = front_->connect();
  ASSERT_EQ(leaving.command("MONITOR"), Reply::status("OK"));
  leaving.send(encode({"CLIENT", "SETNAME", "old"}) + encode({"RESET"}));
  std::vector<Reply> replies;
  do replies.push_back(leaving.read_reply());
  while (replies.back() != Reply::status("RESET"));
  ASSERT_EQ(replies.size(), 3) << "its own command is shown to it";
  for (int i = 0; i < 2; ++i) {  // one on each worker
    Client next = front_->connect();
    ASSERT_EQ(next.command("MONITOR"), Reply::status("OK"));
    next.command("PING", "new");
    const std::string line = next.read_reply().text;
    EXPECT_NE(line.find("\"PING\" \"new\""), std::string::npos) << line;
  }
}

TEST_F(ServerTest, monitor_shows_what_scripts_do) {
  Client monitor = front_->connect();
  ASSERT_EQ(monitor.command("MONITOR"), Reply::status("OK"));
  for (const char* key : {"a", "b", "c", "d"}) {
    const std::string script = "return redis.call('set', KEYS[1], ARGV[1])";
    actual_.command("EVAL", script, "1", key, "v");
    EXPECT_NE(monitor.read_reply().text.find("\"EVAL\""), std::string::npos);
    const std::string line = monitor.read_reply().text;
    EXPECT_NE(line.find(std::string(" [0 lua] \"set\" \"") + key + "\" \"v\""), std::string::npos) << line;
  }
}

TEST_F(ServerTest, client_list_has_the_fields_of_redis) {
  const auto names = [](const std::string& line) {
    std::vector<std::string> found;
    for (size_t at = 0; at < line.size();) {
      const size_t end = std::min(line.find_first_of(" \n", at), line.size());
      found.push_back(line.substr(at, line.find('=', at) - at));
      at = end + 1;
    }
    return found;
  };
  EXPECT_EQ(names(actual_.command("CLIENT", "INFO").text), names(expected_.command("CLIENT", "INFO").text));
  const std::string line = actual_.command("CLIENT", "INFO").text;
  for (const char* field : {" flags=N ", " multi=-1 ", " qbuf=26 ", " obl=0 oll=0 omem=0 ", " cmd=client|info "}) {
    EXPECT_NE(line.find(field), std::string::npos) << field << line;
  }
  Client other = front_->connect();
  other.command("CLIENT", "SETNAME", "queueing");
  other.command("MULTI");
  other.command("PING");
  const std::string list = actual_.command("CLIENT", "LIST").text;
  const std::string theirs = list.substr(list.find("name=queueing"));
  EXPECT_NE(theirs.find(" flags=x "), std::string::npos) << theirs;
  EXPECT_NE(theirs.find(" multi=1 "), std::string::npos) << theirs;
}

TEST_F(ServerTest, info_has_every_field_of_redis) {
  const auto fields = [](const std::string& text) {
    std::set<std::string> found;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const std::string line = text.substr(at, end - at);
      const bool varies =
          line.starts_with("cmdstat_") || line.starts_with("latency_") || line.starts_with("errorstat_");
      if (!varies) found.insert(line.substr(0, line.find(':')));
      at = end + 1;
    }
    return found;
  };
  for (Client* client : {&actual_, &expected_}) client->command("SET", "k", "v");
  const auto actual = fields(actual_.command("INFO", "everything").text);
  for (const std::string& field : fields(expected_.command("INFO", "everything").text)) {
    EXPECT_TRUE(actual.contains(field)) << field;
  }
}

TEST_F(ServerTest, commands_and_errors_are_counted_once) {
  for (Client* client : {&actual_, &expected_}) {
    for (int i = 0; i < 20; ++i) client->command("SET", "k" + std::to_string(i), "v");
    client->command("CLIENT", "ID");
    client->command("CLIENT", "ID");
    client->command("FLUSHALL");
    client->command("SET", "k");
    client->command("NOSUCH");
    client->command("LPUSH", "k", "v");
    client->command("SET", "k", "v");
    client->command("LPUSH", "k", "v");
    for (const auto& [name, begin, end] : {std::tuple{"cmdstat_set", "calls=21,", "rejected_calls=1,failed_calls=0"},
                                           {"cmdstat_client|id", "calls=2,", "rejected_calls=0,failed_calls=0"},
                                           {"cmdstat_flushall", "calls=1,", "rejected_calls=0,failed_calls=0"},
                                           {"cmdstat_config|resetstat", "calls=1,", "rejected_calls=0,failed_calls=0"},
                                           {"cmdstat_lpush", "calls=2,", "rejected_calls=0,failed_calls=1"}}) {
      const std::string line = info(*client, name);
      EXPECT_TRUE(line.starts_with(begin) && line.ends_with(end)) << name << ": " << line;
    }
    EXPECT_EQ(info(*client, "cmdstat_cluster|shards"), "");
    EXPECT_EQ(info(*client, "errorstat_ERR"), "count=2");
    EXPECT_EQ(info(*client, "errorstat_WRONGTYPE"), "count=1");
    EXPECT_EQ(info(*client, "total_error_replies"), "3");
    client->command("CONFIG", "RESETSTAT");
    EXPECT_EQ(info(*client, "errorstat_ERR"), "");
    EXPECT_EQ(info(*client, "cmdstat_set"), "");
  }
}

TEST_F(ServerTest, slow_log_is_one) {
  for (Client* client : {&actual_, &expected_}) {
    client->command("CONFIG", "SET", "slowlog-log-slower-than", "0", "slowlog-max-len", "1000");
    client->command("SLOWLOG", "RESET");
    for (const char* key : {"a", "b", "c", "d"}) client->command("SET", key, "v");
    client->command("PING");
    client->command("CONFIG", "SET", "slowlog-log-slower-than", "-1");
    EXPECT_EQ(client->command("SLOWLOG", "LEN"), Reply::number(6));
    const Reply log = client->command("SLOWLOG", "GET");
    std::multiset<std::string> commands;
    for (const Reply& entry : log.elements) commands.insert(entry.elements.at(3).elements.at(0).text);
    EXPECT_EQ(commands, (std::multiset<std::string>{"PING", "SET", "SET", "SET", "SET", "SLOWLOG"}));
    EXPECT_EQ(client->command("SLOWLOG", "GET", "2").elements.size(), 2u);
    EXPECT_EQ(client->command("SLOWLOG", "GET", "-1").elements.size(), 6u);
    client->command("CONFIG", "SET", "slowlog-max-len", "3");
    EXPECT_EQ(client->command("SLOWLOG", "GET", "0").elements.size(), 0u);
    client->command("CONFIG", "SET", "slowlog-log-slower-than", "10000", "slowlog-max-len", "128");
    client->command("SLOWLOG", "RESET");
    EXPECT_EQ(client->command("SLOWLOG", "LEN"), Reply::number(0));
  }
  both("SLOWLOG", "GET", "-2");
  both("SLOWLOG", "GET", "x");
  both("SLOWLOG", "GET", "1", "2");
}

TEST_F(ServerTest, latency_and_memory_are_those_of_all_masters) {
  for (const int version : {2, 3}) {
    for (Client* client : {&actual_, &expected_}) {
      client->command("HELLO", version);
      client->command("CONFIG", "RESETSTAT");
      for (int i = 0; i < 20; ++i) client->command("SET", "k" + std::to_string(i), "v");
      client->command("CLIENT", "ID");
      const Reply histogram = client->command("LATENCY", "HISTOGRAM");
      EXPECT_EQ(histogram.at("set").at("calls"), Reply::number(20)) << histogram;
      EXPECT_EQ(histogram.at("client|id").at("calls"), Reply::number(1)) << histogram;
      EXPECT_EQ(histogram.at("config|resetstat").at("calls"), Reply::number(1)) << histogram;
      EXPECT_EQ(histogram.elements.size(), 6u) << histogram;
      EXPECT_EQ(client->command("LATENCY", "HISTOGRAM", "client", "nosuch").elements.size(), 2u);
    }
    both("LATENCY", "LATEST");
    both("LATENCY", "HISTORY", "command");
    both("LATENCY", "HISTOGRAM", "nosuch");
    both("LATENCY", "GRAPH", "nosuch");
    EXPECT_FALSE(actual_.command("LATENCY", "DOCTOR").is_error());
    const Reply stats = actual_.command("MEMORY", "STATS"), theirs = expected_.command("MEMORY", "STATS");
    EXPECT_EQ(static_cast<int>(stats.type), static_cast<int>(theirs.type));
    EXPECT_EQ(stats.at("keys.count"), Reply::number(20)) << stats;
    EXPECT_FALSE(actual_.command("MEMORY", "DOCTOR").is_error());
    both("MEMORY", "PURGE");
  }
}

TEST_F(ServerTest, reset_leaves_everything) {
  both("CLIENT", "SETNAME", "named");
  both("MULTI");
  both("PING");
  both("RESET");
  both("EXEC");
  both("CLIENT", "GETNAME");
  EXPECT_NE(actual_.command("CLIENT", "INFO").text.find(" flags=N "), std::string::npos);
  both("PING");
}

TEST_F(ServerTest, names_with_a_bar_are_no_commands) {
  both("GET|");
  both("CONFIG|GET", "save");
  both("GET|SET|OTHER");
  both("CONFIG", "GET_XX");
}

}  // namespace
}  // namespace corral::test
