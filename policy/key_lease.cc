#include "policy/key_lease.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace corral::policy {

namespace {

constexpr double kNewShare = 0.25;  // of the latest time in the moving average

}  // namespace

double early_by_ms(double delta_ms, double beta, uint64_t random) {
  const double u = static_cast<double>((random >> 11) + 1) * 0x1.0p-53;
  return -delta_ms * beta * std::log(u);
}

// Whether somebody is to compute the value anew.
bool KeyLease::is_due(const StampedeRule& rule, int64_t left_ms, const LeaseMoment& moment, LeaseKind& kind) const {
  if (left_ms < 0) return false;
  const int64_t soft_left_ms = left_ms - rule.stale_ms;
  kind = LeaseKind::kSoft;
  if (soft_left_ms <= 0) return rule.stale_ms > 0;
  kind = LeaseKind::kEarly;
  const double delta_ms = compute_ms_ > 0 ? compute_ms_ : moment.guess_ms;
  if (rule.early_refresh <= 0 || delta_ms <= 0) return false;
  return early_by_ms(delta_ms, rule.early_refresh, moment.random) >= static_cast<double>(soft_left_ms);
}

// What is there is not what was there when the lease was granted.
bool KeyLease::is_set_anew(const Finding& finding, uint64_t now_ms) const {
  if (kind_ == LeaseKind::kCold || finding.left_ms == Finding::kForever) return true;
  return finding.left_ms >= 0 && now_ms + static_cast<uint64_t>(finding.left_ms) > deadline_ms_ + kMovedByMs;
}

Told KeyLease::on_read(const StampedeRule& rule, const Finding& finding, const LeaseReader& reader,
                       const LeaseMoment& moment, LeaseWakes& wakes) {
  const bool is_value = finding.what == Finding::What::kValue;
  if (is_value && is_leased() && finding.sent_ms > known_ms_ && is_set_anew(finding, moment.now_ms)) {
    wake_all(wakes.again);
    end(wakes);
  }
  if (is_leased() && moment.now_ms >= end_ms_) lapse(moment, wakes);
  if (is_value) return on_value(rule, finding, reader, moment);
  if (fed_ && is_leased()) return {.what = Told::What::kFed, .value = fed_};
  return on_nothing(rule, finding, reader, moment);
}

Told KeyLease::on_nothing(const StampedeRule& rule, const Finding& finding, const LeaseReader& reader,
                          const LeaseMoment& moment) {
  if (barred_until_ms_ > moment.now_ms) return {.what = Told::What::kNil};
  if (!is_leased()) return grant(rule, LeaseKind::kCold, finding, reader, moment);
  if (finding.sent_ms > known_ms_) note_absence(finding, moment.now_ms);
  if (holder_ == reader.client && state_ == State::kLeased) return {.what = Told::What::kNil};
  return wait(reader, moment);
}

// What was there when the lease was granted has gone.
void KeyLease::note_absence(const Finding& finding, uint64_t now_ms) {
  if (finding.what != Finding::What::kNothing || kind_ == LeaseKind::kCold) return;
  kind_ = LeaseKind::kCold;
  known_ms_ = now_ms;
  deadline_ms_ = 0;
}

Told KeyLease::on_value(const StampedeRule& rule, const Finding& finding, const LeaseReader& reader,
                        const LeaseMoment& moment) {
  LeaseKind kind = LeaseKind::kSoft;
  if (!is_due(rule, finding.left_ms, moment, kind)) return {};
  if (is_leased() || barred_until_ms_ > moment.now_ms) {
    return {.what = kind == LeaseKind::kSoft ? Told::What::kOld : Told::What::kFound};
  }
  return grant(rule, kind, finding, reader, moment);
}

Told KeyLease::grant(const StampedeRule& rule, LeaseKind kind, const Finding& finding, const LeaseReader& reader,
                     const LeaseMoment& moment) {
  for_all_ = rule.for_all_proxies && finding.what != Finding::What::kFailed;
  state_ = for_all_ ? State::kAsking : State::kLeased;
  kind_ = kind;
  holder_ = reader.client;
  serial_ = moment.serial;
  lease_ms_ = rule.lease_ms;
  granted_ms_ = known_ms_ = waits_since_ms_ = moment.now_ms;
  end_ms_ = moment.now_ms + static_cast<uint64_t>(lease_ms_);
  deadline_ms_ = finding.left_ms >= 0 ? moment.now_ms + static_cast<uint64_t>(finding.left_ms) : 0;
  changed_ = false;
  fed_ = nullptr;
  return {.what = for_all_ ? Told::What::kAsk : Told::What::kLease, .kind = kind, .serial = serial_};
}

// Its place is the number that a lease granted now would have: so it is nobody else's even after the key has been
// forgotten in between.
Told KeyLease::wait(const LeaseReader& reader, const LeaseMoment& moment) {
  if (reader.may_wait_ms <= 0) return {.what = Told::What::kNil};
  waiters_.emplace(moment.serial, Waiting{reader, moment.now_ms});
  return {.what = Told::What::kWait, .place = moment.serial};
}

