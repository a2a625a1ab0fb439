// Which entry of the near cache goes when memory is short.
//
// This is S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023) with
// four changes. Of the original:
//
//   newcomers -> [ small queue ] --- hit since it came ---> [ main queue ] -> out
//                       |                                         |
//                       +--- not hit: out, leaves a ghost         +--- hit: once around again
//
// Two queues in order of arrival, so that a hit moves nothing: it counts (up to 3) in the entry it has just read. Most
// newcomers are never asked for again, and pass through the small queue without touching what is in the main one. One
// that comes back while its ghost is remembered goes to the main queue at once.
//
// What differs:
// - A duel. A ghost wins a place in the main queue only if it was used later than the entry that would have to go for
//   it (the comparison that LIRS makes: Jiang and Zhang, SIGMETRICS 2002). In a loop longer than the cache each
//   newcomer has a ghost, and S3-FIFO lets them chase each other through the main queue without a hit; here they lose
//   against what is there, which is hit once a round. This also lets ghosts be remembered for longer without harm, and
//   what leaves the main queue leaves one too.
// - A blind spot. A hit just after the entry came does not count, as it belongs to the same burst of requests (Clock2Q+
//   does likewise, for half of its small queue; a seventh was better here).
// - A wide start. While there is room, what would overflow the small queue goes to the main one instead (as in the
//   later S3-FIFO of libCacheSim): entries that a loop then hits, instead of a small queue as large as the cache.
// - The small queue is a seventh of the memory, where the paper has a tenth.
// bench/hit_ratio shows what that gives on traces, beside S3-FIFO itself.
//
// Who owns what: the caller owns the entries and keeps an EvictionNode in each; the policy links them. Intrusive nodes
// rather than indexes into an array, since entries differ in size and live where the key table likes, and since one
// that is invalidated leaves its queue without being looked for. So a hit, an insertion and a removal allocate nothing,
// except that the table of ghosts doubles a few times as the number of entries grows.
//
// Time is counted in bytes inserted, so that what is recent does not depend on how fast requests come. One instance a
// shard, under that shard's lock. The ghosts count towards the memory, and take no more than a sixteenth of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "policy/ghosts.h"

namespace corral::policy {

/// The part of an entry that the policy sees. The entry may read it, the policy alone writes it. It stays where it is
/// while it is in a queue.
struct EvictionNode {
  enum class Queue : uint8_t { kNone, kSmall, kMain };

  EvictionNode* newer = nullptr;
  EvictionNode* older = nullptr;
  uint32_t hash = 0;
  uint32_t bytes = 0;
  uint32_t time = 0;  // in the small queue: when it came; in the main queue: when it was last used
  uint8_t hits = 0;   // those that count and were not yet paid for by a round in the main queue
  Queue queue = Queue::kNone;
};

class Eviction {
 public:
  using Node = EvictionNode;

  explicit Eviction(uint64_t memory_bytes);
  Eviction(const Eviction&) = delete;
  Eviction& operator=(const Eviction&) = delete;

  /// Takes in an entry that is in no queue. `bytes` is all that it costs. `hash` is of its key: 32 well mixed bits, not
  /// those by which the key's shard was chosen. Then the caller evicts until nothing is over.
  void insert(Node& node, uint32_t hash, uint32_t bytes);

  /// The next one to go, while there is more than memory for; null otherwise. It is in no queue any more. Even the last
  /// one inserted may come, if it alone is too large.
  Node* evict();

  /// An entry was read.
  void hit(Node& node) {
    if (node.queue == Node::Queue::kMain) {
      node.time = now();
    } else if (now() - node.time < blind_time_) {
      return;
    }
    if (node.hits < kMaxHits) ++node.hits;
  }

  /// An entry costs more or less than before. Then the caller evicts, as after insert().
  void resize(Node& node, uint32_t bytes);

  /// Lets go of an entry for a reason of the caller's: it was invalidated, it expired. If it had been hit, a ghost
  /// helps it back when it comes again.
  void remove(Node& node);

  /// What counts towards the memory: the entries and the ghosts. No more than was given, once evict() returns null, but
  /// for the smallest table of ghosts.
  uint64_t bytes() const { return small_.bytes + main_.bytes + ghosts_.bytes(); }
  size_t entries() const { return small_.entries + main_.entries; }
  uint64_t small_bytes() const { return small_.bytes; }
  size_t ghost_bytes() const { return ghosts_.bytes(); }

 private:
  struct Queue {
    Node* newest = nullptr;
    Node* oldest = nullptr;
    uint64_t bytes = 0;
    size_t entries = 0;

    void push(Node& node);
    void unlink(Node& node);
  };

  static constexpr uint8_t kMaxHits = 3;

  uint32_t now() const { return static_cast<uint32_t>(inserted_bytes_ >> time_shift_); }
  Queue& queue_of(const Node& node) { return node.queue == Node::Queue::kSmall ? small_ : main_; }
  bool over() const { return bytes() > memory_bytes_; }
  void enter(Node& node, Node::Queue queue);
  void leave(Node& node);
  void make_room_for_ghosts();
  bool goes_to_main(uint32_t hash, uint32_t bytes);
  void turn_main();
  Node* evict_from_main();
  Node* evict_from_small();

  const uint64_t memory_bytes_;
  const uint64_t small_share_bytes_;
  const unsigned time_shift_;  // a unit of time is 2^this bytes, so that 2^32 of them are a million times the memory
  const uint32_t blind_time_;
  const uint32_t ghost_time_;
  uint64_t inserted_bytes_ = 0;
  bool warming_ = true;  // nothing had to go yet since the cache was (nearly) empty
  Queue small_;
  Queue main_;
  Ghosts ghosts_;
};

}  // namespace corral::policy
