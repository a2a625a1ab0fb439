#include "sim_runs.h"

#include <algorithm>
#include <cstdio>

namespace corral::sim {

namespace {

constexpr size_t kShownEvents = 80;

void add(Outcome& sum, const Outcome& one) {
  sum.requests += one.requests;
  sum.errors += one.errors;
  if (sum.counters.empty()) return void(sum.counters = one.counters);
  for (size_t i = 0; i < one.counters.size(); ++i) sum.counters[i].second += one.counters[i].second;
}

}  // namespace

Outcome run_traced(const Scenario& scenario, uint64_t seed) { return Simulation(scenario, seed, true).run(); }

bool run_seed(const Scenario& scenario, uint64_t seed, bool twice, Sum& sum) {
  const Outcome outcome = Simulation(scenario, seed, false).run();
  ++sum.runs;
  add(sum.total, outcome);
  const std::string which = scenario.name + ", seed " + std::to_string(seed) + ": ";
  for (const std::string& failure : outcome.failures) sum.failures.push_back(which + failure);
  if (!twice && outcome.failures.empty()) return true;
  const Outcome again = Simulation(scenario, seed, !outcome.failures.empty()).run();
  print_trace(again, kShownEvents);
  if (outcome.hash != again.hash) sum.failures.push_back(which + "the run is not repeatable");
  return outcome.failures.empty() && outcome.hash == again.hash;
}

void print_trace(const Outcome& outcome, size_t most) {
  const size_t from = outcome.trace.size() > most ? outcome.trace.size() - most : 0;
  for (size_t i = from; i < outcome.trace.size(); ++i) std::printf("%s\n", outcome.trace[i].c_str());
}

void print_sum(const std::string& name, const Sum& sum) {
  std::printf("%s: %llu runs, %llu requests, %llu error replies; core:", name.c_str(),
              static_cast<unsigned long long>(sum.runs), static_cast<unsigned long long>(sum.total.requests),
              static_cast<unsigned long long>(sum.total.errors));
  for (const auto& [counter, value] : sum.total.counters) {
    if (value > 0) std::printf(" %s=%llu", counter.c_str(), static_cast<unsigned long long>(value));
  }
  std::printf("\n");
}

uint64_t counter(const Outcome& outcome, std::string_view name) {
  for (const auto& [each, value] : outcome.counters) {
    if (each == name) return value;
  }
  return 0;
}

}  // namespace corral::sim
