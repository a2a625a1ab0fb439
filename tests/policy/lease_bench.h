// One key's lease on the bench, for its tests: who reads and writes the key, at a time that stands still unless moved.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/key_lease.h"

namespace corral::policy {

using Clients = std::vector<uint64_t>;

inline Clients clients(const std::vector<LeaseReader>& readers) {
  Clients all;
  for (const LeaseReader& reader : readers) all.push_back(reader.client);
  return all;
}

inline Finding nothing() { return {.what = Finding::What::kNothing}; }
inline Finding failed() { return {.what = Finding::What::kFailed}; }
inline Finding value(int64_t left_ms = Finding::kUnknown) {
  return {.what = Finding::What::kValue, .left_ms = left_ms};
}

class LeaseBench {
 public:
  static constexpr int64_t kLeaseMs = 10'000, kWaitMs = 250;
  static constexpr uint64_t kNeverEarly = UINT64_MAX;  // u = 1

  StampedeRule rule{.lease_ms = kLeaseMs, .wait_ms = kWaitMs};
  KeyLease lease;
  uint64_t now_ms = 1'000'000;
  uint64_t random = kNeverEarly;
  double guess_ms = 0;
  LeaseWakes wakes;  // of the last event

  /// Of the event that comes next.
  LeaseMoment moment() {
    wakes = {};
    return {.now_ms = now_ms, .serial = ++serials_, .random = random, .guess_ms = guess_ms};
  }
  Told read(uint64_t client, const Finding& finding, int64_t may_wait_ms = kWaitMs) {
    const LeaseMoment now = moment();
    return lease.on_read(rule, finding, reader(client, may_wait_ms), now, wakes);
  }
  Told::What tell(uint64_t client, const Finding& finding, int64_t may_wait_ms = kWaitMs) {
    return read(client, finding, may_wait_ms).what;
  }
  /// Its serial.
  uint64_t grant(uint64_t client, const Finding& finding = nothing()) { return read(client, finding).serial; }
  Told asked(uint64_t client, uint64_t serial, const KeyLease::Asked& asked, int64_t may_wait_ms = kWaitMs) {
    const LeaseMoment now = moment();
    return lease.on_asked(rule, asked, reader(client, may_wait_ms), serial, now, wakes);
  }

  using MaybeTook = std::optional<uint64_t>;
  MaybeTook end(LeaseWrite what, LeaseOutcome outcome, const char* text = nullptr, bool counted = true,
                bool feeds = false) {
    const LeaseMoment now = moment();
    LeaseValue value = text ? std::make_shared<const std::string>(text) : nullptr;
    return lease.on_write_ended(what, outcome, counted, feeds, std::move(value), now, wakes);
  }
  MaybeTook end_set(const char* text, LeaseOutcome outcome = LeaseOutcome::kDone) {
    return end(LeaseWrite::kValue, outcome, text);
  }
  MaybeTook set(const char* text, LeaseOutcome outcome = LeaseOutcome::kDone) {
    lease.on_write_begun();
    return end_set(text, outcome);
  }
  /// A SET that no node could take, of a rule whose readers get it all the same.
  void feed(const char* text) {
    lease.on_write_begun();
    end(LeaseWrite::kValue, LeaseOutcome::kNodeGone, text, true, true);
  }
  void remove(LeaseOutcome outcome = LeaseOutcome::kDone) {
    lease.on_write_begun();
    end(LeaseWrite::kRemoves, outcome);
  }
  void change(LeaseOutcome outcome = LeaseOutcome::kDone) {
    lease.on_write_begun();
    end(LeaseWrite::kOther, outcome);
  }

  void holder_gone(uint64_t serial) {
    const LeaseMoment now = moment();
    lease.on_holder_gone(serial, now, wakes);
  }
  void released_elsewhere() {
    const LeaseMoment now = moment();
    lease.on_released_elsewhere(now, wakes);
  }
  void invalidated() {
    wakes = {};
    lease.on_invalidated(wakes);
  }
  /// So much later, if nothing has happened since.
  void pass(int64_t ms) {
    now_ms += static_cast<uint64_t>(ms);
    const LeaseMoment now = moment();
    lease.on_time(now, wakes);
  }
  void lapse(uint64_t client) {
    grant(client);
    pass(rule.lease_ms);
  }
  bool wakes_nobody() const { return wakes.empty(); }

 private:
  static LeaseReader reader(uint64_t client, int64_t may_wait_ms) {
    return {.client = client, .number = client, .worker = 0, .may_wait_ms = may_wait_ms};
  }
  uint64_t serials_ = 0;
};

/// The lease is this client's now, as if nothing had been before, and nobody else has been woken.
inline void expect_promoted(const LeaseBench& key, uint64_t client) {
  ASSERT_TRUE(key.wakes.promoted);
  EXPECT_EQ(key.wakes.promoted->client, client);
  EXPECT_FALSE(key.wakes.ask);
  EXPECT_TRUE(key.lease.is_held(key.wakes.serial));
  EXPECT_EQ(key.lease.holder(), client);
  EXPECT_EQ(key.lease.kind(), LeaseKind::kCold);
  EXPECT_EQ(key.lease.end_ms(), key.now_ms + LeaseBench::kLeaseMs);
  EXPECT_TRUE(key.wakes.filled.empty() && key.wakes.again.empty() && key.wakes.nil.empty());
}

}  // namespace corral::policy
