// Reads decimal integers as strictly as Redis' string2ll: what it refuses ("+1", "01", "-0", " 1", "") is refused here
// too, so that Corral and the server behind it never read the same length differently. And the short way to do so for
// the lengths of one to three digits that nearly all frames have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace corral::resp {

inline std::optional<int64_t> parse_decimal(std::string_view text) {
  if (text == "0") return 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.size() > 19 || text[0] == '0') return std::nullopt;
  uint64_t value = 0;  // 19 digits fit
  for (const char c : text) {
    const unsigned digit = static_cast<unsigned char>(c) - unsigned{'0'};
    if (digit > 9) return std::nullopt;
    value = value * 10 + digit;
  }
  constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
  if (value > kMax + (negative ? 1 : 0)) return std::nullopt;
  return static_cast<int64_t>(negative ? 0 - value : value);
}

/// The bytes of a header with a number of one to three digits ("$64\r\n": 5), 0 if it is another. Reads up to p[5], but
/// does not look at the byte after the '\r'.
inline size_t short_header(const char* p, char mark, uint32_t& value) {
  const auto digit = [p](int i) { return static_cast<uint32_t>(static_cast<unsigned char>(p[i])) - '0'; };
  if (p[0] != mark || digit(1) > 9) return 0;
  value = digit(1);
  if (p[2] == '\r') return 4;
  if (value == 0 || digit(2) > 9) return 0;
  value = value * 10 + digit(2);
  if (p[3] == '\r') return 5;
  if (digit(3) > 9 || p[4] != '\r') return 0;
  value = value * 10 + digit(3);
  return 6;
}

}  // namespace corral::resp
