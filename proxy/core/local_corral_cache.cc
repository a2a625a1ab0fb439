// CORRAL CACHE: the near cache, as the process sees it.
#include <map>

#include "proxy/core/local.h"
#include "proxy/core/near.h"
#include "proxy/core/purge.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;

namespace {

using ByRule = std::map<std::string, Near::RuleCounters>;

ByRule sum_up(const std::vector<ByRule>& parts) {
  ByRule sums;
  for (const ByRule& part : parts) {
    for (const auto& [name, counters] : part) {
      Near::RuleCounters& sum = sums[name];
      sum.hits += counters.hits;
      sum.misses += counters.misses;
      sum.shared += counters.shared;
      sum.invalidations += counters.invalidations;
    }
  }
  return sums;
}

std::string describe(const Process& process, const ByRule& rules, int resp) {
  constexpr std::string_view kPrefix = "near_cache_";
  std::vector<std::pair<std::string_view, uint64_t>> counts;
  for (const auto& [name, value] : process.totals()) {
    if (name.starts_with(kPrefix)) counts.emplace_back(name.substr(kPrefix.size()), value);
    if (name == "reads_shared") counts.emplace_back(name, value);
  }
  std::string out;
  resp::append_map(out, counts.size() + 2, resp);
  append_count(out, "memory", process.near_cache() ? process.near_cache()->memory_bytes() : 0);
  for (const auto& [name, value] : counts) append_count(out, name, value);
  resp::append_bulk(out, "rules");
  resp::append_map(out, rules.size(), resp);
  for (const auto& [name, counters] : rules) {
    resp::append_bulk(out, name);
    resp::append_map(out, 4, resp);
    append_count(out, "hits", counters.hits);
    append_count(out, "misses", counters.misses);
    append_count(out, "reads_shared", counters.shared);
    append_count(out, "invalidations", counters.invalidations);
  }
  return out;
}

void tell_stats(Session& session) {
  Worker& home = session.worker();
  const Request whole = session.request_for_reply(kNoSlot, 0);
  ask_all_workers<ByRule>(
      home, [](Worker& worker) { return worker.near() ? worker.near()->counters() : ByRule(); },
      [&home, whole](const std::vector<ByRule>& parts) {
        home.answer(whole, describe(home.process(), sum_up(parts), whole.session->resp()));
      });
}

}  // namespace

void local_corral_cache(Session& session, const Command& command) {
  if (command.argc() == 3 && same_word(command.arg(2), "STATS")) return tell_stats(session);
  if (command.argc() == 4 && same_word(command.arg(2), "PURGE")) {
    Worker& worker = session.worker();
    const Request whole = session.request_for_reply(kNoSlot, 0);
    return purge_near_cache(worker, std::string(command.arg(3)), [&worker, whole](uint64_t purged) {
      std::string out;
      resp::append_integer(out, static_cast<int64_t>(purged));
      worker.answer(whole, out);
    });
  }
  const bool narrows = command.argc() == 3 && same_word(command.arg(2), "NARROW");
  if (narrows || (command.argc() == 3 && same_word(command.arg(2), "WIDEN"))) {
    if (policy::NearCache* cache = session.worker().process().near_cache()) cache->turn(narrows);
    return session.reply("+OK\r\n");
  }
  session.reply_error("ERR syntax error, try CORRAL CACHE STATS, PURGE <glob>, NARROW or WIDEN");
}

}  // namespace corral::core
