#include "proxy/core/command_times.h"

#include <span>

#include "resp/command_table.h"

namespace corral::core {

namespace {

template <class Visit>
void for_each_command(std::span<const resp::CommandSpec> specs, const Visit& visit) {
  for (const resp::CommandSpec& spec : specs) {
    visit(spec);
    for_each_command(spec.subcommands, visit);
  }
}

}  // namespace

CommandTimes::CommandTimes() : by_id_(resp::command_id_count()) {}

CommandTimes::~CommandTimes() {
  for (auto& histogram : by_id_) delete histogram.load();
}

LatencyHistogram& CommandTimes::make(uint16_t id) {
  auto* histogram = new LatencyHistogram;
  by_id_[id].store(histogram, std::memory_order_release);
  return *histogram;
}

void CommandTimes::reset() {
  for (auto& slot : by_id_) {
    if (LatencyHistogram* histogram = slot.load(std::memory_order_relaxed)) histogram->reset();
  }
}

void CommandTimes::add_to(std::map<std::string_view, LatencyCounts>& sums) const {
  for_each_command(resp::all_commands(), [&](const resp::CommandSpec& spec) {
    const LatencyHistogram* histogram = by_id_[spec.id].load(std::memory_order_acquire);
    if (!histogram) return;
    LatencyCounts counts;
    counts.add(*histogram);
    if (counts.count() > 0) sums[spec.name].add(counts);
  });
}

}  // namespace corral::core
