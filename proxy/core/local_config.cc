// CONFIG and SLOWLOG go to all masters; what they mean for what Corral counts and logs itself is seen to here.
#include "proxy/core/handlers.h"
#include "proxy/core/local.h"
#include "resp/decimal.h"

namespace corral::core {

using resp::Action;
using resp::Command;
using resp::CommandSpec;

namespace {

void reset_stats(Worker& home) {
  Process& process = home.process();
  process.server_stats().reset_errors();
  process.server_stats().reset_totals(process.totals());
  process.server_stats().reset_worker(home.index());
  for (uint32_t i = 0; i < process.workers(); ++i) {
    if (i == home.index()) continue;
    home.transport().post(i, [](Worker& worker) { worker.process().server_stats().reset_worker(worker.index()); });
  }
}

void note_setting(SlowLog& slow_log, std::string_view name, std::string_view value) {
  const auto number = resp::parse_decimal(value);
  if (!number) return;
  if (same_word(name, "slowlog-log-slower-than")) slow_log.set_slower_than_us(*number);
  if (same_word(name, "slowlog-max-len") && *number >= 0) slow_log.set_max_entries(static_cast<size_t>(*number));
}

}  // namespace

void note_configuration(Worker& worker, const Command& command, const CommandSpec& spec) {
  if (spec.action == Action::kConfigResetStat) reset_stats(worker);
  if (spec.action == Action::kSlowLogReset) worker.process().slow_log().clear();
  if (spec.action != Action::kConfigSet) return;
  for (size_t i = 2; i + 1 < command.argc(); i += 2) {
    note_setting(worker.process().slow_log(), command.arg(i), command.arg(i + 1));
  }
}

}  // namespace corral::core
