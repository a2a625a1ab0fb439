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
std::vector<SlowEntry> merged(const Session& session, const Replies& replies, const std::vector<SlowEntry>& own) {
  return whole_slow_log(replies, own, session.worker().process().slow_log().max_entries());
}

// Of one command, as LATENCY HISTOGRAM tells it: how many calls took up to so many microseconds.
struct Histogram {
  int64_t calls = 0;
  std::map<int64_t, int64_t> up_to_us;
};

Histogram read_histogram(const ReplyView& reply) {
  Histogram histogram;
  const auto fields = reply.elements();
  for (size_t i = 0; i + 1 < fields.size(); i += 2) {
    if (fields[i].text() == "calls") histogram.calls = fields[i + 1].integer().value_or(0);
    if (fields[i].text() != "histogram_usec") continue;
    const auto buckets = fields[i + 1].elements();
    for (size_t j = 0; j + 1 < buckets.size(); j += 2) {
      histogram.up_to_us[buckets[j].integer().value_or(0)] = buckets[j + 1].integer().value_or(0);
    }
  }
  return histogram;
}

int64_t count_up_to(const Histogram& histogram, int64_t us) {
  const auto next = histogram.up_to_us.upper_bound(us);
  return next == histogram.up_to_us.begin() ? 0 : std::prev(next)->second;
}

Histogram add(const Histogram& a, const Histogram& b) {
  Histogram sum;
  sum.calls = a.calls + b.calls;
  for (const Histogram* one : {&a, &b}) {
    for (const auto& [us, count] : one->up_to_us) sum.up_to_us[us] = count_up_to(a, us) + count_up_to(b, us);
  }
  return sum;
}

using Histograms = std::map<std::string, Histogram>;

void add_masters_histograms(const ReplyView& reply, Histograms& all) {
  const auto commands = reply.elements();
  for (size_t i = 0; i + 1 < commands.size(); i += 2) {
    const std::string name(commands[i].text());
    const Histogram one = read_histogram(commands[i + 1]);
    const Accounting accounting = accounting_of(name);
    if (accounting == Accounting::kByCorral) continue;
    Histogram& sum = all[name];
    if (accounting == Accounting::kSum) sum = add(sum, one);
    if (accounting == Accounting::kMost && one.calls > sum.calls) sum = one;
  }
}

// Whether LATENCY HISTOGRAM is to show `name`; no names: all. The name of a container stands for its subcommands.
bool is_wanted(const std::vector<std::string>& wanted, std::string_view name) {
  if (wanted.empty()) return true;
  const std::string_view container = name.substr(0, name.find('|'));
  return std::any_of(wanted.begin(), wanted.end(),
                     [&](const std::string& one) { return same_word(one, name) || same_word(one, container); });
}

// In the order of the words that asked for them.
std::vector<std::string> in_order(const Histograms& all, const std::vector<std::string>& wanted) {
  std::vector<std::string> names;
  if (wanted.empty()) {
    for (const auto& [name, histogram] : all) names.push_back(name);
  }
  for (const std::string& word : wanted) {
    for (const auto& [name, histogram] : all) {
      if (is_wanted({word}, name)) names.push_back(name);
    }
  }
  return names;
}

std::string histogram_reply(const Histograms& all, const std::vector<std::string>& names, int resp) {
  std::string out;
  resp::append_map(out, names.size(), resp);
  for (const std::string& name : names) {
    const Histogram& histogram = all.at(name);
    resp::append_bulk(out, name);
    resp::append_map(out, 2, resp);
    resp::append_bulk(out, "calls");
    resp::append_integer(out, histogram.calls);
    resp::append_bulk(out, "histogram_usec");
    resp::append_map(out, histogram.up_to_us.size(), resp);
    for (const auto& [us, count] : histogram.up_to_us) {
      resp::append_integer(out, us);
      resp::append_integer(out, count);
    }
  }
  return out;
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
    const auto entries = merged(asking, replies, own);
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
    resp::append_integer(out, static_cast<int64_t>(merged(asking, replies, own).size()));
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

void local_latency_histogram(Session& session, const Command& command) {
  std::vector<std::string> wanted;
  for (size_t i = 2; i < command.argc(); ++i) wanted.emplace_back(command.arg(i));
  Histograms own;
  for (const auto& [name, count] : session.worker().process().server_stats().counts()) {
    if (count.calls > 0 && is_wanted(wanted, name)) {
      own[std::string(name)] = {static_cast<int64_t>(count.calls), {{1, static_cast<int64_t>(count.calls)}}};
    }
  }
  ask_and_merge(session, command.bytes(), [wanted, own](const Session& asking, const Replies& replies) {
    Histograms all = own;
    for (const std::string& reply : replies) add_masters_histograms(ReplyView(reply), all);
    return histogram_reply(all, in_order(all, wanted), asking.resp());
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
