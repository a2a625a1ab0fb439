// CLIENT TRACKING as one Redis offers it: who is told of what, in what order, and what happens when connections to
// nodes are lost or slots move. Races are in tracking_race_test.cc.
#include <algorithm>

#include "support/front.h"
#include "support/wait.h"

namespace corral::test {
namespace {

// What one is told of: the keys of an invalidation, sorted; "*" stands for all.
std::vector<std::string> told(const Reply& keys) {
  return keys.is_nil() ? std::vector<std::string>{"*"} : keys.sorted_strings();
}
using Keys = std::vector<std::string>;

class TrackingTest : public FrontTest {
 protected:
  void SetUp() override {
    FrontTest::SetUp();
    other_.command("MSET", "a", 1, "b", 1, "c", 1, "d", 1);
  }
  // Speaks RESP3 and is told itself.
  template <class... Words>
  static Client tracking(const Words&... options) {
    Client client = front_->connect3();
    EXPECT_EQ(client.command("CLIENT", "TRACKING", "ON", options...), Reply::status("OK"));
    return client;
  }
  // The next keys. That all have changed may come late, by the masters' last FLUSHALL.
  static Keys next(Client& client) {
    Keys keys = next_of_any(client);
    while (keys == Keys{"*"}) keys = next_of_any(client);
    return keys;
  }
  static Keys next_of_any(Client& client) {
    const Reply push = client.read_reply();
    EXPECT_TRUE(push.is_push()) << push;
    if (push.elements.size() != 2 || push.elements[0].text != "invalidate") return {to_string(push)};
    return told(push.elements[1]);
  }
  // Of a RESP2 subscriber.
  static Keys next_message(Client& client) {
    const Reply message = client.read_reply();
    if (message.elements.size() != 3 || message.elements[1].text != "__redis__:invalidate") return {to_string(message)};
    return told(message.elements[2]);
  }
  template <class... Words>
  static Reply past_pushes(Client& client, const Words&... words) {
    Reply reply = client.command(words...);
    while (reply.is_push()) reply = client.read_reply();
    return reply;
  }
  // Another client changes "end", of which this one has heard nothing else before.
  void expect_nothing_before_the_end(Client& client) {
    client.command("CLIENT", "CACHING", "YES");
    client.command("GET", "end");
    other_.command("INCR", "end");
    EXPECT_EQ(next(client), Keys{"end"});
  }

  Client other_ = front_->connect();
};

TEST_F(TrackingTest, a_key_that_was_read_is_told_once) {
  Client client = tracking();
  for (const char* key : {"a", "b", "c"}) client.command("GET", key);
  for (const char* key : {"c", "a", "d", "b"}) other_.command("INCR", key);
  Keys all;
  for (int i = 0; i < 3; ++i) all.push_back(next(client).at(0));
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, (Keys{"a", "b", "c"}));
  other_.command("INCR", "a");
  expect_nothing_before_the_end(client);
}

TEST_F(TrackingTest, own_changes_are_told_behind_their_reply) {
  Client client = tracking();
  client.command("GET", "a");
  EXPECT_EQ(client.command("INCR", "a").integer, 2);
  EXPECT_EQ(next(client), Keys{"a"});
  client.command("MGET", "a", "b", "c", "d");
  EXPECT_EQ(client.command("DEL", "a", "b", "c", "d").integer, 4);
  Keys all;
  for (int i = 0; i < 4; ++i) all.push_back(next(client).at(0));
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, (Keys{"a", "b", "c", "d"}));
}

TEST_F(TrackingTest, clients_that_share_a_key_are_all_told) {
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(i % 2 ? tracking("NOLOOP") : tracking());
    clients.back().command("GET", "a");
  }
  other_.command("SET", "a", "new");
  for (Client& client : clients) EXPECT_EQ(next(client), Keys{"a"});
  for (Client& client : clients) client.command("GET", "a");
  EXPECT_EQ(clients[1].command("SET", "a", "newer"), Reply::status("OK"));
  for (size_t i = 0; i < clients.size(); ++i) {
    if (i != 1) {
      EXPECT_EQ(next(clients[i]), Keys{"a"}) << i;
    }
  }
  clients[1].command("GET", "end");
  other_.command("INCR", "end");
  EXPECT_EQ(next(clients[1]), Keys{"end"}) << "its own change is not told";
}

TEST_F(TrackingTest, with_noloop_a_write_without_effect_leaves_the_key_tracked) {
  Client client = tracking("NOLOOP");
  client.command("GET", "a");
  EXPECT_TRUE(client.command("SET", "a", "mine", "NX").is_nil());
  other_.command("SET", "a", "theirs");
  EXPECT_EQ(next(client), Keys{"a"});
}

