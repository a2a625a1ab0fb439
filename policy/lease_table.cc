#include "policy/lease_table.h"

#include <algorithm>

namespace corral::policy {

LeaseTable::LeaseTable(size_t most_keys)
    : most_of_shard_(std::max<size_t>(1, most_keys / kShards)), shards_(new std::array<Shard, kShards>) {}

KeyLease* LeaseTable::find(Shard& shard, const LeaseKey& key) const {
  const auto it = shard.leases.find(key);
  return it == shard.leases.end() ? nullptr : &it->second;
}

KeyLease* LeaseTable::find_or_add(Shard& shard, const LeaseKey& key, uint64_t now_ms) {
  if (KeyLease* lease = find(shard, key)) return lease;
  if (shard.leases.size() >= most_of_shard_ && !make_room(shard, now_ms)) return nullptr;
  entries_.fetch_add(1, std::memory_order_relaxed);
  return &shard.leases.try_emplace(Key{std::string(key.key), key.hash, key.database}).first->second;
}

// What takes long to find is forgotten in a heap rather than one by one, and so seldom. Where little is found, some who
// ask are refused before it is looked for again: a search must not cost each of them the time of all.
bool LeaseTable::make_room(Shard& shard, uint64_t now_ms) {
  if (shard.refusals > 0) {
    --shard.refusals;
    return false;
  }
  const size_t found = std::erase_if(shard.leases, [&](const auto& item) { return item.second.is_idle(now_ms); });
  shard.refusals = std::max(most_of_shard_ / 16, found) - found;
  entries_.fetch_sub(found, std::memory_order_relaxed);
  return shard.leases.size() < most_of_shard_;
}

// A serial says in its low bits which shard has given it, so that no two are the same.
LeaseMoment LeaseTable::at(Shard& shard, const LeaseKey& key, LeaseMoment moment) {
  moment.serial = ++shard.serials * kShards + (key.hash >> 4 & (kShards - 1));
  return moment;
}

// A value of a key that nobody has a lease of, and which is not due, needs no entry.
Told LeaseTable::on_read(const LeaseKey& key, const StampedeRule& rule, const Finding& finding,
                         const LeaseReader& reader, LeaseMoment moment, LeaseWakes& wakes) {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  KeyLease* lease = find(shard, key);
  KeyLease fresh;
  const Told told = (lease ? *lease : fresh).on_read(rule, finding, reader, at(shard, key, moment), wakes);
  if (lease || !fresh.is_leased()) return told;
  lease = find_or_add(shard, key, moment.now_ms);
  if (!lease) return {.what = finding.what == Finding::What::kValue ? Told::What::kFound : Told::What::kNil};
  *lease = std::move(fresh);
  return told;
}

Told LeaseTable::on_asked(const LeaseKey& key, const StampedeRule& rule, const KeyLease::Asked& asked,
                          const LeaseReader& reader, uint64_t serial, LeaseMoment moment, LeaseWakes& wakes) {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  if (KeyLease* lease = find_or_add(shard, key, moment.now_ms)) {
    return lease->on_asked(rule, asked, reader, serial, at(shard, key, moment), wakes);
  }
  if (asked.at_node) wakes.release = serial;
  return {.what = asked.finding.what == Finding::What::kValue ? Told::What::kFound : Told::What::kNil};
}

void LeaseTable::on_released_elsewhere(const LeaseKey& key, uint64_t now_ms, LeaseWakes& wakes) {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  if (KeyLease* lease = find(shard, key)) lease->on_released_elsewhere(at(shard, key, {now_ms}), wakes);
}

void LeaseTable::on_invalidated(const LeaseKey& key, LeaseWakes& wakes) {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  if (KeyLease* lease = find(shard, key)) lease->on_invalidated(wakes);
}

void LeaseTable::on_holder_gone(const LeaseKey& key, uint64_t serial, uint64_t now_ms, LeaseWakes& wakes) {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  if (KeyLease* lease = find(shard, key)) lease->on_holder_gone(serial, at(shard, key, {now_ms}), wakes);
}

void LeaseTable::on_time(const LeaseKey& key, uint64_t now_ms, LeaseWakes& wakes) {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  if (KeyLease* lease = find(shard, key)) lease->on_time(at(shard, key, {now_ms}), wakes);
}

std::optional<uint64_t> LeaseTable::on_wait_over(const LeaseKey& key, uint64_t place, uint64_t now_ms) {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  KeyLease* lease = find(shard, key);
  return lease ? lease->on_wait_over(place, now_ms) : std::nullopt;
}

void LeaseTable::leave(const LeaseKey& key, uint64_t place) {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  if (KeyLease* lease = find(shard, key)) lease->leave(place);
}

LeaseTable::Begun LeaseTable::begin_write(const LeaseKey& key, bool feeds) {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  KeyLease* lease = find(shard, key);
  if (!lease) return {};
  lease->on_write_begun();
  return {.counted = true, .wants_value = lease->wants_value(feeds)};
}

// The counter says that a write has ended before its client is told, so that whoever reads later is not judged by what
// was there before.
std::optional<uint64_t> LeaseTable::end_write(const LeaseKey& key, const Write& write, LeaseOutcome outcome,
                                              uint64_t now_ms, LeaseWakes& wakes) {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  shard.writes[place_of(key.hash)].fetch_add(1, std::memory_order_release);
  KeyLease* lease = find(shard, key);
  if (!lease) return {};
  const auto took_ms = lease->on_write_ended(write.what, outcome, write.counted, write.feeds, write.value,
                                             at(shard, key, {now_ms}), wakes);
  if (took_ms && *took_ms > longest_compute_ms()) longest_compute_ms_.store(*took_ms, std::memory_order_relaxed);
  return took_ms;
}

void LeaseTable::end_write_of_all(LeaseWakes& wakes) {
  writes_of_all_.fetch_add(1, std::memory_order_release);
  if (entries_.load(std::memory_order_relaxed) == 0) return;
  for (Shard& shard : *shards_) {
    const std::lock_guard lock(shard.mutex);
    for (auto& [key, lease] : shard.leases) {
      lease.on_write_ended(LeaseWrite::kOther, LeaseOutcome::kDone, false, false, nullptr, {}, wakes);
    }
  }
}

bool LeaseTable::is_held(const LeaseKey& key, uint64_t serial) const {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  const KeyLease* lease = find(shard, key);
  return lease && lease->is_held(serial);
}

LeaseValue LeaseTable::find_fed(const LeaseKey& key, uint64_t now_ms) const {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  const KeyLease* lease = find(shard, key);
  return lease ? lease->fed(now_ms) : nullptr;
}

uint64_t LeaseTable::hidden_deadline_ms(const LeaseKey& key, uint64_t client, uint64_t now_ms) const {
  Shard& shard = this->shard(key.hash);
  const std::lock_guard lock(shard.mutex);
  const KeyLease* lease = find(shard, key);
  return lease && lease->hides_from(client, now_ms) ? lease->deadline_ms() : 0;
}

void LeaseTable::for_each_leased(const std::function<void(std::string_view, uint16_t, const KeyLease&)>& visit) const {
  for (Shard& shard : *shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [key, lease] : shard.leases) {
      if (lease.is_leased()) visit(key.name, key.database, lease);
    }
  }
}

size_t LeaseTable::at_nodes(uint16_t database) const {
  size_t count = 0;
  for_each_leased([&](std::string_view, uint16_t of, const KeyLease& lease) {
    if (of == database && lease.is_at_node()) ++count;
  });
  return count;
}

size_t LeaseTable::keys() const {
  size_t keys = 0;
  for (Shard& shard : *shards_) {
    const std::lock_guard lock(shard.mutex);
    keys += shard.leases.size();
  }
  return keys;
}

size_t LeaseTable::waiting() const {
  size_t waiting = 0;
  for (Shard& shard : *shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [key, lease] : shard.leases) waiting += lease.waiting();
  }
  return waiting;
}

}  // namespace corral::policy
