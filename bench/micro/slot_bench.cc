// key_slot by length of the key, and of a key with a hash tag.
#include <benchmark/benchmark.h>

#include <string>

#include "resp/slot.h"

namespace corral::bench {
namespace {

void slot_of(benchmark::State& state, std::string key) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(key.data());
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(resp::key_slot(key));
  }
}

void key_slot(benchmark::State& state) { slot_of(state, std::string(static_cast<size_t>(state.range(0)), 'k')); }
void key_slot_tagged(benchmark::State& state) { slot_of(state, "{user:000000001234}:profile:settings"); }

BENCHMARK(key_slot)->Arg(5)->Arg(16)->Arg(20)->Arg(31)->Arg(40)->Arg(100);
BENCHMARK(key_slot_tagged);

}  // namespace
}  // namespace corral::bench
