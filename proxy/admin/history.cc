#include "proxy/admin/history.h"

#include <algorithm>

namespace corral::admin {

using core::LatencyCounts;

uint64_t Sample::total(std::string_view name) const {
  const auto is_it = [name](const auto& entry) { return entry.first == name; };
  const auto it = std::find_if(totals.begin(), totals.end(), is_it);
  return it == totals.end() ? 0 : it->second;
}

Sample take_sample(core::Process& process, uint64_t at_us, int64_t time_ms) {
  Sample sample;
  sample.at_us = at_us;
  sample.time_ms = time_ms;
  sample.totals = process.totals();
  for (const auto& [code, count] : process.server_stats().errors_by_code()) sample.errors += count;
  for (size_t group = 0; group < sample.times.size(); ++group) {
    for (uint32_t i = 0; i < process.workers(); ++i) sample.times[group].add(process.board(i).times[group]);
  }
  return sample;
}

Figures figures_between(const Sample& before, const Sample& after) {
  Figures figures;
  if (after.at_us <= before.at_us) return figures;
  figures.seconds = static_cast<double>(after.at_us - before.at_us) / 1e6;
  const auto grown = [&](std::string_view name) { return static_cast<double>(after.total(name) - before.total(name)); };
  const auto rate = [&](double count) { return count / figures.seconds; };
  const auto share = [](double part, double rest) -> std::optional<double> {
    if (part + rest == 0) return {};
    return part / (part + rest);
  };
  const double hits = grown("near_cache_hits"), here = hits + grown("reads_shared");
  figures.requests = rate(grown("requests"));
  figures.answered_here = rate(here);
  figures.origin_saved = rate(grown("waits_filled") + grown("stale_served"));
  // CONFIG RESETSTAT begins anew.
  figures.errors = after.errors < before.errors ? 0 : rate(static_cast<double>(after.errors - before.errors));
  figures.input_bytes = rate(grown("net_input_bytes"));
  figures.output_bytes = rate(grown("net_output_bytes"));
  figures.hit_share = share(hits, grown("near_cache_misses"));
  if (figures.requests > 0) figures.saved_share = share(here, grown("upstream_commands"));
  LatencyCounts times;
  for (size_t group = 0; group < after.times.size(); ++group) {
    if (group == static_cast<size_t>(core::CommandGroup::kBlocking)) continue;
    times.add(after.times[group]);
    times.subtract(before.times[group]);
  }
  if (times.count() > 0) {
    figures.p50_us = times.quantile_us(0.5);
    figures.p99_us = times.quantile_us(0.99);
  }
  return figures;
}

void History::add(Sample sample) {
  samples_.push_back(std::move(sample));
  if (samples_.size() > kWindow + 1) samples_.pop_front();
  if (samples_.size() < 2) return;
  points_.push_back({latest().time_ms, last_second()});
  if (points_.size() > kKept) points_.pop_front();
}

Figures History::last_second() const {
  return figures_between(samples_[samples_.size() < 2 ? 0 : samples_.size() - 2], samples_.back());
}

}  // namespace corral::admin
