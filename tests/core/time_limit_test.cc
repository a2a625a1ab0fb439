// The timeouts of blocking commands: read as Redis reads them, and written back with what is left.
#include "proxy/core/time_limit.h"

#include <gtest/gtest.h>

#include "command_maker.h"
#include "resp/reply_builder.h"

namespace corral::core {
namespace {

constexpr uint64_t kNow = 5'000'000'000;  // more than 32 bits hold

struct TimeLimitTest : testing::Test {
  TimeLimit limit_of(std::string_view text) {
    const test::Words words = test::split_words(text);
    return TimeLimit(*test::spec_of(words), maker.make(words), kNow);
  }
  /// The words of a command after `passed_ms`, as it is sent then.
  std::string sent_after(std::string_view text, uint64_t passed_ms) {
    const test::Words words = test::split_words(text);
    std::string bytes;
    resp::append_command(bytes, std::vector<std::string_view>(words.begin(), words.end()));
    const std::string sent = limit_of(text).with_time_left(bytes, kNow + passed_ms);
    std::string sent_words;
    for (const auto& word : resp::ReplyView(sent).elements()) {
      sent_words.append(sent_words.empty() ? "" : " ").append(word.text());
    }
    return sent_words;
  }
  test::CommandMaker maker;
};

TEST_F(TimeLimitTest, SecondsHaveAFraction) {
  EXPECT_EQ(sent_after("blpop k 2", 0), "blpop k 2.000");
  EXPECT_EQ(sent_after("blpop k 2", 1), "blpop k 1.999");
  EXPECT_EQ(sent_after("blpop a b c 1.5", 1499), "blpop a b c 0.001");
  EXPECT_EQ(sent_after("blmpop 3 1 k left", 500), "blmpop 2.500 1 k left");
  EXPECT_EQ(sent_after("blpop k 0.0001", 0), "blpop k 0.001") << "rounded up, as Redis does";
  EXPECT_EQ(sent_after("blpop k 1e2", 1), "blpop k 99.999");
}

TEST_F(TimeLimitTest, MillisecondsAreWhole) {
  EXPECT_EQ(sent_after("xread block 1500 streams s 0", 500), "xread block 1000 streams s 0");
  EXPECT_EQ(sent_after("xreadgroup group g c block 9 streams s >", 8), "xreadgroup group g c block 1 streams s >");
}

TEST_F(TimeLimitTest, ZeroStaysForEver) {
  EXPECT_EQ(sent_after("blpop k 0", 1'000'000'000), "blpop k 0");
  EXPECT_EQ(sent_after("xread block 0 streams s 0", 77), "xread block 0 streams s 0");
  EXPECT_TRUE(limit_of("blpop k 0").known());
  EXPECT_FALSE(limit_of("blpop k 0").over(~uint64_t{0}));
}

TEST_F(TimeLimitTest, WhatIsOverIsNotForEver) {
  EXPECT_EQ(sent_after("blpop k 2", 2000), "blpop k 0.001");
  EXPECT_EQ(sent_after("blpop k 2", 9000), "blpop k 0.001");
  EXPECT_EQ(sent_after("xread block 20 streams s 0", 21), "xread block 1 streams s 0");
}

TEST_F(TimeLimitTest, TellsHowLongItIsOverdue) {
  const TimeLimit limit = limit_of("blpop k 2");
  EXPECT_FALSE(limit.over(kNow + 1999));
  EXPECT_EQ(limit.left_ms(kNow + 1999), 1u);
  EXPECT_TRUE(limit.over(kNow + 2000));
  EXPECT_EQ(limit.left_ms(kNow + 2000), 1u);
  EXPECT_EQ(limit.overdue_ms(kNow + 1999), 0u);
  EXPECT_EQ(limit.overdue_ms(kNow + 2500), 500u);
}

TEST_F(TimeLimitTest, EndedOneIsOverAtOnceAlsoIfItWasForEver) {
  TimeLimit limit = limit_of("blpop k 0");
  limit.end(kNow);
  EXPECT_TRUE(limit.over(kNow));
}

TEST_F(TimeLimitTest, WhatIsNoTimeoutIsLeftToTheNode) {
  for (const auto* text : {"blpop k x", "blpop k -1", "blpop k inf", "blpop k nan", "blpop k ''", "blpop k 1e300",
                           "xread block 1.5 streams s 0", "xread block -1 streams s 0", "xread streams s 0"}) {
    EXPECT_FALSE(limit_of(text).known()) << text;
  }
  EXPECT_EQ(sent_after("blpop k x", 10), "blpop k x");
}

TEST_F(TimeLimitTest, VeryLongTimeoutsDoNotOverflow) {
  EXPECT_FALSE(limit_of("xread block 9223372036854775807 streams s 0").over(kNow + 1'000'000'000'000));
  EXPECT_FALSE(limit_of("blpop k 999999999999").over(kNow + 1'000'000'000'000));
}

}  // namespace
}  // namespace corral::core
