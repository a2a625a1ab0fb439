// Virtual time, one source of randomness and the trace of a run: the ground on which everything else of the simulator
// stands. Events run one after the other in the order of their times (of equals: in the order they were made), so a run
// is a function of its seed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral::sim {

/// splitmix64: small, and the same everywhere (the distributions of <random> are not).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  /// 0 .. n-1; n > 0.
  uint64_t below(uint64_t n) { return next() % n; }
  /// low .. high, both included.
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low + 1)));
  }
  bool chance(uint32_t percent) { return below(100) < percent; }

 private:
  uint64_t state_;
};

class SimLoop {
 public:
  SimLoop(uint64_t seed, bool tracing) : random_(seed), tracing_(tracing) {}

  int64_t now_us() const { return now_us_; }
  Random& random() { return random_; }

  void after(int64_t delay_us, std::function<void()> action);
  /// Runs what is due until `time_us`, or until `done` (asked after each event) says so.
  void run_until(int64_t time_us, const std::function<bool()>& done);

  /// Bytes that left the core become part of the run's hash.
  void hash(uint64_t stream, std::string_view bytes);
  uint64_t hash() const { return hash_; }

  /// Notes an event; `text` is a function, called only if the run is traced.
  template <typename Text>
  void trace(Text&& text) {
    if (tracing_) add_trace(text());
  }
  const std::deque<std::string>& traced() const { return traced_; }

 private:
  struct Event {
    int64_t time_us;
    uint64_t number;
    std::function<void()> action;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return std::pair(a.time_us, a.number) > std::pair(b.time_us, b.number);
    }
  };
  void add_trace(std::string text);

  std::priority_queue<Event, std::vector<Event>, Later> events_;
  int64_t now_us_ = 0;
  uint64_t next_number_ = 0;
  Random random_;
  uint64_t hash_ = 0xCBF29CE484222325;
  bool tracing_;
  std::deque<std::string> traced_;
};

/// For traces: CR LF as '~', cut if long.
std::string readable(std::string_view bytes);

}  // namespace corral::sim
