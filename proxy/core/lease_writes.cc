// Leases, the part for writes: each is told to the table when it is sent and when it has been answered, before its
// client is told.
#include <algorithm>
#include <bit>
#include <utility>

#include "policy/key_table.h"
#include "proxy/core/leases.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"

namespace corral::core {

using policy::LeaseKey;
using policy::LeaseOutcome;
using policy::LeaseWrite;

namespace {

constexpr double kNewShare = 0.25;  // of the latest time in a rule's moving average

size_t bucket_of(uint64_t ms) {
  return std::min<size_t>(static_cast<size_t>(std::bit_width(ms)), Leases::RuleCounters::kBuckets - 1);
}

bool tells_that_it_is_down(std::string_view reply) {
  return reply.starts_with("-CLUSTERDOWN ") || reply.starts_with("-INDOUBT ") || reply.starts_with("-READONLY ") ||
         reply.starts_with("-MASTERDOWN ") || reply.starts_with("-LOADING ");
}

// Told by +OK and :1, or by :0 if not (SETNX); what SET with GET answers tells nothing, and so nil does not.
LeaseOutcome outcome_of(std::string_view reply, LeaseWrites::Done done) {
  using Done = LeaseWrites::Done;
  if (reply.empty()) return LeaseOutcome::kUnknown;
  if (reply[0] == '-') return tells_that_it_is_down(reply) ? LeaseOutcome::kNodeGone : LeaseOutcome::kNotDone;
  if (done == Done::kAlways) return LeaseOutcome::kDone;
  if (reply == ":0\r\n" || reply == "*-1\r\n") return LeaseOutcome::kNotDone;
  if (done == Done::kInExec && reply == "_\r\n") return LeaseOutcome::kNotDone;
  if (done == Done::kInExec || reply == "+OK\r\n" || reply == ":1\r\n") return LeaseOutcome::kDone;
  return LeaseOutcome::kUnknown;
}

}  // namespace

void Leases::begin_write(LeaseWrites& writes, const resp::CommandSpec& spec, std::string_view key,
                         std::optional<std::string_view> value, const policy::Rule& rule, bool alone) {
  LeaseWrites::One one{.key = std::string(key), .hash = policy::KeyTable::hash(key), .write = {}};
  one.write.feeds = rule.on_upstream_error != policy::OnUpstreamError::kError;
  // Of a transaction it is not looked at what each of its commands has done.
  if (alone && spec.removes_keys) one.write.what = LeaseWrite::kRemoves;
  if (alone && spec.value_behind_key != 0) one.write.what = LeaseWrite::kValue;
  if (!alone) {
    writes.done = LeaseWrites::Done::kInExec;
  } else if (spec.value_behind_key == 0 || spec.ttl == resp::TtlEffect::kGetSet) {
    writes.done = LeaseWrites::Done::kAlways;
  }
  const auto begun = table_.begin_write({one.key, one.hash, writes.database}, one.write.feeds);
  one.write.counted = begun.counted;
  if (begun.wants_value && value) one.write.value = std::make_shared<const std::string>(*value);
  writes.writes.push_back(std::move(one));
}

void Leases::end_writes(const LeaseWrites& writes, std::string_view reply) {
  const LeaseOutcome outcome = outcome_of(reply, writes.done);
  for (const auto& one : writes.writes) {
    const LeaseKey key{one.key, one.hash, writes.database};
    Wakes wakes;
    const auto took_ms = table_.end_write(key, one.write, outcome, worker_.now64_ms(), wakes);
    if (took_ms) note_computed(one.key, *took_ms);
    wake(key, std::move(wakes));
  }
}

// The mean of a rule is what is guessed of a key that has not been computed yet.
void Leases::note_computed(std::string_view key, uint64_t took_ms) {
  worker_.stats().leases_filled.add();
  RuleCounters& counters = counters_of(key);
  ++counters.filled;
  ++counters.compute_ms[bucket_of(took_ms)];
  const double took = std::max(1.0, static_cast<double>(took_ms));
  double& mean = counters.mean_compute_ms;
  mean = mean > 0 ? mean + kNewShare * (took - mean) : took;
}

void Leases::end_write_of_all() {
  Wakes wakes;
  table_.end_write_of_all(wakes);
  wake({}, std::move(wakes));
}

void Leases::on_invalidated(std::string_view name, uint64_t hash, uint16_t database) {
  const LeaseKey key{name, hash, database};
  Wakes wakes;
  table_.on_invalidated(key, wakes);
  if (!wakes.empty()) wake(key, std::move(wakes));
}

}  // namespace corral::core
