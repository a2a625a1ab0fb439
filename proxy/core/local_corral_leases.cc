// CORRAL LEASES: the leases that are out, and what the rules' leases have done.
#include <map>

#include "proxy/core/leases.h"
#include "proxy/core/local.h"
#include "resp/reply_builder.h"

namespace corral::core {

using policy::KeyLease;
using policy::LeaseKind;
using resp::Command;

namespace {

using ByRule = std::map<std::string, Leases::RuleCounters>;

constexpr size_t kMostShown = 1000;

void append_text(std::string& out, std::string_view name, std::string_view text) {
  resp::append_bulk(out, name);
  resp::append_bulk(out, text);
}

std::string_view name_of(LeaseKind kind) {
  return kind == LeaseKind::kCold ? "cold" : kind == LeaseKind::kSoft ? "soft" : "early";
}

ByRule sum_up(const std::vector<ByRule>& parts) {
  ByRule sums;
  for (const ByRule& part : parts) {
    for (const auto& [name, counters] : part) sums[name].add(counters);
  }
  return sums;
}

// The shown are a part if there are very many; how many there are is told behind them.
std::string describe_leases(const policy::LeaseTable& table, uint64_t now_ms, int resp, size_t& all) {
  std::string shown;
  size_t count = 0;
  table.for_each_leased([&](std::string_view key, uint16_t database, const KeyLease& lease) {
    ++all;
    if (count == kMostShown) return;
    ++count;
    resp::append_map(shown, 7, resp);
    append_text(shown, "key", key);
    append_count(shown, "database", database);
    append_text(shown, "kind", name_of(lease.kind()));
    append_count(shown, "client", lease.holder());
    append_count(shown, "age_ms", now_ms - std::min(now_ms, lease.granted_ms()));
    append_count(shown, "left_ms", lease.end_ms() - std::min(now_ms, lease.end_ms()));
    append_count(shown, "waiting", lease.waiting());
  });
  std::string out;
  resp::append_array(out, count);
  return out + shown;
}

// How many were computed in less than so many milliseconds, and in no less than the half of it.
void append_histogram(std::string& out, const Leases::RuleCounters& counters, int resp) {
  resp::append_bulk(out, "compute_ms");
  resp::append_map(out, Leases::RuleCounters::kBuckets, resp);
  for (size_t i = 0; i < Leases::RuleCounters::kBuckets; ++i) {
    const bool is_last = i + 1 == Leases::RuleCounters::kBuckets;
    const std::string below = std::to_string(uint64_t{1} << i);
    append_count(out, is_last ? std::string_view("more") : std::string_view(below), counters.compute_ms[i]);
  }
}

std::string describe(const policy::LeaseTable& table, const ByRule& rules, uint64_t now_ms, int resp) {
  std::string out;
  size_t all = 0;
  const std::string leases = describe_leases(table, now_ms, resp, all);
  resp::append_map(out, 3, resp);
  append_count(out, "out", all);
  resp::append_bulk(out, "leases");
  out += leases;
  resp::append_bulk(out, "rules");
  resp::append_map(out, rules.size(), resp);
  for (const auto& [name, counters] : rules) {
    resp::append_bulk(out, name);
    resp::append_map(out, 9, resp);
    append_count(out, "leases_granted", counters.granted);
    append_count(out, "leases_filled", counters.filled);
    append_count(out, "leases_lapsed", counters.lapsed);
    append_count(out, "waits", counters.waits);
    append_count(out, "waits_filled", counters.waits_filled);
    append_count(out, "waits_timed_out", counters.waits_timed_out);
    append_count(out, "stale_served", counters.stale_served);
    append_count(out, "early_refreshes", counters.early_refreshes);
    append_histogram(out, counters, resp);
  }
  return out;
}

}  // namespace

void local_corral_leases(Session& session, const Command&) {
  Worker& home = session.worker();
  const Request whole = session.request_for_reply(kNoSlot, 0);
  ask_all_workers<ByRule>(
      home, [](Worker& worker) { return worker.leases().counters(); },
      [&home, whole](const std::vector<ByRule>& parts) {
        home.answer(whole, describe(home.process().leases(), sum_up(parts), home.now64_ms(), whole.session->resp()));
      });
}

}  // namespace corral::core