// Nobody but the reader has a node expire the key: it does not tell the connection of that read, which they share.
TEST_F(TrackingTest, with_noloop_others_are_told_of_what_a_reader_finds_expired) {
  RedisServer& node = front_->owner_of("short");
  node.command("DEBUG", "SET-ACTIVE-EXPIRE", 0);
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(tracking("NOLOOP"));
  Client reader = tracking("NOLOOP");
  other_.command("SET", "short", "v", "PX", 1000);
  const auto since = Clock::now();
  for (Client& client : clients) EXPECT_EQ(client.command("GET", "short"), Reply::string("v"));
  eventually([&] { return seconds_since(since) > 1.05; });
  EXPECT_TRUE(reader.command("GET", "short").is_nil());
  for (Client& client : clients) EXPECT_EQ(next(client), Keys{"short"});
  node.command("DEBUG", "SET-ACTIVE-EXPIRE", 1);
}

TEST_F(TrackingTest, optin_and_optout_choose_single_commands) {
  Client in = tracking("OPTIN"), out = tracking("OPTOUT");
  in.command("GET", "a");
  in.command("CLIENT", "CACHING", "YES");
  in.command("GET", "b");
  in.command("GET", "c");
  out.command("CLIENT", "CACHING", "NO");
  out.command("GET", "a");
  out.command("GET", "b");
  other_.command("MSET", "a", 2, "b", 2, "c", 2);
  EXPECT_EQ(next(in), Keys{"b"});
  EXPECT_EQ(next(out), Keys{"b"});
  for (Client* client : {&in, &out}) {
    if (client == &in) client->command("CLIENT", "CACHING", "YES");
    client->command("MULTI");
    client->command("GET", "c");
    client->command("EXEC");
    other_.command("INCR", "c");
    EXPECT_EQ(next(*client), Keys{"c"}) << "a transaction counts as one command";
  }
  expect_nothing_before_the_end(in);
}

TEST_F(TrackingTest, transactions_scripts_and_commands_on_many_keys_are_reads_too) {
  Client client = tracking();
  client.command("MULTI");
  client.command("GET", "a");
  client.command("STRLEN", "a");
  EXPECT_EQ(client.command("EXEC").elements.size(), 2u);
  client.command("EVAL", "return redis.call('get', KEYS[1])", 1, "b");
  client.command("EVAL_RO", "return redis.call('get', KEYS[1])", 1, "c");
  EXPECT_EQ(client.command("EXISTS", "d", "e", "f", "g").integer, 1);
  Keys all;
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g"}) {
    other_.command("SET", key, "new");
    all.push_back(next(client).at(0));
  }
  EXPECT_EQ(all, (Keys{"a", "b", "c", "d", "e", "f", "g"}));
  expect_nothing_before_the_end(client);
}

TEST_F(TrackingTest, watched_and_blocking_reads_are_told_of_as_well) {
  Client client = tracking();
  client.command("WATCH", "a");
  client.command("GET", "a");
  other_.command("SET", "a", "new");
  EXPECT_EQ(next(client), Keys{"a"}) << "by Corral at once: what is read on a connection of one's own is not tracked";
  client.command("UNWATCH");
  other_.command("XADD", "stream", "*", "field", "value");
  client.command("XREAD", "BLOCK", 1000, "STREAMS", "stream", 0);
  other_.command("XADD", "stream", "*", "field", "value");
  EXPECT_EQ(next(client), Keys{"stream"});
}

TEST_F(TrackingTest, another_connection_is_told_instead) {
  for (const int target_resp : {2, 3}) {
    for (int worker = 0; worker < 2; ++worker) {  // whichever the connections are on
      Client ears = target_resp == 3 ? front_->connect3() : front_->connect();
      Client between = front_->connect(), client = front_->connect();
      if (worker == 1) client = front_->connect();
      const int64_t id = ears.command("CLIENT", "ID").integer;
      ears.command("SUBSCRIBE", "__redis__:invalidate");
      EXPECT_EQ(client.command("CLIENT", "TRACKING", "ON", "REDIRECT", id), Reply::status("OK"));
      EXPECT_EQ(client.command("CLIENT", "GETREDIR").integer, id);
      const auto heard = [&] { return target_resp == 3 ? next_of_any(ears) : next_message(ears); };
      // The masters' words of the last FLUSHALL may come late.
      const auto heard_of_keys = [&] {
        Keys keys = heard();
        while (keys == Keys{"*"}) keys = heard();
        return keys;
      };
      for (int i = 0; i < 20; ++i) {
        const std::string key = "key:" + std::to_string(i);
        client.command("GET", key);
        other_.command("SET", key, i);
        EXPECT_EQ(heard_of_keys(), Keys{key});
      }
      client.command("GET", "a");
      other_.command("FLUSHALL");
      EXPECT_EQ(heard(), Keys{"*"});
    }
  }
}

