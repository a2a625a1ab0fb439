// Reads what servers tell in text: INFO, CLIENT INFO; and makes one INFO of those of several masters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral::core {

/// The value of a field; empty if there is none. `name` comes with the sign that follows it ("id=", "redis_version:").
/// The value ends at a blank, comma or line end.
std::string_view text_field(std::string_view text, std::string_view name);
/// Likewise, as a number; 0 if it is none.
int64_t text_number(std::string_view text, std::string_view name);

/// Names and values in the order in which they are shown.
using InfoLines = std::vector<std::pair<std::string, std::string>>;

/// The lines of one section ("Memory") of a reply to INFO; none if it lacks the section.
InfoLines info_section(std::string_view info, std::string_view title);
/// One section of several masters' INFO: counts are added, of times and ratios the largest is told, a status is not
/// "ok" if one is not.
InfoLines merge_info_section(const std::vector<std::string>& infos, std::string_view title);
/// Gives a line another value, or adds it at the end.
void set_line(InfoLines& lines, std::string_view name, std::string value);
inline void set_line(InfoLines& lines, std::string_view name, int64_t value) {
  set_line(lines, name, std::to_string(value));
}

/// "1.50M", as Redis shows bytes to people.
std::string human_bytes(int64_t bytes);

/// The values within one line ("calls=1,usec=20"), in their order.
using InfoValues = std::vector<std::pair<std::string, std::string>>;
InfoValues info_values(std::string_view text);

}  // namespace corral::core
