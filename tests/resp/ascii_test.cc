// Words that differ in case only, for all bytes.
#include "resp/ascii.h"

#include <gtest/gtest.h>

namespace corral::test {
namespace {

using namespace resp;

constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", kLower = "abcdefghijklmnopqrstuvwxyz";

TEST(Ascii, lower_EveryByte_OnlyLettersChange) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const size_t letter = kUpper.find(c);
    EXPECT_EQ(lower(c), letter == kUpper.npos ? c : kLower[letter]) << byte;
  }
}

TEST(Ascii, sameWord_EveryPairOfBytes_OnlyCaseOfLettersIsIgnored) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const char a[] = {'x', static_cast<char>(first)}, b[] = {'X', static_cast<char>(second)};
      const size_t letter = kUpper.find(a[1]);
      const size_t other = kLower.find(a[1]);
      const bool same = a[1] == b[1] || (letter != kUpper.npos && kLower[letter] == b[1]) ||
                        (other != kLower.npos && kUpper[other] == b[1]);
      ASSERT_EQ(same_word({a, 2}, {b, 2}), same) << first << ' ' << second;
    }
  }
}

TEST(Ascii, sameWord_OtherLength_IsAnother) {
  EXPECT_TRUE(same_word("", ""));
  EXPECT_FALSE(same_word("", "a"));
  EXPECT_FALSE(same_word("MATCH", "match "));
  EXPECT_FALSE(same_word("match", "matc"));
}

TEST(Ascii, sameOption_ZeroByte_EndsTheArgument) {
  EXPECT_TRUE(same_option({"STORE\0x", 7}, "store"));
  EXPECT_TRUE(same_option({"store\0", 6}, "store"));
  EXPECT_TRUE(same_option("", ""));
  EXPECT_FALSE(same_option({"stor\0e", 6}, "store"));
  EXPECT_FALSE(same_option("stored", "store"));
}

TEST(Ascii, lowerCase_Words_KeepsWhatIsNoLetter) {
  EXPECT_EQ(lower_case("CONFIG|Set @[`{\xC4"), "config|set @[`{\xC4");
  EXPECT_EQ(lower_case(""), "");
}

}  // namespace
}  // namespace corral::test
