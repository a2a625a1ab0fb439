// Finding the rule of a key of 30 bytes, by the size of the book. The yardsticks are plain walks over the same key: a
// hash byte by byte, XXH3, and the slot, which each key costs anyway. "mixed" takes another of 1024 keys each time, so
// that neither branches nor cache know it.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "policy/rule_book.h"
#include "resp/slot.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace corral::bench {
namespace {

using policy::Rule;
using policy::RuleBook;

constexpr size_t kKeySize = 30;

std::string prefix(size_t number) {
  static constexpr const char* kKinds[] = {"cache", "session", "user", "page", "feed",
                                           "cart",  "rate",    "tmp",  "lock", "job"};
  return "app:" + std::string(kKinds[number % 10]) + ':' + std::to_string(100 + number / 10) + ':';
}

std::string key_of(size_t number) {
  std::string key = prefix(number) + "0123456789abcdefghijklmnopqrstuvwxyz";
  key.resize(kKeySize);
  return key;
}

// `prefixes` rules for a prefix each. The globs come first, so that each is tried on the keys that begin as it does.
RuleBook make_book(size_t prefixes, size_t globs, const std::string& glob_prefix) {
  std::vector<Rule> rules;
  const auto add = [&](std::string match) {
    rules.push_back({.name = "rule", .match = {std::move(match)}, .ttl = {}});
  };
  for (size_t i = 0; i < globs; ++i) add(glob_prefix + "*:kind" + std::to_string(i) + (i % 2 == 0 ? "" : ":*"));
  for (size_t i = 0; i < prefixes; ++i) add(prefix(i) + '*');
  return RuleBook(std::move(rules));
}

template <class Walk>
void walk_keys(benchmark::State& state, std::vector<std::string> keys, Walk walk) {
  size_t at = 0;
  for (auto _ : state) {
    const std::string& key = keys[at++ & (keys.size() - 1)];  // a power of two of them
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(walk(key));
  }
}

std::vector<std::string> mixed(size_t prefixes) {
  std::mt19937 random(1);
  std::vector<std::string> keys(1024);
  for (auto& key : keys) key = key_of(random() % std::max<size_t>(prefixes, 1));
  return keys;
}

void find_hit(benchmark::State& state, size_t prefixes, size_t globs, const char* glob_prefix) {
  const RuleBook book = make_book(prefixes, globs, glob_prefix);
  walk_keys(state, {key_of(prefixes / 2)}, [&](const std::string& key) { return book.find(key); });
}

void find_hit_mixed(benchmark::State& state, size_t prefixes, size_t globs, const char* glob_prefix) {
  const RuleBook book = make_book(prefixes, globs, glob_prefix);
  walk_keys(state, mixed(prefixes), [&](const std::string& key) { return book.find(key); });
}

// A key that leaves the rules at the last character of a prefix.
void find_miss(benchmark::State& state, size_t prefixes, size_t globs, const char* glob_prefix) {
  const RuleBook book = make_book(prefixes, globs, glob_prefix);
  std::string key = key_of(prefixes / 2);
  key[prefix(prefixes / 2).size() - 1] = '#';
  walk_keys(state, {key}, [&](const std::string& k) { return book.find(k); });
}

uint64_t fnv1a(const std::string& key) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : key) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

void walk_fnv1a(benchmark::State& state) { walk_keys(state, {key_of(1)}, fnv1a); }
void walk_xxh3(benchmark::State& state) {
  walk_keys(state, {key_of(1)}, [](const std::string& key) { return XXH3_64bits(key.data(), key.size()); });
}
void walk_slot(benchmark::State& state) {
  walk_keys(state, {key_of(1)}, [](const std::string& key) { return resp::key_slot(key); });
}
void walk_fnv1a_mixed(benchmark::State& state) { walk_keys(state, mixed(1000), fnv1a); }

BENCHMARK(walk_fnv1a);
BENCHMARK(walk_fnv1a_mixed);
BENCHMARK(walk_xxh3);
BENCHMARK(walk_slot);

#define CORRAL_BENCH_BOOK(name, ...)                    \
  BENCHMARK_CAPTURE(find_hit, name, __VA_ARGS__);       \
  BENCHMARK_CAPTURE(find_hit_mixed, name, __VA_ARGS__); \
  BENCHMARK_CAPTURE(find_miss, name, __VA_ARGS__)

CORRAL_BENCH_BOOK(no_rules, 0, 0, "");
CORRAL_BENCH_BOOK(prefixes_1, 1, 0, "");
CORRAL_BENCH_BOOK(prefixes_10, 10, 0, "");
CORRAL_BENCH_BOOK(prefixes_1000, 1000, 0, "");
CORRAL_BENCH_BOOK(prefixes_1000_and_20_globs_elsewhere, 1000, 20, "app:other:");
CORRAL_BENCH_BOOK(prefixes_1000_and_20_globs_on_all_keys, 1000, 20, "");

#undef CORRAL_BENCH_BOOK

}  // namespace
}  // namespace corral::bench
