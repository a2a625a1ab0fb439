// The fixture of tests that hold Corral, in front of a cluster or of one server (support/front.h), against one Redis
// that is given the same.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "command_mix.h"
#include "support/front.h"

namespace corral::test {

class BesideRedis : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    front_ = std::make_unique<Front>();
    corral_ = &front_->corral();
    redis_ = std::make_unique<RedisServer>();
  }

  static void TearDownTestSuite() {
    redis_.reset();
    front_.reset();
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

  static inline std::unique_ptr<Front> front_;
  static inline std::unique_ptr<RedisServer> redis_;
  static inline Corral* corral_ = nullptr;
  Client actual_ = corral_->connect();
  Client expected_ = redis_->connect();
};

}  // namespace corral::test
