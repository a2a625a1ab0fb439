// The tests' own tools, checked against Redis itself: a tool that is wrong would make every other test mean nothing.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "support/cluster.h"

namespace corral::test {
namespace {

TEST(ReplyTest, parses_every_type_at_every_cut) {
  const std::string whole =
      "*6\r\n+OK\r\n-ERR no\r\n:-42\r\n$5\r\na\r\nb" + std::string(1, '\0') + "\r\n*-1\r\n*1\r\n$-1\r\n";
  const Reply expected =
      Reply::array({Reply::status("OK"), Reply::error("ERR no"), Reply::number(-42),
                    Reply::string(std::string("a\r\nb\0", 5)), Reply::nil(), Reply::array({Reply::nil()})});
  Reply reply;
  for (size_t cut = 0; cut < whole.size(); ++cut) EXPECT_FALSE(parse_reply(whole.substr(0, cut), 0, reply)) << cut;
  EXPECT_EQ(parse_reply(whole + "+next", 0, reply), whole.size());
  EXPECT_EQ(reply, expected);
  EXPECT_EQ(reply.raw, whole);
  EXPECT_EQ(reply.elements[1].is_error("ERR"), true);
}

TEST(ReplyTest, parses_what_resp3_adds_at_every_cut) {
  const std::string whole =
      ">6\r\n%2\r\n+a\r\n,1.5\r\n+b\r\n_\r\n~2\r\n#t\r\n#f\r\n=7\r\ntxt:a\r\n\r\n(123\r\n!5\r\nERR x\r\n*0\r\n";
  Reply reply;
  for (size_t cut = 0; cut < whole.size(); ++cut) EXPECT_FALSE(parse_reply(whole.substr(0, cut), 0, reply)) << cut;
  EXPECT_EQ(parse_reply(whole + "+next", 0, reply), whole.size());
  EXPECT_EQ(to_string(reply), ">[%[+a, ,1.5, +b, nil], ~[#t, #f], =txt:a\\r\\n, (123, -ERR x, []]");
  EXPECT_EQ(reply.elements[0].at("a").text, "1.5");
  EXPECT_EQ(reply.elements[0].at("b").raw, "_\r\n");
  EXPECT_TRUE(reply.elements[0].at("c").raw.empty());
}

TEST(ReplyTest, refuses_what_is_no_reply) {
  Reply reply;
  for (const char* bytes :
       {"?\r\n", ":1x\r\n", "$3\r\nabcde\r\n", "$-2\r\n", "+OK\n", "*2x\r\n", "#x\r\n", "_x\r\n", "%-1\r\n"}) {
    EXPECT_THROW(parse_reply(bytes, 0, reply), std::runtime_error) << bytes;
  }
}

TEST(ProcessTest, reports_exit_status_and_signal) {
  EXPECT_EQ(run({"sh", "-c", "echo out; echo err >&2; exit 3"}).status, 3);
  EXPECT_EQ(run({"sh", "-c", "echo out; echo err >&2"}).output, "out\nerr\n");
  EXPECT_EQ(run({"sh", "-c", "kill -9 $$"}).status, 128 + SIGKILL);
  EXPECT_EQ(run({"/no/such/program"}).status, 127);
}

TEST(ProcessTest, a_child_dies_with_its_parent) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t parent = fork();
  if (parent == 0) {
    Process child({"sleep", "1000"}, "/dev/null");
    const pid_t pid = child.pid();
    const bool told = write(pipe_ends[1], &pid, sizeof pid) == sizeof pid;
    ::kill(getpid(), told ? SIGKILL : SIGTERM);  // no destructor runs
  }
  pid_t child = 0;
  ASSERT_EQ(read(pipe_ends[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  EXPECT_TRUE(eventually([&] { return read_file("/proc/" + std::to_string(child) + "/cmdline").empty(); }));
}

TEST(ClientTest, pipelines_more_than_the_sockets_hold) {
  RedisServer redis;
  Client client = redis.connect();
  const std::string value(100'000, 'v');
  std::vector<Args> commands(500, Args{"ECHO", value});
  const auto replies = client.pipeline(commands);
  ASSERT_EQ(replies.size(), commands.size());
  for (const Reply& reply : replies) ASSERT_EQ(reply.text, value);
  EXPECT_FALSE(client.readable(milliseconds(0)));
}

TEST(ClientTest, meets_closed_and_silent_servers) {
  RedisServer redis;
  Client client = redis.connect();
  client.send("*1\r\n$4\r\nQUIT\r\n");
  EXPECT_EQ(client.read_until_close(), "+OK\r\n");
  Client waiting(redis.port(), milliseconds(50));
  EXPECT_THROW(waiting.read_reply(), TimedOut);
  redis.kill();
  EXPECT_THROW(waiting.command("PING"), Disconnected);
  EXPECT_THROW(redis.connect(), Disconnected);
}

TEST(RedisServerTest, pauses_and_restarts_on_its_port) {
  RedisServer redis;
  redis.command("SET", "k", "v");
  redis.pause();
  Client waiting(redis.port(), milliseconds(100));
  EXPECT_THROW(waiting.command("PING"), TimedOut);
  redis.resume();
  EXPECT_EQ(redis.command("GET", "k").text, "v");
  const auto port = redis.port();
  redis.restart();
  EXPECT_EQ(redis.port(), port);
  EXPECT_TRUE(redis.command("GET", "k").is_nil());
  EXPECT_GT(redis.process().rss_bytes(), 1'000'000u);
  EXPECT_EQ(redis.info_number("process_id"), redis.process().pid());
}

TEST(RedisClusterTest, slots_are_those_of_redis) {
  RedisServer redis(true);
  for (const char* key : {"", "a", "foo{bar}baz", "{}x", "{x", "{{a}}", "a{b}{c}", "123456789"}) {
    EXPECT_EQ(redis.command("CLUSTER", "KEYSLOT", key).integer, slot_of(key)) << key;
  }
  for (const int slot : {0, 1, 8191, 16383}) EXPECT_EQ(slot_of(tag_of_slot(slot) + "k"), slot);
}

TEST(RedisClusterTest, moves_slots_step_by_step_and_grows) {
  RedisCluster cluster;
  const std::string tag = tag_of_slot(100);
  for (int i = 0; i < 250; ++i) cluster.command_to_owner(tag, "SET", tag + std::to_string(i), i);
  const size_t fresh = cluster.add_node();
  EXPECT_EQ(cluster.owner(100), 0u);
  cluster.begin_migration(100, 0, fresh);
  EXPECT_EQ(cluster.move_keys(100, 0, fresh, 120), 120u);
  EXPECT_EQ(cluster.node(0).command("DBSIZE").integer, 130);
  EXPECT_EQ(cluster.move_keys(100, 0, fresh), 130u);
  cluster.end_migration(100, 0, fresh);
  cluster.wait_until_agreed();
  for (size_t viewer = 0; viewer < cluster.size(); ++viewer) EXPECT_EQ(cluster.owner_seen_by(viewer, 100), fresh);
  EXPECT_EQ(cluster.command_to_owner(tag, "GET", tag + "249").text, "249");
}

TEST(RedisClusterTest, a_replica_takes_over) {
  RedisCluster cluster({.replicas_per_master = 1, .node_timeout_ms = 1000});
  cluster.node(0).kill();
  EXPECT_TRUE(eventually([&] { return cluster.owner_seen_by(1, 0) == 3; }));
  cluster.node(0).restart();
  cluster.wait_until_agreed();
  EXPECT_EQ(cluster.owner(0), 3u);
}

}  // namespace
}  // namespace corral::test
