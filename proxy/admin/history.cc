#include "proxy/admin/history.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace corral::admin {

using core::CommandGroup;
using core::LatencyCounts;

namespace {

// Those whose time tells how fast answers are: not waiting for others, nor what Corral says of itself.
constexpr CommandGroup kTimedGroups[] = {CommandGroup::kRead, CommandGroup::kWrite, CommandGroup::kScript,
                                         CommandGroup::kTransaction, CommandGroup::kAllNodes};

LatencyCounts of_all(const Sample& sample) {
  LatencyCounts sum;
  for (const CommandGroup group : kTimedGroups) sum.add(sample.times[static_cast<size_t>(group)]);
  return sum;
}

constexpr int64_t kLeastGapUs = 300'000;

double ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? -1 : std::min(1.0, static_cast<double>(part) / static_cast<double>(whole));
}

double a_second(uint64_t count, int64_t us) {
  return static_cast<double>(count) * 1e6 / static_cast<double>(std::max<int64_t>(us, 1));
}

}  // namespace

uint64_t Sample::total(std::string_view name) const {
  for (size_t i = 0; i < totals.size(); ++i) {
    if (core::kCounterInfos[i].name == name) return totals[i];
  }
  return 0;
}

uint64_t Sample::saved_requests() const {
  return total("near_cache_hits") + total("reads_shared") + total("waits_filled");
}

uint64_t Sample::saved_computations() const { return total("waits_filled") + total("stale_served"); }

Sample take_sample(core::Process& process, const core::WorkerSnapshot* snapshot, int64_t now_us) {
  Sample sample;
  sample.time_us = now_us;
  for (const auto& [name, value] : process.totals()) sample.totals.push_back(value);
  sample.errors = process.server_stats().errors();
  for (uint32_t i = 0; i < process.workers(); ++i) {
    for (size_t group = 0; group < sample.times.size(); ++group) sample.times[group].add(process.board(i).times[group]);
  }
  if (!snapshot) return sample;
  for (const auto& [id, node] : snapshot->nodes) sample.nodes[id] = node.times;
  return sample;
}

void History::add(Sample sample) {
  // Who comes to watch has a sample taken at once; so near to another one it takes its place.
  if (samples_.size() > 1 && sample.time_us - samples_.back().time_us < kLeastGapUs) {
    samples_.pop_back();
    if (!points_.empty()) points_.pop_back();
  }
  samples_.push_back(std::move(sample));
  if (samples_.size() == 1) return;
  if (samples_.size() > kWindow + 1) samples_.pop_front();
  const Sample& oldest = samples_.front();
  const Sample& last = samples_.back();
  const Sample& before = *std::prev(samples_.end(), 2);
  const int64_t elapsed_us = last.time_us - before.time_us;
  const auto grown = [&](std::string_view name) { return last.total(name) - oldest.total(name); };
  LatencyCounts times = of_all(last);
  times.subtract(of_all(oldest));
  Point point;
  point.time_us = last.time_us;
  point.requests = a_second(last.total("requests") - before.total("requests"), elapsed_us);
  point.errors =
      a_second(last.errors < before.errors ? 0 : last.errors - before.errors, elapsed_us);  // they can be reset
  point.saved_computations = a_second(last.saved_computations() - before.saved_computations(), elapsed_us);
  point.hit_ratio = ratio(grown("near_cache_hits"), grown("near_cache_hits") + grown("near_cache_misses"));
  point.saved_ratio = ratio(last.saved_requests() - oldest.saved_requests(), grown("requests"));
  point.p50_us = times.quantile_us(0.5);
  point.p99_us = times.quantile_us(0.99);
  points_.push_back(point);
  if (points_.size() > kMostPoints) points_.pop_front();
}

History::Times History::times_since(const LatencyCounts& earlier, const LatencyCounts& later, int64_t since_us) const {
  LatencyCounts times = later;
  times.subtract(earlier);
  return {a_second(times.count(), samples_.back().time_us - since_us), times.quantile_us(0.5), times.quantile_us(0.99)};
}

History::Times History::of_group(CommandGroup group) const {
  const auto i = static_cast<size_t>(group);
  return times_since(samples_.front().times[i], samples_.back().times[i], samples_.front().time_us);
}

History::Times History::of_node(core::NodeId node) const {
  const auto now = samples_.back().nodes.find(node);
  if (now == samples_.back().nodes.end()) return {};
  for (const Sample& sample : samples_) {  // the oldest that knows it
    const auto earlier = sample.nodes.find(node);
    if (earlier == sample.nodes.end()) continue;
    return times_since(earlier->second, now->second, sample.time_us);
  }
  return {};
}

}  // namespace corral::admin