TEST_F(TrackingTest, a_target_that_has_gone_is_told_of) {
  Client client = front_->connect3();
  int64_t id;
  {
    Client ears = front_->connect();
    id = ears.command("CLIENT", "ID").integer;
    client.command("CLIENT", "TRACKING", "ON", "REDIRECT", id);
    client.command("GET", "a");
  }
  ASSERT_TRUE(eventually([&] { return other_.command("CLIENT", "LIST", "ID", id).text.empty(); }));
  other_.command("SET", "a", "new");
  const Reply push = client.read_reply();
  EXPECT_EQ(push.elements.at(0).text, "tracking-redir-broken");
  EXPECT_EQ(push.elements.at(1).integer, id);
  EXPECT_EQ(client.command("CLIENT", "TRACKINGINFO").at("flags").sorted_strings(), (Keys{"broken_redirect", "on"}));
  EXPECT_TRUE(client.command("CLIENT", "TRACKING", "ON", "REDIRECT", id).is_error());
}

TEST_F(TrackingTest, prefixes_are_told_whether_read_or_not) {
  Client all = tracking("BCAST"), users = tracking("BCAST", "PREFIX", "user:", "PREFIX", "u2:"),
         pages = tracking("BCAST", "PREFIX", "page:");
  for (const char* key : {"user:1", "page:1", "u2:1", "other"}) {
    other_.command("SET", key, 1);
    EXPECT_EQ(next(all), Keys{key});
  }
  EXPECT_EQ(next(users), Keys{"user:1"});
  EXPECT_EQ(next(users), Keys{"u2:1"});
  EXPECT_EQ(next(pages), Keys{"page:1"});
  all.command("CLIENT", "TRACKING", "OFF");
  other_.command("SET", "page:2", 1);
  EXPECT_EQ(next(pages), Keys{"page:2"});
  EXPECT_EQ(pages.command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "more:"), Reply::status("OK"));
  other_.command("SET", "more:1", 1);
  EXPECT_EQ(next(pages), Keys{"more:1"});
  EXPECT_EQ(all.command("PING").text, "PONG");
}

TEST_F(TrackingTest, with_prefixes_and_noloop_own_changes_are_not_told) {
  Client one = tracking("BCAST", "NOLOOP", "PREFIX", "k:"), two = tracking("BCAST", "NOLOOP", "PREFIX", "k:"),
         loud = tracking("BCAST", "PREFIX", "k:");
  for (int i = 0; i < 20; ++i) {
    const std::string key = "k:" + std::to_string(i);
    Client& writer = i % 2 ? one : two;
    Client& reader = i % 2 ? two : one;
    EXPECT_EQ(writer.command("SET", key, i), Reply::status("OK"));
    EXPECT_EQ(next(reader), Keys{key});
    EXPECT_EQ(next(loud), Keys{key});
  }
  EXPECT_EQ(loud.command("SET", "k:loud", 1), Reply::status("OK"));
  for (Client* client : {&one, &two, &loud}) EXPECT_EQ(next(*client), Keys{"k:loud"});
}

TEST_F(TrackingTest, a_flush_is_told_once) {
  Client client = tracking(), prefix = tracking("BCAST");
  client.command("MGET", "a", "b", "c", "d");
  other_.command("FLUSHALL");
  EXPECT_EQ(next_of_any(client), Keys{"*"});
  EXPECT_EQ(next_of_any(prefix), Keys{"*"});
  expect_nothing_before_the_end(client);
  client.command("GET", "a");
  EXPECT_EQ(client.command("FLUSHALL"), Reply::status("OK"));
  EXPECT_EQ(next_of_any(client), Keys{"*"});
}

