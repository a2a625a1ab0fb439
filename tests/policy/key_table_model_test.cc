// The key table against a map. What the table still has must be what the map has; what it evicted is known by that it
// is not found, and by how many it says there were.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/key_table.h"
#include "support.h"

namespace corral::policy {
namespace {

using test::below;

/// How many blocks a chain takes, said another way than the table says it.
uint64_t blocks(uint64_t bytes, uint64_t in_first) {
  uint64_t count = 1;
  for (; bytes > in_first; bytes -= std::min<uint64_t>(bytes, in_first), in_first = 124) ++count;
  return count;
}

struct Content {
  KeyRead read;
  std::string_view bytes;
  uint64_t until_ms;
  uint8_t flags;
};

struct Known {
  uint64_t deadline_ms;
  std::vector<Content> replies;  // the newest last
};

bool same_read(const KeyRead& a, const KeyRead& b) {
  return a.command == b.command && a.resp == b.resp && a.args == b.args;
}

class Comparison {
 public:
  using Hash = uint64_t (*)(std::string_view key);

  Comparison(std::mt19937_64& random, uint64_t memory_bytes, size_t keys, size_t most_bytes, Hash hash)
      : random_(random), table_(memory_bytes), most_bytes_(most_bytes), hash_(hash) {
    for (char& c : pool_) c = static_cast<char>(random_());
    for (size_t i = 0; i < keys; ++i) keys_.push_back(std::to_string(i).append(key_size(), '.'));
    keys_[0].clear();
    keys_[1] = "x";
    start_bytes_ = bytes();
  }

  void step() {
    const std::string& key = keys_[some(keys_.size())];
    const uint16_t database = below(random_, 4) == 0 ? 7 : 0;
    KeyEntry* const entry = shard(key).find(key, hash_(key), database);
    const auto known = known_.find({database, key});
    if (entry == nullptr) {
      if (known != known_.end()) went(known);
      return add(key, database);
    }
    ASSERT_NE(known, known_.end());
    agree(*entry, known->second);
    change(*entry, known);
  }

  void check_all() {
    for (auto it = known_.begin(); it != known_.end();) {
      const auto here = it++;
      const std::string& key = here->first.second;
      KeyEntry* const entry = shard(key).find(key, hash_(key), here->first.first);
      entry == nullptr ? went(here) : agree(*entry, here->second);
    }
    uint64_t evictions = 0, ghosts = 0, expected = start_bytes_;
    for (size_t i = 0; i < table_.shards(); ++i) {
      evictions += table_.shard_at(i).evictions();
      ghosts += table_.shard_at(i).ghost_bytes() - 64;
    }
    EXPECT_EQ(evictions, went_);
    for (const auto& [where, known] : known_) {
      expected += 128 * blocks(where.second.size(), 48);
      for (const Content& reply : known.replies) {
        expected += 128 * blocks(reply.read.args.size() + reply.bytes.size(), 100);
      }
    }
    EXPECT_EQ(bytes(), expected + ghosts);
    EXPECT_LE(bytes(), table_.memory_bytes());
  }

  /// Those of which `f` says so; the others must be what the map has.
  template <class F>
  void erase_where(F&& f) {
    size_t seen = 0, entries = 0;
    const size_t had = known_.size();
    for (size_t i = 0; i < table_.shards(); ++i) {
      entries += table_.shard_at(i).entries();
      table_.shard_at(i).for_each([&](KeyEntry& entry, std::string_view key) {
        ++seen;
        const auto known = known_.find({entry.database(), std::string(key)});
        EXPECT_NE(known, known_.end());
        if (known == known_.end()) return true;
        agree(entry, known->second);
        if (!f()) return false;
        known_.erase(known);
        return true;
      });
    }
    EXPECT_EQ(seen, had);
    EXPECT_EQ(entries, had);
  }

  uint64_t went() const { return went_; }
  bool chance(size_t percent) { return below(random_, 100) < percent; }

 private:
  using Where = std::pair<uint16_t, std::string>;

