// The yardstick: hiredis' reader over the same bytes, once with the objects that it builds by default and once without
// (it then only finds the end, as our scanners do).
#pragma once

#include <benchmark/benchmark.h>
#include <hiredis/hiredis.h>

#include <cstdlib>
#include <string>

namespace corral::bench {

/// Reads `frames` frames, which `bytes` holds one after the other, once an iteration.
inline void read_with_hiredis(benchmark::State& state, const std::string& bytes, size_t frames, bool objects) {
  redisReader* const reader = objects ? redisReaderCreate() : redisReaderCreateWithFunctions(nullptr);
  for (auto _ : state) {
    redisReaderFeed(reader, bytes.data(), bytes.size());
    for (size_t i = 0; i < frames; ++i) {
      void* reply = nullptr;
      if (redisReaderGetReply(reader, &reply) != REDIS_OK || reply == nullptr) std::abort();
      if (objects) freeReplyObject(reply);
    }
  }
  redisReaderFree(reader);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(frames));
}

}  // namespace corral::bench
