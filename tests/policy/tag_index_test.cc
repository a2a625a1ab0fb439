// The index of a shard against a list: what was inserted is found, and what was erased is not, however full the lines
// are and however many tags are the same.
#include "policy/tag_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "support.h"

namespace corral::policy {
namespace {

using test::below;

struct Index {
  explicit Index(size_t homes) : lines(TagIndex::lines_for(homes)), index(lines.data(), homes) {}

  std::vector<uint32_t> find(uint32_t tag) const {
    std::vector<uint32_t> blocks;
    index.find(tag, [&](uint32_t block) {
      blocks.push_back(block);
      return false;
    });
    std::sort(blocks.begin(), blocks.end());
    return blocks;
  }
  std::vector<uint32_t> all(size_t most_lines) {
    std::vector<uint32_t> blocks;
    size_t at = index.lines();
    while (at != 0) at = index.walk(at, most_lines, [&](uint32_t block) { blocks.push_back(block); });
    std::sort(blocks.begin(), blocks.end());
    return blocks;
  }

  std::vector<TagIndex::Line> lines;
  TagIndex index;
};

using Entries = std::set<std::pair<uint32_t, uint32_t>>;  // tag, block

std::vector<uint32_t> blocks_with(const Entries& entries, uint32_t tag) {
  std::vector<uint32_t> blocks;
  for (auto it = entries.lower_bound({tag, 0}); it != entries.end() && it->first == tag; ++it) {
    blocks.push_back(it->second);
  }
  return blocks;
}

void compare_with_list(std::mt19937_64& random, size_t homes, size_t most, size_t distinct_tags) {
  Index index(homes);
  Entries entries;
  uint32_t next_block = 0;
  const auto some_tag = [&] {
    return static_cast<uint32_t>(below(random, distinct_tags) * (UINT32_MAX / distinct_tags));
  };
  for (int step = 0; step < 20'000; ++step) {
    const uint32_t tag = some_tag();
    ASSERT_EQ(index.find(tag), blocks_with(entries, tag));
    const bool grows = step / 5000 % 2 == 0;
    if (entries.size() < most && below(random, 10) < (grows ? 8 : 2)) {
      if (index.index.insert(tag, next_block)) entries.insert({tag, next_block++});
    } else if (auto it = entries.lower_bound({tag, 0}); it != entries.end()) {
      index.index.erase(it->first, it->second);
      entries.erase(it);
    }
    if (step % 1000 != 0) continue;
    std::vector<uint32_t> blocks;
    for (const auto& [_, block] : entries) blocks.push_back(block);
    std::sort(blocks.begin(), blocks.end());
    ASSERT_EQ(index.all(index.index.lines()), blocks);
    ASSERT_EQ(index.all(3), blocks);
  }
}

TEST(TagIndex, AgreesWithList) {
  auto random = test::seeded_generator("TagIndex.AgreesWithList");
  for (int round = 0; round < 2; ++round) {
    for (const size_t homes : {1, 2, 7, 20, 100}) {
      for (const size_t tags : {1, 2, 5, 50, 100'000}) {
        compare_with_list(random, homes, homes * 7, tags);
        compare_with_list(random, homes, SIZE_MAX, tags);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(TagIndex, TakesAsManyAsAreBound) {
  Index index(10);
  uint32_t taken = 0;
  while (index.index.insert(12345, taken)) ++taken;
  EXPECT_EQ(taken, TagIndex::kMostLines * TagIndex::kLineEntries);
  EXPECT_EQ(index.find(12345).size(), taken);
  index.index.erase(12345, 0);
  EXPECT_TRUE(index.index.insert(12345, taken));
}

TEST(TagIndex, EachOneSeenMayBeErased) {
  auto random = test::seeded_generator("TagIndex.EachOneSeenMayBeErased");
  for (int round = 0; round < 200; ++round) {
    Index index(8);
    std::vector<uint32_t> tags;
    for (uint32_t block = 0; block < 80; ++block) {
      tags.push_back(static_cast<uint32_t>(random()));
      if (!index.index.insert(tags.back(), block)) tags.pop_back();
    }
    std::vector<uint32_t> seen, kept;
    index.index.walk(index.index.lines(), index.index.lines(), [&](uint32_t block) {
      seen.push_back(block);
      if (below(random, 3) == 0) {
        kept.push_back(block);
      } else {
        index.index.erase(tags.at(block), block);
      }
    });
    std::sort(seen.begin(), seen.end());
    std::sort(kept.begin(), kept.end());
    ASSERT_EQ(seen.size(), tags.size());
    ASSERT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
    ASSERT_EQ(index.all(1), kept);
  }
}

TEST(TagIndex, WalkInStepsMissesNobodyWhileOthersComeAndGo) {
  auto random = test::seeded_generator("TagIndex.WalkInStepsMissesNobodyWhileOthersComeAndGo");
  for (int round = 0; round < 200; ++round) {
    Index index(8);
    std::vector<uint32_t> tags;
    std::set<uint32_t> there, throughout;
    const auto add = [&](uint32_t block) {
      tags.push_back(static_cast<uint32_t>(random()));
      if (index.index.insert(tags.back(), block)) there.insert(block);
    };
    for (uint32_t block = 0; block < 50; ++block) add(block);
    throughout = there;
    std::set<uint32_t> seen;
    for (size_t at = index.index.lines(); at != 0;) {
      at = index.index.walk(at, 1, [&](uint32_t block) { seen.insert(block); });
      for (int i = 0; i < 3; ++i) {
        const uint32_t gone = static_cast<uint32_t>(below(random, tags.size()));
        throughout.erase(gone);
        if (there.erase(gone) != 0) index.index.erase(tags[gone], gone);
        add(static_cast<uint32_t>(tags.size()));
      }
    }
    for (const uint32_t block : throughout) ASSERT_TRUE(seen.contains(block));
  }
}

}  // namespace
}  // namespace corral::policy
