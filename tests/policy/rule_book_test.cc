// The rule book against what it stands for: the rules one by one in their order, each glob by glob_match.
#include "policy/rule_book.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/glob.h"
#include "support.h"

namespace corral::policy {
namespace {

using Globs = std::vector<std::vector<std::string>>;  // of each rule
using namespace std::string_literals;

std::vector<Rule> make_rules(const Globs& globs) {
  std::vector<Rule> rules;
  for (const auto& match : globs) rules.push_back({.name = std::to_string(rules.size()), .match = match, .ttl = {}});
  return rules;
}

std::optional<size_t> naive_find(const Globs& globs, std::string_view key) {
  for (size_t i = 0; i < globs.size(); ++i) {
    for (const std::string& glob : globs[i]) {
      if (glob_match(glob, key)) return i;
    }
  }
  return std::nullopt;
}

// The place of the rule found in the book's own rules.
std::optional<size_t> found(const RuleBook& book, std::string_view key) {
  const Rule* const rule = book.find(key);
  if (rule == nullptr) return std::nullopt;
  return static_cast<size_t>(rule - book.rules().data());
}

std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
    out += c >= ' ' && c <= '~' ? std::string(1, c) : hex;
  }
  return out;
}

struct Case {
  const char* what;
  Globs globs;
  std::string key;
  std::optional<size_t> rule;
};

const Case kCases[] = {
    {"no rules", {}, "a", {}},
    {"no globs", {{}, {}}, "a", {}},
    {"a rule without globs is none", {{}, {"a*"}}, "a", 1},
    // literals and prefixes
    {"literal", {{"motd"}}, "motd", 0},
    {"literal is not a prefix", {{"motd"}}, "motd2", {}},
    {"key ends within a literal", {{"motd"}}, "mot", {}},
    {"prefix", {{"cache:*"}}, "cache:1", 0},
    {"nothing behind the prefix", {{"cache:*"}}, "cache:", 0},
    {"key ends within a prefix", {{"cache:*"}}, "cache", {}},
    {"two stars are as one", {{"cache:**"}}, "cache:1", 0},
    {"all", {{"*"}}, "a", 0},
    {"all, and the empty key", {{"*"}}, "", 0},
    {"the empty pattern is the empty key", {{""}}, "", 0},
    {"the empty pattern is no other key", {{""}}, "a", {}},
    {"the empty key under other rules", {{"a"}, {"b*"}}, "", {}},
    {"upper case is another", {{"Cache:*"}}, "cache:1", {}},
    // order
    {"the first of equal ones", {{"a*"}, {"a*"}}, "a", 0},
    {"the first of equal literals", {{"b"}, {"a"}, {"a"}}, "a", 1},
    {"the longer prefix is no better", {{"a*"}, {"ab*"}}, "abc", 0},
    {"the longer prefix first", {{"ab*"}, {"a*"}}, "abc", 0},
    {"the shorter prefix where the longer ends", {{"abc*"}, {"a*"}}, "abx", 1},
    {"all first", {{"*"}, {"a"}, {"a*"}}, "a", 0},
    {"all last", {{"a"}, {"b*"}, {"*"}}, "c", 2},
    {"literal before prefix", {{"a:1"}, {"a:*"}}, "a:1", 0},
    {"literal behind prefix", {{"a:*"}, {"a:1"}}, "a:1", 0},
    {"any glob of a rule", {{"x", "a:*"}, {"a:1"}}, "a:1", 0},
    {"a rule may stand at one place twice", {{"a:*", "a:*", "a:1"}}, "a:1", 0},
    // globs
    {"within a prefix", {{"user:*:cart"}}, "user:1:cart", 0},
    {"its suffix differs", {{"user:*:cart"}}, "user:1:card", {}},
    {"prefix and suffix do not overlap", {{"a:*:a"}}, "a:a", {}},
    {"nothing between them", {{"a:*:a"}}, "a::a", 0},
    {"suffix only", {{"*:tmp"}}, "a:tmp", 0},
    {"suffix behind two stars", {{"a*b*c"}}, "axxbxxc", 0},
    {"glob before prefix", {{"user:*:cart"}, {"user:*"}}, "user:1:cart", 0},
    {"glob before prefix, no match", {{"user:*:cart"}, {"user:*"}}, "user:1", 1},
    {"glob behind prefix", {{"user:*"}, {"user:*:cart"}}, "user:1:cart", 0},
    {"glob before a longer literal", {{"?:*"}, {"a:1"}}, "a:1", 0},
    {"globs of one prefix in order", {{"a?c"}, {"a*c"}}, "abc", 0},
    {"the second glob of one prefix", {{"a?c"}, {"a*c"}}, "abbc", 1},
    {"the glob higher up is the first", {{"*c"}, {"ab*c"}}, "abc", 0},
    {"the glob deeper down is the first", {{"ab*c"}, {"*c"}}, "abc", 0},
    {"the glob higher up where the deeper one fails", {{"ab?d"}, {"*c"}}, "abc", 1},
    {"a glob where the walk stops short", {{"a*z"}, {"abcdef"}}, "abcz", 0},
    {"question mark at the end", {{"a?"}}, "ab", 0},
    {"question mark takes one", {{"a?"}}, "a", {}},
    {"class", {{"h[ae]llo"}}, "hello", 0},
    {"class, no match", {{"h[ae]llo"}}, "hillo", {}},
    {"negated class", {{"h[^e]llo"}}, "hello", {}},
    {"star within a class", {{"a[*]b"}}, "a*b", 0},
    {"class with an escaped end", {{"*[\\]b]"}}, "xb", 0},
    {"class with a range to its end", {{"*[a-]b"}}, "x]", 0},
    {"class not closed", {{"a[bc"}}, "ac", 0},
    // escapes
    {"escaped star is a literal", {{"a\\*"}}, "a*", 0},
    {"escaped star takes itself only", {{"a\\*"}}, "ab", {}},
    {"escaped star and a star", {{"a\\**"}}, "a*b", 0},
    {"escaped backslash before a star", {{"a\\\\*"}}, "a\\b", 0},
    {"escaped brackets", {{"\\[a\\]*"}}, "[a]b", 0},
    {"backslash at the end", {{"a\\"}}, "a\\", 0},
    {"escape behind a star", {{"*\\*b"}}, "a*b", 0},
    {"escaped character behind a star", {{"*\\bc"}}, "abc", 0},
    {"escaped backslash behind a star", {{"*\\\\c"}}, "a\\c", 0},
    {"backslash at the end behind a star", {{"*a\\"}}, "aa\\", 0},
    // bytes
    {"zero byte", {{"a\0b*"s}}, "a\0bc"s, 0},
    {"zero byte in the key alone", {{"a"}}, "a\0"s, {}},
    {"high bytes", {{"\xff\xfe*"}, {"\x01*"}}, "\xff\xfe\xfd", 0},
    {"first and last byte side by side", {{"\0*"s}, {"\xff*"}}, "\xff", 1},
};

