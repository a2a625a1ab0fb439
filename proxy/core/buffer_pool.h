// Memory for bytes that come and go: blocks in sizes of powers of two, kept in free lists, so that the hot way takes
// and gives them back without the allocator. One pool a worker; not shared between threads.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <numeric>
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
    if (size > kLargest) return allocate(size);
    const int c = size_class(size);
    if (Free* block = free_[c]) {
      free_[c] = block->next;
      kept_[c] -= kSmallest << c;
      return block;
    }
    return allocate(kSmallest << c);
  }

  /// `size`: what it was taken with, or its capacity.
  void give(void* block, size_t size) {
    if (size > kLargest) return release(block, size);
    const int c = size_class(size);
    if (kept_[c] >= kKeptBytes) return release(block, kSmallest << c);
    free_[c] = new (block) Free{free_[c]};
    kept_[c] += kSmallest << c;
  }

  /// Of blocks that are not used now, and of those that are.
  size_t spare_bytes() const { return std::accumulate(kept_.begin(), kept_.end(), size_t{0}); }
  size_t used_bytes() const { return allocated_ - spare_bytes(); }

 private:
  struct Free {
    Free* next;
  };
  static constexpr int kClasses = 11;
  static_assert(kSmallest << (kClasses - 1) == kLargest);

  static int size_class(size_t size) { return size <= kSmallest ? 0 : std::bit_width((size - 1) / kSmallest); }
  void* allocate(size_t size) {
    void* block = std::malloc(size);
    if (!block) throw std::bad_alloc();
    allocated_ += size;
    return block;
  }
  void release(void* block, size_t size) {
    allocated_ -= size;
    std::free(block);
  }

  std::array<Free*, kClasses> free_{};
  std::array<size_t, kClasses> kept_{};
  size_t allocated_ = 0;
};

}  // namespace corral::core