TEST_F(TrackingTest, lists_and_counts_show_it) {
  Client plain = tracking(), prefix = tracking("BCAST", "PREFIX", "x:", "PREFIX", "y:");
  const auto field = [](Client& client, const std::string& name) {
    const std::string line = client.command("CLIENT", "INFO").text;
    const size_t at = line.find(' ' + name + '=') + name.size() + 2;
    return line.substr(at, line.find_first_of(" \n", at) - at);
  };
  EXPECT_EQ(field(other_, "redir"), "-1");
  EXPECT_EQ(field(plain, "flags"), "t");
  EXPECT_EQ(field(plain, "redir"), "0");
  EXPECT_EQ(field(prefix, "flags"), "tB");
  plain.command("MGET", "a", "b", "c");
  const std::string info = other_.command("INFO").text;
  EXPECT_EQ(info_field(info, "tracking_clients"), "2");
  EXPECT_EQ(info_field(info, "tracking_total_prefixes"), "2");
  EXPECT_EQ(info_field(info, "tracking_total_keys"), "3");
  EXPECT_EQ(info_field(info, "tracking_total_items"), "3");
  plain.command("RESET");
  prefix.command("CLIENT", "TRACKING", "OFF");
  EXPECT_EQ(field(plain, "flags"), "N");
  EXPECT_EQ(info_field(other_.command("INFO").text, "tracking_clients"), "0");
}

TEST_F(TrackingTest, a_client_that_learns_to_be_told_hears_of_what_it_missed) {
  CORRAL_NEEDS_CLUSTER();
  Client client = front_->connect();
  EXPECT_EQ(client.command("CLIENT", "TRACKING", "ON"), Reply::status("OK"));
  client.command("GET", "a");
  EXPECT_EQ(client.command("HELLO", 3).at("proto").integer, 3);
  EXPECT_EQ(next_of_any(client), Keys{"*"});
}

// --- the cluster behind ---

TEST_F(TrackingTest, one_upstream_tracking_serves_all_clients) {
  CORRAL_NEEDS_CLUSTER();
  std::vector<Client> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(tracking());
    clients.back().command("MGET", "a", "b", "c", "d");
  }
  EXPECT_LE(front_->info_sum("tracking_clients"), 2 * static_cast<int64_t>(front_->masters()) * 6)
      << "a few links of each worker";
}

TEST_F(TrackingTest, what_was_read_over_a_lost_connection_is_told) {
  CORRAL_NEEDS_CLUSTER();
  Client client = tracking(), prefix = tracking("BCAST", "PREFIX", "a"), ears = front_->connect(),
         old = front_->connect();
  const int64_t id = ears.command("CLIENT", "ID").integer;
  ears.command("SUBSCRIBE", "__redis__:invalidate");
  old.command("CLIENT", "TRACKING", "ON", "REDIRECT", id);
  for (Client* reader : {&client, &prefix, &old}) reader->command("GET", "a");
  front_->owner_of("a").command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  EXPECT_EQ(next_of_any(client), Keys{"*"});
  EXPECT_EQ(next_of_any(prefix), Keys{"*"});
  EXPECT_EQ(next_message(ears), Keys{"*"});
  // It goes on; once more it may be said that all may have changed, when they are connected again.
  ASSERT_TRUE(
      eventually([&] { return !old.command("GET", "a").is_error() && !past_pushes(client, "GET", "a").is_error(); }));
  other_.command("SET", "a", "new");
  EXPECT_TRUE(eventually([&] { return next(client) == Keys{"a"}; }));
  EXPECT_TRUE(eventually([&] { return next_message(ears) == Keys{"a"}; }));
  EXPECT_TRUE(eventually([&] {
    other_.command("SET", "a", "newer");
    return prefix.readable(milliseconds(20)) && next(prefix) == Keys{"a"};
  }));
}

TEST_F(TrackingTest, keys_of_a_slot_that_is_given_away_without_them_are_told) {
  CORRAL_NEEDS_CLUSTER();
  RedisCluster& cluster = front_->cluster();
  Client client = tracking();
  const int slot = slot_of("a");
  const size_t from = cluster.owner(slot), to = (from + 1) % 3;
  client.command("GET", "a");
  cluster.node(to).command("CLUSTER", "SETSLOT", slot, "NODE", cluster.id(to));
  cluster.node(to).command("CLUSTER", "BUMPEPOCH");
  ASSERT_TRUE(eventually([&] { return cluster.owner_seen_by(from, slot) == to; }));
  EXPECT_TRUE(other_.command("GET", "a").is_nil());
  EXPECT_EQ(next(client), Keys{"a"});
  EXPECT_EQ(front_->connect().command("SET", "a", "there"), Reply::status("OK"));
  EXPECT_EQ(client.command("GET", "a").text, "there");
  cluster.migrate_slot(slot, to, from);
  EXPECT_EQ(next(client), Keys{"a"});
}

}  // namespace
}  // namespace corral::test
