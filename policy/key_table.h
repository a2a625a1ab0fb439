// The near cache's store: which replies are known of which key.
//
//   hash of the key --> shard { mutex, index, policy/eviction, watches, region of blocks }
//
//   index line: 8 x { tag, block }          one cache line; a key that is not there is known by it alone
//        |
//        v
//   entry:  [ links | state | key ... ]->[ ... key ]          chains of 128-byte blocks (policy/block_region.h)
//        |
//        v
//   replies:  [ read, until | args, bytes ... ]->[ ... ]->[ ... ]
//        |
//        v
//             [ another read of the same key ]
//
// Users size their machine by `near_cache.memory`, so all of it is counted: blocks, index, watches, ghosts and these
// objects. Nothing is allocated entry by entry. Each shard has one mapping from the start, of which only what has been
// used takes real memory, and blocks of one size, so that nothing is lost to fragments that fit nobody. (While the
// ghosts of a shard are given more room, their old table is there for a moment too, a sixty-fourth of the shard.)
//
// The table interprets neither `KeyState` nor `KeyWatch` nor the numbers of commands, and knows no time: that is for
// policy/near_cache.
//
// Threads: whoever touches a shard holds its mutex, and does not use entries and replies after letting go of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "policy/block_region.h"
#include "policy/eviction.h"
#include "policy/tag_index.h"

namespace corral::policy {

/// What the owner of the protocol keeps with each key that is cached.
struct KeyState {
  uint64_t deadline_ms = 0;
  uint32_t epoch = 0;
  uint32_t slot_epoch = 0;
  uint16_t link = 0;
  uint16_t slot = 0;
  uint16_t era = 0;
  bool has_values = false;  // else what is known is only that replies are too large to be kept
};

/// What the owner of the protocol keeps for keys whether they are cached or not. Keys share them, by their hash.
struct KeyWatch {
  uint32_t generation = 0;
  uint16_t busy = 0;
  uint16_t flights = 0;
  uint16_t plain = 0;
  uint16_t kept = 0;    // how often something was
  uint32_t reader = 0;  // of the hash of the key that was read plainly last
};

/// Which read of a key. `args` are the arguments but for the key, in a form that differs where they differ.
struct KeyRead {
  uint16_t command = 0;
  uint8_t resp = 2;
  std::string_view args;
};

/// A reply as it is sent to clients. It lives in the table.
class KeyReply : BlockHead {
 public:
  size_t size() const { return size_; }
  uint64_t until_ms() const { return until_ms_; }
  uint8_t flags() const { return flags_; }
  uint8_t resp() const { return resp_; }
  uint16_t command() const { return command_; }
  /// Writes size() bytes.
  void copy_to(char* out) const {
    ChainReader reader(*this, bytes_);
    if (args_size_ != 0) reader.skip(args_size_);
    reader.read(out, size_);
  }

 private:
  friend class KeyShard;

  KeyReply(const KeyRead& read, std::string_view bytes, uint64_t until_ms, uint8_t flags)
      : until_ms_(until_ms),
        size_(static_cast<uint32_t>(bytes.size())),
        args_size_(static_cast<uint32_t>(read.args.size())),
        command_(read.command),
        resp_(read.resp),
        flags_(flags) {}
  bool answers(const KeyRead& read) const;
  static uint64_t blocks_for(const KeyRead& read, std::string_view bytes) {
    return policy::blocks_for(uint64_t{read.args.size()} + bytes.size(), sizeof(bytes_));
  }

  BlockDistance next_reply_ = 0;  // an older one
  uint64_t until_ms_;
  uint32_t size_;
  uint32_t args_size_;
  uint16_t command_;
  uint8_t resp_;
  uint8_t flags_;
  char bytes_[100];  // the arguments, then the reply; what does not fit is in the blocks that follow
};
static_assert(sizeof(KeyReply) == kBlockBytes);

/// What is known of a key. It lives in the table, and stays where it is until it is erased or evicted.
class KeyEntry : BlockHead {
 public:
  uint64_t hash() const { return hash_; }
  uint16_t database() const { return database_; }
  size_t key_size() const { return key_size_; }
  size_t replies() const { return replies_; }