TEST(RuleBook, FindsTheFirstRuleThatMatches) {
  for (const Case& c : kCases) {
    ASSERT_EQ(naive_find(c.globs, c.key), c.rule) << c.what << ": the case is wrong";
    EXPECT_EQ(found(RuleBook(make_rules(c.globs)), c.key), c.rule) << c.what;
  }
}

TEST(RuleBook, ADefaultOneIsEmptyAndFindsNothing) {
  const RuleBook book;
  EXPECT_TRUE(book.empty());
  EXPECT_EQ(book.find("a"), nullptr);
  EXPECT_EQ(book.find(""), nullptr);
}

TEST(RuleBook, KeepsTheRulesInTheOrderOfTheSettings) {
  const RuleBook book(make_rules({{"b*"}, {"a*"}}));
  ASSERT_EQ(book.rules().size(), 2u);
  EXPECT_EQ(book.rules()[0].name, "0");
  EXPECT_EQ(book.rules()[1].match, std::vector<std::string>{"a*"});
}

TEST(RuleBook, ACopyIsABookOfItsOwn) {
  auto book = std::make_unique<RuleBook>(make_rules({{"a*"}, {"*b"}}));
  const RuleBook copy = *book;
  EXPECT_NE(copy.find("a"), book->find("a"));
  book.reset();
  EXPECT_EQ(found(copy, "a"), 0u);
  EXPECT_EQ(found(copy, "bb"), 1u);
  RuleBook assigned(make_rules({{"c*"}}));
  assigned = copy;
  EXPECT_EQ(found(assigned, "bb"), 1u);
  EXPECT_EQ(found(assigned, "c"), std::nullopt);
}

TEST(RuleBook, AMovedFromBookHasNoRules) {
  RuleBook book(make_rules({{"a*"}, {"*b"}}));
  const Rule* const rule = book.find("a");
  RuleBook moved = std::move(book);
  EXPECT_EQ(moved.find("a"), rule);
  EXPECT_EQ(found(moved, "bb"), 1u);
  EXPECT_EQ(book.find("a"), nullptr);  // NOLINT(bugprone-use-after-move)
  book = std::move(moved);
  EXPECT_EQ(book.find("a"), rule);
}

TEST(RuleBook, PrefixesThatGrowByOneCharacterEachAreNoDepthTooGreat) {
  Globs globs;
  for (size_t size = 3000; size > 0; --size) globs.push_back({std::string(size, 'a') + '*'});
  const RuleBook book(make_rules(globs));
  EXPECT_EQ(found(book, std::string(3500, 'a')), 0u);
  EXPECT_EQ(found(book, std::string(1000, 'a') + 'b'), 2000u);
  EXPECT_EQ(found(book, "b"), std::nullopt);
}

