// The near cache: replies that nodes gave, given again for as long as the guarantees of section 6 of the design hold
// (a client reads its own writes; of two reads the later never sees an older value; what is written past this process
// is seen within a bound). One for the process; any thread may call anything.
//
// Who does what:
// - A fill is one read, sent over a connection that vouches for its reply: the node at the other end tracks the key and
//   says on the same connection when it changes. All fills of a key go over one such connection at a time, so what
//   comes of them and what is said about them is in one order. Their replies alone are kept.
// - A touch is anything else that is sent about a key: a write, or a read over an ordinary connection. What is kept of
//   the key is dropped when a touch is answered, before its client sees the answer: it may have seen the key newer than
//   what is kept. While a write is unanswered the key is neither filled, served nor joined.
//
// The states of a key, as its shard sees them:
//
//        read, nothing kept                the fill's reply, if nothing came between
//   absent ----------------> being filled ------------------------------------------> kept ---> served
//     ^  ^                        |                                                     |
//     |  +------------------------+  poisoned: an invalidation, or a touch's answer     |
//     +---------------------------------------------------------------------------------+
//        an invalidation, a touch's answer, a TTL, an eviction; the connection, its heartbeat or the slot is lost
//
// A poisoned fill still answers those who asked before it was poisoned, and nobody who comes later. Poisoning is a
// generation that each key shares with others (KeyWatch), so that it costs no look-up; what is kept carries the epochs
// of its connection and its slot, so that dropping all that hangs on one of these costs one increment.
//
// Order on one connection of a client: a client whose fill is under way must not send a touch of the same key (it could
// overtake the fill), and one whose plain read is under way must not be served from here (it could be older): kWait.
//
// Narrowed (policy/locality.h), keys outside of a sample are passed by: neither looked for, served nor filled, and
// their plain reads are no touches, of which nothing here is told until they are answered. To narrow or to widen begins
// another era, which is even while the cache is wide. A read goes by the era that it has found when it began:
// - What is filled in one era is served and joined in that one only, and not kept if it lands in another. So in a
// narrow
//   one nothing is, and what was kept before it never is again. (Who had found the era before has begun earlier.)
// - A read that was passed by may be under way when the cache is widened, and fills of its key land before it. Its end
//   finds another era than its own then, and drops what is kept and poisons what is under way, as that of a touch does.
//   If it finds its own, no fill has begun yet.
// - A client that waits for such a read is not served from here, and neither fills nor joins: it reads plainly
//   (NearRead::behind_passed). Its connection to the node keeps the two in order.
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

#include "policy/key_table.h"
#include "policy/locality.h"

namespace corral::policy {

/// What a reply is looked for by.
struct NearRead {
  std::string_view key;
  uint64_t hash = 0;  // KeyTable::hash(key)
  uint16_t database = 0;
  uint16_t command = 0;        // CommandSpec::id
  uint8_t resp = 2;            // the version that the asker speaks
  bool own_fills = false;      // the asker waits for fills
  uint32_t own_fill = 0;       // the newest of them (NearFill::serial())
  bool own_touches = false;    // the asker waits for plain reads
  bool behind_passed = false;  // the asker waits for reads that were passed by in an era before
  uint32_t era = 0;            // NearCache::era() if the key may be passed by (may_pass()), else 0
  std::string_view args = {};  // those behind the key, as they came

  bool is_passed() const { return (era & 1) != 0; }
};

/// Where a key is, and which connection would vouch for what is read of it.
struct NearPlace {
  uint16_t slot = 0;
  uint16_t link = UINT16_MAX;
};

/// A key that is touched.
struct NearTouched {
  uint64_t hash = 0;
  uint32_t seen = kUnknown;  // when nothing was kept of it: how often something had been
  uint32_t era = 0;          // in which it was passed by; else 0

  static constexpr uint32_t kUnknown = UINT32_MAX;
};

/// A read over a connection that vouches. Its owner keeps it until land().
class NearFill {
 public:
  virtual ~NearFill() = default;
  uint32_t serial() const { return serial_; }

