// Words and names as Redis compares them: the case of ASCII letters makes no difference, every other byte does. The
// locale has no say in it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace corral::resp {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

constexpr bool same_word(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

/// Whether an argument is this option. Redis takes it for a C string: what is behind a zero byte does not count. (Names
/// of commands and subcommands it compares whole.)
constexpr bool same_option(std::string_view argument, std::string_view option) {
  return same_word(argument.substr(0, argument.find('\0')), option);
}

inline std::string lower_case(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) c = lower(c);
  return lowered;
}

}  // namespace corral::resp