TEST(RuleBook, EveryPairOfBytesHasAPlaceOfItsOwn) {
  Globs globs;
  for (int i = 0; i < 256; i += 3) {
    for (int j = 0; j < 256; j += 5)
      globs.push_back({"\\"s + static_cast<char>(i) + "\\" + static_cast<char>(j) + "*"});
  }
  const RuleBook book(make_rules(globs));
  for (int i = 0; i < 256; ++i) {
    for (int j = 0; j < 256; ++j) {
      std::optional<size_t> expected;
      if (i % 3 == 0 && j % 5 == 0) expected = static_cast<size_t>(i / 3 * 52 + j / 5);
      const std::string key = {static_cast<char>(i), static_cast<char>(j), 'x'};
      ASSERT_EQ(found(book, key), expected) << i << ' ' << j;
    }
  }
}

// --- random books ---

// Few of them, so that patterns share what they begin with, and keys come near them.
constexpr std::string_view kPieces[] = {"user:", "us", "cache", "a", "b", "ab", ":", "1",
                                        "*",     "?",  "\\",    "]", "-", "[",  "^"};

std::string random_piece(std::mt19937_64& random) {
  if (test::below(random, 30) == 0) return std::string(1, static_cast<char>(random()));
  return std::string(kPieces[test::below(random, std::size(kPieces))]);
}

std::string random_glob(std::mt19937_64& random) {
  static const std::vector<std::string> kMeaning = {"*",   "?",    "[a-c]", "[^a]", "[\\]b]", "[a-]", "\\*",
                                                    "\\?", "\\\\", "\\[",   "\\a",  "[",      "\\",   "**"};
  std::string glob;
  for (size_t left = test::below(random, 5); left > 0; --left) {
    const bool literal = test::below(random, 5) != 0;
    glob += literal ? random_piece(random) : kMeaning[test::below(random, kMeaning.size())];
  }
  if (test::below(random, 3) == 0) glob += '*';
  return glob;
}

// Something that the glob may well match.
std::string key_like(std::mt19937_64& random, std::string_view glob) {
  std::string key;
  for (size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '*') {
      for (size_t left = test::below(random, 3); left > 0; --left) key += random_piece(random);
    } else if (glob[i] == '?') {
      key += static_cast<char>(random());
    } else if (glob[i] == '[' && i + 1 < glob.size()) {
      key += glob[i + 1] == '^' ? 'z' : glob[i + 1];
      while (i + 1 < glob.size() && glob[i] != ']') ++i;
    } else {
      if (glob[i] == '\\' && i + 1 < glob.size()) ++i;
      key += glob[i];
    }
  }
  return key;
}

// Often left as it is; else a byte more, less or another.
void blur(std::mt19937_64& random, std::string& key) {
  const size_t at = test::below(random, key.size() + 1);
  switch (test::below(random, 8)) {
    case 0:
      key.insert(at, random_piece(random));
      break;
    case 1:
      key.resize(at);
      break;
    case 2:
      key.erase(at, 1);
      break;
    case 3:
      if (at < key.size()) key[at] = static_cast<char>(random());
      break;
    default:
      break;
  }
}

Globs random_globs(std::mt19937_64& random) {
  static constexpr size_t kSizes[] = {1, 3, 30, 400};
  Globs globs(1 + test::below(random, kSizes[test::below(random, std::size(kSizes))]));
  const bool with_short_ones = test::below(random, 3) == 0;  // one "*" early on hides all that follows
  for (auto& match : globs) {
    for (size_t left = test::below(random, 4); left > 0; --left) {
      std::string glob = random_glob(random);
      if (!with_short_ones) glob.insert(0, key_like(random, random_piece(random) + random_piece(random)));
      match.push_back(std::move(glob));
    }
  }
  return globs;
}

TEST(RuleBook, AgreesWithTheRulesOneByOneOnRandomBooks) {
  auto random = test::seeded_generator("RuleBook");
  size_t hits = 0, misses = 0, late_hits = 0;
  for (int i = 0; i < 400; ++i) {
    const Globs globs = random_globs(random);
    const RuleBook book(make_rules(globs));
    test::GuardedBytes guarded(4096);
    for (int j = 0; j < 300; ++j) {
      const auto& near = globs[test::below(random, globs.size())];
      std::string bytes =
          near.empty() ? random_piece(random) : key_like(random, near[test::below(random, near.size())]);
      blur(random, bytes);
      const std::string_view key(guarded.hold(bytes), bytes.size());
      const auto expected = naive_find(globs, key);
      ++(expected ? hits : misses);
      late_hits += expected > 20u;
      ASSERT_EQ(found(book, key), expected) << "book " << i << " of " << globs.size() << " rules, key " << shown(key);
    }
  }
  EXPECT_GT(hits, 10'000u);
  EXPECT_GT(misses, 10'000u);
  EXPECT_GT(late_hits, 5'000u);
}

}  // namespace
}  // namespace corral::policy
