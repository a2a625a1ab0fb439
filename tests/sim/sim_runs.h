// Runs seeds of scenarios, for the tests and for the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios.h"

namespace corral::sim {

/// What many runs have come to.
struct Sum {
  uint64_t runs = 0;
  Outcome total;
  std::vector<std::string> failures;  // "scenario, seed n: what"
};

/// One run; if it fails, another one with a trace, the end of which is printed. `twice`: the run is repeated in any
/// case, and must be the same. True: nothing has failed.
bool run_seed(const Scenario& scenario, uint64_t seed, bool twice, Sum& sum);
Outcome run_traced(const Scenario& scenario, uint64_t seed);
void print_trace(const Outcome& outcome, size_t most);
void print_sum(const std::string& name, const Sum& sum);
uint64_t counter(const Outcome& outcome, std::string_view name);

}  // namespace corral::sim
