#include "policy/key_table.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <new>
#include <numeric>
#include <type_traits>

namespace corral::policy {
namespace {

constexpr uint64_t kLeastBlocks = 2;    // of an entry: it costs as much even while it takes but one
constexpr uint64_t kLineShare = 5;      // entries for each line of the index, when all of them are of the least size
constexpr uint64_t kWatchShare = 32;    // watches take no more than 1/32 of the shard
constexpr uint64_t kMostWatches = 256;  // of a shard; all of them stay in a core's own cache
constexpr uint64_t kMostShards = 32;
constexpr uint64_t kAllocationBytes = 64;   // what an allocation may cost beyond what was asked for
constexpr uint64_t kShardMemory = 1 << 20;  // more shards only if they have this much each, so that large values fit

uint64_t charge_for(uint64_t blocks) { return std::max(blocks, kLeastBlocks) * kBlockBytes; }

/// What the policy's ghosts take at most: they double up to a sixteenth of its memory (policy/eviction.h).
uint64_t most_ghost_bytes(uint64_t memory_bytes) {
  constexpr uint64_t kLeast = 64;
  return kLeast * std::max<uint64_t>(std::bit_floor(memory_bytes / 16 / kLeast), 1);
}

size_t index_homes(size_t blocks) { return blocks / kLeastBlocks / kLineShare + 1; }

size_t bytes_behind_blocks(const KeyShard::Plan& plan) {
  return plan.lines * sizeof(TagIndex::Line) + plan.watches * sizeof(KeyWatch);
}

/// The policy gets what all blocks but one hold: there is always one for an entry that it has not taken in yet.
uint64_t eviction_memory(size_t blocks) { return (blocks - 1) * kBlockBytes; }

}  // namespace

static_assert(std::is_trivially_destructible_v<KeyEntry> && std::is_trivially_destructible_v<KeyReply>);

bool KeyReply::answers(const KeyRead& read) const {
  if (command_ != read.command || resp_ != read.resp || args_size_ != read.args.size()) return false;
  return args_size_ == 0 || ChainReader(*this, bytes_).expect(read.args);
}

bool KeyEntry::is(std::string_view key, uint64_t key_hash) const {
  if (hash_ != key_hash || key_size_ != key.size()) return false;
  return key.empty() || ChainReader(*this, key_).expect(key);
}

std::string_view KeyEntry::key(std::string& scratch) const {
  if (key_size_ <= sizeof(key_)) return {key_, key_size_};
  scratch.resize(key_size_);
  ChainReader(*this, key_).read(scratch.data(), key_size_);
  return scratch;
}

KeyShard::Plan KeyShard::plan(uint64_t memory_bytes) {
  const uint64_t watches = memory_bytes / kWatchShare / sizeof(KeyWatch);
  Plan best{.watches = std::bit_floor(std::clamp<uint64_t>(watches, 1, kMostWatches))};
  size_t too_many = std::min<uint64_t>(memory_bytes / kBlockBytes + 1, INT32_MAX);
  while (best.blocks + 1 < too_many) {
    Plan plan{.blocks = std::midpoint(best.blocks, too_many), .watches = best.watches};
    plan.lines = TagIndex::lines_for(index_homes(plan.blocks));
    plan.bytes = sizeof(KeyShard) + BlockRegion::mapped_bytes(plan.blocks, bytes_behind_blocks(plan)) +
                 most_ghost_bytes(eviction_memory(plan.blocks));
    if (plan.bytes <= memory_bytes) {
      best = plan;
    } else {
      too_many = plan.blocks;
    }
  }
  return best;
}

KeyShard::KeyShard(const Plan& plan)
    : region_(plan.blocks, bytes_behind_blocks(plan)),
      index_(reinterpret_cast<TagIndex::Line*>(region_.more()), index_homes(plan.blocks)),
      watches_(reinterpret_cast<KeyWatch*>(region_.more() + plan.lines * sizeof(TagIndex::Line))),
      watch_mask_(plan.watches - 1),
      eviction_(eviction_memory(plan.blocks)),
      memory_bytes_(eviction_memory(plan.blocks)),
      fixed_bytes_(sizeof(KeyShard) + bytes_behind_blocks(plan)) {
  assert(index_.lines() == plan.lines);
}

uint64_t KeyShard::bytes() const { return fixed_bytes_ + region_.used() * kBlockBytes + eviction_.ghost_bytes(); }

KeyReply* KeyShard::first_reply(KeyEntry& entry) {
  return entry.first_reply_ == 0 ? nullptr : static_cast<KeyReply*>(entry.at(entry.first_reply_));
}

KeyReply* KeyShard::next_reply(KeyReply& reply) {
  return reply.next_reply_ == 0 ? nullptr : static_cast<KeyReply*>(reply.at(reply.next_reply_));
}

uint64_t KeyShard::blocks_of(const KeyEntry& entry) {
  return entry.replies_ == 0 ? blocks_for(entry.key_size_, sizeof(entry.key_)) : entry.node_.bytes / kBlockBytes;
}

/// Whether so large an entry can be had at all, if need be alone.
bool KeyShard::may_fit(uint64_t blocks) const {
  const uint64_t bytes = charge_for(blocks);
  return !closed_ && bytes <= UINT32_MAX && bytes + eviction_.ghost_bytes() <= memory_bytes_;
}

/// An entry's second line, and the block behind it: as blocks are taken in order, that is its reply more often than
/// not.
void KeyShard::prefetch_along(const KeyEntry& entry) {
  const char* const at = reinterpret_cast<const char*>(&entry);
  __builtin_prefetch(at + kBlockBytes / 2);
  __builtin_prefetch(at + kBlockBytes);
  __builtin_prefetch(at + kBlockBytes + kBlockBytes / 2);
}

KeyEntry* KeyShard::find(std::string_view key, uint64_t hash, uint16_t database) {
  KeyEntry* found = nullptr;
  index_.find(tag_of(hash), [&](uint32_t block) {
    KeyEntry& entry = entry_at(block);
    prefetch_along(entry);
    if (entry.database_ != database || !entry.is(key, hash)) return false;
    __builtin_prefetch(entry.at(entry.first_reply_));  // most likely wanted next; without any, the entry itself
    found = &entry;
    return true;
  });
  return found;
}

const KeyReply* KeyShard::find_reply(KeyEntry& entry, const KeyRead& read) {
  for (KeyReply* reply = first_reply(entry); reply != nullptr; reply = next_reply(*reply)) {
    if (reply->answers(read)) return reply;
  }
  return nullptr;
}

/// Evicts until nothing is over. False if the newcomer had to go too: then nothing but its blocks are left of it, and
/// its place in the index.
bool KeyShard::make_room(const KeyEntry& newcomer) {
  bool is_kept = true;
  while (const EvictionNode* const node = eviction_.evict()) {
    KeyEntry& victim = entry_at(region_.number_of(node));
    if (&victim == &newcomer) {
      is_kept = false;
      continue;
    }
    ++evictions_;
    free_entry(victim);
  }
  return is_kept;
}

KeyEntry* KeyShard::insert(std::string_view key, uint64_t hash, uint16_t database) {
  return insert_sized(key, hash, database, 0);
}

KeyEntry* KeyShard::insert(std::string_view key, uint64_t hash, uint16_t database, const KeyRead& read,
                           std::string_view bytes, uint64_t until_ms, uint8_t flags) {
  KeyEntry* const entry = insert_sized(key, hash, database, KeyReply::blocks_for(read, bytes));
  if (entry != nullptr) write_reply(*entry, read, bytes, until_ms, flags);
  return entry;
}

KeyEntry* KeyShard::insert_sized(std::string_view key, uint64_t hash, uint16_t database, uint64_t reply_blocks) {
  assert(find(key, hash, database) == nullptr);
  const uint64_t key_blocks = blocks_for(key.size(), sizeof(KeyEntry::key_));
  if (!may_fit(key_blocks + reply_blocks)) return nullptr;
  KeyEntry* const entry = new (region_.take()) KeyEntry(key, hash, database);
  if (!index_.insert(tag_of(hash), region_.number_of(entry))) {
    region_.free(entry);
    return nullptr;
  }
  eviction_.insert(entry->node_, eviction_hash_of(hash), static_cast<uint32_t>(charge_for(key_blocks + reply_blocks)));
  if (!make_room(*entry)) {
    free_entry(*entry);
    return nullptr;
  }
  assert(region_.unused() >= key_blocks - 1 + reply_blocks);
  ChainWriter(region_, *entry, entry->key_).write(key);
  return entry;
}

bool KeyShard::add_reply(KeyEntry& entry, const KeyRead& read, std::string_view bytes, uint64_t until_ms,
                         uint8_t flags) {
  const uint64_t reply_blocks = KeyReply::blocks_for(read, bytes);
  const uint64_t blocks = drop_for(entry, read) + reply_blocks;
  if (!may_fit(blocks)) {
    erase(entry);
    return false;
  }
  eviction_.resize(entry.node_, static_cast<uint32_t>(charge_for(blocks)));
  if (!make_room(entry)) {
    free_entry(entry);
    return false;
  }
  assert(region_.unused() >= reply_blocks);
  write_reply(entry, read, bytes, until_ms, flags);
  return true;
}

/// For what the policy has accounted already.
void KeyShard::write_reply(KeyEntry& entry, const KeyRead& read, std::string_view bytes, uint64_t until_ms,
                           uint8_t flags) {
  KeyReply* const reply = new (region_.take()) KeyReply(read, bytes, until_ms, flags);
  ChainWriter writer(region_, *reply, reply->bytes_);
  writer.write(read.args);
  writer.write(bytes);
  KeyReply* const older = first_reply(entry);
  if (older != nullptr) reply->next_reply_ = reply->distance_to(older);
  entry.first_reply_ = entry.distance_to(reply);
  ++entry.replies_;
}

/// Drops the reply to this read, or the oldest one if there are as many as there may be. How many blocks the entry then
/// has; the policy is yet to be told.
uint64_t KeyShard::drop_for(KeyEntry& entry, const KeyRead& read) {
  uint64_t blocks = blocks_of(entry);
  KeyReply* newer = nullptr;
  for (KeyReply* reply = first_reply(entry); reply != nullptr; reply = next_reply(*reply)) {
    const bool is_one_too_many = reply->next_reply_ == 0 && entry.replies_ == kMostReplies;
    if (reply->answers(read) || is_one_too_many) {
      blocks -= blocks_for(uint64_t{reply->args_size_} + reply->size_, sizeof(reply->bytes_));
      unlink_reply(entry, newer, *reply);
      region_.free(reply);
      break;
    }
    newer = reply;
  }
  return blocks;
}

void KeyShard::unlink_reply(KeyEntry& entry, KeyReply* newer, KeyReply& reply) {
  KeyReply* const older = next_reply(reply);
  if (newer != nullptr) {
    newer->next_reply_ = older == nullptr ? 0 : newer->distance_to(older);
  } else {
    entry.first_reply_ = older == nullptr ? 0 : entry.distance_to(older);
  }
  --entry.replies_;
}

void KeyShard::drop_replies(KeyEntry& entry) {
  free_replies(entry);
  eviction_.resize(entry.node_, static_cast<uint32_t>(charge_for(blocks_of(entry))));
}

void KeyShard::free_replies(KeyEntry& entry) {
  for (KeyReply* reply = first_reply(entry); reply != nullptr;) {
    KeyReply* const older = next_reply(*reply);
    region_.free(reply);
    reply = older;
  }
  entry.first_reply_ = 0;
  entry.replies_ = 0;
}

/// Of one that the policy has let go of.
void KeyShard::free_entry(KeyEntry& entry) {
  index_.erase(tag_of(entry.hash_), region_.number_of(&entry));
  free_replies(entry);
  region_.free(&entry);
}

void KeyShard::erase(KeyEntry& entry) {
  eviction_.remove(entry.node_);
  free_entry(entry);
}

void KeyShard::close() {
  for_each([](KeyEntry&, std::string_view) { return true; });
  region_.give_back();
  closed_ = true;
}

size_t KeyShard::erase_all(std::string_view key, uint64_t hash) {
  const auto erase_one = [&] {
    KeyEntry* found = nullptr;
    index_.find(tag_of(hash), [&](uint32_t block) {
      if (entry_at(block).is(key, hash)) found = &entry_at(block);
      return found != nullptr;
    });
    if (found != nullptr) erase(*found);
    return found != nullptr;
  };
  size_t erased = 0;
  while (erase_one()) ++erased;
  return erased;
}

KeyTable::KeyTable(uint64_t memory_bytes) : memory_bytes_(std::max(memory_bytes, kLeastMemory)) {
  const uint64_t shards = std::bit_floor(std::clamp<uint64_t>(memory_bytes_ / kShardMemory, 1, kMostShards));
  shard_shift_ = static_cast<unsigned>(63 - std::countr_zero(shards));
  const uint64_t own_bytes = sizeof(KeyTable) + shards * (sizeof(shards_[0]) + kAllocationBytes);
  const KeyShard::Plan plan = KeyShard::plan((memory_bytes_ - own_bytes) / shards);
  shards_.reserve(shards);
  for (uint64_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<KeyShard>(plan));
}

uint64_t KeyTable::hash(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

}  // namespace corral::policy
