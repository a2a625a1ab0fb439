// Redis' own benchmark runs through Corral without an error: all its default tests, pipelined, and in cluster mode.
#include <gtest/gtest.h>

#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {
namespace {

class RedisBenchmarkTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<RedisCluster>();
    corral_ = std::make_unique<Corral>(CorralOptions{.upstream = cluster_->seeds()});
    corral_->wait_until_serving();
  }
  static void TearDownTestSuite() {
    corral_.reset();
    cluster_.reset();
  }

  void expect_success(const std::vector<std::string>& flags) {
    std::vector<std::string> argv = {"redis-benchmark", "-q", "-p", std::to_string(corral_->port())};
    argv.insert(argv.end(), flags.begin(), flags.end());
    const Finished benchmark = run(argv, milliseconds(90'000));
    EXPECT_EQ(benchmark.status, 0) << benchmark.output;
    for (const char* word : {"rror", "Could not", "failed", "refused"}) {
      EXPECT_EQ(benchmark.output.find(word), std::string::npos) << benchmark.output;
    }
    EXPECT_NE(benchmark.output.find("requests per second"), std::string::npos) << benchmark.output;
  }

  static inline std::unique_ptr<RedisCluster> cluster_;
  static inline std::unique_ptr<Corral> corral_;
};

TEST_F(RedisBenchmarkTest, default_tests) { expect_success({"-n", "10000"}); }

TEST_F(RedisBenchmarkTest, pipelined) { expect_success({"-n", "20000", "-P", "16"}); }

TEST_F(RedisBenchmarkTest, many_keys_deep_pipeline) {
  expect_success({"-t", "get,set", "-n", "200000", "-c", "50", "-P", "64", "-r", "100000"});
}

TEST_F(RedisBenchmarkTest, in_cluster_mode) {
  expect_success({"-n", "10000", "--cluster"});
  expect_success({"-t", "get,set,incr", "-n", "20000", "-P", "16", "--cluster"});
}

TEST_F(RedisBenchmarkTest, one_connection_a_request) { expect_success({"-t", "ping,set", "-n", "5000", "-k", "0"}); }

}  // namespace
}  // namespace corral::test
