// What a request costs in the near cache's store, with hash and lock as in production: a hit that is copied out, a key
// that is not there, and a newcomer for which another has to go. Values are 64 bytes (71 as a reply), keys 16.
//
// "cached": a thousand keys, which the processor's caches hold. "large": 256 MiB full of them. The keys asked for come
// one after the other in memory, as they do in what a client sent. "batches" says for sixteen keys at a time that they
// will be looked for, as a pipeline or an MGET may do.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/key_table.h"

namespace corral::bench {
namespace {

using policy::KeyEntry;
using policy::KeyRead;
using policy::KeyReply;
using policy::KeyShard;
using policy::KeyTable;

constexpr KeyRead kGet{.command = 1, .resp = 2, .args = ""};
constexpr size_t kBatch = 16;

using Key = std::array<char, 16>;

Key key_of(uint64_t number) {
  Key key;
  std::memcpy(key.data(), "key:", 4);
  for (size_t i = key.size(); i > 4; --i, number >>= 4) key[i - 1] = "0123456789abcdef"[number & 15];
  return key;
}

std::string_view view(const Key& key) { return {key.data(), key.size()}; }

const std::string& reply() {
  static const std::string kReply = "$64\r\n" + std::string(64, 'v') + "\r\n";
  return kReply;
}

void insert(KeyTable& table, const Key& key) {
  const uint64_t hash = KeyTable::hash(view(key));
  KeyShard& shard = table.shard(hash);
  const std::lock_guard lock(shard.mutex());
  if (shard.find(view(key), hash, 0) == nullptr) shard.insert(view(key), hash, 0, kGet, reply(), 0, 0);
}

/// A table with keys that are all there, in no order.
struct Filled {
  explicit Filled(bool is_large) : table(is_large ? 256u << 20 : 64u << 20), keys(is_large ? 800'000 : 1000) {
    for (size_t i = 0; i < keys.size(); ++i) keys[i] = key_of(i);
    std::shuffle(keys.begin(), keys.end(), std::mt19937(1));
    for (const Key& key : keys) insert(table, key);
    std::shuffle(keys.begin(), keys.end(), std::mt19937(2));
  }

  KeyTable table;
  std::vector<Key> keys;
};

Filled& filled(bool is_large) {
  static std::mutex mutex;
  static std::unique_ptr<Filled> tables[2];
  const std::lock_guard lock(mutex);
  if (tables[is_large] == nullptr) tables[is_large] = std::make_unique<Filled>(is_large);
  return *tables[is_large];
}

/// Numbers below `bound`: uniform, or 0 the most often, by a Zipf distribution with exponent 0.99.
std::vector<size_t> requests(size_t bound, bool is_zipf, unsigned seed) {
  std::vector<double> sums(bound);
  double sum = 0;
  for (size_t i = 0; i < bound; ++i) sums[i] = sum += is_zipf ? std::pow(static_cast<double>(i + 1), -0.99) : 1;
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> somewhere(0, sum);
  std::vector<size_t> numbers(std::clamp<size_t>(bound, 1 << 14, 1 << 20));
  for (size_t& number : numbers) {
    const auto at = std::lower_bound(sums.begin(), sums.end(), somewhere(random));
    number = std::min<size_t>(static_cast<size_t>(at - sums.begin()), bound - 1);
  }
  return numbers;
}

/// The keys that a thread asks for, one after the other, over and over.
class Asked {
 public:
  Asked(const Filled& table, bool is_zipf, unsigned seed) {
    for (const size_t number : requests(table.keys.size(), is_zipf, seed)) keys_.push_back(table.keys[number]);
  }
  void make_absent() {
    for (Key& key : keys_) key[0] = 'K';
  }
  const Key& next() {
    if (++at_ == keys_.size()) at_ = 0;
    return keys_[at_];
  }