  KeyState& state() { return state_; }
  const KeyState& state() const { return state_; }

 private:
  friend class KeyShard;

  KeyEntry(std::string_view key, uint64_t key_hash, uint16_t database)
      : hash_(key_hash), key_size_(static_cast<uint32_t>(key.size())), database_(database) {}
  bool is(std::string_view key, uint64_t key_hash) const;
  /// The key; if it is in several blocks, then in `scratch`.
  std::string_view key(std::string& scratch) const;

  BlockDistance first_reply_ = 0;  // the newest; to itself, that is 0, if there is none
  EvictionNode node_;
  uint64_t hash_;
  KeyState state_;
  uint32_t key_size_;
  uint16_t database_;
  uint16_t replies_ = 0;
  char key_[48];  // what does not fit is in the blocks that follow
};
static_assert(sizeof(KeyEntry) == kBlockBytes);

/// A part of the table. The caller holds mutex() around everything but prefetch().
///
/// Arguments that are views must not be into the table itself.
class alignas(64) KeyShard {
 public:
  /// What a shard of this many bytes consists of.
  struct Plan {
    size_t blocks = 0;   // what entries may take
    size_t lines = 0;    // of the index, by which keys find their place
    size_t watches = 0;  // a power of two
    uint64_t bytes = 0;  // of all parts, when ghosts take all that they may
  };
  static Plan plan(uint64_t memory_bytes);

  explicit KeyShard(const Plan& plan);
  KeyShard(const KeyShard&) = delete;
  KeyShard& operator=(const KeyShard&) = delete;

  std::mutex& mutex() { return mutex_; }
  /// Says that this key will be looked for soon, or its watch. Needs no mutex.
  void prefetch(uint64_t hash) const {
    index_.prefetch(tag_of(hash));
    prefetch_watch(hash);
  }
  void prefetch_watch(uint64_t hash) const { __builtin_prefetch(&watches_[(hash >> 40) & watch_mask_], 1); }

  /// There is one for every hash.
  KeyWatch& watch(uint64_t hash) { return watches_[(hash >> 40) & watch_mask_]; }

  /// The entry of a key, null if there is none.
  KeyEntry* find(std::string_view key, uint64_t hash, uint16_t database);

  /// Adds an entry for a key that has none, together with its first reply, and evicts others for it. Null if it does
  /// not fit or the policy would not keep it. What can never fit makes nothing else go.
  KeyEntry* insert(std::string_view key, uint64_t hash, uint16_t database, const KeyRead& read, std::string_view bytes,
                   uint64_t until_ms, uint8_t flags);
  /// The same without a reply. For what is cached the other one is better: the policy's clock counts the bytes of what
  /// comes, but not those by which an entry grows afterwards.
  KeyEntry* insert(std::string_view key, uint64_t hash, uint16_t database);

  /// Adds a reply, in place of one that answers the same read. Evicts others for it; beyond kMostReplies of a key its
  /// oldest goes. False if it does not fit or the policy would not keep the entry: then the entry is gone.
  bool add_reply(KeyEntry& entry, const KeyRead& read, std::string_view bytes, uint64_t until_ms, uint8_t flags);
  /// Valid until the entry is changed, erased or evicted, that is, until anything is added to the shard.
  static const KeyReply* find_reply(KeyEntry& entry, const KeyRead& read);
  void drop_replies(KeyEntry& entry);

  /// An entry was of use: one of its replies was served.
  void hit(KeyEntry& entry) { eviction_.hit(entry.node_); }

  /// If it had been hit, the policy remembers it for when it comes again.
  void erase(KeyEntry& entry);
  /// In every database. How many there were.
  size_t erase_all(std::string_view key, uint64_t hash);
  /// Those with this hash for which `f(const KeyEntry&)` is true.
  template <class F>
  void erase_if(uint64_t hash, F&& f);

