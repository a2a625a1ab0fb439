// Finding a command by name: one that every client sends, a long one, and none.
#include <benchmark/benchmark.h>

#include <string>

#include "resp/command_table.h"

namespace corral::bench {
namespace {

void find_command(benchmark::State& state, std::string name) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(name.data());
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(resp::find_command(name));
  }
}

BENCHMARK_CAPTURE(find_command, get_upper, "GET");
BENCHMARK_CAPTURE(find_command, set_lower, "set");
BENCHMARK_CAPTURE(find_command, zrangebyscore, "ZRANGEBYSCORE");
BENCHMARK_CAPTURE(find_command, unknown, "NOSUCHCOMMAND");

}  // namespace
}  // namespace corral::bench
