// Every read through two proxies, and past them, is judged by what was written, while connections are cut, nodes stop,
// keys expire or are flushed. stage.h tells what the environment can set; ten million reads:
//
//   CORRAL_READS=10000000 coherence_test
#include "coherence_fixture.h"

namespace corral::test {
namespace {

TEST_F(CoherenceTest, in_peace) {
  stage_->phase("nothing is amiss", 1, [&](int) { stage_->go_on_for_reads(1000); });
  EXPECT_EQ(field().tally().unanswered, 0u);
  EXPECT_EQ(field().tally().in_doubt, 0u);
  if (Stage::near()) {
    EXPECT_GT(stage_->proxy(0).counter("near_cache_hits"), 0);
    EXPECT_GT(stage_->proxy(1).counter("near_cache_hits"), 0);
  }
}

TEST_F(CoherenceTest, near_caches_are_narrowed_and_widened) {
  stage_->phase("near caches are narrowed and widened", 30, [&](int round) {
    stage_->turn_near_caches(round + 1);
    stage_->go_on(milliseconds(20));
  });
  stage_->turn_near_caches(0);
  if (Stage::near()) {
    EXPECT_GT(stage_->proxy(0).counter("near_cache_passed_by"), 0);
    EXPECT_GT(stage_->proxy(1).counter("near_cache_passed_by"), 0);
  }
}

// The test itself is tested: the smallest incoherence is found under load.
TEST_F(CoherenceTest, old_replies_are_found) {
  field().replays = true;
  stage_->phase("old replies are replayed", 1, [&](int) { stage_->go_on_for_reads(5000); });
  field().replays = false;
  EXPECT_GT(field().complaints(), 20u);
  EXPECT_NE(field().first_complaints().find("broken: "), std::string::npos) << field().first_complaints();
}

TEST_F(CoherenceTest, keys_expire_soon) {
  field().short_ttls = true;
  stage_->phase("keys expire soon", 1, [&](int) { stage_->go_on_for_reads(1000); });
  field().short_ttls = false;
}

TEST_F(CoherenceTest, connections_are_killed) {
  size_t tracked = 0, others = 0;
  stage_->phase("connections are killed", 12, [&](int round) {
    const auto masters = stage_->masters();
    const size_t node = masters[static_cast<size_t>(round) % masters.size()];
    for (const auto& connection : stage_->connections(node)) {
      if (connection.tracked != (round % 3 != 0)) continue;
      cluster().node(node).command("CLIENT", "KILL", "ID", connection.id);
      ++(connection.tracked ? tracked : others);
    }
    stage_->go_on(milliseconds(40));
  });
  EXPECT_GT(others, 0u);
  if (Stage::near()) {
    EXPECT_GT(tracked, 0u);
  }
}

// Shorter than the cluster's own patience: nobody takes over.
TEST_F(CoherenceTest, nodes_stop_for_a_while) {
  stage_->phase("nodes stop for a while", 3, [&](int round) {
    const auto masters = stage_->masters();
    RedisServer& node = cluster().node(masters[static_cast<size_t>(round) % masters.size()]);
    if (round % 3 == 2) {
      node.connect().send(encode({"DEBUG", "SLEEP", "0.4"}));
      stage_->go_on(milliseconds(800));
      return;
    }
    node.pause();
    stage_->go_on(milliseconds(round % 3 == 0 ? 500 : 1500));
    node.resume();
    stage_->go_on(milliseconds(300));
  });
}

// What a flush removes from the histories: as a DEL of every key. The counters start anew, which is a loss.
TEST_F(CoherenceTest, everything_is_flushed) {
  const auto flush = [&](Client client, Way way, const std::vector<size_t>& keys) {
    std::vector<std::pair<size_t, uint64_t>> removals;
    for (const size_t key : keys) {
      removals.emplace_back(key, field().history(key).begin_delete(way, "FLUSHALL", field().now()));
    }
    const Reply reply = client.command("FLUSHALL");
    EXPECT_EQ(reply, Reply::status("OK"));
    for (const auto& [key, id] : removals) {
      field().history(key).end_write(id, KeyHistory::Outcome::kDone, field().now());
    }
  };
  stage_->phase("everything is flushed", 10, [&](int round) {
    if (round == 0) stage_->begin_loss(stage_->counters());
    const auto masters = stage_->masters();
    const size_t node = masters[static_cast<size_t>(round) % masters.size()];
    if (round % 3 == 0)
      flush(stage_->proxy(0).connect(), kProxyA, stage_->all_keys());
    else
      flush(cluster().node(node).connect(), kDirect, stage_->keys_of(node));
    stage_->go_on(milliseconds(80));
  });
}

// The servers forget what they track, and say so.
TEST_F(CoherenceTest, the_tracking_tables_overflow) {
  const auto set_all = [&](int keys) {
    for (const size_t node : stage_->masters()) {
      const Reply reply = cluster().node(node).command("CONFIG", "SET", "tracking-table-max-keys", keys);
      EXPECT_EQ(reply, Reply::status("OK"));
    }
  };
  stage_->phase("the tracking tables overflow", 1, [&](int round) {
    if (round == 0) set_all(10);
    stage_->go_on_for_reads(5000);
  });
  set_all(1'000'000);
}

// The proxies reach one master through a forwarder, which loses what goes over some of their connections, one way or
// both, for longer than a heartbeat may take: those that track keys, where there are any, and the others by turns.
TEST_F(CoherenceTest, connections_are_half_open) {
  const size_t node = stage_->masters().front();
  RedisServer& server = cluster().node(node);
  Forwarder forwarder(server.port());
  field().announces(forwarder.port(), server.port());
  const auto announce = [&](uint16_t port) {
    stage_->set_node_timeout(kNodeTimeoutMs / 3);  // so that the nodes talk more often
    EXPECT_EQ(server.command("CONFIG", "SET", "cluster-announce-port", port), Reply::status("OK"));
    require_eventually("the other nodes know the port", [&] {
      const std::string address = "127.0.0.1:" + std::to_string(port ? port : server.port()) + "@";
      return cluster().node((node + 1) % cluster().size()).command("CLUSTER", "NODES").text.find(address) !=
             std::string::npos;
    });
    stage_->set_node_timeout(kNodeTimeoutMs);
  };
  announce(forwarder.port());
  size_t held = 0;
  stage_->phase("connections are half open", 4, [&](int round) {
    require_eventually("the proxies use the forwarder", [&] { return forwarder.links().size() >= 4; });
    std::vector<uint16_t> links;
    for (const auto& connection : stage_->connections(node)) {
      if (!Stage::near() || connection.tracked == (round / 2 % 2 == 0)) links.push_back(connection.port);
    }
    held += links.size();
    constexpr Forwarder::Held kWays[] = {Forwarder::Held::kReplies, Forwarder::Held::kBoth, Forwarder::Held::kRequests};
    forwarder.hold(links, kWays[round % 3]);
    stage_->go_on(milliseconds(round % 4 == 1 ? 1600 : 700));
    round % 2 == 0 ? forwarder.release(links) : forwarder.cut(links);
    stage_->go_on(milliseconds(200));
  });
  EXPECT_GT(held, 0u);
  announce(0);
  field().announces(0, 0);
  require_eventually("the proxies are back at the node", [&] { return stage_->connections(node).size() >= 2; });
}

}  // namespace
}  // namespace corral::test
