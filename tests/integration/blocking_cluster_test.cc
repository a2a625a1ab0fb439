// Clients that are blocked while their slot moves, their node dies or its replica takes over go on waiting at the new
// owner; and WAIT over several masters.
#include "support/background.h"
#include "support/front.h"

namespace corral::test {
namespace {

constexpr int kSlot = 500;  // of master 0 at the start

const std::string& tag() {
  static const std::string tag = tag_of_slot(kSlot);
  return tag;
}

// The forms of waiting, and what ends each.
struct Wait {
  Args command, push;
  std::string expected;
};

std::vector<Wait> waits(const std::string& prefix) {
  const std::string l = tag() + prefix + "l", m = tag() + prefix + "m", z = tag() + prefix + "z",
                    x = tag() + prefix + "x";
  return {{{"BLPOP", l + "1", m, "0"}, {"RPUSH", l + "1", "e"}, "[\"" + l + "1\", \"e\"]"},
          {{"BRPOP", m, l + "2", "30"}, {"RPUSH", l + "2", "e"}, "[\"" + l + "2\", \"e\"]"},
          {{"BLMOVE", l + "3", m + "3", "LEFT", "LEFT", "0"}, {"RPUSH", l + "3", "e"}, "\"e\""},
          {{"BLMPOP", "0", "1", l + "4", "LEFT"}, {"RPUSH", l + "4", "e"}, "[\"" + l + "4\", [\"e\"]]"},
          {{"BZPOPMIN", z + "1", "0"}, {"ZADD", z + "1", "2", "e"}, "[\"" + z + "1\", \"e\", \"2\"]"},
          {{"BZMPOP", "30", "1", z + "2", "MAX"}, {"ZADD", z + "2", "2", "e"}, "[\"" + z + "2\", [[\"e\", \"2\"]]]"},
          {{"XREAD", "BLOCK", "0", "STREAMS", x, "0"},
           {"XADD", x, "1-1", "f", "v"},
           "[[\"" + x + "\", [[\"1-1\", [\"f\", \"v\"]]]]]"}};
}

class BlockedClients {
 public:
  BlockedClients(Front& front, const std::string& prefix) : waits_(waits(prefix)) {
    for (const Wait& wait : waits_) {
      clients_.push_back(front.connect());
      clients_.back().send(encode_all({wait.command, {"ECHO", "behind it"}}));
    }
  }
  size_t size() const { return clients_.size(); }
  // All of them get what they wait for, once it is pushed through Corral.
  void expect_served(Front& front) {
    Client pusher = front.connect();
    for (size_t i = 0; i < size(); ++i) {
      Reply pushed;
      ASSERT_TRUE(eventually([&] { return !(pushed = pusher.command(waits_[i].push)).is_error(); })) << pushed;
      EXPECT_EQ(to_string(clients_[i].read_reply()), waits_[i].expected) << waits_[i].command[0];
      EXPECT_EQ(clients_[i].read_reply().text, "behind it");
    }
  }

