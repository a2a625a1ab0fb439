// The last minutes of the process' counters, and what they come to: rates, shares and percentiles. Pure: who samples
// says when it was.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/core/command_group.h"
#include "proxy/core/latency.h"
#include "proxy/core/process.h"

namespace corral::admin {

/// All that is counted, at a moment. Reads what threads may read at any time; asks no worker.
struct Sample {
  uint64_t at_us = 0;                                                      // monotonic
  int64_t time_ms = 0;                                                     // since 1970
  std::vector<std::pair<std::string_view, uint64_t>> totals;               // as Process::totals()
  uint64_t errors = 0;                                                     // that Corral itself gave
  std::array<core::LatencyCounts, core::kCommandGroupNames.size()> times;  // of clients' requests, by group

  uint64_t total(std::string_view name) const;
};

Sample take_sample(core::Process& process, uint64_t at_us, int64_t time_ms);

/// Of a stretch of time; what there is nothing to tell from is not there.
struct Figures {
  double seconds = 0;
  double requests = 0;       // a second, as all that follow
  double answered_here = 0;  // reads of keys that took nothing from Redis: from the near cache, or shared
  double origin_saved = 0;   // reads that a lease spared their origin: answered by the holder's value, or stale
  double errors = 0;
  double input_bytes = 0, output_bytes = 0;
  std::optional<double> hit_share;         // of the reads that the near cache is for
  std::optional<double> saved_share;       // of the commands that Redis would have had to answer
  std::optional<uint64_t> p50_us, p99_us;  // of all requests but those that wait for others (BLPOP and its kin)
};

Figures figures_between(const Sample& before, const Sample& after);

class History {
 public:
  static constexpr size_t kWindow = 10;  // samples, whose figures are told as those of now
  static constexpr size_t kKept = 300;   // points

  /// One of the lines that are drawn: a second.
  struct Point {
    int64_t time_ms = 0;
    Figures figures;
  };

  /// Samples come in order, about a second apart.
  void add(Sample sample);
  const std::deque<Point>& points() const { return points_; }
  bool empty() const { return samples_.empty(); }
  /// The last one, and the one that the figures of now begin with. There must be one.
  const Sample& latest() const { return samples_.back(); }
  const Sample& earlier() const { return samples_.front(); }
  /// Of the last second, and of the window.
  Figures last_second() const;
  Figures window() const { return figures_between(earlier(), latest()); }

 private:
  std::deque<Sample> samples_;  // oldest first
  std::deque<Point> points_;
};

}  // namespace corral::admin
