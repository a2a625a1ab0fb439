// The queue of bytes against a std::string with two cursors, one for what was sent and one for what was released.
#include "proxy/core/byte_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "support.h"

namespace corral::core {
namespace {

std::string unsent_bytes(const ByteQueue& queue, int max_parts = 4096) {
  std::vector<iovec> parts(static_cast<size_t>(max_parts));
  const int count = queue.gather(parts.data(), max_parts);
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  return bytes;
}

TEST(ByteQueue, NewQueueIsEmptyAndGathersNothing) {
  BufferPool pool;
  const ByteQueue queue(pool, 1024);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.unsent(), 0u);
  iovec part;
  EXPECT_EQ(queue.gather(&part, 1), 0);
}

TEST(ByteQueue, GatherSkipsWhatWasSent) {
  BufferPool pool;
  ByteQueue queue(pool, 1024);
  queue.append("hello world");
  queue.mark_sent(6);
  EXPECT_EQ(unsent_bytes(queue), "world");
  EXPECT_EQ(queue.size(), 11u);
  EXPECT_EQ(queue.unsent(), 5u);
}

TEST(ByteQueue, AppendAfterEverythingWasSentIsGatheredAlone) {
  BufferPool pool;
  ByteQueue queue(pool, 1024);
  queue.append("first");
  queue.mark_sent(5);
  queue.append("second");
  EXPECT_EQ(unsent_bytes(queue), "second");
}

TEST(ByteQueue, ReserveIsFilledInByTheCaller) {
  BufferPool pool;
  ByteQueue queue(pool, 1024);
  std::memcpy(queue.reserve(3), "abc", 3);
  EXPECT_EQ(unsent_bytes(queue), "abc");
}

TEST(ByteQueue, ClearForgetsSentAndUnsent) {
  BufferPool pool;
  ByteQueue queue(pool, 1024);
  queue.append(std::string(100'000, 'x'));
  queue.append("y");
  queue.mark_sent(70'000);
  queue.clear();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.unsent(), 0u);
  queue.append("z");
  EXPECT_EQ(unsent_bytes(queue), "z");
}

TEST(ByteQueue, GatherGivesNoMorePartsThanAskedFor) {
  BufferPool pool;
  ByteQueue queue(pool, 1024);
  std::string all;
  for (int i = 0; i < 10; ++i) {
    const std::string piece(70'000, static_cast<char>('a' + i));
    queue.append(piece);
    all += piece;
  }
  const std::string first = unsent_bytes(queue, 3);
  EXPECT_LT(first.size(), all.size());
  EXPECT_EQ(first, all.substr(0, first.size()));
}

TEST(ByteQueue, BehavesLikeAStringWithTwoCursorsInARandomMix) {
  auto random = test::seeded_generator("ByteQueue");
  for (int round = 0; round < 20; ++round) {
    BufferPool pool;
    ByteQueue queue(pool, 1024);
    std::string model;  // not released
    size_t sent = 0;    // of the model's bytes
    struct Piece {
      const char* at;
      std::string bytes;
    };
    std::deque<Piece> pieces;  // not wholly released
    size_t head_released = 0;  // of the first piece
    const size_t longest = size_t{1} << (1 + test::below(random, 17));
    for (int step = 0; step < 300; ++step) {
      const size_t choice = test::below(random, 4);
      if (choice <= 1) {
        const std::string bytes(1 + test::below(random, longest), static_cast<char>('a' + test::below(random, 26)));
        pieces.push_back({queue.append(bytes), bytes});
        model += bytes;
      } else if (choice == 2) {
        const size_t size = test::below(random, model.size() - sent + 1);
        queue.mark_sent(size);
        sent += size;
      } else {
        size_t size = test::below(random, sent + 1);
        queue.release(size);
        model.erase(0, size);
        sent -= size;
        size += head_released;
        while (!pieces.empty() && size >= pieces.front().bytes.size()) {
          size -= pieces.front().bytes.size();
          pieces.pop_front();
        }
        head_released = size;
      }
      ASSERT_EQ(queue.size(), model.size());
      ASSERT_EQ(queue.empty(), model.empty());
      ASSERT_EQ(queue.unsent(), model.size() - sent);
      ASSERT_EQ(unsent_bytes(queue), model.substr(sent)) << "round " << round << " step " << step;
    }
    // Each piece is where it was put, whole as far as it is not released.
    for (size_t i = 0; i < pieces.size(); ++i) {
      const size_t from = i == 0 ? head_released : 0;
      ASSERT_EQ(std::string_view(pieces[i].at + from, pieces[i].bytes.size() - from),
                std::string_view(pieces[i].bytes).substr(from));
    }
  }
}

}  // namespace
}  // namespace corral::core
