#include "proxy/core/server_stats.h"

#include <algorithm>

namespace corral::core {

namespace {

constexpr size_t kMostCodes = 128;  // clients must not make Corral remember what they like
constexpr size_t kMostCodeBytes = 32;

void collect(std::span<const resp::CommandSpec> specs, const std::vector<CommandCounts>& counts,
             std::vector<std::pair<std::string_view, CommandCounts>>& result) {
  for (const auto& spec : specs) {
    const CommandCounts& count = counts[spec.id];
    if (count.calls + count.failed + count.rejected > 0) result.emplace_back(spec.name, count);
    collect(spec.subcommands, counts, result);
  }
}

uint64_t value_of(const ServerStats::Totals& totals, std::string_view name) {
  const auto found = std::find_if(totals.begin(), totals.end(), [&](const auto& one) { return one.first == name; });
  return found == totals.end() ? 0 : found->second;
}

}  // namespace

ServerStats::ServerStats(uint32_t workers) {
  for (uint32_t i = 0; i < workers; ++i) {
    by_worker_.push_back(std::make_unique<std::vector<Counters>>(resp::command_id_count()));
  }
}

void ServerStats::count_call(uint32_t worker, const resp::CommandSpec& spec, bool failed) {
  if (spec.id == resp::kUnlistedCommand) return;
  Counters& counters = (*by_worker_[worker])[spec.id];
  counters.calls.add();
  if (failed) counters.failed.add();
}

void ServerStats::count_calls(uint32_t worker, const resp::CommandSpec& spec, uint64_t calls) {
  if (spec.id != resp::kUnlistedCommand) (*by_worker_[worker])[spec.id].calls.add(calls);
}

void ServerStats::count_rejected(uint32_t worker, const resp::CommandSpec& spec) {
  if (spec.id != resp::kUnlistedCommand) (*by_worker_[worker])[spec.id].rejected.add();
}

void ServerStats::reset_worker(uint32_t worker) {
  for (Counters& counters : *by_worker_[worker]) {
    for (Counter* counter : {&counters.calls, &counters.failed, &counters.rejected}) counter->subtract(counter->get());
  }
}

void ServerStats::count_error(std::string_view text) {
  const size_t blank = text.substr(0, kMostCodeBytes).find(' ');
  const std::string_view code = blank == std::string_view::npos ? "ERR" : text.substr(0, blank);
  const std::lock_guard lock(mutex_);
  if (const auto known = errors_.find(std::string(code)); known != errors_.end()) {
    ++known->second;
  } else if (errors_.size() < kMostCodes) {
    errors_.emplace(code, 1);
  }
}

uint64_t ServerStats::errors() const {
  const std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (const auto& [code, count] : errors_) sum += count;
  return sum;
}

std::map<std::string, uint64_t> ServerStats::errors_by_code() const {
  const std::lock_guard lock(mutex_);
  return errors_;
}

void ServerStats::reset_errors() {
  const std::lock_guard lock(mutex_);
  errors_.clear();
}

std::vector<std::pair<std::string_view, CommandCounts>> ServerStats::counts() const {
  std::vector<CommandCounts> sums(resp::command_id_count());
  for (const auto& counters : by_worker_) {
    for (size_t id = 0; id < sums.size(); ++id) {
      sums[id].calls += (*counters)[id].calls.get();
      sums[id].failed += (*counters)[id].failed.get();
      sums[id].rejected += (*counters)[id].rejected.get();
    }
  }
  std::vector<std::pair<std::string_view, CommandCounts>> result;
  collect(resp::all_commands(), sums, result);
  return result;
}

void ServerStats::reset_totals(Totals now) {
  const std::lock_guard lock(mutex_);
  reset_at_ = std::move(now);
}

uint64_t ServerStats::since_reset(const Totals& now, std::string_view name) const {
  const std::lock_guard lock(mutex_);
  return value_of(now, name) - value_of(reset_at_, name);
}

void ServerStats::sample(uint64_t now_ms, const Totals& now) {
  const std::lock_guard lock(mutex_);
  samples_[sampled_++ % kSamples] = {now_ms, value_of(now, "requests"), value_of(now, "net_input_bytes"),
                                     value_of(now, "net_output_bytes")};
}

ServerStats::Rates ServerStats::rates() const {
  const std::lock_guard lock(mutex_);
  if (sampled_ < 2) return {};
  const Sample& last = samples_[(sampled_ - 1) % kSamples];
  const Sample& first = samples_[sampled_ > kSamples ? sampled_ % kSamples : 0];
  const uint64_t elapsed_ms = std::max<uint64_t>(last.at_ms - first.at_ms, 1);
  const auto rate = [&](uint64_t Sample::*field) { return (last.*field - first.*field) * 1000 / elapsed_ms; };
  return {rate(&Sample::requests), rate(&Sample::input_bytes), rate(&Sample::output_bytes)};
}

}  // namespace corral::core
