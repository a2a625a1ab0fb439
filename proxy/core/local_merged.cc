// SLOWLOG, LATENCY and MEMORY: one answer of what all masters answer.
#include <algorithm>
#include <map>

#include "proxy/core/command_names.h"
#include "proxy/core/gather.h"
#include "proxy/core/local.h"
#include "proxy/core/slow_log.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

using resp::Command;
using resp::ReplyView;

namespace {

constexpr int64_t kSlowLogDefaultCount = 10;
constexpr size_t kMostLatencySamples = 160;  // Redis: latency.h, LATENCY_TS_LEN

std::string slow_log_command() {
  std::string bytes;
  resp::append_command(bytes, {"SLOWLOG", "GET", "-1"});
  return bytes;
}

// `own`: as it was when the command came, so that SLOWLOG does not show itself.
std::vector<SlowEntry> whole_slow_log(const Session& session, const Replies& replies,
                                      const std::vector<SlowEntry>& own) {
  std::vector<std::vector<SlowEntry>> lists;
  for (const std::string& reply : replies) {
    lists.push_back(read_slow_log(ReplyView(reply)));
    // Numbers that differ, although each master counts for itself.
    for (SlowEntry& entry : lists.back()) {
      entry.id = entry.id * static_cast<int64_t>(replies.size() + 1) + static_cast<int64_t>(lists.size());
    }
  }
  lists.push_back(own);
  for (SlowEntry& entry : lists.back()) entry.id *= static_cast<int64_t>(replies.size() + 1);
  auto merged = merge_slow_logs(lists);
  merged.resize(std::min(merged.size(), session.worker().process().slow_log().max_entries()));
  return merged;
}

// Maps are merged by name and numbers added; of everything else the first is taken.
void append_sum(std::string& out, const std::vector<ReplyView>& values, int resp) {
  const ReplyView& first = values.front();
  if (first.type() == ':') {
    int64_t sum = 0;
    for (const ReplyView& value : values) sum += value.integer().value_or(0);
    return resp::append_integer(out, sum);
  }
  if (!first.is_aggregate()) {
    out += first.bytes();
    return;
  }
  std::vector<std::pair<std::string_view, std::vector<ReplyView>>> fields;
  for (const ReplyView& value : values) {
    const auto elements = value.elements();
    for (size_t i = 0; i + 1 < elements.size(); i += 2) {
      const std::string_view name = elements[i].text();
      auto field = std::find_if(fields.begin(), fields.end(), [&](auto& known) { return known.first == name; });
      if (field == fields.end()) field = fields.insert(fields.end(), {name, {}});
      field->second.push_back(elements[i + 1]);
    }
  }
  resp::append_map(out, fields.size(), resp);
  for (const auto& [name, of_all] : fields) {
    resp::append_bulk(out, name);
    const bool is_average = name.find("per-key") != std::string_view::npos;
    append_sum(out, is_average ? std::vector<ReplyView>{of_all.front()} : of_all, resp);
  }
}

}  // namespace

void local_slowlog_get(Session& session, const Command& command) {
  std::optional<int64_t> count = kSlowLogDefaultCount;
  if (command.argc() > 3) return reply_subcommand_syntax(session, command);
  if (command.argc() == 3) count = resp::parse_decimal(command.arg(2));
  if (!count || *count < -1) return session.reply_error("ERR count should be greater than or equal to -1");
  const size_t most = *count < 0 ? SIZE_MAX : static_cast<size_t>(*count);
  const auto own = session.worker().process().slow_log().entries();
  ask_and_merge(session, slow_log_command(), [most, own](const Session& asking, const Replies& replies) {
    const auto entries = whole_slow_log(asking, replies, own);
    const size_t shown = std::min(most, entries.size());
    std::string out;
    resp::append_array(out, shown);
    for (size_t i = 0; i < shown; ++i) append_slow_entry(out, entries[i]);
    return out;
  });
}

void local_slowlog_len(Session& session, const Command&) {
  const auto own = session.worker().process().slow_log().entries();
  ask_and_merge(session, slow_log_command(), [own](const Session& asking, const Replies& replies) {
    std::string out;
    resp::append_integer(out, static_cast<int64_t>(whole_slow_log(asking, replies, own).size()));
    return out;
  });
}

// Of each kind of event the latest one, and the longest ever.
void local_latency_latest(Session& session, const Command& command) {
  ask_and_merge(session, command.bytes(), [](const Session&, const Replies& replies) {
    struct Event {
      int64_t time_s = 0, latest_ms = 0, longest_ms = 0;
    };
    std::map<std::string, Event> events;
    for (const std::string& reply : replies) {
      for (const ReplyView& element : ReplyView(reply).elements()) {
        const auto fields = element.elements();
        if (fields.size() < 4) continue;
        Event& event = events[std::string(fields[0].text())];
        const Event one{fields[1].integer().value_or(0), fields[2].integer().value_or(0),
                        fields[3].integer().value_or(0)};
        if (one.time_s >= event.time_s) event.time_s = one.time_s, event.latest_ms = one.latest_ms;
        event.longest_ms = std::max(event.longest_ms, one.longest_ms);
      }
    }
    std::string out;
    resp::append_array(out, events.size());
    for (const auto& [name, event] : events) {
      resp::append_array(out, 4);
      resp::append_bulk(out, name);
      for (const int64_t value : {event.time_s, event.latest_ms, event.longest_ms}) resp::append_integer(out, value);
    }
    return out;
  });
}

void local_latency_history(Session& session, const Command& command) {
  ask_and_merge(session, command.bytes(), [](const Session&, const Replies& replies) {
    std::multimap<int64_t, std::string> samples;  // by time
    for (const std::string& reply : replies) {
      for (const ReplyView& sample : ReplyView(reply).elements()) {
        const auto fields = sample.elements();
        if (!fields.empty()) samples.emplace(fields[0].integer().value_or(0), sample.bytes());
      }
    }
    while (samples.size() > kMostLatencySamples) samples.erase(samples.begin());
    std::string out;
    resp::append_array(out, samples.size());
    for (const auto& [time, sample] : samples) out += sample;
    return out;
  });
}

void local_memory_stats(Session& session, const Command& command) {
  ask_and_merge(session, command.bytes(), [](const Session& asking, const Replies& replies) {
    std::string out;
    append_sum(out, {replies.begin(), replies.end()}, asking.resp());
    return out;
  });
}

// Advice: of the masters, the one with the most to say.
void local_longest_text(Session& session, const Command& command) {
  ask_and_merge(session, command.bytes(), [](const Session&, const Replies& replies) {
    return *std::max_element(replies.begin(), replies.end(),
                             [](const auto& a, const auto& b) { return a.size() < b.size(); });
  });
}

}  // namespace corral::core
