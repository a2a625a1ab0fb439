// The ring of pending requests against std::deque.
#include "proxy/core/ring.h"

#include <gtest/gtest.h>

#include <deque>

#include "support.h"

namespace corral::core {
namespace {

TEST(Ring, NewRingIsEmpty) {
  const Ring<int> ring;
  EXPECT_TRUE(ring.empty());
  EXPECT_EQ(ring.size(), 0u);
}

TEST(Ring, GrowingKeepsTheOrderWhenTheItemsWrapAround) {
  Ring<int> ring;
  for (int i = 0; i < 64; ++i) ring.push(i);
  for (int i = 0; i < 40; ++i) ring.pop();
  for (int i = 64; i < 200; ++i) ring.push(i);
  for (uint32_t i = 0; i < ring.size(); ++i) ASSERT_EQ(ring[i], static_cast<int>(i) + 40);
}

TEST(Ring, BehavesLikeADequeInARandomMix) {
  auto random = test::seeded_generator("Ring");
  Ring<uint64_t> ring;
  std::deque<uint64_t> model;
  for (int step = 0; step < 100'000; ++step) {
    if (model.empty() || test::below(random, 100) < (step / 5000 % 2 == 0 ? 55u : 45u)) {
      model.push_back(random());
      ring.push(model.back());
    } else {
      ASSERT_EQ(ring.front(), model.front());
      ring.pop();
      model.pop_front();
    }
    ASSERT_EQ(ring.size(), model.size());
    if (model.empty()) continue;
    const size_t at = test::below(random, model.size());
    ASSERT_EQ(ring[static_cast<uint32_t>(at)], model[at]) << "step " << step;
  }
}

}  // namespace
}  // namespace corral::core