 private:
  friend class NearCache;
  std::string key_, args_;
  uint64_t hash_ = 0;
  uint64_t id_ = 0;  // of the read, among those under way
  uint32_t serial_ = 0, generation_ = 0, epoch_ = 0, slot_epoch_ = 0, era_ = 0;
  uint16_t database_ = 0, slot_ = 0, link_ = 0, command_ = 0;
};

class NearCache {
 public:
  static constexpr uint16_t kNoLink = UINT16_MAX;
  static constexpr uint16_t kMostLinks = 4096;
  static constexpr uint64_t kNeverMs = UINT64_MAX;  // a key without a TTL

  /// `slots`: how many there are. `threads`: how many use it; a single one is spared the locks. Memory that is not used
  /// yet is not taken from the machine.
  NearCache(uint64_t memory_bytes, uint16_t slots, uint32_t threads);

  enum class Answer : uint8_t {
    kServed,  // the asker has been given the reply
    kJoined,  // the asker has joined a fill
    kFill,    // the asker has made one, which is to be sent now
    kPlain,   // to be read over an ordinary connection: a touch (not a write) has begun
    kWait,    // when what the asker itself waits for has been answered, it is to ask again
  };
  /// `right_now()` is asked for the time where `now_ms` (monotonic, as all times here) is too coarse. The asker has
  ///   void serve(const KeyReply&, uint64_t deadline_ms);  // when the key goes: see find_deadline()
  ///   void join(NearFill&);
  ///   bool admit();  // whether a fill is wanted, since there is nothing to serve or join
  ///   NearPlace place();
  ///   NearFill& make_fill();  // join() follows
  ///   void read_plainly(NearTouched, uint64_t deadline_ms);  // 0: it is not known
  /// which are called under a lock that is not to be held for long.
  template <class Asker, class Time>
  Answer read(const NearRead& read, uint64_t now_ms, Time&& right_now, Asker& asker);

  /// Whether there is a reply to serve, and nothing else. `serve(const KeyReply&, uint64_t deadline_ms)`: false if it
  /// is not to be served as it is.
  enum class Glance : uint8_t { kServed, kNothing, kWait };
  template <class Time, class Serve>
  Glance glance(const NearRead& read, uint64_t now_ms, Time&& right_now, Serve&& serve);

  /// When the key, of which something is kept, goes by itself: kNeverMs if not, 0 if it is not there at all. Nothing if
  /// that is not known now, or kWait would be the answer.
  /// `of_values`: only if a value is kept, rather than just when it goes.
  std::optional<uint64_t> find_deadline(const NearRead& read, uint64_t now_ms, bool of_values = true);

  /// The reply that was last known, if its connection has been lost since, or is silent: `serve(const KeyReply&)` is
  /// called if its node was heard from within `most_ms`. Its key may have gone since, and much else may have happened.
  template <class Serve>
  bool serve_last(const NearRead& read, uint64_t now_ms, uint64_t most_ms, Serve&& serve);

  /// What came of a fill.
  struct Landing {
    std::string_view resp2, resp3;  // may be the same; one that is not to be kept is empty
    bool too_large = false;         // neither is kept; that it is so, is
    uint64_t until_ms = 0;          // for how long it is kept at most
    uint64_t deadline_ms = 0;       // when its key goes: see find_deadline()
  };
  /// The fill is no longer under way, and is kept if it may be; null: it is not to be. `then` is called under the lock,
  /// after which nobody joins it any more.
  void land(NearFill& fill, const Landing* landing, const std::function<void()>& then);
  /// It has failed, and no reply is kept, but perhaps that it is too large (`landing`, or null): nobody joins it any
  /// more, but it counts as under way until end_failed(), when those who have have sent their reads themselves (or what
  /// they send now could overtake these).
  void fail(NearFill& fill, const Landing* landing, const std::function<void()>& then);
  void end_failed(uint64_t hash);

  /// Says that the key will be read soon.
  void prefetch(std::string_view key) const {
    const uint64_t hash = KeyTable::hash(key);
    table_.shard(hash).prefetch(hash);
  }

