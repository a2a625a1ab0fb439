// One server that is lost, comes back, is not what the settings call it, or is only a replica.
#include <gtest/gtest.h>

#include "support/background.h"
#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {
namespace {

std::string settings(const std::string& request_timeout) {
  return "[upstream]\nmode = \"standalone\"\nconnect_timeout = \"300ms\"\nrequest_timeout = \"" + request_timeout +
         "\"\nrefresh_interval = \"500ms\"\n";
}

TEST(StandaloneFailureTest, lost_connections_never_double_a_write) {
  RedisServer redis;
  Corral corral({.upstream = redis.address(), .settings = settings("5s")});
  int64_t acknowledged = 0, in_doubt = 0;
  std::string unexpected;
  Background writer([&](Background::Stop stop) {
    Client client = corral.connect();
    client.command("SELECT", 3);
    while (!stop) {
      for (const Reply& reply : client.pipeline(std::vector<Args>(10, Args{"INCR", "n"}))) {
        acknowledged += reply.type == Reply::Type::kInteger;
        in_doubt += reply.is_error("INDOUBT");
        if (reply.is_error() && !reply.is_error("INDOUBT")) unexpected = to_string(reply);
      }
    }
  });
  Client direct = redis.connect();
  direct.command("SELECT", 3);
  const auto count = [&] { return std::atoll(direct.command("GET", "n").text.c_str()); };
  for (int round = 0; round < 10; ++round) {
    const int64_t before = count();
    direct.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    EXPECT_TRUE(eventually([&] { return count() > before + 20; }));
  }
  writer.finish();
  EXPECT_EQ(unexpected, "");
  EXPECT_GE(count(), acknowledged);
  EXPECT_LE(count(), acknowledged + in_doubt);
}

TEST(StandaloneFailureTest, requests_wait_for_a_server_that_comes_back) {
  RedisServer redis;
  Corral corral({.upstream = redis.address(), .settings = settings("20s")});
  Client client = corral.connect();
  ASSERT_EQ(client.command("SET", "k", "v"), Reply::status("OK"));
  redis.kill();
  client.send(encode({"SET", "k", "w"}) + encode({"GET", "k"}));
  EXPECT_FALSE(client.readable(milliseconds(300)));
  redis.restart();
  EXPECT_EQ(client.read_reply(), Reply::status("OK"));
  EXPECT_EQ(client.read_reply().text, "w");
}

TEST(StandaloneFailureTest, a_server_that_stays_away_is_told_after_the_request_timeout) {
  RedisServer redis;
  Corral corral({.upstream = redis.address(), .settings = settings("500ms")});
  Client client = corral.connect();
  ASSERT_EQ(client.command("SET", "k", "v"), Reply::status("OK"));
  redis.kill();
  EXPECT_TRUE(client.command("SET", "k", "w").is_error("CLUSTERDOWN"));
  EXPECT_EQ(client.command("PING"), Reply::status("PONG"));
}

TEST(StandaloneFailureTest, a_replica_serves_reads_and_refuses_writes) {
  RedisServer master;
  RedisServer replica(false, {"--replicaof", "127.0.0.1", std::to_string(master.port())});
  master.command("SET", "k", "v");
  Corral corral({.upstream = replica.address(), .settings = settings("500ms")});
  Client client = corral.connect();
  EXPECT_TRUE(eventually([&] { return client.command("GET", "k").text == "v"; }));
  EXPECT_TRUE(client.command("SET", "k", "w").is_error("READONLY"));
  EXPECT_TRUE(client.command("EVAL", "return redis.call('set', 'k', 'w')", 1, "k").is_error("READONLY"));
  replica.command("REPLICAOF", "NO", "ONE");
  EXPECT_TRUE(eventually([&] { return client.command("SET", "k", "w") == Reply::status("OK"); }));
}

TEST(StandaloneFailureTest, as_many_databases_as_the_server_has) {
  RedisServer redis(false, {"--databases", "200"});
  Corral corral({.upstream = redis.address(), .settings = settings("2s")});
  Client client = corral.connect();
  EXPECT_TRUE(eventually([&] { return client.command("SELECT", 199) == Reply::status("OK"); }));
  EXPECT_EQ(client.command("SET", "k", "v"), Reply::status("OK"));
  EXPECT_EQ(client.command("SELECT", 200), Reply::error("ERR DB index is out of range"));
  EXPECT_EQ(client.command("GET", "k").text, "v");
  redis.command("SELECT", 199);
  EXPECT_EQ(redis.command("GET", "k").text, "v");
}

TEST(StandaloneFailureTest, a_node_of_a_cluster_is_not_taken_for_a_server) {
  RedisCluster cluster;
  Corral corral({.upstream = cluster.node(0).address(), .settings = settings("2s")});
  Client client = corral.connect();
  const Reply reply = client.command("SET", tag_of_slot(16'000), "v");
  EXPECT_TRUE(reply.is_error("ERR")) << reply;
  EXPECT_NE(reply.text.find("upstream.mode must be \"cluster\""), std::string::npos) << reply;
  EXPECT_TRUE(eventually([&] { return corral.log().find("is a node of a cluster") != std::string::npos; }));
}

}  // namespace
}  // namespace corral::test
