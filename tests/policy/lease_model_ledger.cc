#include "lease_model_ledger.h"

#include <algorithm>

namespace corral::policy::lease_model {

namespace {

using What = Told::What;

constexpr size_t kShards = 16;

std::vector<uint64_t> numbers(const std::vector<LeaseReader>& readers) {
  std::vector<uint64_t> all;
  for (const LeaseReader& reader : readers) all.push_back(reader.number);
  return all;
}

bool is_of(std::string_view name, uint16_t database, int key) {
  return name == Ledger::key_of(key).key && database == Ledger::key_of(key).database;
}

}  // namespace

// Three keys share a shard, two of them the counter of their writes.
const LeaseKey& Ledger::key_of(int key) {
  static const std::array<LeaseKey, kKeys> keys{LeaseKey{"a", 0x000, 0}, LeaseKey{"b", 0x010, 0},
                                                LeaseKey{"c", 0x100, 0}, LeaseKey{"d", 0x110, 0},
                                                LeaseKey{"e", 0x000, 0}, LeaseKey{"a", 0x010, 7}};
  return keys[static_cast<size_t>(key)];
}

uint64_t Ledger::latest_ms(int key, const Waiter& waiter) const {
  return std::max(waiter.since_ms, leases_[key].waits_since_ms) + waiter.may_wait_ms;
}

size_t Ledger::waiting() const {
  size_t count = 0;
  for (const Lease& lease : leases_) count += lease.waiters.size();
  return count;
}

uint64_t Ledger::serial_held(int key) const {
  uint64_t serial = 0;
  table_.for_each_leased([&](std::string_view name, uint16_t database, const KeyLease& lease) {
    if (is_of(name, database, key)) serial = lease.serial();
  });
  return serial;
}

void Ledger::check_table() {
  std::array<bool, kKeys> seen{};
  table_.for_each_leased([&](std::string_view name, uint16_t database, const KeyLease& held) {
    for (int key = 0; key < kKeys; ++key) {
      if (!is_of(name, database, key)) continue;
      const Lease& lease = leases_[key];
      seen[key] = true;
      expect(lease.phase != Phase::kNone, "a lease lives on that is over");
      expect(held.serial() == lease.serial, "another lease is there than must be");
      expect(held.is_held(lease.serial) == (lease.phase == Phase::kLeased), "a lease is in another phase");
      expect(held.kind() == lease.kind, "a lease is of another kind than it must be");
      expect(held.waiting() == lease.waiters.size(), "not as many wait as must");
    }
  });
  for (int key = 0; key < kKeys; ++key) {
    expect(seen[key] == (leases_[key].phase != Phase::kNone), "a lease is forgotten");
  }
  expect(table_.keys() <= most_ * kShards, "more keys than the bound");
}

// --- what changes ---

void Ledger::start(Lease& lease, uint64_t serial, uint64_t client, uint64_t now_ms) {
  expect(serial != 0 && serials_.insert(serial).second, "a lease has the serial of another one");
  lease.serial = serial;
  lease.client = client;
  lease.waits_since_ms = now_ms;
  lease.end_ms = now_ms + static_cast<uint64_t>(rule_.lease_ms);
}

void Ledger::note_known(Lease& lease, uint64_t version, uint64_t now_ms) {
  lease.version = version;
  lease.known_ms = now_ms;
  lease.known_at_ms = now_ms_;
}

void Ledger::wake_all(Lease& lease, std::vector<uint64_t>& as) {
  for (const auto& [place, waiter] : lease.waiters) as.push_back(waiter.number);
  lease.waiters.clear();
}

void Ledger::end(Lease& lease, Expected& expected) {
  if (lease.at_node) expected.release = lease.serial;
  lease.at_node = false;
  lease.phase = Phase::kNone;
  lease.fed.reset();
}

void Ledger::pass_on(Lease& lease, uint64_t now_ms, const LeaseWakes& wakes, Expected& expected) {
  lease.fed.reset();
  if (lease.waiters.empty()) return end(lease, expected);
  const auto first = lease.waiters.begin();
  expected.promoted = first->second.number;
  if (lease.at_node) expected.release = lease.serial;
  lease.at_node = false;
  expect(wakes.ask != lease.local, "a lease of all proxies needs the node's word, any other one does not");
  lease.phase = wakes.ask ? Phase::kAsking : Phase::kLeased;
  start(lease, wakes.serial, wakes.promoted ? wakes.promoted->client : 0, now_ms);
  lease.waiters.erase(first);
}

void Ledger::lapse(Lease& lease, uint64_t now_ms, const LeaseWakes& wakes, Expected& expected) {
  expected.lapsed = lease.phase == Phase::kLeased && !lease.fed;
  bool bars = expected.lapsed && ++lease.lapses == 2;
  if (bars && lease.may_be_forgotten && wakes.promoted) {
    bars = false;
    lease.lapses = 1;
  }
  if (!bars) return pass_on(lease, now_ms, wakes, expected);
  lease.bar_is_sure = !lease.may_be_forgotten || !lease.waiters.empty();
  lease.barred_until_ms = now_ms + KeyLease::kBarMs;
  lease.lapses = 0;
  wake_all(lease, expected.nil);
  end(lease, expected);
}

// A small table may have forgotten the first lapse, and so not have barred the key at the second.
bool Ledger::is_barred(Lease& lease, uint64_t now_ms, const Told& told) {
  if (lease.barred_until_ms <= now_ms) return false;
  const bool leases = told.what == What::kLease || told.what == What::kAsk;
  if (!lease.bar_is_sure && leases) {
    lease.barred_until_ms = 0;
    lease.lapses = 1;
    return false;
  }
  return true;
}

bool Ledger::may_be_full(int key, uint64_t now_ms) const {
  size_t taken = 0;
  for (int other = 0; other < kKeys; ++other) {
    const Lease& lease = leases_[other];
    if (other == key || (key_of(other).hash ^ key_of(key).hash) >> 4 & (kShards - 1)) continue;
    taken += lease.phase != Phase::kNone || lease.writes > 0 || lease.barred_until_ms > now_ms;
  }
  return taken >= most_;
}

void Ledger::note_grant(Lease& lease, const Found& found, const LeaseReader& reader, uint64_t now_ms,
                        const Told& told) {
  expect(lease.phase == Phase::kNone, "two leases of one key at once");
  const bool failed = found.finding.what == Finding::What::kFailed;
  lease.local = !rule_.for_all_proxies || failed;
  expect((told.what == What::kLease) == lease.local, "a lease of all proxies needs the node's word, others do not");
  lease.phase = lease.local ? Phase::kLeased : Phase::kAsking;
  lease.kind = told.kind;
  note_known(lease, failed ? 0 : found.version, now_ms);
  lease.may_be_forgotten = most_ < kKeys && lease.lapses == 1;
  start(lease, told.serial, reader.client, now_ms);
}

void Ledger::note_absence(Lease& lease, const Found& found, uint64_t now_ms) {
  if (found.finding.what != Finding::What::kNothing || lease.phase == Phase::kNone) return;
  if (lease.kind == LeaseKind::kCold) return;
  lease.kind = LeaseKind::kCold;
  note_known(lease, std::max(lease.version, found.version), now_ms);
}

void Ledger::note_wait(Lease& lease, const LeaseReader& reader, uint64_t now_ms, const Told& told) {
  if (reader.may_wait_ms <= 0) return expect(told.what == What::kNil, "who may not wait is not told nil");
  expect(told.what == What::kWait, "who is to wait is told something else");
  const Waiter waiter{reader.number, now_ms, static_cast<uint64_t>(reader.may_wait_ms)};
  expect(lease.waiters.emplace(told.place, waiter).second, "two wait at one place");
}

// --- reads ---

void Ledger::on_read(int key, const Found& found, const LeaseReader& reader, const LeaseMoment& moment,
                     const Told& told, const LeaseWakes& wakes) {
  Expected expected;
  judge(key, found, reader, moment, told, wakes, expected);
  compare(expected, wakes);
}

void Ledger::judge(int key, const Found& found, const LeaseReader& reader, const LeaseMoment& moment, const Told& told,
                   const LeaseWakes& wakes, Expected& expected) {
  Lease& lease = leases_[key];
  if (ends_by(key, found, moment.now_ms, wakes)) {
    wake_all(lease, expected.again);
    end(lease, expected);
  }
  if (lease.phase != Phase::kNone && moment.now_ms >= lease.end_ms) lapse(lease, moment.now_ms, wakes, expected);
  if (found.finding.what == Finding::What::kValue) {
    check_told_of_value(key, found, reader, moment, told);
  } else {
    check_told_of_nothing(key, found, reader, moment, told);
  }
}

// Whether the table has taken what was found for what somebody has set since the lease was granted.
bool Ledger::ends_by(int key, const Found& found, uint64_t now_ms, const LeaseWakes& wakes) {
  const Lease& lease = leases_[key];
  if (lease.phase == Phase::kNone || found.finding.what != Finding::What::kValue) return false;
  const bool is_later = found.finding.sent_ms > lease.known_ms;
  const bool is_new = found.version > lease.version;
  const bool has_ended = serial_held(key) != lease.serial && !wakes.lapsed && !wakes.promoted && wakes.nil.empty();
  if (!has_ended) {
    expect(lease.kind != LeaseKind::kCold || !is_later, "what somebody has set does not end the lease");
    return false;
  }
  const bool may_lapse = lease.phase == Phase::kLeased && !lease.fed;
  if (now_ms >= lease.end_ms && lease.waiters.empty() && !may_lapse) return false;  // it ends just so
  const bool is_in_doubt = lag_ms_ > 0 && found.sent_ms + lag_ms_ > lease.known_at_ms;
  expect(is_new || is_in_doubt, "what was there before ends the lease");
  return true;
}

void Ledger::check_told_of_value(int key, const Found& found, const LeaseReader& reader, const LeaseMoment& moment,
                                 const Told& told) {
  Lease& lease = leases_[key];
  const int64_t left_ms = found.finding.left_ms;
  const bool is_old = rule_.stale_ms > 0 && left_ms >= 0 && left_ms <= rule_.stale_ms;
  const bool may_be_early = rule_.early_refresh > 0 && left_ms > rule_.stale_ms;
  const bool barred = is_barred(lease, moment.now_ms, told);
  if (told.what == What::kLease || told.what == What::kAsk) {
    expect(is_old || may_be_early, "a value that is not due is to be computed");
    expect(told.kind == (is_old ? LeaseKind::kSoft : LeaseKind::kEarly), "a lease of another kind");
    expect(!barred, "a key is leased although it is barred");
    return note_grant(lease, found, reader, moment.now_ms, told);
  }
  if (told.what == What::kOld) return expect(is_old && (barred || lease.phase != Phase::kNone), "told the old value");
  expect(told.what == What::kFound, "who has found a value is told something else");
  expect(!is_old || may_be_full(key, moment.now_ms), "a value past its soft TTL is told as any other");
}

void Ledger::check_told_of_nothing(int key, const Found& found, const LeaseReader& reader, const LeaseMoment& moment,
                                   const Told& told) {
  Lease& lease = leases_[key];
  if (lease.fed) {
    return expect(told.what == What::kFed && std::stoull(*told.value) == *lease.fed, "not told what was fed");
  }
  const bool leases = told.what == What::kLease || told.what == What::kAsk;
  if (is_barred(lease, moment.now_ms, told))
    return expect(told.what == What::kNil, "a key is leased or waited for although it is barred");
  if (leases) {
    expect(told.kind == LeaseKind::kCold, "a lease of another kind");
    return note_grant(lease, found, reader, moment.now_ms, told);
  }
  if (lease.phase == Phase::kNone) {
    return expect(told.what == What::kNil && may_be_full(key, moment.now_ms), "nobody computes");
  }
  if (found.finding.sent_ms > lease.known_ms) note_absence(lease, found, moment.now_ms);
  if (lease.phase == Phase::kLeased && lease.client == reader.client) {
    return expect(told.what == What::kNil, "the holder is told something else than nil");
  }
  note_wait(lease, reader, moment.now_ms, told);
}

void Ledger::on_asked(int key, const KeyLease::Asked& asked, const Found& found, const LeaseReader& reader,
                      uint64_t serial, const LeaseMoment& moment, const Told& told, const LeaseWakes& wakes) {
  Lease& lease = leases_[key];
  Expected expected;
  const bool is_value = asked.finding.what == Finding::What::kValue;
  if (lease.phase != Phase::kAsking || lease.serial != serial) {
    judge(key, found, reader, moment, told, wakes, expected);
    // Of two at once one has ended at the node by itself, and the table names one.
    if (asked.at_node && wakes.release != expected.release) expected.release = serial;
    return compare(expected, wakes);
  }
  lease.at_node = asked.at_node;
  if (is_value && serial_held(key) != serial) {
    expect(told.what == What::kFound, "who has found a value is told something else");
    expect(found.version != lease.version || lag_ms_ > 0, "what was there when the node was asked ends the lease");
    wake_all(lease, expected.again);
    end(lease, expected);
    return compare(expected, wakes);
  }
  expect(!is_value || lease.kind != LeaseKind::kCold, "what somebody has set does not end the lease");
  note_absence(lease, found, moment.now_ms);
  if (asked.granted) {
    expect(told.what == What::kLease && told.serial == serial && told.kind == lease.kind, "not told of the lease");
    lease.phase = Phase::kLeased;
    lease.end_ms = moment.now_ms + static_cast<uint64_t>(rule_.lease_ms);
    return compare(expected, wakes);
  }
  lease.phase = Phase::kElsewhere;
  lease.end_ms = moment.now_ms + std::min(asked.others_left_ms, static_cast<uint64_t>(rule_.lease_ms));
  if (is_value) {
    expect(told.what == (lease.kind == LeaseKind::kSoft ? What::kOld : What::kFound), "not told the value");
  } else {
    note_wait(lease, reader, moment.now_ms, told);
  }
  compare(expected, wakes);
}

// --- everything else ---

void Ledger::on_released_elsewhere(int key, uint64_t now_ms, const LeaseWakes& wakes) {
  Expected expected;
  if (leases_[key].phase == Phase::kElsewhere) pass_on(leases_[key], now_ms, wakes, expected);
  compare(expected, wakes);
}

void Ledger::on_invalidated(int key, const LeaseWakes& wakes) {
  Expected expected;
  if (leases_[key].writes == 0) wake_all(leases_[key], expected.again);
  compare(expected, wakes);
}

void Ledger::on_holder_gone(int key, uint64_t serial, uint64_t now_ms, const LeaseWakes& wakes) {
  Lease& lease = leases_[key];
  Expected expected;
  if (lease.phase != Phase::kNone && lease.serial == serial && !lease.fed) pass_on(lease, now_ms, wakes, expected);
  compare(expected, wakes);
}

void Ledger::on_time(int key, uint64_t now_ms, const LeaseWakes& wakes) {
  Lease& lease = leases_[key];
  Expected expected;
  if (lease.phase != Phase::kNone && now_ms >= lease.end_ms) lapse(lease, now_ms, wakes, expected);
  compare(expected, wakes);
}

void Ledger::on_wait_over(int key, uint64_t place, uint64_t now_ms, const std::optional<uint64_t>& until_ms) {
  const auto it = leases_[key].waiters.find(place);
  if (it == leases_[key].waiters.end()) return expect(!until_ms, "who does not wait is to wait longer");
  const uint64_t latest = latest_ms(key, it->second);
  if (latest > now_ms) return expect(until_ms == latest, "who waits is to wait for another time");
  expect(!until_ms, "who has waited for long enough is to wait longer");
  leases_[key].waiters.erase(it);
}

void Ledger::on_left(int key, uint64_t place) { leases_[key].waiters.erase(place); }

void Ledger::on_write_begun(int key, const LeaseTable::Begun& begun) {
  Lease& lease = leases_[key];
  expect(begun.counted || lease.phase == Phase::kNone, "a write of a leased key is not counted");
  if (begun.counted) ++lease.writes;
}

void Ledger::on_write_ended(int key, const LeaseTable::Write& write, LeaseOutcome outcome,
                            std::optional<uint64_t> token, bool alone, uint64_t now_ms, const LeaseWakes& wakes) {
  Lease& lease = leases_[key];
  Expected expected;
  if (write.counted) --lease.writes;
  const bool done = outcome == LeaseOutcome::kDone, leased = lease.phase != Phase::kNone;
  if (outcome == LeaseOutcome::kNodeGone && write.what == LeaseWrite::kValue && write.feeds && token && leased) {
    lease.fed = token;
    wake_all(lease, expected.filled);
    return compare(expected, wakes);
  }
  if (done) lease.fed.reset();
  if (outcome == LeaseOutcome::kNotDone && write.what != LeaseWrite::kValue) return compare(expected, wakes);
  if (!done || write.what == LeaseWrite::kOther) {
    wake_all(lease, expected.again);
  } else if (write.what == LeaseWrite::kRemoves) {
    if (leased) pass_on(lease, now_ms, wakes, expected);
  } else {
    lease.lapses = 0;
    lease.barred_until_ms = 0;
    const bool must_fill = alone && token && write.counted;
    expect(!must_fill || wakes.filled.size() == lease.waiters.size(), "a value that is known is not given");
    wake_all(lease, wakes.filled.empty() ? expected.again : expected.filled);
    if (leased) end(lease, expected);
  }
  compare(expected, wakes);
}

void Ledger::on_all_written(const LeaseWakes& wakes) {
  Expected expected;
  for (Lease& lease : leases_) {
    lease.fed.reset();
    wake_all(lease, expected.again);
  }
  std::vector<uint64_t> again = numbers(wakes.again);
  std::sort(again.begin(), again.end());
  std::sort(expected.again.begin(), expected.again.end());
  expect(again == expected.again, "a write of unknown keys does not let all who wait read again");
}

void Ledger::compare(const Expected& expected, const LeaseWakes& wakes) {
  expect(numbers(wakes.filled) == expected.filled, "not those are given the value who must be");
  expect(numbers(wakes.again) == expected.again, "not those read again who must");
  expect(numbers(wakes.nil) == expected.nil, "not those are told nil who must be");
  const auto promoted = wakes.promoted ? std::optional(wakes.promoted->number) : std::nullopt;
  expect(promoted == expected.promoted, "not the one is promoted who must be");
  expect(wakes.lapsed == expected.lapsed, "a lapse, or none where one must be");
  expect(wakes.release == expected.release, "not the lease is released that must be");
}

}  // namespace corral::policy::lease_model