  /// Even: wide, odd: narrowed. Of one era to the next it grows.
  uint32_t era() const { return era_.load(std::memory_order_acquire); }
  static bool is_narrow(uint32_t era) { return (era & 1) != 0; }
  /// Whether a key is passed by when the cache is narrowed, if its rule lets it.
  static bool may_pass(uint64_t hash) { return hash < UINT64_MAX - UINT64_MAX / Locality::kSampleOf; }
  /// What a thread has counted, of keys that might be passed by, in this era. True: thereby another one has begun.
  bool count(const LocalityCounts& counts, uint32_t era);
  /// It is narrowed, or widened, if it is not yet, until what is read says otherwise.
  void turn(bool narrow);
  /// Other rules, as each thread says when it has them: all that is kept goes, and nothing is known of what will be
  /// read. Until all have, the cache stays wide, since they may differ in what may be passed by.
  void start_anew();
  /// How often it was narrowed.
  uint32_t narrowings() const { return narrowings_.load(std::memory_order_relaxed); }

  /// A touch begins. False: kWait.
  bool begin_touch(uint64_t hash, bool write, bool own_fills);
  /// It has been answered, and its client not been told yet; or a read that was passed by has (NearTouched::era).
  /// `executed`: it may have been.
  void end_touch(const NearTouched& touched, bool write, bool executed = true);
  /// Says that end_touch() will be called soon.
  void prefetch_end(uint64_t hash) const { table_.shard(hash).prefetch_watch(hash); }
  /// A write of keys that are not known.
  void begin_touch_of_all() { touches_of_all_.fetch_add(1); }
  void end_touch_of_all();

  /// A node says that a key has changed. In which database it does not say.
  void invalidate(std::string_view key);
  void drop_slot(uint16_t slot) { slot_epochs_[slot].fetch_add(1); }
  void drop_all();
  /// Drops the keys that `matches` wants, of one part of the table: there are purge_parts(). How many.
  size_t purge(size_t part, const std::function<bool(std::string_view key)>& matches);
  size_t purge_parts() const { return table_.shards(); }
  /// Memory is short: one more part of the table is emptied, and keeps nothing until there is room again. False if
  /// there is none left. By one thread only.
  bool shrink();
  /// One part less. False if all are in use.
  bool grow();
  /// Nothing is left that could shrink. From any thread.
  bool has_given_way() const { return closed_parts_.load() == table_.shards(); }

  /// A connection that is to vouch, not heard from yet; kNoLink if there are too many. They stay for good.
  uint16_t add_link();
  /// Its node has answered what was sent at a time from which on it is trusted until `until_ms`.
  void renew(uint16_t link, uint64_t until_ms) {
    links_[link].until_ms.store(until_ms);
    links_[link].last_until_ms.store(until_ms);
    links_[link].lost_epoch.store(0);
  }
  /// Its node may have more to say than it has said: what it vouched for goes.
  void drop_link(uint16_t link) { links_[link].epoch.fetch_add(1); }
  /// It is lost.
  void lose_link(uint16_t link);
  bool vouches(uint16_t link, uint64_t now_ms) const {
    return link != kNoLink && links_[link].until_ms.load(std::memory_order_relaxed) > now_ms;
  }

  struct Totals {
    uint64_t keys = 0, bytes = 0, evictions = 0;
  };
  Totals totals();
  uint64_t memory_bytes() const { return table_.memory_bytes(); }
  /// Fills under way.
  size_t fills();

 private:
  static constexpr uint8_t kAnyResp = 0;       // of a reply that is the same in both versions
  static constexpr uint8_t kTooLarge = 1;      // flag of a reply: there is one, but it is not kept
  static constexpr uint32_t kCoarseMs = 1000;  // a turn may take long on a busy machine

