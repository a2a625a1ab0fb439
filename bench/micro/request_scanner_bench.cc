// Requests as clients pipeline them: sixteen in one buffer. items_per_second is requests.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "hiredis_reading.h"
#include "resp/reply_builder.h"
#include "resp/request_scanner.h"

namespace corral::bench {
namespace {

constexpr size_t kPipeline = 16;

std::string pipeline(std::initializer_list<std::string_view> args) {
  std::string bytes;
  for (size_t i = 0; i < kPipeline; ++i) resp::append_command(bytes, args);
  return bytes;
}

std::string get_request() { return pipeline({"GET", "user:000000001234"}); }
std::string set_request() { return pipeline({"SET", "user:000000001234", std::string(64, 'v')}); }
std::string set_4k_request() { return pipeline({"SET", "user:000000001234", std::string(4096, 'v')}); }
std::string mget_request() {
  std::string request;
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back("user:" + std::to_string(100000 + i));
  std::vector<std::string_view> args{"MGET"};
  args.insert(args.end(), keys.begin(), keys.end());
  for (size_t i = 0; i < kPipeline; ++i) resp::append_command(request, args);
  return request;
}
std::string inline_request() {
  std::string bytes;
  for (size_t i = 0; i < kPipeline; ++i) bytes += "SET user:000000001234 \"a value\"\r\n";
  return bytes;
}

void scan(benchmark::State& state, const std::string& bytes) {
  resp::RequestScanner scanner;
  const resp::RequestLimits limits;
  for (auto _ : state) {
    const char* p = bytes.data();
    const char* const end = p + bytes.size();
    while (p != end) {
      if (scanner.scan(p, static_cast<size_t>(end - p), limits) != resp::ScanStatus::kFrame) std::abort();
      benchmark::DoNotOptimize(scanner.command(p));
      p += scanner.consumed();
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kPipeline));
}

void request_scanner_get(benchmark::State& state) { scan(state, get_request()); }
void request_scanner_set(benchmark::State& state) { scan(state, set_request()); }
void request_scanner_set_4k(benchmark::State& state) { scan(state, set_4k_request()); }
void request_scanner_mget_100(benchmark::State& state) { scan(state, mget_request()); }
void request_scanner_inline(benchmark::State& state) { scan(state, inline_request()); }
void request_hiredis_set(benchmark::State& state) { read_with_hiredis(state, set_request(), kPipeline, true); }
void request_hiredis_set_no_objects(benchmark::State& state) {
  read_with_hiredis(state, set_request(), kPipeline, false);
}

BENCHMARK(request_scanner_get);
BENCHMARK(request_scanner_set);
BENCHMARK(request_scanner_set_4k);
BENCHMARK(request_scanner_mget_100);
BENCHMARK(request_scanner_inline);
BENCHMARK(request_hiredis_set);
BENCHMARK(request_hiredis_set_no_objects);

}  // namespace
}  // namespace corral::bench
