// How things went in the last minutes, second by second: what the live page draws, and rates over the last seconds.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string_view>
#include <vector>

#include "proxy/core/command_group.h"
#include "proxy/core/latency.h"
#include "proxy/core/process.h"
#include "proxy/core/snapshot.h"

namespace corral::admin {

/// What has been counted since the start, at a moment.
struct Sample {
  int64_t time_us = 0;           // wall clock
  std::vector<uint64_t> totals;  // as core::kCounterInfos
  uint64_t errors = 0;           // that Corral gave
  std::array<core::LatencyCounts, core::kCommandGroupNames.size()> times;
  std::map<core::NodeId, core::LatencyCounts> nodes;  // while somebody watches

  uint64_t total(std::string_view name) const;
  /// Reads that needed no Redis, and computations that no client had to make.
  uint64_t saved_requests() const;
  uint64_t saved_computations() const;
};

/// `snapshot`: null if nobody watches.
Sample take_sample(core::Process& process, const core::WorkerSnapshot* snapshot, int64_t now_us);

class History {
 public:
  static constexpr size_t kMostPoints = 180;
  static constexpr size_t kWindow = 10;  // samples over which ratios and times are told

  struct Point {
    int64_t time_us = 0;
    double requests = 0, errors = 0, saved_computations = 0;  // a second
    double hit_ratio = -1, saved_ratio = -1;                  // -1: there were no reads, no requests
    uint64_t p50_us = 0, p99_us = 0;                          // 0: there were no replies
  };
  struct Times {
    double a_second = 0;
    uint64_t p50_us = 0, p99_us = 0;
  };

  /// Once a second.
  void add(Sample sample);
  const std::deque<Point>& points() const { return points_; }
  const Sample& latest() const { return samples_.back(); }
  Times of_group(core::CommandGroup group) const;
  Times of_node(core::NodeId node) const;

 private:
  Times times_since(const core::LatencyCounts& earlier, const core::LatencyCounts& later, int64_t since_us) const;

  std::deque<Sample> samples_;  // of the window, the oldest first
  std::deque<Point> points_;
};

}  // namespace corral::admin
