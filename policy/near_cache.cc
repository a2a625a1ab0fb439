#include "policy/near_cache.h"

#include <algorithm>

namespace corral::policy {

NearCache::NearCache(uint64_t memory_bytes, uint16_t slots, uint32_t threads)
    : threads_(threads),
      shared_(threads > 1),
      table_(memory_bytes),
      fills_(table_.shards()),
      slot_epochs_(new std::atomic<uint32_t>[slots] {}),
      links_(new Link[kMostLinks]) {}

// The version that the asker speaks is no part of it: a fill answers both.
uint64_t NearCache::id_of(const NearRead& read) {
  const uint64_t args = read.args.empty() ? 0 : KeyTable::hash(read.args);
  return (read.hash ^ args * 0x9E3779B97F4A7C15u) + (uint64_t{read.command} << 48) + (uint64_t{read.database} << 32);
}

// What is kept of the key; what is not true any more goes, unless it may be wanted by serve_last().
KeyEntry* NearCache::find_true(KeyShard& shard, const NearRead& read) {
  KeyEntry* entry = shard.find(read.key, read.hash, read.database);
  if (!entry) return nullptr;
  const bool same_era = entry->state().era == static_cast<uint16_t>(read.era);
  if (same_era && is_true(entry->state())) return entry;
  if (!same_era || !may_be_last(entry->state())) shard.erase(*entry);
  return nullptr;
}

const KeyReply* NearCache::find_reply(KeyEntry& entry, const NearRead& read) {
  if (const KeyReply* reply = KeyShard::find_reply(entry, {read.command, kAnyResp, read.args})) return reply;
  return KeyShard::find_reply(entry, {read.command, read.resp, read.args});
}

// One that may still be joined. If its connection has been heard from lately, it was not sent long ago either.
NearFill* NearCache::find_fill(const NearRead& read, uint32_t generation, uint64_t now_ms) {
  auto& under_way = fills_of(read.hash).under_way;
  const auto it = under_way.find(id_of(read));
  if (it == under_way.end()) return nullptr;
  const NearFill& fill = *it->second;
  const bool same = fill.key_ == read.key && fill.args_ == read.args && fill.command_ == read.command &&
                    fill.database_ == read.database;
  const bool sound = fill.generation_ == generation && fill.era_ == read.era &&
                     fill.epoch_ == links_[fill.link_].epoch.load() &&
                     fill.slot_epoch_ == slot_epochs_[fill.slot_].load() && vouches(fill.link_, now_ms);
  return same && sound ? it->second : nullptr;
}

void NearCache::take_off(const NearRead& read, const NearPlace& place, uint32_t generation, NearFill& fill) {
  fill.key_ = read.key;
  fill.args_ = read.args;
  fill.hash_ = read.hash;
  fill.id_ = id_of(read);
  fill.serial_ = fills_begun_.fetch_add(1, std::memory_order_relaxed) + 1;
  fill.generation_ = generation;
  fill.epoch_ = links_[place.link].epoch.load();
  fill.slot_epoch_ = slot_epochs_[place.slot].load();
  fill.era_ = read.era;
  fill.database_ = read.database;
  fill.slot_ = place.slot;
  fill.link_ = place.link;
  fill.command_ = read.command;
  fills_of(fill.hash_).under_way[fill.id_] = &fill;  // in place of one that nobody may join any more
}

bool NearCache::is_sound(const NearFill& fill, const KeyWatch& watch) const {
  return watch.generation == fill.generation_ && !is_written(watch) && (fill.era_ == 0 || fill.era_ == era()) &&
         fill.epoch_ == links_[fill.link_].epoch.load() && fill.slot_epoch_ == slot_epochs_[fill.slot_].load();
}

void NearCache::forget(const NearFill& fill) {
  auto& under_way = fills_of(fill.hash_).under_way;
  const auto it = under_way.find(fill.id_);
  if (it != under_way.end() && it->second == &fill) under_way.erase(it);
}

void NearCache::land(NearFill& fill, const Landing* landing, const std::function<void()>& then) {
  KeyShard& shard = table_.shard(fill.hash_);
  const auto lock = hold(shard);
  KeyWatch& watch = shard.watch(fill.hash_);
  --watch.flights;
  forget(fill);
  if (landing && is_sound(fill, watch)) keep(shard, fill, *landing);
  then();
}

void NearCache::fail(NearFill& fill, const Landing* landing, const std::function<void()>& then) {
  KeyShard& shard = table_.shard(fill.hash_);
  const auto lock = hold(shard);
  if (landing && is_sound(fill, shard.watch(fill.hash_))) keep(shard, fill, *landing);
  forget(fill);
  then();
}

void NearCache::end_failed(uint64_t hash) {
  KeyShard& shard = table_.shard(hash);
  const auto lock = hold(shard);
  --shard.watch(hash).flights;
}

// What another connection vouched for goes: of two connections nobody knows which one's word is newer.
void NearCache::keep(KeyShard& shard, const NearFill& fill, const Landing& landing) {
  KeyEntry* entry = shard.find(fill.key_, fill.hash_, fill.database_);
  const auto era = static_cast<uint16_t>(fill.era_);
  if (entry && !(is_true(entry->state()) && entry->state().link == fill.link_ && entry->state().era == era)) {
    shard.erase(*entry);
    entry = nullptr;
  }
  const bool had_values = entry && entry->state().has_values;
  const auto add = [&](uint8_t resp, std::string_view bytes, uint8_t flags) {
    const KeyRead read{fill.command_, resp, fill.args_};
    if (entry) return shard.add_reply(*entry, read, bytes, landing.until_ms, flags);
    entry = shard.insert(fill.key_, fill.hash_, fill.database_, read, bytes, landing.until_ms, flags);
    return entry != nullptr;
  };
  bool kept;
  if (landing.too_large) {
    kept = add(kAnyResp, {}, kTooLarge);
  } else if (landing.resp2 == landing.resp3) {
    kept = add(kAnyResp, landing.resp3, 0);
  } else {
    kept = (landing.resp3.empty() || add(3, landing.resp3, 0)) && (landing.resp2.empty() || add(2, landing.resp2, 0));
  }
  if (!kept) return;
  ++shard.watch(fill.hash_).kept;
  entry->state() = {.deadline_ms = landing.deadline_ms,
                    .epoch = fill.epoch_,
                    .slot_epoch = fill.slot_epoch_,
                    .link = fill.link_,
                    .slot = fill.slot_,
                    .era = era,
                    .has_values = had_values || !landing.too_large};
}

std::optional<uint64_t> NearCache::find_deadline(const NearRead& read, uint64_t now_ms, bool of_values) {
  KeyShard& shard = table_.shard(read.hash);
  const auto lock = hold(shard);
  const KeyWatch& watch = shard.watch(read.hash);
  if (is_closed(watch, read) || must_wait(watch, read)) return {};
  const KeyEntry* entry = find_true(shard, read);
  if (!entry || (of_values && !entry->state().has_values) || !vouches(entry->state().link, now_ms)) return {};
  const uint64_t deadline_ms = entry->state().deadline_ms;
  if (deadline_ms != 0 && deadline_ms <= now_ms) return {};
  return deadline_ms;
}

bool NearCache::begin_touch(uint64_t hash, bool write, bool own_fills) {
  KeyShard& shard = table_.shard(hash);
  const auto lock = hold(shard);
  KeyWatch& watch = shard.watch(hash);
  if (own_fills && watch.flights > 0) return false;
  ++(write ? watch.busy : watch.plain);
  return true;
}

// What is known only as too large is no value that a later reader could find older than another.
void NearCache::end_touch(const NearTouched& touched, bool write, bool executed) {
  const bool passed = touched.era != 0;
  if (passed && (!executed || touched.era == era())) return;
  KeyShard& shard = table_.shard(touched.hash);
  const auto lock = hold(shard);
  KeyWatch& watch = shard.watch(touched.hash);
  if (!passed) --(write ? watch.busy : watch.plain);
  if (!executed) return;
  ++watch.generation;
  if (touched.seen == watch.kept) return;  // nothing was there, and nothing has come
  shard.erase_if(touched.hash, [write](const KeyEntry& entry) { return write || entry.state().has_values; });
}

bool NearCache::count(const LocalityCounts& counts, uint32_t era) {
  const std::lock_guard lock(locality_mutex_);
  if (era != this->era() || table_.shards() < Locality::kSampleOf || is_starting_anew()) return false;
  if (!locality_.add(counts)) return false;
  locality_.narrow() ? narrow() : widen();
  return true;
}

void NearCache::turn(bool narrow) {
  const std::lock_guard lock(locality_mutex_);
  if (narrow && is_starting_anew()) return;
  locality_.turn(narrow);
  narrow ? this->narrow() : widen();
}

void NearCache::start_anew() {
  const std::lock_guard lock(locality_mutex_);
  locality_.start_anew();
  ++started_anew_;
  widen();
  drop_all();
}

void NearCache::narrow() {
  uint32_t era = era_.load();
  if (!is_narrow(era) && era_.compare_exchange_strong(era, era + 1)) narrowings_.fetch_add(1);
}

// What is kept knows the low half of its era.
void NearCache::widen() {
  uint32_t era = era_.load();
  if (!is_narrow(era)) return;
  uint32_t next = era + 1;
  if (static_cast<uint16_t>(next) == 0) {
    drop_all();
    next += 2;
  }
  era_.compare_exchange_strong(era, next);
}

void NearCache::end_touch_of_all() {
  drop_all();
  touches_of_all_.fetch_sub(1);
}

void NearCache::invalidate(std::string_view key) {
  const uint64_t hash = KeyTable::hash(key);
  KeyShard& shard = table_.shard(hash);
  const auto lock = hold(shard);
  ++shard.watch(hash).generation;
  shard.erase_if(hash, [](const KeyEntry&) { return true; });
}

size_t NearCache::purge(size_t part, const std::function<bool(std::string_view key)>& matches) {
  KeyShard& shard = table_.shard_at(part);
  const auto lock = hold(shard);
  for (const auto& [id, fill] : fills_[part].under_way) {
    if (matches(fill->key_)) ++shard.watch(fill->hash_).generation;
  }
  size_t purged = 0;
  shard.for_each([&](KeyEntry& entry, std::string_view key) {
    const bool goes = matches(key);
    if (goes && is_true(entry.state())) ++purged;
    return goes;
  });
  return purged;
}

bool NearCache::shrink() {
  const size_t part = closed_parts_.load();
  if (part == table_.shards()) return false;
  KeyShard& shard = table_.shard_at(part);
  const auto lock = hold(shard);
  for (const auto& [id, fill] : fills_[part].under_way) ++shard.watch(fill->hash_).generation;
  shard.close();
  closed_parts_.store(part + 1);
  return true;
}

bool NearCache::grow() {
  if (closed_parts_.load() == 0) return false;
  const size_t part = closed_parts_.load() - 1;
  KeyShard& shard = table_.shard_at(part);
  const auto lock = hold(shard);
  shard.open();
  closed_parts_.store(part);
  return true;
}

uint16_t NearCache::add_link() {
  uint16_t id = link_count_.load();
  while (id < kMostLinks && !link_count_.compare_exchange_weak(id, id + 1)) {
  }
  return id < kMostLinks ? id : kNoLink;
}

void NearCache::drop_all() {
  for (uint16_t i = 0; i < link_count_.load(); ++i) drop_link(i);
}

void NearCache::lose_link(uint16_t link) {
  Link& lost = links_[link];
  if (lost.until_ms.exchange(0) != 0) lost.lost_epoch.store(lost.epoch.load());
  drop_link(link);
}

size_t NearCache::fills() {
  size_t fills = 0;
  for (size_t i = 0; i < table_.shards(); ++i) {
    const auto lock = hold(table_.shard_at(i));
    fills += fills_[i].under_way.size();
  }
  return fills;
}

NearCache::Totals NearCache::totals() {
  Totals totals;
  for (size_t i = 0; i < table_.shards(); ++i) {
    KeyShard& shard = table_.shard_at(i);
    const auto lock = hold(shard);
    totals.keys += shard.entries();
    totals.bytes += shard.bytes();
    totals.evictions += shard.evictions();
  }
  return totals;
}

}  // namespace corral::policy
