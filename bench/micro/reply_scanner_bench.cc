// Replies as a node sends them to a pipeline: sixteen in one buffer. items_per_second is replies.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "hiredis_reading.h"
#include "resp/reply_builder.h"
#include "resp/reply_scanner.h"
#include "resp/reply_view.h"

namespace corral::bench {
namespace {

constexpr size_t kPipeline = 16;

std::string times(const std::string& reply) {
  std::string bytes;
  for (size_t i = 0; i < kPipeline; ++i) bytes += reply;
  return bytes;
}

std::string bulk(size_t size) {
  std::string reply;
  resp::append_bulk(reply, std::string(size, 'v'));
  return reply;
}

std::string array_of_100() {
  std::string reply;
  resp::append_array(reply, 100);
  for (int i = 0; i < 100; ++i) resp::append_bulk(reply, std::string(20, 'v'));
  return reply;
}

const std::string kInteger = ":1\r\n";
const std::string kNull = "$-1\r\n";
const std::string kMoved = "-MOVED 3999 127.0.0.1:6381\r\n";

void scan(benchmark::State& state, const std::string& reply) {
  const std::string bytes = times(reply);
  resp::ReplyScanner scanner;
  for (auto _ : state) {
    const char* p = bytes.data();
    const char* const end = p + bytes.size();
    while (p != end) {
      if (scanner.scan(p, static_cast<size_t>(end - p)) != resp::ScanStatus::kFrame) std::abort();
      benchmark::DoNotOptimize(p += scanner.consumed());
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kPipeline));
}

void hiredis(benchmark::State& state, const std::string& reply, bool objects) {
  read_with_hiredis(state, times(reply), kPipeline, objects);
}

void reply_view_elements(benchmark::State& state) {
  const std::string reply = array_of_100();
  for (auto _ : state) benchmark::DoNotOptimize(resp::ReplyView(reply).elements());
}

BENCHMARK_CAPTURE(scan, ok, std::string(resp::kOk));
BENCHMARK_CAPTURE(scan, integer, kInteger);
BENCHMARK_CAPTURE(scan, null, kNull);
BENCHMARK_CAPTURE(scan, error, kMoved);
BENCHMARK_CAPTURE(scan, bulk_64, bulk(64));
BENCHMARK_CAPTURE(scan, bulk_4096, bulk(4096));
BENCHMARK_CAPTURE(scan, array_100, array_of_100());
BENCHMARK_CAPTURE(hiredis, ok, std::string(resp::kOk), true);
BENCHMARK_CAPTURE(hiredis, bulk_64, bulk(64), true);
BENCHMARK_CAPTURE(hiredis, bulk_64_no_objects, bulk(64), false);
BENCHMARK_CAPTURE(hiredis, array_100, array_of_100(), true);
BENCHMARK_CAPTURE(hiredis, array_100_no_objects, array_of_100(), false);
BENCHMARK(reply_view_elements);

}  // namespace
}  // namespace corral::bench
