#include "proxy/core/info_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "resp/decimal.h"

namespace corral::core {

namespace {

// How a field of several masters becomes one, where its value does not say it.
enum class Combine : uint8_t { kByValue, kMost, kLeast, kStatus };

struct Rule {
  std::string_view ending;  // of the field's name
  Combine combine;
};

constexpr std::array kRules = {
    Rule{"_status", Combine::kStatus},
    Rule{"rdb_last_save_time", Combine::kLeast},
    Rule{"_time_sec", Combine::kMost},
    Rule{"_age", Combine::kMost},
    Rule{"_in_progress", Combine::kMost},
    Rule{"_running", Combine::kMost},
    Rule{"_scheduled", Combine::kMost},
    Rule{"aof_enabled", Combine::kMost},
    Rule{"latest_fork_usec", Combine::kMost},
    Rule{"total_system_memory", Combine::kMost},
    Rule{"number_of_cached_scripts", Combine::kMost},  // scripts and functions are on all masters
    Rule{"number_of_functions", Combine::kMost},
    Rule{"number_of_libraries", Combine::kMost},
};

Combine rule_of(std::string_view name) {
  for (const Rule& rule : kRules) {
    if (name.ends_with(rule.ending)) return rule.combine;
  }
  return Combine::kByValue;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("-.0123456789%") == std::string_view::npos;
}

double as_number(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

std::string combined(std::string_view name, const std::vector<std::string>& values) {
  const auto less = [](const std::string& a, const std::string& b) { return as_number(a) < as_number(b); };
  const Combine rule = rule_of(name);
  if (rule == Combine::kStatus) {
    const auto bad = std::find_if(values.begin(), values.end(), [](const std::string& value) { return value != "ok"; });
    return bad == values.end() ? values.front() : *bad;
  }
  if (rule == Combine::kLeast) return *std::min_element(values.begin(), values.end(), less);
  if (rule == Combine::kMost) return *std::max_element(values.begin(), values.end(), less);
  int64_t sum = 0;
  bool whole = true;
  for (const std::string& value : values) {
    const auto number = resp::parse_decimal(value);
    whole = whole && number;
    sum += number.value_or(0);
  }
  if (whole) return std::to_string(sum);
  const bool ratios = std::all_of(values.begin(), values.end(), is_number);
  return ratios ? *std::max_element(values.begin(), values.end(), less) : values.front();
}

// "used_memory_human" tells of "used_memory" what it is now.
void tell_sums_to_people(InfoLines& lines) {
  static constexpr std::string_view kHuman = "_human";
  for (auto& [name, value] : lines) {
    if (!name.ends_with(kHuman)) continue;
    const std::string_view of = std::string_view(name).substr(0, name.size() - kHuman.size());
    const auto found = std::find_if(lines.begin(), lines.end(), [&](const auto& line) { return line.first == of; });
    if (found == lines.end()) continue;
    if (const auto bytes = resp::parse_decimal(found->second)) value = human_bytes(*bytes);
  }
}

}  // namespace

std::string_view text_field(std::string_view text, std::string_view name) {
  for (size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    if (at > 0 && std::string_view(" ,:\n").find(text[at - 1]) == std::string_view::npos) continue;
    const size_t from = at + name.size();
    return text.substr(from, text.find_first_of(" ,\r\n", from) - from);
  }
  return {};
}

int64_t text_number(std::string_view text, std::string_view name) {
  return resp::parse_decimal(text_field(text, name)).value_or(0);
}

InfoLines info_section(std::string_view info, std::string_view title) {
  InfoLines lines;
  bool within = false;
  while (!info.empty()) {
    std::string_view line = info.substr(0, info.find('\n'));
    info.remove_prefix(std::min(info.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("# ")) within = line.substr(2) == title;
    const size_t colon = line.find(':');
    if (within && colon != std::string_view::npos) lines.emplace_back(line.substr(0, colon), line.substr(colon + 1));
  }
  return lines;
}

InfoLines merge_info_section(const std::vector<std::string>& infos, std::string_view title) {
  std::vector<std::pair<std::string, std::vector<std::string>>> of_all;
  for (const std::string& info : infos) {
    for (auto& [name, value] : info_section(info, title)) {
      auto known =
          std::find_if(of_all.begin(), of_all.end(), [&wanted = name](const auto& one) { return one.first == wanted; });
      if (known == of_all.end()) known = of_all.insert(of_all.end(), {name, {}});
      known->second.push_back(std::move(value));
    }
  }
  InfoLines lines;
  for (const auto& [name, values] : of_all) lines.emplace_back(name, combined(name, values));
  tell_sums_to_people(lines);
  return lines;
}

void set_line(InfoLines& lines, std::string_view name, std::string value) {
  const auto found = std::find_if(lines.begin(), lines.end(), [&](const auto& line) { return line.first == name; });
  if (found == lines.end()) {
    lines.emplace_back(name, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

std::string human_bytes(int64_t bytes) {
  static constexpr std::array<char, 5> kUnits = {'B', 'K', 'M', 'G', 'T'};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) value /= 1024, ++unit;
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f%c" : "%.2f%c", value, kUnits[unit]);
  return text.data();
}

InfoValues info_values(std::string_view text) {
  InfoValues values;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const size_t equals = std::min(part.find('='), part.size());
    values.emplace_back(part.substr(0, equals), part.substr(std::min(equals + 1, part.size())));
  }
  return values;
}

}  // namespace corral::core