  /// `f(KeyEntry&, std::string_view key)` for each; one for which it is true is erased. It calls nothing of the shard
  /// but find_reply(), drop_replies() and watch().
  template <class F>
  void for_each(F&& f) {
    walk(walk_length(), walk_length(), f);
  }
  /// The same in steps between which the mutex may be let go: begin with walk_length(), and go on with what was
  /// returned until that is 0. Each step takes `most` index lines (of at most eight entries). Who is there throughout
  /// is seen at least once.
  template <class F>
  size_t walk(size_t from, size_t most, F&& f);
  size_t walk_length() const { return index_.lines(); }

  /// Erases all and gives its memory back; it takes nothing in until it is opened again.
  void close();
  void open() { closed_ = false; }

  size_t entries() const { return eviction_.entries(); }
  /// All memory that is in use, with that of the index, the watches and the shard itself.
  uint64_t bytes() const;
  /// The part of it that remembers what went, and so remains when all is erased.
  uint64_t ghost_bytes() const { return eviction_.ghost_bytes(); }
  /// Entries that went to make room for others.
  uint64_t evictions() const { return evictions_; }

  static constexpr size_t kMostReplies = 64;

 private:
  // Of the hash, the upper bits choose the shard and so say nothing within it (see KeyTable).
  static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash); }
  static uint32_t eviction_hash_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 24); }

  KeyEntry& entry_at(uint32_t block) const { return *static_cast<KeyEntry*>(region_.block(block)); }
  static KeyReply* first_reply(KeyEntry& entry);
  static KeyReply* next_reply(KeyReply& reply);
  static void prefetch_along(const KeyEntry& entry);
  static uint64_t blocks_of(const KeyEntry& entry);
  bool may_fit(uint64_t blocks) const;
  bool make_room(const KeyEntry& newcomer);
  KeyEntry* insert_sized(std::string_view key, uint64_t hash, uint16_t database, uint64_t reply_blocks);
  void write_reply(KeyEntry& entry, const KeyRead& read, std::string_view bytes, uint64_t until_ms, uint8_t flags);
  uint64_t drop_for(KeyEntry& entry, const KeyRead& read);
  void unlink_reply(KeyEntry& entry, KeyReply* newer, KeyReply& reply);
  void free_replies(KeyEntry& entry);
  void free_entry(KeyEntry& entry);

  std::mutex mutex_;
  BlockRegion region_;
  TagIndex index_;
  KeyWatch* watches_;
  uint64_t watch_mask_;
  Eviction eviction_;
  uint64_t evictions_ = 0;
  bool closed_ = false;
  const uint64_t memory_bytes_;  // the policy's
  const uint64_t fixed_bytes_;
};

/// All shards. Its memory is bounded by what is given here, and shared out evenly.
class KeyTable {
 public:
  static constexpr uint64_t kLeastMemory = 64u << 10;

  /// Less than kLeastMemory counts as that.
  explicit KeyTable(uint64_t memory_bytes);

  /// XXH3. All its bits are of use, and the same key has the same one everywhere in the process.
  static uint64_t hash(std::string_view key);

  size_t shard_number(uint64_t hash) const { return (hash >> 1) >> shard_shift_; }
  KeyShard& shard(uint64_t hash) const { return *shards_[shard_number(hash)]; }
  size_t shards() const { return shards_.size(); }
  KeyShard& shard_at(size_t number) const { return *shards_[number]; }

  uint64_t memory_bytes() const { return memory_bytes_; }

 private:
  const uint64_t memory_bytes_;
  unsigned shard_shift_;
  std::vector<std::unique_ptr<KeyShard>> shards_;
};

template <class F>
void KeyShard::erase_if(uint64_t hash, F&& f) {
  for (KeyEntry* found = nullptr;; found = nullptr) {
    index_.find(tag_of(hash), [&](uint32_t block) {
      KeyEntry& entry = entry_at(block);
      if (entry.hash() == hash && f(static_cast<const KeyEntry&>(entry))) found = &entry;
      return found != nullptr;
    });
    if (!found) return;
    erase(*found);
  }
}

template <class F>
size_t KeyShard::walk(size_t from, size_t most, F&& f) {
  std::string scratch;
  return index_.walk(from, most, [&](uint32_t block) {
    KeyEntry& entry = entry_at(block);
    if (f(entry, entry.key(scratch))) erase(entry);
  });
}

}  // namespace corral::policy
