#include "proxy/admin/json.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace corral::admin {

Json& Json::value(double number) {
  if (!std::isfinite(number)) return null();
  std::array<char, 48> text;
  std::snprintf(text.data(), text.size(), "%.3f", number);
  return raw(text.data());
}

void Json::append_text(std::string_view text) {
  out_ += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out_.append(1, '\\').append(1, c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escaped;
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(c));
      out_ += escaped.data();
    } else {
      out_ += c;
    }
  }
  out_ += '"';
}

}  // namespace corral::admin
