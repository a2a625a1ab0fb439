// The judge against random histories of a key that behaves: a register whose operations take effect at one moment
// between sending and answer, written by several clients at once, with TTLs, deletes, refusals and doubt, and cached as
// the guarantees allow. It must never complain. With a cache that does not hear of writes it must.
//
// CORRAL_SEED and CORRAL_ROUNDS choose the histories.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <random>

#include "history.h"

namespace corral::test {
namespace {

using Outcome = KeyHistory::Outcome;

uint64_t number_from(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

enum class Cache { kCoherent, kDeaf, kLate, kOutlives };

// One history: events in the order of their times, each schedules the ones that follow from it.
class Story {
 public:
  Story(uint64_t seed, Cache cache) : random_(seed), cache_(cache) {}

  // The first complaint, or nothing.
  std::string run() {
    state_.version = key_.begin_put(kDirect, "SET", 0);
    key_.end_write(state_.version, Outcome::kDone, 0);
    caches_[kProxyA] = caches_[kProxyB] = state_;
    for (int client = 0; client < 6; ++client) at(pick(1000), [this, client] { act(client); });
    while (!events_.empty() && now_ < 12'000'000 && complaint_.empty()) {
      auto first = events_.extract(events_.begin());
      now_ = first.key();
      first.mapped()();
    }
    return complaint_;
  }

 private:
  struct State {
    uint64_t version = 0;  // 0: not there
    Nanos expires = kNever;
    uint64_t change = 0;  // counts up
  };

  // Times in microseconds here, so that the random ones are small numbers.
  Nanos nanos(Nanos micros) const { return micros * 1000; }
  Nanos pick(Nanos below) { return static_cast<Nanos>(random_() % static_cast<uint64_t>(below)); }
  void at(Nanos delay, std::function<void()> event) { events_.emplace(now_ + delay, std::move(event)); }
  void complain(std::string text) {
    if (complaint_.empty()) complaint_ = std::move(text);
  }
  Way way_of(int client) const { return static_cast<Way>(client % 3); }
  State& current() {
    if (state_.expires <= now_) state_ = {0, kNever, ++changes_};
    return state_;
  }

  void act(int client) {
    Way way = way_of(client);
    const Nanos kind = pick(20);
    if (kind < 14) return read(client, way);
    if (cache_ == Cache::kLate) way = kDirect;  // of its own writes a cache hears at once
    if (kind < 17)
      write(client, way, key_.begin_put(way, "SET", nanos(now_)), 0, kPut);
    else if (kind == 17)
      write_with_ttl(client, way);
    else if (kind == 18)
      write(client, way, key_.begin_delete(way, "DEL", nanos(now_)), 0, kDelete);
    else
      expire(client, way);
  }

  enum Effect { kPut, kDelete, kExpire };

  void write_with_ttl(int client, Way way) {
    const Nanos ttl = 1 + pick(200'000);
    write(client, way, key_.begin_put(way, "SET PX", nanos(now_), nanos(ttl)), ttl, kPut);
  }

  void expire(int client, Way way) {
    const Nanos ttl = 1 + pick(200'000);
    const auto id = key_.begin_expire(way, "PEXPIRE", nanos(now_), nanos(ttl));
    id ? write(client, way, *id, ttl, kExpire) : read(client, way);
  }

  void write(int client, Way way, uint64_t id, Nanos ttl, Effect effect) {
    const Nanos fate = pick(20);
    if (fate == 0) return finish(client, id, Outcome::kRefused, pick(3000));
    if (fate == 1) {  // in doubt: told soon, done late or never
      if (pick(2) == 0) at(pick(2'000'000), [=, this] { apply(id, ttl, effect); });
      return finish(client, id, Outcome::kInDoubt, pick(3000));
    }
    at(pick(3000), [=, this] {
      const bool done = apply(id, ttl, effect);
      if (cache_ != Cache::kDeaf && way != kDirect) learn(way, current());  // before it is answered
      finish(client, id, done ? Outcome::kDone : Outcome::kRefused, pick(3000));
    });
  }

  // False if there was nothing to give a TTL to.
  bool apply(uint64_t id, Nanos ttl, Effect effect) {
    State& state = current();
    if (effect == kExpire && state.version == 0) return false;
    if (effect == kExpire)
      state.expires = now_ + ttl;
    else
      state = effect == kDelete ? State() : State{id, ttl ? now_ + ttl : kNever, 0};
    state.change = ++changes_;
    if (cache_ != Cache::kDeaf) tell(state);
    return true;
  }

  // What the caches hear of a change, in order and late.
  void tell(State state) {
    for (const Way way : {kProxyA, kProxyB}) {
      heard_[way] = std::max(heard_[way], now_ + (cache_ == Cache::kLate ? 2'000'000 : pick(1'400'000)));
      at(heard_[way] - now_, [=, this] { learn(way, state); });
    }
  }
  void learn(Way way, State state) {
    if (state.change > caches_[way].change) caches_[way] = state;
  }

  void finish(int client, uint64_t id, Outcome outcome, Nanos delay) {
    at(delay, [=, this] {
      complain(key_.end_write(id, outcome, nanos(now_)));
      at(pick(20'000), [=, this] { act(client); });
    });
  }

  void read(int client, Way way) {
    const ReadMark mark = key_.begin_read(way, nanos(now_));
    at(pick(3000), [=, this] {
      const bool ended = way != kDirect && caches_[way].expires <= now_ && cache_ != Cache::kOutlives;
      if (ended) caches_[way] = current();
      const State seen = way == kDirect ? current() : caches_[way];
      at(pick(3000), [=, this] { answer(client, mark, seen); });
    });
  }

  void answer(int client, const ReadMark& mark, State seen) {
    Seen what{seen.version ? Seen::Type::kVersion : Seen::Type::kNothing, seen.version};
    if (pick(4) == 0 && seen.version) what.type = Seen::Type::kPresent;
    complain(key_.end_read(mark, what, nanos(now_), "GET"));
    at(pick(5000), [=, this] { act(client); });
  }

  std::mt19937_64 random_;
  const Cache cache_;
  Bounds bounds_;
  KeyHistory key_{"key", false, bounds_};
  Nanos now_ = 1;
  std::multimap<Nanos, std::function<void()>> events_;
  State state_;
  uint64_t changes_ = 0;
  std::map<Way, State> caches_;
  std::map<Way, Nanos> heard_;
  std::string complaint_;
};

TEST(HistoryRandomTest, a_key_that_behaves_is_never_complained_of) {
  const uint64_t seed = number_from("CORRAL_SEED", std::random_device()());
  std::cout << "CORRAL_SEED=" << seed << "\n";
  for (uint64_t i = 0; i < number_from("CORRAL_ROUNDS", 200); ++i) {
    ASSERT_EQ(Story(seed + i, Cache::kCoherent).run(), "") << "CORRAL_SEED=" << seed + i << " CORRAL_ROUNDS=1";
  }
}

TEST(HistoryRandomTest, a_cache_that_misbehaves_is_found) {
  for (const Cache cache : {Cache::kDeaf, Cache::kLate, Cache::kOutlives}) {
    for (uint64_t seed = 0; seed < 10; ++seed)
      EXPECT_NE(Story(seed, cache).run(), "") << static_cast<int>(cache) << " " << seed;
  }
}

}  // namespace
}  // namespace corral::test
