// Cuts a fuzzer's input into a recipe (its first bytes) and the bytes to work on, and those into parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace corral::fuzz {

/// Ends the program, which is how a fuzzer learns that something is wrong. Also without assertions.
inline void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

class FuzzInput {
 public:
  /// The first two bytes are the recipe.
  FuzzInput(const uint8_t* data, size_t size) {
    if (size > 0) recipe_ = data[0];
    if (size > 1) state_ = data[1] + 1u;
    if (size > 2) bytes_ = {reinterpret_cast<const char*>(data) + 2, size - 2};
  }

  uint8_t recipe() const { return recipe_; }
  std::string_view bytes() const { return bytes_; }

  /// The size of the next part, at least 1: mostly small, now and then large.
  size_t next_part() {
    state_ = state_ * 1664525 + 1013904223;
    const uint32_t random = state_ >> 16;
    return 1 + (random % 8 == 0 ? random % 2048 : random % 16);
  }

 private:
  uint8_t recipe_ = 0;
  uint32_t state_ = 1;
  std::string_view bytes_;
};

/// `bytes` in memory of exactly their size, so that the sanitizer sees a read beyond them.
class ExactCopy {
 public:
  explicit ExactCopy(std::string_view bytes) : memory_(std::make_unique<char[]>(bytes.size())) {
    bytes.copy(memory_.get(), bytes.size());
  }
  const char* data() const { return memory_.get(); }

 private:
  std::unique_ptr<char[]> memory_;
};

}  // namespace corral::fuzz
