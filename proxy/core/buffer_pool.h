// Memory for bytes that come and go: blocks in sizes of powers of two, kept in free lists, so that the hot way takes
// and gives them back without the allocator. One pool a worker; not shared between threads.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

namespace corral::core {

class BufferPool {
 public:
  static constexpr uint32_t kSmallest = 64;
  static constexpr uint32_t kLargest = 64 * 1024;        // larger blocks go to and from the allocator
  static constexpr size_t kKeptBytes = 8 * 1024 * 1024;  // of each size

  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool() {
    for (Free* list : free_) {
      while (list) std::free(std::exchange(list, list->next));
    }
  }

  /// The capacity that take(size) will have.
  static size_t rounded(size_t size) {
    if (size <= kSmallest) return kSmallest;
    return size <= kLargest ? std::bit_ceil(size) : size;
  }

  /// A block of rounded(size) bytes, aligned for any type.
  void* take(size_t size) {
    if (size > kLargest) return check(std::malloc(size));
    const int c = size_class(size);
    if (Free* block = free_[c]) {
      free_[c] = block->next;
      kept_[c] -= kSmallest << c;
      return block;
    }
    return check(std::malloc(kSmallest << c));
  }

  /// `size`: what it was taken with, or its capacity.
  void give(void* block, size_t size) {
    if (size > kLargest) return std::free(block);
    const int c = size_class(size);
    if (kept_[c] >= kKeptBytes) return std::free(block);
    free_[c] = new (block) Free{free_[c]};
    kept_[c] += kSmallest << c;
  }

 private:
  struct Free {
    Free* next;
  };
  static constexpr int kClasses = 11;
  static_assert(kSmallest << (kClasses - 1) == kLargest);

  static int size_class(size_t size) { return size <= kSmallest ? 0 : std::bit_width((size - 1) / kSmallest); }
  static void* check(void* block) {
    if (!block) throw std::bad_alloc();
    return block;
  }

  std::array<Free*, kClasses> free_{};
  std::array<size_t, kClasses> kept_{};
};

}  // namespace corral::core
