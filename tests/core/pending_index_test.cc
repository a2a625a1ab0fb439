// PendingIndex counts what a walk over all would.
#include "proxy/core/pending_index.h"

#include <gtest/gtest.h>

#include "support.h"

namespace corral::core {
namespace {

struct Item {
  uint64_t key;
};
uint64_t key_of(const Item& item) { return item.key; }

TEST(PendingIndex, CountsLikeAWalkOverAll) {
  auto random = test::seeded_generator("PendingIndex");
  Ring<Item> ring;
  PendingIndex index;
  for (int step = 0; step < 50'000; ++step) {
    const uint64_t what = test::below(random, 100);
    const uint64_t pushes = step / 1000 % 2 == 0 ? 50 : 30;
    if (what < pushes) {
      ring.push({test::below(random, 5)});
    } else if (what < 80 && !ring.empty()) {
      ring.pop();
    } else if (what < 85 && !ring.empty()) {
      ring[static_cast<uint32_t>(test::below(random, ring.size()))].key = 0;  // taken out of its place
    } else if (what < 86) {
      index.clear(ring.front_number());
    } else {
      const uint64_t key = 1 + test::below(random, 4);
      uint32_t expected = 0;
      for (uint32_t i = 0; i < ring.size(); ++i) expected += ring[i].key == key;
      ASSERT_EQ(index.count(ring, key, key_of), expected) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace corral::core
