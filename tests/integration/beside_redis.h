// The fixture of tests that hold Corral, in front of a cluster, against one Redis that is given the same.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "command_mix.h"
#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {

class BesideRedis : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<RedisCluster>();
    redis_ = std::make_unique<RedisServer>();
    corral_ = std::make_unique<Corral>(CorralOptions{.upstream = cluster_->seeds()});
    corral_->wait_until_serving();
  }

  static void TearDownTestSuite() {
    corral_.reset();
    redis_.reset();
    cluster_.reset();
  }

  // The same command to both; the reply of Redis must be that of Corral, which is returned.
  Reply both(const Step& step) {
    const Reply expected = expected_.command(step.args);
    Reply actual = actual_.command(step.args);
    EXPECT_EQ(difference(step, expected, actual), "");
    return actual;
  }
  template <class... Words>
  Reply both(const Words&... words) {
    return both(Step{{to_arg(words)...}});
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
  static inline std::unique_ptr<RedisServer> redis_;
  static inline std::unique_ptr<Corral> corral_;
  Client actual_ = corral_->connect();
  Client expected_ = redis_->connect();
};

}  // namespace corral::test