  struct Link {
    std::atomic<uint64_t> until_ms{0};
    std::atomic<uint32_t> epoch{1};
    // Before it was lost the last time, for serve_last().
    std::atomic<uint64_t> last_until_ms{0};
    std::atomic<uint32_t> lost_epoch{0};
  };
  struct Fills {
    std::unordered_map<uint64_t, NearFill*> under_way;  // by NearFill::id_
  };

  std::unique_lock<std::mutex> hold(KeyShard& shard) const {
    return shared_ ? std::unique_lock(shard.mutex()) : std::unique_lock<std::mutex>();
  }
  bool is_true(const KeyState& state) const {
    return state.epoch == links_[state.link].epoch.load(std::memory_order_relaxed) &&
           state.slot_epoch == slot_epochs_[state.slot].load(std::memory_order_relaxed);
  }
  // It was true until its connection was lost, and nothing has been heard that says otherwise.
  bool may_be_last(const KeyState& state) const {
    const Link& link = links_[state.link];
    return (state.epoch == link.epoch.load(std::memory_order_relaxed) || state.epoch == link.lost_epoch.load()) &&
           state.slot_epoch == slot_epochs_[state.slot].load(std::memory_order_relaxed);
  }
  bool is_written(const KeyWatch& watch) const {
    return watch.busy > 0 || touches_of_all_.load(std::memory_order_relaxed) > 0;
  }
  // It is only to be read plainly, or nothing is known that could be told.
  bool is_closed(const KeyWatch& watch, const NearRead& read) const {
    return is_written(watch) || read.is_passed() || read.behind_passed;
  }
  static bool is_behind_plain(const KeyWatch& watch, const NearRead& read) {
    return read.own_touches && watch.plain > 0;
  }
  // The asker could get its replies in another order than it has asked.
  static bool must_wait(const KeyWatch& watch, const NearRead& read) {
    return (read.own_fills && watch.flights > 0) || is_behind_plain(watch, read);
  }
  template <class Time>
  const KeyReply* find_servable(KeyShard& shard, const NearRead& read, uint64_t now_ms, Time&& right_now,
                                KeyEntry*& entry);
  KeyEntry* find_true(KeyShard& shard, const NearRead& read);
  static const KeyReply* find_reply(KeyEntry& entry, const NearRead& read);
  NearFill* find_fill(const NearRead& read, uint32_t generation, uint64_t now_ms);
  void take_off(const NearRead& read, const NearPlace& place, uint32_t generation, NearFill& fill);
  void narrow();
  void widen();
  bool is_starting_anew() const { return started_anew_ % threads_ != 0; }
  void forget(const NearFill& fill);
  bool is_sound(const NearFill& fill, const KeyWatch& watch) const;
  void keep(KeyShard& shard, const NearFill& fill, const Landing& landing);
  static uint64_t id_of(const NearRead& read);
  Fills& fills_of(uint64_t hash) { return fills_[table_.shard_number(hash)]; }

