// A naive reading of Redis' glob patterns, to hold policy::glob_match against.
#pragma once

#include <algorithm>
#include <string_view>

namespace corral::test {

// The pattern's grammar read straight down; exponential, so for short ones only. Written after stringmatchlen.
inline bool naive_class(std::string_view& pattern, char c) {
  pattern.remove_prefix(1);
  const bool negated = pattern.starts_with('^');
  if (negated) pattern.remove_prefix(1);
  bool found = false;
  while (!pattern.empty() && pattern[0] != ']') {
    if (pattern[0] == '\\' && pattern.size() >= 2) {
      found = found || pattern[1] == c;
      pattern.remove_prefix(2);
    } else if (pattern.size() >= 3 && pattern[1] == '-') {
      const auto [low, high] = std::minmax(pattern[0], pattern[2]);
      found = found || (low <= c && c <= high);
      pattern.remove_prefix(3);
    } else {
      found = found || pattern[0] == c;
      pattern.remove_prefix(1);
    }
  }
  if (!pattern.empty()) pattern.remove_prefix(1);
  return found != negated;
}

inline bool naive_match(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (size_t taken = 0; taken <= text.size(); ++taken) {
      if (naive_match(pattern.substr(1), text.substr(taken))) return true;
    }
    return false;
  }
  if (text.empty()) return false;
  const char c = text[0];
  text.remove_prefix(1);
  if (pattern[0] == '[') return naive_class(pattern, c) && naive_match(pattern, text);
  if (pattern[0] == '?') return naive_match(pattern.substr(1), text);
  if (pattern[0] == '\\' && pattern.size() >= 2) pattern.remove_prefix(1);
  return pattern[0] == c && naive_match(pattern.substr(1), text);
}

}  // namespace corral::test
