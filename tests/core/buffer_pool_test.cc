// The pool of blocks: what is given back is taken again, sizes are rounded alike on both ways, and no block is in two
// hands.
#include "proxy/core/buffer_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <numeric>
#include <vector>

#include "support.h"

namespace corral::core {
namespace {

TEST(BufferPool, RoundedIsAPowerOfTwoUpToTheLargestAndExactBeyond) {
  EXPECT_EQ(BufferPool::rounded(0), 64u);
  EXPECT_EQ(BufferPool::rounded(64), 64u);
  EXPECT_EQ(BufferPool::rounded(65), 128u);
  EXPECT_EQ(BufferPool::rounded(1000), 1024u);
  EXPECT_EQ(BufferPool::rounded(65536), 65536u);
  EXPECT_EQ(BufferPool::rounded(65537), 65537u);
}

TEST(BufferPool, TakeAfterGiveOfTheSameSizeGivesTheSameBlock) {
  BufferPool pool;
  void* const block = pool.take(100);
  pool.give(block, 100);
  void* const again = pool.take(128);  // rounded alike
  EXPECT_EQ(again, block);
  pool.give(again, 65);
}

TEST(BufferPool, TakeOfAnotherSizeDoesNotGiveABlockThatIsTooSmall) {
  BufferPool pool;
  void* const small = pool.take(64);
  pool.give(small, 64);
  void* const large = pool.take(65);
  EXPECT_NE(large, small);
  std::memset(large, 1, 128);
  pool.give(large, 65);
}

TEST(BufferPool, BlocksBeyondTheLargestGoToTheAllocator) {
  BufferPool pool;
  void* const block = pool.take(BufferPool::kLargest + 1);
  std::memset(block, 1, BufferPool::kLargest + 1);
  pool.give(block, BufferPool::kLargest + 1);
}

TEST(BufferPool, WhatIsGivenBackBeyondTheKeptBytesIsFreed) {
  BufferPool pool;
  std::vector<void*> blocks;
  const size_t count = BufferPool::kKeptBytes / BufferPool::kLargest + 10;
  for (size_t i = 0; i < count; ++i) blocks.push_back(pool.take(BufferPool::kLargest));
  for (void* block : blocks) pool.give(block, BufferPool::kLargest);
  // Nothing to see from outside but that it still works; the address sanitizer sees a leak or a double free.
  void* const block = pool.take(BufferPool::kLargest);
  std::memset(block, 1, BufferPool::kLargest);
  pool.give(block, BufferPool::kLargest);
}

TEST(BufferPool, NoBlockIsInTwoHandsInARandomMix) {
  auto random = test::seeded_generator("BufferPool");
  BufferPool pool;
  struct Held {
    size_t size;
    unsigned char mark;
  };
  std::map<unsigned char*, Held> held;
  for (int step = 0; step < 20'000; ++step) {
    if (held.empty() || test::below(random, 3) != 0) {
      const size_t size = 1 + test::below(random, size_t{1} << test::below(random, 18));
      auto* const block = static_cast<unsigned char*>(pool.take(size));
      const auto mark = static_cast<unsigned char>(random());
      ASSERT_TRUE(held.emplace(block, Held{size, mark}).second) << "step " << step;
      std::memset(block, mark, BufferPool::rounded(size));
    } else {
      auto it = held.begin();
      std::advance(it, static_cast<ptrdiff_t>(test::below(random, std::min<size_t>(held.size(), 16))));
      const auto [size, mark] = it->second;
      ASSERT_EQ(it->first[0], mark);
      ASSERT_EQ(it->first[BufferPool::rounded(size) - 1], mark) << "size " << size;
      pool.give(it->first, size);
      held.erase(it);
    }
    const auto add = [](size_t sum, const auto& entry) { return sum + BufferPool::rounded(entry.second.size); };
    ASSERT_EQ(pool.used_bytes(), std::accumulate(held.begin(), held.end(), size_t{0}, add));
    ASSERT_LE(pool.spare_bytes(), 11 * BufferPool::kKeptBytes);
  }
  for (const auto& [block, entry] : held) pool.give(block, entry.size);
}

}  // namespace
}  // namespace corral::core
