// Keys are bytes; labels and pages want text.
#pragma once

#include <string>
#include <string_view>

namespace corral::admin {

/// ASCII as it is, all other bytes as \xNN.
inline std::string printable(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F) {
      text += c;
    } else {
      text.append("\\x").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    }
  }
  return text;
}

}  // namespace corral::admin
