#include "proxy/core/log_limit.h"

#include <gtest/gtest.h>

namespace corral::core {
namespace {

TEST(LogLimitTest, some_lines_at_once_then_so_many_a_second_and_the_rest_is_counted) {
  LogLimit limit;
  uint32_t left_out = 0;
  const uint64_t start_ms = 123'456;
  for (uint32_t i = 0; i < LogLimit::kBurst; ++i) {
    ASSERT_TRUE(limit.take(start_ms, left_out));
    ASSERT_EQ(left_out, 0u);
  }
  for (int i = 0; i < 7; ++i) ASSERT_FALSE(limit.take(start_ms, left_out));
  EXPECT_FALSE(limit.take(start_ms + 1000 / LogLimit::kPerSecond - 1, left_out));
  ASSERT_TRUE(limit.take(start_ms + 1000 / LogLimit::kPerSecond, left_out));
  EXPECT_EQ(left_out, 8u);
  uint32_t written = 0;
  for (uint64_t ms = 1'000; ms < 11'000; ++ms) written += limit.take(start_ms + ms, left_out);
  EXPECT_GE(written, 10 * LogLimit::kPerSecond - 1);
  EXPECT_LE(written, 11 * LogLimit::kPerSecond);
}

TEST(LogLimitTest, a_quiet_time_gives_no_more_than_the_burst) {
  LogLimit limit;
  uint32_t left_out = 0, written = 0;
  for (uint32_t i = 0; i < 1000; ++i) written += limit.take(1'000'000'000, left_out);
  EXPECT_EQ(written, LogLimit::kBurst);
}

}  // namespace
}  // namespace corral::core