  const uint32_t threads_;
  const bool shared_;
  std::atomic<size_t> closed_parts_{0};  // the first of them
  KeyTable table_;
  std::vector<Fills> fills_;  // by shard, under its lock
  std::atomic<uint32_t> touches_of_all_{0};
  std::atomic<uint32_t> fills_begun_{0};
  std::unique_ptr<std::atomic<uint32_t>[]> slot_epochs_;
  std::unique_ptr<Link[]> links_;
  std::atomic<uint16_t> link_count_{0};
  std::atomic<uint32_t> era_{2};  // 0 is none
  std::atomic<uint32_t> narrowings_{0};
  std::mutex locality_mutex_;
  Locality locality_;          // under that
  uint32_t started_anew_ = 0;  // likewise; so often
};

// What there is to serve; null if there is nothing. Under the lock.
template <class Time>
const KeyReply* NearCache::find_servable(KeyShard& shard, const NearRead& read, uint64_t now_ms, Time&& right_now,
                                         KeyEntry*& entry) {
  entry = find_true(shard, read);
  const KeyReply* reply = entry ? find_reply(*entry, read) : nullptr;
  if (!reply) return nullptr;
  if (reply->until_ms() < now_ms + kCoarseMs) now_ms = right_now();
  return reply->until_ms() > now_ms ? reply : nullptr;
}

template <class Asker, class Time>
NearCache::Answer NearCache::read(const NearRead& read, uint64_t now_ms, Time&& right_now, Asker& asker) {
  KeyShard& shard = table_.shard(read.hash);
  shard.prefetch(read.hash);
  const auto lock = hold(shard);
  KeyWatch& watch = shard.watch(read.hash);
  const bool behind_fill = read.own_fills && watch.flights > 0;
  KeyEntry* entry = nullptr;
  const auto plain = [&](bool looked = true, uint64_t deadline_ms = 0) {
    if (behind_fill) return Answer::kWait;
    ++watch.plain;
    watch.reader = static_cast<uint32_t>(read.hash);
    asker.read_plainly({read.hash, looked && !entry ? watch.kept : NearTouched::kUnknown}, deadline_ms);
    return Answer::kPlain;
  };
  if (is_closed(watch, read)) [[unlikely]]
    return plain(false);
  if (const KeyReply* reply = find_servable(shard, read, now_ms, right_now, entry)) {
    if (!vouches(entry->state().link, now_ms)) return plain();
    if (must_wait(watch, read)) [[unlikely]]
      return Answer::kWait;
    if (reply->flags() & kTooLarge) return plain(true, entry->state().deadline_ms);
    shard.hit(*entry);
    asker.serve(*reply, entry->state().deadline_ms);
    return Answer::kServed;
  }
  const bool behind_plain = is_behind_plain(watch, read);
  if (NearFill* fill = watch.flights > 0 ? find_fill(read, watch.generation, now_ms) : nullptr) {
    if (behind_plain || (behind_fill && fill->serial_ != read.own_fill)) return Answer::kWait;
    asker.join(*fill);
    return Answer::kJoined;
  }
  if (behind_fill) return Answer::kWait;
  // If somebody reads it right now, there is reason to keep it.
  const bool admit = asker.admit();
  const bool wanted_now = watch.plain > 0 && watch.reader == static_cast<uint32_t>(read.hash);
  if (!admit && !wanted_now) return plain();
  const NearPlace place = asker.place();
  if (!vouches(place.link, now_ms)) return plain();
  if (behind_plain) return admit ? Answer::kWait : plain();
  ++watch.flights;
  NearFill& fill = asker.make_fill();
  take_off(read, place, watch.generation, fill);
  asker.join(fill);
  return Answer::kFill;
}

template <class Time, class Serve>
NearCache::Glance NearCache::glance(const NearRead& read, uint64_t now_ms, Time&& right_now, Serve&& serve) {
  KeyShard& shard = table_.shard(read.hash);
  const auto lock = hold(shard);
  KeyWatch& watch = shard.watch(read.hash);
  if (must_wait(watch, read)) return Glance::kWait;
  if (is_closed(watch, read)) return Glance::kNothing;
  KeyEntry* entry;
  const KeyReply* reply = find_servable(shard, read, now_ms, right_now, entry);
  if (!reply || (reply->flags() & kTooLarge) || !vouches(entry->state().link, now_ms)) return Glance::kNothing;
  if (!serve(*reply, entry->state().deadline_ms)) return Glance::kNothing;
  shard.hit(*entry);
  return Glance::kServed;
}

template <class Serve>
bool NearCache::serve_last(const NearRead& read, uint64_t now_ms, uint64_t most_ms, Serve&& serve) {
  KeyShard& shard = table_.shard(read.hash);
  const auto lock = hold(shard);
  if (is_written(shard.watch(read.hash))) return false;
  KeyEntry* entry = shard.find(read.key, read.hash, read.database);
  if (!entry || !may_be_last(entry->state())) return false;
  if (links_[entry->state().link].last_until_ms.load() + most_ms < now_ms) return false;
  const KeyReply* reply = find_reply(*entry, read);
  if (!reply || (reply->flags() & kTooLarge)) return false;
  serve(*reply);
  return true;
}

}  // namespace corral::policy