 private:
  const std::vector<Wait> waits_;
  std::vector<Client> clients_;
};

TEST(BlockingReshardTest, the_blocked_follow_their_slot) {
  CORRAL_NEEDS_CLUSTER();
  Front front;
  for (int round = 0; round < 3; ++round) {
    const size_t from = front.cluster().owner(kSlot), to = (from + 1) % 3;
    BlockedClients blocked(front, "round" + std::to_string(round));
    const auto at = [&](size_t node) { return front.master(node).info_number("blocked_clients"); };
    const auto all = static_cast<int64_t>(blocked.size());
    ASSERT_TRUE(eventually([&] { return at(from) == all; })) << at(from);
    front.cluster().migrate_slot(kSlot, from, to);
    if (round > 0) {  // in the first round the pushes come while some are still at the old owner
      ASSERT_TRUE(eventually([&] { return at(to) == all && at(from) == 0; })) << at(from) << ' ' << at(to);
    }
    blocked.expect_served(front);
  }
}

// A push during a migration goes to the new owner, by ASK, while the blocked wait at the old one.
TEST(BlockingReshardTest, what_is_pushed_on_the_way_is_not_lost) {
  CORRAL_NEEDS_CLUSTER();
  Front front;
  RedisCluster& cluster = front.cluster();
  const size_t from = cluster.owner(kSlot), to = (from + 1) % 3;
  const std::string key = tag() + "list";
  Client waiting = front.connect(), pusher = front.connect();
  waiting.send(encode({"BLPOP", key, "0"}));
  ASSERT_TRUE(eventually([&] { return front.info_sum("blocked_clients") == 1; }));
  cluster.begin_migration(kSlot, from, to);
  EXPECT_EQ(pusher.command("RPUSH", key, "pushed"), Reply::number(1));
  cluster.end_migration(kSlot, from, to);
  EXPECT_EQ(waiting.read_reply().strings(), (std::vector<std::string>{key, "pushed"}));
  EXPECT_EQ(pusher.command("LLEN", key), Reply::number(0));
}

TEST(BlockingReshardTest, a_timeout_is_kept_over_a_move) {
  CORRAL_NEEDS_CLUSTER();
  Front front;
  Client waiting = front.connect();
  const auto start = Clock::now();
  waiting.send(encode({"BLPOP", tag() + "list", "3"}));
  ASSERT_TRUE(eventually([&] { return front.info_sum("blocked_clients") == 1; }));
  front.cluster().migrate_slot(kSlot, front.cluster().owner(kSlot), 1);
  EXPECT_TRUE(waiting.read_reply().is_nil());
  EXPECT_GE(seconds_since(start), 2.9);
}

constexpr const char* kSettings =
    "[upstream]\nconnect_timeout = \"300ms\"\nrequest_timeout = \"2s\"\nrefresh_interval = \"500ms\"\n";

TEST(BlockingFailoverTest, the_blocked_follow_a_failover_by_hand) {
  CORRAL_NEEDS_CLUSTER();
  Front front({.cluster = {.replicas_per_master = 1}, .settings = kSettings});
  BlockedClients blocked(front, "hand");
  ASSERT_TRUE(eventually([&] { return front.info_sum("blocked_clients") == static_cast<int64_t>(blocked.size()); }));
  front.cluster().fail_over_to(3, kSlot);
  blocked.expect_served(front);
}

// A wait that was sent and lost with its node may have popped something: that is what -INDOUBT says. A read is not in
// doubt.
TEST(BlockingFailoverTest, the_blocked_learn_of_a_killed_master) {
  CORRAL_NEEDS_CLUSTER();
  // The request timeout, after which a slot without an owner is reported, is longer than a failover takes.
  Front front(
      {.cluster = {.replicas_per_master = 1, .node_timeout_ms = 1500},
       .settings =
           "[upstream]\nconnect_timeout = \"300ms\"\nrequest_timeout = \"15s\"\nrefresh_interval = \"500ms\"\n"});
  Client popping = front.connect(), reading = front.connect(), elsewhere = front.connect(), pusher = front.connect();
  const std::string list = tag() + "list", stream = tag() + "stream", far = tag_of_slot(16'000) + "list";
  popping.send(encode({"BLPOP", list, "0"}));
  reading.send(encode({"XREAD", "BLOCK", "0", "STREAMS", stream, "0"}));
  elsewhere.send(encode({"BLPOP", far, "0"}));
  ASSERT_TRUE(eventually([&] { return front.info_sum("blocked_clients") == 3; }));
  front.cluster().node(0).kill();
  ASSERT_TRUE(eventually([&] { return front.cluster().owner_seen_by(1, kSlot) == 3; }));
  ASSERT_TRUE(eventually([&] { return !pusher.command("SET", tag(), "v").is_error(); }));
  ASSERT_FALSE(pusher.command("XADD", stream, "1-1", "f", "v").is_error());
  const Reply read = reading.read_reply();
  EXPECT_NE(read.raw.find("1-1"), std::string::npos) << read;
  ASSERT_EQ(pusher.command("RPUSH", list, "e"), Reply::number(1));
  const Reply popped = popping.read_reply();
  EXPECT_TRUE(popped.is_error("INDOUBT") || popped.strings() == (std::vector<std::string>{list, "e"})) << popped;
  if (popped.is_error()) {
    EXPECT_EQ(pusher.command("LLEN", list), Reply::number(1));
  }
  EXPECT_EQ(pusher.command("RPUSH", far, "e"), Reply::number(1));
  EXPECT_EQ(elsewhere.read_reply().strings(), (std::vector<std::string>{far, "e"}));
}

TEST(WaitTest, the_answer_is_the_least_of_the_masters_written_to) {
  CORRAL_NEEDS_CLUSTER();
  Front front({.cluster = {.replicas_per_master = 1, .node_timeout_ms = 60'000}});
  const std::string first = tag_of_slot(10), second = tag_of_slot(16'000);  // of masters 0 and 2
  Client one = front.connect(), two = front.connect(), none = front.connect();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(one.pipeline({{"SET", first, "v"}, {"WAIT", "1", "0"}})[1], Reply::number(1));
    EXPECT_EQ(two.pipeline({{"SET", first, "v"}, {"SET", second, "v"}, {"WAIT", "1", "0"}})[2], Reply::number(1));
  }
  EXPECT_EQ(front.cluster().node(3).command("GET", first).text.substr(0, 5), "MOVED") << "a replica";
  front.cluster().node(5).pause();  // the replica of master 2
  EXPECT_EQ(two.pipeline({{"SET", first, "w"}, {"SET", second, "w"}, {"WAIT", "1", "300"}})[2], Reply::number(0));
  EXPECT_EQ(one.pipeline({{"SET", first, "w"}, {"WAIT", "1", "0"}})[1], Reply::number(1)) << "not of its masters";
  two.send(encode_all({{"SET", second, "x"}, {"WAIT", "1", "0"}, {"ECHO", "behind it"}}));
  EXPECT_EQ(two.read_reply(), Reply::status("OK"));
  EXPECT_EQ(one.command("GET", second).text, "x");
  EXPECT_FALSE(two.readable(milliseconds(0)));
  front.cluster().node(5).resume();
  EXPECT_EQ(two.read_reply(), Reply::number(1));
  EXPECT_EQ(two.read_reply().text, "behind it");
  EXPECT_FALSE(none.command("WAIT", "0", "100").is_error());
}

}  // namespace
}  // namespace corral::test
