// What the tests of the wire share: a printed seed, and input that ends at an unreadable page.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

namespace corral::test {

/// A generator whose seed is printed; CORRAL_TEST_SEED=n repeats a run.
inline std::mt19937_64 seeded_generator(const char* test) {
  const char* const given = std::getenv("CORRAL_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("%s: CORRAL_TEST_SEED=%llu\n", test, static_cast<unsigned long long>(seed));
  return std::mt19937_64(seed);
}

inline size_t below(std::mt19937_64& random, size_t bound) { return static_cast<size_t>(random() % bound); }

/// Holds bytes so that the one after the last cannot be read: reading past the end ends the test program.
class GuardedBytes {
 public:
  explicit GuardedBytes(size_t capacity) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    readable_ = (capacity + page - 1) / page * page;
    total_ = readable_ + page;
    void* const mapped = mmap(nullptr, total_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::runtime_error("mmap");
    start_ = static_cast<char*>(mapped);
    if (mprotect(start_ + readable_, page, PROT_NONE) != 0) throw std::runtime_error("mprotect");
  }
  ~GuardedBytes() { munmap(start_, total_); }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  /// Copies `bytes` to just before the unreadable page; valid until the next call.
  const char* hold(std::string_view bytes) {
    if (bytes.size() > readable_) throw std::length_error("GuardedBytes");
    char* const at = start_ + readable_ - bytes.size();
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    return at;
  }

 private:
  char* start_;
  size_t readable_;
  size_t total_;
};

}  // namespace corral::test
