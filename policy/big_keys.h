// The largest values and collections seen lately: kMost keys, by the bytes of a reply or of an argument.
//
// That is what passed by, not what the servers hold: a large hash of which only fields are read is not noticed. A key
// is forgotten when it has not been seen so large for kForgetMs.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace corral::policy {

struct BigKey {
  std::string key;  // of a long one the beginning
  uint64_t hash = 0;
  uint64_t bytes = 0;
  uint64_t elements = 0;          // 0: it is a single value
  std::string_view command = {};  // that it was seen with
  uint64_t seen_ms = 0;           // when it was seen so large last
};

class BigKeys {
 public:
  static constexpr size_t kMost = 32;
  static constexpr uint64_t kLeastBytes = 16 * 1024;
  static constexpr uint64_t kForgetMs = 3'600'000;
  static constexpr size_t kMostKeyBytes = 128;

  /// What is smaller need not be noted.
  uint64_t least_bytes() const { return least_; }
  /// `hash`: of the whole key. Costs little if the key is there already, as large as before.
  void note(std::string_view key, uint64_t hash, uint64_t bytes, uint64_t elements, std::string_view command,
            uint64_t now_ms);
  void forget(uint64_t now_ms);
  /// The largest first.
  const std::vector<BigKey>& keys() const { return keys_; }

 private:
  void update_least();

  std::vector<BigKey> keys_;
  uint64_t least_ = kLeastBytes;
};

/// Of several workers; the largest first.
std::vector<BigKey> merge_big_keys(std::span<const std::vector<BigKey>> parts, size_t most);

}  // namespace corral::policy
