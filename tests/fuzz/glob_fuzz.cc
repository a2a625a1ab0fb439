// Globs: the matcher says what a naive one says, and a book of rules finds the first rule of which a glob matches. The
// input is lines: the key, then the globs.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz_input.h"
#include "glob_model.h"
#include "policy/glob.h"
#include "policy/rule_book.h"

namespace corral::fuzz {
namespace {

constexpr size_t kMostGlobs = 16;

// The naive matcher takes exponential time.
bool naive_can(std::string_view pattern, std::string_view text) {
  return text.size() <= 16 && pattern.size() <= 64 && std::ranges::count(pattern, '*') <= 4;
}

std::string_view take_line(std::string_view& rest) {
  const size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

bool matches(std::string_view pattern, std::string_view text) {
  const ExactCopy own_pattern(pattern), own_text(text);
  const bool found = policy::glob_match({own_pattern.data(), pattern.size()}, {own_text.data(), text.size()});
  if (naive_can(pattern, text)) check(test::naive_match(pattern, text) == found, "the naive matcher says the same");
  return found;
}

void run(FuzzInput input) {
  std::string_view rest = input.bytes();
  const std::string_view key = take_line(rest);
  std::vector<policy::Rule> rules;
  size_t first = kMostGlobs;
  for (size_t i = 0; i < kMostGlobs && !rest.empty(); ++i) {
    const std::string_view glob = take_line(rest);
    // Now and then a rule has more than one glob.
    if (rules.empty() || input.next_part() % 3 != 0)
      rules.push_back({.name = std::to_string(i), .match = {}, .ttl = {}});
    rules.back().match.emplace_back(glob);
    if (matches(glob, key) && first == kMostGlobs) first = rules.size() - 1;
  }
  const policy::RuleBook book(std::move(rules));
  const ExactCopy own_key(key);
  const policy::Rule* const rule = book.find({own_key.data(), key.size()});
  const size_t found = rule ? static_cast<size_t>(rule - book.rules().data()) : kMostGlobs;
  check(found == first, "the book finds the first rule that matches");
}

}  // namespace
}  // namespace corral::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  corral::fuzz::run(corral::fuzz::FuzzInput(data, size));
  return 0;
}
