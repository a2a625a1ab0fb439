// What a test of behaviour talks to: Corral in front of a cluster, with CORRAL_TEST_TARGET=standalone Corral in front
// of one plain redis-server, or with CORRAL_TEST_TARGET=redis that server itself. What a test says of Corral must hold
// for Redis, so each test that can be is run against Redis as well: what fails there is wrong in the test.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "cluster.h"
#include "corral.h"

namespace corral::test {

struct FrontOptions {
  ClusterOptions cluster = {};
  std::string settings = {};  // of Corral, in TOML
  int workers = 2;
  bool standalone = false;  // in front of one server, whatever the environment says
};

class Front {
 public:
  // Whether the test runs against a plain Redis.
  static bool is_control();
  // Whether it runs in front of one server, unless it asks for it.
  static bool is_standalone();

  explicit Front(FrontOptions options = {});

  uint16_t port() const { return corral_ ? corral_->port() : server_->port(); }
  Client connect(milliseconds timeout = kPatience) const { return Client(port(), timeout); }
  // A client that speaks RESP3.
  Client connect3(milliseconds timeout = kPatience) const;

  // The masters behind; or the one server.
  size_t masters() const { return server_ ? 1 : masters_; }
  RedisServer& master(size_t index) { return server_ ? *server_ : cluster_->node(index); }
  RedisServer& owner_of(std::string_view key) { return server_ ? *server_ : cluster_->owner_of(key); }
  // The sum of a number of INFO over all masters.
  int64_t info_sum(const std::string& field);
  // Of the process that the clients are connected to.
  pid_t pid() const;

  // Only where there is a cluster.
  RedisCluster& cluster() { return *cluster_; }
  Corral& corral() { return *corral_; }

 private:
  size_t masters_ = 1;
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<RedisCluster> cluster_;
  std::unique_ptr<Corral> corral_;
};

// The tests of a fixture share one front.
class FrontTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { front_ = std::make_unique<Front>(); }
  static void TearDownTestSuite() { front_.reset(); }
  void SetUp() override { ASSERT_EQ(client_.command("FLUSHALL"), Reply::status("OK")); }

  static inline std::unique_ptr<Front> front_;
  Client client_ = front_->connect();
};

}  // namespace corral::test

// For tests that need a cluster, and so have no control.
#define CORRAL_NEEDS_CLUSTER() \
  if (::corral::test::Front::is_control() || ::corral::test::Front::is_standalone()) GTEST_SKIP() << "needs a cluster"
