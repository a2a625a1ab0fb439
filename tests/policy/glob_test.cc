// Redis' glob patterns: cases as stringmatchlen (Redis 7.0, util.c) answers them, and a naive recursive matcher over
// random patterns.
#include "policy/glob.h"

#include <gtest/gtest.h>

#include <string>

#include "glob_model.h"
#include "support.h"

namespace corral::policy {
namespace {

struct Case {
  std::string_view pattern, text;
  bool matches;
};

constexpr Case kCases[] = {
    {"", "", true},
    {"", "a", false},
    {"a", "", false},
    {"abc", "abc", true},
    {"abc", "abd", false},
    {"abc", "ab", false},
    {"abc", "ABC", false},
    // *
    {"*", "", true},
    {"*", "anything", true},
    {"**", "", true},
    {"a*", "a", true},
    {"*c", "abc", true},
    {"a*c", "abc", true},
    {"a*c", "abd", false},
    {"a*b*c", "a-b-b-c", true},
    {"*a*a*a", "aa", false},
    {"h*llo", "heeeello", true},
    {"*:*", "cache:1", true},
    // ?
    {"?", "", false},
    {"h?llo", "hello", true},
    {"h?llo", "hllo", false},
    {"??", "a", false},
    // [...]
    {"h[ae]llo", "hello", true},
    {"h[ae]llo", "hillo", false},
    {"h[^e]llo", "hello", false},
    {"h[^e]llo", "hallo", true},
    {"h[a-c]llo", "hbllo", true},
    {"h[a-c]llo", "hdllo", false},
    {"h[c-a]llo", "hbllo", true},
    {"[a-]", "-", false},
    {"[a-]]", "b", false},
    {"[]", "", false},
    {"[]", "a", false},
    {"[]a]", "a]", false},
    {"[^]", "a", true},
    {"[^]x", "ax", true},
    {"[a", "a", true},
    {"[a", "b", false},
    {"[", "[", false},
    {"[^", "a", true},
    {"x[ab", "xb", true},
    {"[\\]]", "]", true},
    {"[\\a]", "a", true},
    {"[\\-a]", "-", true},
    {"[*]", "*", true},
    {"[*]", "a", false},
    // backslash
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"\\?", "?", true},
    {"\\[a]", "[a]", true},
    {"\\\\", "\\", true},
    {"\\a", "a", true},
    {"\\", "\\", true},
    {"a\\", "a\\", true},
    // bytes
    {std::string_view("a\0b", 3), std::string_view("a\0b", 3), true},
    {"[\x80-\xff]", "\xc3", true},
    {"[a-z]", "\xc3", false},
};

TEST(Glob, AnswersAsRedisDoes) {
  for (const Case& c : kCases) EXPECT_EQ(glob_match(c.pattern, c.text), c.matches) << c.pattern << " " << c.text;
}

TEST(Glob, ManyStarsOnALongTextTakeNoExponentialTime) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "a*";
  pattern += 'b';
  EXPECT_FALSE(glob_match(pattern, std::string(20'000, 'a')));
}

std::string random_text(std::mt19937_64& random, std::string_view alphabet, size_t longest) {
  std::string text(test::below(random, longest + 1), ' ');
  for (char& c : text) c = alphabet[test::below(random, alphabet.size())];
  return text;
}

TEST(Glob, AgreesWithANaiveMatcherOnRandomPatterns) {
  auto random = test::seeded_generator("Glob");
  int matches = 0;
  for (int i = 0; i < 300'000; ++i) {
    const std::string pattern = random_text(random, "ab*?[]^-\\", 9);
    const std::string text = random_text(random, i % 4 == 0 ? "ab*?[]^-\\" : "ab", 7);
    const bool expected = test::naive_match(pattern, text);
    matches += expected;
    ASSERT_EQ(glob_match(pattern, text), expected) << "pattern \"" << pattern << "\" text \"" << text << '"';
  }
  EXPECT_GT(matches, 1000);
}

}  // namespace
}  // namespace corral::policy
