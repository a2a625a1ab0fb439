// LATENCY HISTOGRAM: how long the commands of Corral's clients take, from their being read to their replies being
// written, near cache and waits on leases included. What a node takes itself is in INFO latencystats.
// Source: https://redis.io/commands/latency-histogram; Redis 7.0, latency.c, fillCommandCDF: buckets of powers of two,
// each with all that took no longer, those left out that add nothing.
#include <algorithm>
#include <map>

#include "proxy/core/local.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;

namespace {

constexpr uint32_t kLastPower = 32;

using Histograms = std::map<std::string_view, LatencyCounts>;

// Whether `word` asks for `name`. The name of a container stands for its subcommands.
bool asks_for(std::string_view word, std::string_view name) {
  return same_word(word, name) || same_word(word, name.substr(0, name.find('|')));
}

// In the order of the words that ask for them; no words: all.
std::vector<std::string_view> wanted_names(const Histograms& all, const Command& command) {
  std::vector<std::string_view> names;
  for (size_t i = 2; i < command.argc(); ++i) {
    for (const auto& [name, counts] : all) {
      if (asks_for(command.arg(i), name)) names.push_back(name);
    }
  }
  if (command.argc() > 2) return names;
  for (const auto& [name, counts] : all) names.push_back(name);
  return names;
}

void append_buckets(std::string& out, const LatencyCounts& counts, int resp) {
  std::vector<std::pair<int64_t, uint64_t>> buckets;
  for (uint32_t power = 0; power <= kLastPower; ++power) {
    const uint64_t count = counts.count_below_power(power);
    if (count > (buckets.empty() ? 0 : buckets.back().second)) buckets.emplace_back(int64_t{1} << power, count);
  }
  resp::append_map(out, buckets.size(), resp);
  for (const auto& [us, count] : buckets) {
    resp::append_integer(out, us);
    resp::append_integer(out, static_cast<int64_t>(count));
  }
}

}  // namespace

void local_latency_histogram(Session& session, const Command& command) {
  Process& process = session.worker().process();
  Histograms all;
  for (uint32_t i = 0; i < process.workers(); ++i) process.board(i).command_times.add_to(all);
  const auto names = wanted_names(all, command);
  std::string out;
  resp::append_map(out, names.size(), session.resp());
  for (const std::string_view name : names) {
    resp::append_bulk(out, name);
    resp::append_map(out, 2, session.resp());
    resp::append_bulk(out, "calls");
    resp::append_integer(out, static_cast<int64_t>(all.at(name).count()));
    resp::append_bulk(out, "histogram_usec");
    append_buckets(out, all.at(name), session.resp());
  }
  session.reply(out);
}

}  // namespace corral::core
