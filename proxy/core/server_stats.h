// What Corral counts to answer as one server does (INFO commandstats and errorstats, rates), where no node can know it:
// the commands it answers itself, and the errors that it gives itself. CONFIG RESETSTAT begins anew, other than the
// counters of stats.h.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/core/stats.h"
#include "resp/command_table.h"

namespace corral::core {

struct CommandCounts {
  uint64_t calls = 0, failed = 0, rejected = 0;
};

class ServerStats {
 public:
  explicit ServerStats(uint32_t workers);

  // --- by the worker's own thread ---
  void count_call(uint32_t worker, const resp::CommandSpec& spec, bool failed);
  /// Of the same command, none of which has failed.
  void count_calls(uint32_t worker, const resp::CommandSpec& spec, uint64_t calls);
  void count_rejected(uint32_t worker, const resp::CommandSpec& spec);
  void reset_worker(uint32_t worker);

  // --- by any thread ---
  /// An error that is given to a client; it begins with its code.
  void count_error(std::string_view text);
  uint64_t errors() const;
  std::map<std::string, uint64_t> errors_by_code() const;
  void reset_errors();
  /// Of all commands with a count that is not 0, by full name.
  std::vector<std::pair<std::string_view, CommandCounts>> counts() const;

  /// What stats.h counts since the last reset.
  using Totals = std::vector<std::pair<std::string_view, uint64_t>>;
  void reset_totals(Totals now);
  uint64_t since_reset(const Totals& now, std::string_view name) const;

  /// Rates, as an average of the last 16 samples. Sampled by one worker.
  struct Rates {
    uint64_t requests = 0, input_bytes = 0, output_bytes = 0;  // a second
  };
  void sample(uint64_t now_ms, const Totals& now);
  Rates rates() const;

 private:
  struct Counters {
    Counter calls, failed, rejected;
  };
  struct Sample {
    uint64_t at_ms = 0, requests = 0, input_bytes = 0, output_bytes = 0;
  };
  static constexpr size_t kSamples = 16;

  std::vector<std::unique_ptr<std::vector<Counters>>> by_worker_;  // then by CommandSpec::id
  mutable std::mutex mutex_;                                       // guards what follows
  std::map<std::string, uint64_t> errors_;
  Totals reset_at_;
  std::array<Sample, kSamples> samples_{};  // a ring
  uint64_t sampled_ = 0;                    // ever
};

}  // namespace corral::core
