// The leases of all keys: one table for the process, since a stampede does not stop at a thread's edge. What happens to
// one key is policy/key_lease.h; here are the look-up, the locks, the bound, and the order of reads and writes.
//
// A read's reply may be older than a write that has been answered meanwhile. So each read is marked when it is sent
// (mark()), and one that has found nothing, or a value that may be due, is judged only if no write of its key has ended
// since; otherwise it is to be made again. Keys share the counters by their hash: a wrong "again" costs one read.
//
// Any thread may call anything. Whoever is to be woken is returned, for the caller to tell them (by their workers'
// inboxes), after the lock is let go.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/key_lease.h"

namespace corral::policy {

/// Which key. A view: whoever keeps it keeps the bytes.
struct LeaseKey {
  std::string_view key;
  uint64_t hash = 0;  // KeyTable::hash(key)
  uint16_t database = 0;
};

class LeaseTable {
 public:
  /// As many keys at most as are remembered; beyond that those that are not leased are forgotten, and if all are,
  /// nothing more is leased.
  static constexpr size_t kMostKeys = 64 * 1024;

  explicit LeaseTable(size_t most_keys = kMostKeys);

  /// Of a read that is sent now.
  uint32_t mark(uint64_t hash) const {
    return shard(hash).writes[place_of(hash)].load(std::memory_order_acquire) +
           writes_of_all_.load(std::memory_order_acquire);
  }
  /// Whether a write of the key, or of one that shares its counter, has ended since.
  bool is_old(uint64_t hash, uint32_t mark) const { return this->mark(hash) != mark; }

  // As in KeyLease, for the key. `moment.serial` is set here.
  Told on_read(const LeaseKey& key, const StampedeRule& rule, const Finding& finding, const LeaseReader& reader,
               LeaseMoment moment, LeaseWakes& wakes);
  Told on_asked(const LeaseKey& key, const StampedeRule& rule, const KeyLease::Asked& asked, const LeaseReader& reader,
                uint64_t serial, LeaseMoment moment, LeaseWakes& wakes);
  void on_released_elsewhere(const LeaseKey& key, uint64_t now_ms, LeaseWakes& wakes);
  void on_invalidated(const LeaseKey& key, LeaseWakes& wakes);
  void on_holder_gone(const LeaseKey& key, uint64_t serial, uint64_t now_ms, LeaseWakes& wakes);
  void on_time(const LeaseKey& key, uint64_t now_ms, LeaseWakes& wakes);
  std::optional<uint64_t> on_wait_over(const LeaseKey& key, uint64_t place, uint64_t now_ms);
  void leave(const LeaseKey& key, uint64_t place);

  /// A write is sent. `counted` is to be given to end_write(); `wants_value`: a copy of what it sets.
  struct Begun {
    bool counted = false;
    bool wants_value = false;
  };
  Begun begin_write(const LeaseKey& key, bool feeds);
  struct Write {
    LeaseWrite what = LeaseWrite::kOther;
    bool counted = false;
    bool feeds = false;
    LeaseValue value = nullptr;
  };
  /// It has been answered, and its client not been told yet. See KeyLease::on_write_ended().
  std::optional<uint64_t> end_write(const LeaseKey& key, const Write& write, LeaseOutcome outcome, uint64_t now_ms,
                                    LeaseWakes& wakes);
  /// A write of keys that are not known.
  void end_write_of_all(LeaseWakes& wakes);

  bool is_held(const LeaseKey& key, uint64_t serial) const;
  LeaseValue find_fed(const LeaseKey& key, uint64_t now_ms) const;
  /// See KeyLease::hides_from(): when the value that is there goes by itself; 0: the client has no such lease.
  uint64_t hidden_deadline_ms(const LeaseKey& key, uint64_t client, uint64_t now_ms) const;

  /// `visit(key, database, lease)` for each that is leased, a shard at a time under its lock.
  void for_each_leased(const std::function<void(std::string_view, uint16_t, const KeyLease&)>& visit) const;
  size_t keys() const;
  size_t waiting() const;
  /// Leases of this database that are known to be held at a node.
  size_t at_nodes(uint16_t database) const;
  /// The longest time from nil to SET that any key has taken.
  uint64_t longest_compute_ms() const { return longest_compute_ms_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kShards = 16;
  static constexpr size_t kCounters = 1024;  // of a shard

  struct Key {
    std::string name;
    uint64_t hash;
    uint16_t database;
  };
  struct Hash {
    using is_transparent = void;
    template <class K>
    size_t operator()(const K& key) const {
      return static_cast<size_t>(key.hash) + key.database;
    }
  };
  struct Same {
    using is_transparent = void;
    static std::string_view name(const Key& key) { return key.name; }
    static std::string_view name(const LeaseKey& key) { return key.key; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return a.hash == b.hash && a.database == b.database && name(a) == name(b);
    }
  };
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    std::unordered_map<Key, KeyLease, Hash, Same> leases;
    uint64_t serials = 0;
    size_t refusals = 0;  // that are to come before room is looked for again
    std::array<std::atomic<uint32_t>, kCounters> writes{};
  };

  // By bits that choose nothing else of what is kept of a key (policy/key_table.h).
  Shard& shard(uint64_t hash) const { return (*shards_)[hash >> 4 & (kShards - 1)]; }
  static size_t place_of(uint64_t hash) { return hash >> 8 & (kCounters - 1); }
  KeyLease* find(Shard& shard, const LeaseKey& key) const;
  KeyLease* find_or_add(Shard& shard, const LeaseKey& key, uint64_t now_ms);
  bool make_room(Shard& shard, uint64_t now_ms);
  static LeaseMoment at(Shard& shard, const LeaseKey& key, LeaseMoment moment);

  const size_t most_of_shard_;
  std::unique_ptr<std::array<Shard, kShards>> shards_;
  std::atomic<uint64_t> longest_compute_ms_{0};
  std::atomic<uint32_t> writes_of_all_{0};
  std::atomic<size_t> entries_{0};
};

}  // namespace corral::policy