  KeyShard& shard(std::string_view key) { return table_.shard(hash_(key)); }
  uint64_t bytes() {
    uint64_t sum = 0;
    for (size_t i = 0; i < table_.shards(); ++i) sum += table_.shard_at(i).bytes();
    return sum;
  }
  /// Small numbers more often.
  size_t some(size_t bound) { return below(random_, 1 + below(random_, bound)); }
  size_t key_size() {
    static constexpr size_t kSizes[] = {0, 5, 42, 43, 44, 45, 46, 47, 48, 120, 165, 170, 171, 172, 173, 300, 10'240};
    return below(random_, 100) == 0 ? kSizes[16] : kSizes[below(random_, 16)];
  }
  std::string_view piece(size_t size) {
    return std::string_view(pool_.data(), pool_.size()).substr(below(random_, pool_.size() - size), size);
  }
  Content content() {
    static constexpr std::array<std::string_view, 6> kArgs = {"", "", "field", "fjeld", "another field", "1 -1"};
    KeyRead read{static_cast<uint16_t>(below(random_, 3)), static_cast<uint8_t>(2 + below(random_, 2)),
                 kArgs[below(random_, kArgs.size())]};
    if (below(random_, 50) == 0) read.args = std::string_view(pool_.data(), 20 * (1 + below(random_, 50)));
    const size_t most = std::array<size_t, 4>{64, 130, 1000, most_bytes_ + 1}[some(4)];
    return {read, piece(below(random_, most)), random_(), static_cast<uint8_t>(random_())};
  }

  void went(std::map<Where, Known>::iterator known) {
    ++went_;
    known_.erase(known);
  }

  void add(const std::string& key, uint16_t database) {
    KeyShard& there = shard(key);
    Known known{random_(), {}};
    KeyEntry* entry = nullptr;
    if (below(random_, 10) == 0) {
      entry = there.insert(key, hash_(key), database);
    } else {
      known.replies.push_back(content());
      const Content& first = known.replies[0];
      entry = there.insert(key, hash_(key), database, first.read, first.bytes, first.until_ms, first.flags);
    }
    if (entry == nullptr) {
      ASSERT_EQ(there.find(key, hash_(key), database), nullptr);
      return;
    }
    ASSERT_EQ(there.find(key, hash_(key), database), entry);
    EXPECT_EQ(entry->hash(), hash_(key));
    entry->state().deadline_ms = known.deadline_ms;
    agree(*entry, known);
    known_[{database, key}] = known;
  }

  void change(KeyEntry& entry, std::map<Where, Known>::iterator known) {
    KeyShard& there = shard(known->first.second);
    const size_t action = below(random_, 100);
    if (action < 60) {
      there.hit(entry);
    } else if (action < 90) {
      add_reply(entry, known);
    } else if (action < 94) {
      there.drop_replies(entry);
      known->second.replies.clear();
      agree(entry, known->second);
    } else if (action < 98) {
      there.erase(entry);
      known_.erase(known);
    } else {
      const std::string key = known->first.second;
      size_t erased = 0;
      for (const uint16_t database : {0, 7}) {
        const bool is_there = there.find(key, hash_(key), database) != nullptr;
        erased += is_there;
        went_ += !is_there && known_.contains({database, key});
        known_.erase({database, key});
      }
      EXPECT_EQ(there.erase_all(key, hash_(key)), erased);
    }
  }

  void add_reply(KeyEntry& entry, std::map<Where, Known>::iterator known) {
    KeyShard& there = shard(known->first.second);
    const Content added = content();
    auto& replies = known->second.replies;
    if (!there.add_reply(entry, added.read, added.bytes, added.until_ms, added.flags)) {
      const std::string& key = known->first.second;
      EXPECT_EQ(there.find(key, hash_(key), known->first.first), nullptr);
      known_.erase(known);
      return;
    }
    const size_t before = replies.size();
    std::erase_if(replies, [&](const Content& reply) { return same_read(reply.read, added.read); });
    if (replies.size() == before && before == KeyShard::kMostReplies) replies.erase(replies.begin());
    replies.push_back(added);
    agree(entry, known->second);
  }

  void agree(KeyEntry& entry, const Known& known) {
    EXPECT_EQ(entry.state().deadline_ms, known.deadline_ms);
    EXPECT_EQ(entry.replies(), known.replies.size());
    for (const Content& expected : known.replies) {
      const KeyReply* const reply = KeyShard::find_reply(entry, expected.read);
      ASSERT_NE(reply, nullptr);
      ASSERT_EQ(reply->size(), expected.bytes.size());
      EXPECT_EQ(reply->until_ms(), expected.until_ms);
      EXPECT_EQ(reply->flags(), expected.flags);
      copy_.assign(reply->size() + 1, '#');
      reply->copy_to(copy_.data());
      EXPECT_EQ(std::string_view(copy_).substr(0, reply->size()), expected.bytes);
      EXPECT_EQ(copy_.back(), '#');
    }
    EXPECT_EQ(KeyShard::find_reply(entry, {.command = 0, .resp = 2, .args = "none"}), nullptr);
  }

  std::mt19937_64& random_;
  KeyTable table_;
  const size_t most_bytes_;
  const Hash hash_;
  std::vector<char> pool_ = std::vector<char>(300'000);
  std::vector<std::string> keys_;
  std::map<Where, Known> known_;
  uint64_t start_bytes_ = 0;
  uint64_t went_ = 0;
  std::string copy_;
};

void compare(const char* name, uint64_t memory_bytes, size_t keys, size_t most_bytes, int batches,
             Comparison::Hash hash = KeyTable::hash) {
  auto random = test::seeded_generator(name);
  Comparison comparison(random, memory_bytes, keys, most_bytes, hash);
  for (int batch = 0; batch < batches && !testing::Test::HasFailure(); ++batch) {
    for (int i = 0; i < 10'000 && !testing::Test::HasFailure(); ++i) comparison.step();
    comparison.check_all();
    if (batch % 2 == 0) continue;
    const size_t percent = batch % 16 == 3 ? 100 : 20;
    comparison.erase_where([&] { return comparison.chance(percent); });
    comparison.check_all();
  }
  EXPECT_GT(comparison.went(), 100u);
}

TEST(KeyTableModel, SmallestMemory) { compare("KeyTableModel.SmallestMemory", 64 << 10, 500, 100 << 10, 40); }
TEST(KeyTableModel, OneShard) { compare("KeyTableModel.OneShard", 1 << 20, 5'000, 100 << 10, 50); }
TEST(KeyTableModel, SeveralShards) { compare("KeyTableModel.SeveralShards", 4 << 20, 20'000, 100 << 10, 40); }
TEST(KeyTableModel, SmallValues) { compare("KeyTableModel.SmallValues", 2 << 20, 20'000, 100, 40); }

TEST(KeyTableModel, FewTags) {
  compare("KeyTableModel.FewTags", 1 << 20, 3'000, 1000, 30,
          [](std::string_view key) { return KeyTable::hash(key) & ~uint64_t{0x3ffffff}; });
}
TEST(KeyTableModel, FewHashes) {
  compare("KeyTableModel.FewHashes", 1 << 20, 3'000, 1000, 30,
          [](std::string_view key) { return KeyTable::hash(key) % 16 * 0x1111111111111111; });
}
TEST(KeyTableModel, OneHash) {
  compare("KeyTableModel.OneHash", 64 << 10, 300, 4000, 10, [](std::string_view) { return uint64_t{0}; });
}

}  // namespace
}  // namespace corral::policy