 private:
  std::vector<Key> keys_;
  size_t at_ = 0;
};

size_t look_up(KeyTable& table, std::string_view key, uint64_t hash, char* out) {
  KeyShard& shard = table.shard(hash);
  const std::lock_guard lock(shard.mutex());
  KeyEntry* const entry = shard.find(key, hash, 0);
  if (entry == nullptr) return 0;
  const KeyReply* const reply = KeyShard::find_reply(*entry, kGet);
  if (reply == nullptr) return 0;
  shard.hit(*entry);
  reply->copy_to(out);
  return reply->size();
}

void expect(benchmark::State& state, bool as_it_should) {
  if (!as_it_should) state.SkipWithError("the table does not hold what it should");
}

void key_table_hit(benchmark::State& state, bool is_large, bool is_zipf) {
  Filled& there = filled(is_large);
  Asked asked(there, is_zipf, static_cast<unsigned>(state.thread_index()));
  char out[256];
  size_t hits = 0;
  for (auto _ : state) {
    const Key& key = asked.next();
    hits += look_up(there.table, view(key), KeyTable::hash(view(key)), out) != 0;
    benchmark::ClobberMemory();
  }
  expect(state, hits == static_cast<size_t>(state.iterations()));
}

void key_table_hit_batches(benchmark::State& state, bool is_large, bool is_zipf) {
  Filled& there = filled(is_large);
  Asked asked(there, is_zipf, static_cast<unsigned>(state.thread_index()));
  char out[256];
  std::array<std::pair<Key, uint64_t>, kBatch> batch;
  while (state.KeepRunningBatch(kBatch)) {
    for (auto& [key, hash] : batch) {
      key = asked.next();
      hash = KeyTable::hash(view(key));
      there.table.shard(hash).prefetch(hash);
    }
    for (const auto& [key, hash] : batch) benchmark::DoNotOptimize(look_up(there.table, view(key), hash, out));
    benchmark::ClobberMemory();
  }
}

void key_table_miss(benchmark::State& state, bool is_large, bool is_zipf) {
  Filled& there = filled(is_large);
  Asked asked(there, is_zipf, static_cast<unsigned>(state.thread_index()));
  asked.make_absent();
  char out[256];
  size_t hits = 0;
  for (auto _ : state) {
    const Key& key = asked.next();
    hits += look_up(there.table, view(key), KeyTable::hash(view(key)), out) != 0;
    benchmark::ClobberMemory();
  }
  expect(state, hits == 0);
}

/// Each newcomer is another key, whose own lookup has missed.
void key_table_insert_evict(benchmark::State& state, uint64_t memory_bytes) {
  static std::mutex mutex;
  static std::map<uint64_t, std::unique_ptr<KeyTable>> tables;
  static uint64_t next_range = 1;
  uint64_t number = 0;
  KeyTable* table = nullptr;
  {
    const std::lock_guard lock(mutex);
    auto& made = tables[memory_bytes];
    if (made == nullptr) {
      made = std::make_unique<KeyTable>(memory_bytes);
      for (uint64_t i = 0; i < memory_bytes / 200; ++i) insert(*made, key_of(i));
    }
    table = made.get();
    number = next_range++ << 36;
  }
  for (auto _ : state) insert(*table, key_of(number++));
}

/// What of it is the key's way here and its hash.
void key_table_hash_alone(benchmark::State& state) {
  Asked asked(filled(false), false, 1);
  for (auto _ : state) benchmark::DoNotOptimize(KeyTable::hash(view(asked.next())));
}

BENCHMARK(key_table_hash_alone);

#define CORRAL_BENCH_TABLE(name, ...)                                                                 \
  BENCHMARK_CAPTURE(key_table_hit, name, __VA_ARGS__)->Threads(1)->Threads(2)->UseRealTime();         \
  BENCHMARK_CAPTURE(key_table_hit_batches, name, __VA_ARGS__)->Threads(1)->Threads(2)->UseRealTime(); \
  BENCHMARK_CAPTURE(key_table_miss, name, __VA_ARGS__)->Threads(1)->Threads(2)->UseRealTime()

CORRAL_BENCH_TABLE(cached_uniform, false, false);
CORRAL_BENCH_TABLE(cached_zipf, false, true);
CORRAL_BENCH_TABLE(large_uniform, true, false);
CORRAL_BENCH_TABLE(large_zipf, true, true);

BENCHMARK_CAPTURE(key_table_insert_evict, 1_MiB, 1u << 20)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK_CAPTURE(key_table_insert_evict, 256_MiB, 256u << 20)->Threads(1)->Threads(2)->UseRealTime();

#undef CORRAL_BENCH_TABLE

}  // namespace
}  // namespace corral::bench
