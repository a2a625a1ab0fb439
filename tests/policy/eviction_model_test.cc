// The eviction policy against a model that keeps its queues as plain lists of keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "eviction_cache.h"
#include "policy/eviction.h"
#include "support.h"

namespace corral::policy {
namespace {

using test::below;
using Queue = EvictionNode::Queue;

/// What eviction.h says, said again with lists that are searched from end to end. The table of ghosts is the real one:
/// it has a test of its own.
class Model {
 public:
  explicit Model(uint64_t memory) : memory_(memory), small_share_(memory / 7) {
    while ((memory >> shift_) >= (1 << 13)) ++shift_;
  }

  bool has(uint32_t key) const { return entries_.contains(key); }
  Queue queue(uint32_t key) const { return !has(key) ? Queue::kNone : in(small_, key) ? Queue::kSmall : Queue::kMain; }
  uint64_t bytes() const { return bytes_in(small_) + bytes_in(main_) + ghosts_.bytes(); }

  void hit(uint32_t key) {
    Entry& entry = entries_.at(key);
    if (in(small_, key) && now() - entry.time < ((small_share_ / 7) >> shift_)) return;
    if (in(main_, key)) entry.time = now();
    entry.hits = std::min(entry.hits + 1, 3);
  }
  void insert(uint32_t key, uint32_t bytes) {
    const bool spare = warming_ && this->bytes() + bytes <= memory_ && bytes_in(small_) + bytes > small_share_;
    const bool to_main = wins(key) || spare;
    clock_ += bytes;
    entries_[key] = {bytes, now(), 0};
    (to_main ? main_ : small_).push_front(key);
    if (ghosts_.capacity() * 2 < entries_.size() * 3 && ghosts_.bytes() * 2 <= memory_ / 16) ghosts_.grow();
  }
  std::vector<uint32_t> evict() {
    std::vector<uint32_t> victims;
    while (bytes() > memory_ && !entries_.empty()) {
      warming_ = false;
      const uint32_t key = victim();
      ghosts_.add(hash_of(key), entries_.at(key).time, now());
      forget(key);
      victims.push_back(key);
    }
    return victims;
  }
  void resize(uint32_t key, uint32_t bytes) { entries_.at(key).bytes = bytes; }
  void remove(uint32_t key) {
    if (entries_.at(key).hits > 0) ghosts_.add(hash_of(key), entries_.at(key).time, now());
    forget(key);
    if (bytes() < memory_ / 2) warming_ = true;
  }

 private:
  struct Entry {
    uint32_t bytes;
    uint32_t time;
    int hits;
  };
  using Keys = std::deque<uint32_t>;  // the newest first

  static bool in(const Keys& keys, uint32_t key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); }
  uint64_t bytes_in(const Keys& keys) const {
    uint64_t sum = 0;
    for (const uint32_t key : keys) sum += entries_.at(key).bytes;
    return sum;
  }
  uint32_t now() const { return static_cast<uint32_t>(clock_ >> shift_); }
  void forget(uint32_t key) {
    std::erase(small_, key);
    std::erase(main_, key);
    entries_.erase(key);
  }
  void turn_main() {
    for (int i = 0; i < 64 && entries_.at(main_.back()).hits > 0; ++i) {
      --entries_.at(main_.back()).hits;
      main_.push_front(main_.back());
      main_.pop_back();
    }
  }
  bool wins(uint32_t key) {
    const std::optional<uint32_t> last_used = ghosts_.take(hash_of(key));
    if (!last_used || now() - *last_used > ((memory_ * 3) >> shift_)) return false;
    const uint64_t share = memory_ - small_share_;
    if (main_.empty() || bytes_in(main_) < share - share / 8) return true;
    turn_main();
    const Entry& rival = entries_.at(main_.back());
    return rival.hits == 0 && *last_used > rival.time;
  }
  uint32_t victim() {
    if (bytes_in(small_) > small_share_ || main_.empty()) {
      while (!small_.empty()) {
        const uint32_t key = small_.back();
        if (entries_.at(key).hits == 0) return key;
        small_.pop_back();
        main_.push_front(key);
        entries_.at(key).hits = 0;
        entries_.at(key).time = now();
        if (bytes_in(main_) > memory_ - small_share_) break;
      }
    }
    turn_main();
    return main_.back();
  }