Told KeyLease::on_asked(const StampedeRule& rule, const Asked& asked, const LeaseReader& reader, uint64_t serial,
                        const LeaseMoment& moment, LeaseWakes& wakes) {
  if (state_ != State::kAsking || serial_ != serial) {  // a SET has come in between, or the time for it is over
    if (asked.at_node) wakes.release = serial;
    return on_read(rule, asked.finding, reader, moment, wakes);
  }
  const bool is_value = asked.finding.what == Finding::What::kValue;
  at_node_ = asked.at_node;
  if (is_value && is_set_anew(asked.finding, moment.now_ms)) {
    wake_all(wakes.again);
    end(wakes);
    return {};
  }
  note_absence(asked.finding, moment.now_ms);
  if (asked.granted) {
    state_ = State::kLeased;
    granted_ms_ = moment.now_ms;
    end_ms_ = moment.now_ms + static_cast<uint64_t>(lease_ms_);
    return {.what = Told::What::kLease, .kind = kind_, .serial = serial_};
  }
  state_ = State::kElsewhere;
  holder_ = 0;
  end_ms_ = moment.now_ms + std::min<uint64_t>(asked.others_left_ms, static_cast<uint64_t>(lease_ms_));
  if (is_value) return {.what = kind_ == LeaseKind::kSoft ? Told::What::kOld : Told::What::kFound};
  return wait(reader, moment);
}

void KeyLease::on_released_elsewhere(const LeaseMoment& moment, LeaseWakes& wakes) {
  if (state_ == State::kElsewhere) pass_on(moment, wakes);
}

void KeyLease::on_write_begun() { overlapped_ = writes_++ > 0; }

std::optional<uint64_t> KeyLease::on_write_ended(LeaseWrite write, LeaseOutcome outcome, bool counted, bool feeds,
                                                 LeaseValue value, const LeaseMoment& moment, LeaseWakes& wakes) {
  const bool alone = counted && !overlapped_ && writes_ == 1;
  if (counted) --writes_;
  if (!counted && writes_ > 0) overlapped_ = true;
  if (outcome != LeaseOutcome::kNotDone) changed_ = true;
  if (outcome == LeaseOutcome::kNodeGone && write == LeaseWrite::kValue && feeds && value && is_leased()) {
    fed_ = wakes.value = std::move(value);
    wake_all(wakes.filled);
    return {};
  }
  if (outcome == LeaseOutcome::kNotDone && write != LeaseWrite::kValue) return {};
  if (outcome != LeaseOutcome::kDone || write == LeaseWrite::kOther) {
    if (outcome == LeaseOutcome::kDone) fed_ = nullptr;
    wake_all(wakes.again);
    return {};
  }
  fed_ = nullptr;
  if (write == LeaseWrite::kRemoves) {
    if (is_leased()) pass_on(moment, wakes);
    return {};
  }
  lapses_ = 0;
  barred_until_ms_ = 0;
  std::optional<uint64_t> took_ms;
  // Threads see the time as it was when they woke up.
  if (state_ == State::kLeased) learn(*(took_ms = std::max(moment.now_ms, granted_ms_) - granted_ms_));
  const bool known = alone && value;
  if (known) wakes.value = std::move(value);
  wake_all(known ? wakes.filled : wakes.again);
  if (is_leased()) end(wakes);
  return took_ms;
}

// What is under way here tells those who wait itself.
void KeyLease::on_invalidated(LeaseWakes& wakes) {
  changed_ = true;
  if (writes_ == 0) wake_all(wakes.again);
}

void KeyLease::on_holder_gone(uint64_t serial, const LeaseMoment& moment, LeaseWakes& wakes) {
  if (is_leased() && serial_ == serial && !fed_) pass_on(moment, wakes);
}

void KeyLease::on_time(const LeaseMoment& moment, LeaseWakes& wakes) {
  if (is_leased() && moment.now_ms >= end_ms_) lapse(moment, wakes);
}

// The lease goes to the first who waits.
void KeyLease::pass_on(const LeaseMoment& moment, LeaseWakes& wakes) {
  if (waiters_.empty()) return end(wakes);
  const auto first = waiters_.begin();
  if (at_node_) wakes.release = serial_;
  at_node_ = false;
  state_ = for_all_ ? State::kAsking : State::kLeased;
  holder_ = first->second.reader.client;
  serial_ = moment.serial;
  granted_ms_ = waits_since_ms_ = moment.now_ms;
  end_ms_ = moment.now_ms + static_cast<uint64_t>(lease_ms_);
  wakes.promoted = first->second.reader;
  wakes.serial = serial_;
  wakes.ask = for_all_;
  waiters_.erase(first);
}

// A SET that a dead node refused is no reason to believe that the key is not for being cached; what another process
// does about its leases is its own to judge.
void KeyLease::lapse(const LeaseMoment& moment, LeaseWakes& wakes) {
  const bool counts = !fed_ && state_ == State::kLeased;
  fed_ = nullptr;
  if (counts) {
    wakes.lapsed = true;
    if (++lapses_ >= kLapsesToBar) {
      lapses_ = 0;
      barred_until_ms_ = moment.now_ms + kBarMs;
      wake_all(wakes.nil);
      return end(wakes);
    }
  }
  pass_on(moment, wakes);
}

void KeyLease::end(LeaseWakes& wakes) {
  if (at_node_) wakes.release = serial_;
  at_node_ = false;
  state_ = State::kNone;
  holder_ = 0;
  fed_ = nullptr;
}

void KeyLease::wake_all(std::vector<LeaseReader>& as) {
  for (const auto& [place, waiting] : waiters_) as.push_back(waiting.reader);
  waiters_.clear();
}

std::optional<uint64_t> KeyLease::on_wait_over(uint64_t place, uint64_t now_ms) {
  const auto it = waiters_.find(place);
  if (it == waiters_.end()) return {};
  const uint64_t since_ms = std::max(it->second.since_ms, waits_since_ms_);
  const uint64_t until_ms = since_ms + static_cast<uint64_t>(it->second.reader.may_wait_ms);
  if (until_ms > now_ms) return until_ms;
  waiters_.erase(it);
  return {};
}

void KeyLease::learn(uint64_t took_ms) {
  const double took = std::max(1.0, static_cast<double>(took_ms));
  compute_ms_ = compute_ms_ > 0 ? compute_ms_ + kNewShare * (took - compute_ms_) : took;
}

}  // namespace corral::policy
