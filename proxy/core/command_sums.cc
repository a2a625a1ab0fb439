#include "proxy/core/command_sums.h"

#include <algorithm>

#include "proxy/core/command_names.h"
#include "proxy/core/info_text.h"
#include "resp/decimal.h"

namespace corral::core {

void add_masters_commandstats(std::string_view info, CommandSums& sums) {
  static constexpr std::string_view kPrefix = "cmdstat_";
  for (const auto& [name, text] : info_section(info, "Commandstats")) {
    if (!name.starts_with(kPrefix)) continue;
    const std::string command = name.substr(kPrefix.size());
    const Accounting accounting = accounting_of(command);
    if (accounting == Accounting::kByCorral) continue;
    auto& sum = sums[command];
    for (const auto& [field, value] : info_values(text)) {
      static constexpr std::array<std::string_view, 4> kFields = {"calls", "usec", "rejected_calls", "failed_calls"};
      const auto* at = std::find(kFields.begin(), kFields.end(), field);
      if (at == kFields.end()) continue;
      int64_t& total = sum[static_cast<size_t>(at - kFields.begin())];
      const int64_t one = resp::parse_decimal(value).value_or(0);
      total = accounting == Accounting::kMost ? std::max(total, one) : total + one;
    }
  }
}

void take_back(std::string_view command, int64_t calls, CommandSums& sums) {
  const resp::CommandSpec* spec = find_by_full_name(command);
  if (!spec || spec->lazy_form.empty()) return;
  const auto other = sums.find(std::string(spec->lazy_form));
  if (other == sums.end() || other->second[0] == 0) return;
  auto& [other_calls, other_us, rejected, failed] = other->second;
  const int64_t taken = std::min(calls, other_calls);
  const auto us = static_cast<int64_t>(static_cast<double>(other_us) * static_cast<double>(taken) /
                                       static_cast<double>(other_calls));
  other_calls -= taken;
  other_us -= us;
  sums[std::string(command)][1] += us;
  if (other_calls + rejected + failed == 0) sums.erase(other);
}

}  // namespace corral::core
