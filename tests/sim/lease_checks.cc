#include "lease_checks.h"

#include <algorithm>

namespace corral::sim {

namespace {

constexpr int64_t kGrainUs = 2'000;      // the core's clock counts milliseconds
constexpr int64_t kBarUs = 121'000'000;  // a little longer than policy::KeyLease::kBarMs

}  // namespace

bool LeaseChecks::is_held(const Key& key, const Lease& lease, int64_t now_us) const {
  const bool written = key.pending > 0 || key.over_us >= lease.sent_us;
  return lease.is == Lease::Is::kCertain && !written && now_us < lease.sent_us + times.lease_us - kGrainUs;
}

std::string LeaseChecks::on_nil(uint32_t process, const std::string& name, uint32_t client, bool waits, int64_t sent_us,
                                int64_t now_us) {
  Key& key = keys_[name];
  Lease& lease = key.leases[times.for_all ? 0 : process];
  const bool waited = !waits || now_us - sent_us >= times.wait_us - kGrainUs;
  const bool held = is_held(key, lease, now_us);
  key.handed_on_us = now_us;
  if (held && waited) return {};
  if (held && lease.client != client && now_us > key.barred_until_us) {
    return "was told nil at once, though client " + std::to_string(lease.client) + " had the lease for " +
           std::to_string(now_us - lease.sent_us) + " us";
  }
  const bool lapsed = lease.is == Lease::Is::kCertain && now_us >= lease.sent_us + times.lease_us - kGrainUs;
  if (lapsed || lease.is == Lease::Is::kPossible) ++key.doubts;
  if (key.doubts >= 2) key.barred_until_us = now_us + kBarUs;
  const bool certain = !waited && now_us > key.barred_until_us;
  lease = {certain ? Lease::Is::kCertain : Lease::Is::kPossible, client, sent_us};
  return {};
}

std::string LeaseChecks::on_answer(const std::string& name, int64_t sent_us, int64_t now_us) {
  const Key& key = keys_[name];
  const int64_t waited_us = now_us - std::max(sent_us, key.handed_on_us);
  if (waited_us <= times.wait_us + times.slack_us) return {};
  return "waited for " + std::to_string(waited_us) + " us";
}

void LeaseChecks::on_write_over(const std::string& name, bool stored, int64_t now_us) {
  Key& key = keys_[name];
  --key.pending;
  key.over_us = now_us;
  if (!stored) return;
  key.doubts = 0;
  key.barred_until_us = 0;
  if (key.pending == 0) key.leases.clear();
}

void LeaseChecks::on_gone(uint32_t client, int64_t now_us) {
  for (auto& [name, key] : keys_) {
    key.handed_on_us = now_us;
    for (auto& [process, lease] : key.leases) {
      if (lease.client == client) lease.is = Lease::Is::kNone;
    }
  }
}

}  // namespace corral::sim
