#include "policy/glob.h"

#include <algorithm>
#include <cstddef>

namespace corral::policy {

namespace {

// Matches one character against the bracket expression at pattern[at] ('['); moves `at` behind it. As in Redis, one
// that is not closed ends with the pattern.
// Ranges compare signed characters, as servers do on x86.
bool match_class(std::string_view pattern, size_t& at, signed char c) {
  size_t i = at + 1;
  const bool negated = i < pattern.size() && pattern[i] == '^';
  if (negated) ++i;
  bool found = false;
  while (i < pattern.size() && pattern[i] != ']') {
    const auto low = static_cast<signed char>(pattern[i]);
    if (low == '\\' && i + 1 < pattern.size()) {
      found |= static_cast<signed char>(pattern[i + 1]) == c;
      i += 2;
    } else if (i + 2 < pattern.size() && pattern[i + 1] == '-') {
      const auto high = static_cast<signed char>(pattern[i + 2]);
      found |= std::min(low, high) <= c && c <= std::max(low, high);
      i += 3;
    } else {
      found |= low == c;
      ++i;
    }
  }
  at = std::min(i + 1, pattern.size());
  return found != negated;
}

// Matches one character against what stands at pattern[at]; moves `at` behind it. Not for '*'.
bool match_one(std::string_view pattern, size_t& at, signed char c) {
  if (pattern[at] == '?') {
    ++at;
    return true;
  }
  if (pattern[at] == '[') return match_class(pattern, at, c);
  if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
  return static_cast<signed char>(pattern[at++]) == c;
}

}  // namespace

// A mismatch goes back to the last '*' only: what an earlier one could take more of, the last one can as well.
bool glob_match(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0;
  size_t star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_text = t;
      continue;
    }
    if (p < pattern.size() && match_one(pattern, p, static_cast<signed char>(text[t]))) {
      ++t;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star;
    t = ++star_text;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace corral::policy