  const uint64_t memory_;
  const uint64_t small_share_;
  unsigned shift_ = 0;
  uint64_t clock_ = 0;
  bool warming_ = true;
  std::map<uint32_t, Entry> entries_;
  Keys small_, main_;
  Ghosts ghosts_;
};

/// Every node is in the queue it names or in none, the links agree, and the sums are right.
void check_invariants(const Cache& cache) {
  uint64_t bytes[3] = {}, entries[3] = {}, oldest[3] = {}, newest[3] = {};
  for (const EvictionNode& node : cache.nodes) {
    const int queue = static_cast<int>(node.queue);
    bytes[queue] += node.bytes;
    ++entries[queue];
    oldest[queue] += node.older == nullptr;
    newest[queue] += node.newer == nullptr;
    if (node.older != nullptr) {
      ASSERT_EQ(node.older->newer, &node);
      ASSERT_EQ(node.older->queue, node.queue);
    }
    if (node.newer != nullptr) {
      ASSERT_EQ(node.newer->older, &node);
    }
  }
  ASSERT_EQ(entries[0], oldest[0]);
  ASSERT_EQ(entries[0], newest[0]);
  for (const int queue : {1, 2}) {
    ASSERT_EQ(oldest[queue], entries[queue] != 0);
    ASSERT_EQ(newest[queue], entries[queue] != 0);
  }
  ASSERT_EQ(cache.eviction.entries(), entries[1] + entries[2]);
  ASSERT_EQ(cache.eviction.small_bytes(), bytes[1]);
  ASSERT_EQ(cache.eviction.bytes(), bytes[1] + bytes[2] + cache.eviction.ghost_bytes());
}

/// Keys as they come in life: some more often than others, now and then a scan, a loop or a new favourite.
uint32_t some_key(std::mt19937_64& random, uint32_t keys, uint32_t step) {
  const uint32_t shift = step / 3000 * 17;
  if (step % 4000 < 1000) return step % keys;
  const size_t bound = size_t{1} << below(random, static_cast<size_t>(std::bit_width(keys)));
  return static_cast<uint32_t>(below(random, bound) + shift) % keys;
}

void compare_with_model(std::mt19937_64& random, uint64_t memory, uint32_t keys, uint32_t most_bytes) {
  Cache cache(memory, keys);
  Model model(memory);
  for (uint32_t step = 0; step < 20000; ++step) {
    const uint32_t key = some_key(random, keys, step);
    const uint32_t bytes = static_cast<uint32_t>(below(random, most_bytes)) + 1;
    const size_t action = below(random, 20);
    if (!model.has(key)) {
      cache.eviction.insert(cache.nodes[key], hash_of(key), bytes);
      model.insert(key, bytes);
    } else if (action == 0) {
      cache.remove(key);
      model.remove(key);
    } else if (action == 1) {
      cache.eviction.resize(cache.nodes[key], bytes);
      model.resize(key, bytes);
    } else {
      cache.eviction.hit(cache.nodes[key]);
      model.hit(key);
    }
    ASSERT_EQ(cache.eviction.bytes(), model.bytes()) << step;
    ASSERT_EQ(cache.evict(), model.evict()) << step;
    ASSERT_LE(cache.eviction.bytes(), std::max<uint64_t>(memory, 64)) << step;
    ASSERT_LE(cache.eviction.ghost_bytes(), std::max<uint64_t>(memory / 16, 64)) << step;
    ASSERT_EQ(cache.queue(key), model.queue(key)) << step;
    ASSERT_NO_FATAL_FAILURE(check_invariants(cache)) << step;
  }
}

TEST(Eviction, BehavesLikeTheModel) {
  auto random = test::seeded_generator("Eviction.BehavesLikeTheModel");
  compare_with_model(random, 100 * 1000, 200, 4000);   // some 50 entries, of many sizes
  compare_with_model(random, 1000, 100, 100);          // the ghosts take their full share
  compare_with_model(random, 50 << 20, 150, 1 << 20);  // coarse time
  compare_with_model(random, 1000, 30, 1500);          // some entries are too large for it
  compare_with_model(random, 100, 20, 1);              // the first ghosts take most of it
  compare_with_model(random, 10, 5, 20);               // and here all of it
  compare_with_model(random, 0, 5, 20);
}

}  // namespace
}  // namespace corral::policy
