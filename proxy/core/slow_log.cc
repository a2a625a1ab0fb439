#include "proxy/core/slow_log.h"

#include <algorithm>

#include "proxy/core/command_names.h"
#include "proxy/core/secret_arguments.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::ReplyView;

namespace {

constexpr size_t kMostArgs = 32, kMostArgBytes = 128;
constexpr std::string_view kOwnName = "corral";  // of connections to nodes: link.cc

// What Corral answers itself, a node gets only from Corral for its own purposes.
enum class Origin : uint8_t { kClient, kAllMasters, kCorral };

Origin origin_of(const SlowEntry& entry) {
  if (entry.client_name != kOwnName || entry.args.empty()) return Origin::kClient;
  const resp::CommandSpec* spec = find_by_words(entry.args[0], entry.args.size() > 1 ? entry.args[1] : "");
  if (!spec) return Origin::kClient;
  if (spec->handling == resp::Handling::kLocal) return Origin::kCorral;
  return spec->handling == resp::Handling::kFanOut ? Origin::kAllMasters : Origin::kClient;
}

std::string trimmed(std::string_view arg) {
  if (arg.size() <= kMostArgBytes) return std::string(arg);
  return std::string(arg.substr(0, kMostArgBytes)) + "... (" + std::to_string(arg.size() - kMostArgBytes) +
         " more bytes)";
}

bool same_command(const SlowEntry& a, const SlowEntry& b) {
  return a.at_all_masters && b.at_all_masters && a.args == b.args;
}

}  // namespace

std::vector<SlowEntry> read_slow_log(const ReplyView& reply) {
  std::vector<SlowEntry> entries;
  for (const ReplyView& element : reply.elements()) {
    const auto fields = element.elements();
    if (fields.size() < 4) continue;
    SlowEntry entry;
    entry.id = fields[0].integer().value_or(0);
    entry.time_s = fields[1].integer().value_or(0);
    entry.duration_us = fields[2].integer().value_or(0);
    for (const ReplyView& arg : fields[3].elements()) entry.args.emplace_back(arg.text());
    if (fields.size() > 4) entry.client = fields[4].text();
    if (fields.size() > 5) entry.client_name = fields[5].text();
    const Origin origin = origin_of(entry);
    entry.at_all_masters = origin == Origin::kAllMasters;
    if (origin != Origin::kCorral) entries.push_back(std::move(entry));
  }
  return entries;
}

// A merge of sorted lists, in which an entry that went to all masters has to wait until it is the first of each list
// that has it: so nothing that a master logged later comes behind it.
std::vector<SlowEntry> merge_slow_logs(const std::vector<std::vector<SlowEntry>>& lists) {
  std::vector<SlowEntry> merged;
  std::vector<size_t> at(lists.size(), 0);
  const auto is_behind = [&](const SlowEntry& entry, size_t list) {  // in this list, but not first
    const auto first = lists[list].begin() + static_cast<ptrdiff_t>(at[list]);
    if (first == lists[list].end() || same_command(*first, entry)) return false;
    return std::any_of(first, lists[list].end(), [&](const SlowEntry& other) { return same_command(other, entry); });
  };
  for (;;) {
    const SlowEntry* best = nullptr;
    bool best_waits = false;
    for (size_t i = 0; i < lists.size(); ++i) {
      if (at[i] == lists[i].size()) continue;
      const SlowEntry& head = lists[i][at[i]];
      bool waits = false;
      for (size_t j = 0; head.at_all_masters && !waits && j < lists.size(); ++j) waits = is_behind(head, j);
      // Of the same second, what one master logged alone may be later than what all did.
      const auto rank = [](const SlowEntry& entry) { return std::pair(entry.time_s, !entry.at_all_masters); };
      if (best && (waits != best_waits ? waits : rank(head) <= rank(*best))) continue;
      best = &head;
      best_waits = waits;
    }
    if (!best) return merged;
    merged.push_back(*best);
    for (size_t i = 0; i < lists.size(); ++i) {
      if (at[i] == lists[i].size()) continue;
      const SlowEntry& head = lists[i][at[i]];
      if (&head == best || same_command(head, merged.back())) {
        merged.back().duration_us = std::max(merged.back().duration_us, head.duration_us);
        ++at[i];
      }
    }
  }
}

void append_slow_entry(std::string& out, const SlowEntry& entry) {
  resp::append_array(out, 6);
  resp::append_integer(out, entry.id);
  resp::append_integer(out, entry.time_s);
  resp::append_integer(out, entry.duration_us);
  resp::append_array(out, entry.args.size());
  for (const std::string& arg : entry.args) resp::append_bulk(out, arg);
  resp::append_bulk(out, entry.client);
  resp::append_bulk(out, entry.client_name);
}

std::vector<std::string> shown_arguments(const resp::Command& command, const resp::CommandSpec& spec) {
  std::vector<std::string> args;
  const size_t shown = std::min(command.argc(), kMostArgs);
  const std::set<size_t> secret = secret_arguments(command, spec);
  for (size_t i = 0; i < shown; ++i) {
    args.push_back(secret.contains(i) ? std::string(kRedacted) : trimmed(command.arg(i)));
  }
  if (command.argc() > kMostArgs) {
    args.back() = "... (" + std::to_string(command.argc() - kMostArgs + 1) + " more arguments)";
  }
  return args;
}

void SlowLog::add(int64_t wall_us, int64_t duration_us, const resp::Command& command, const resp::CommandSpec& spec,
                  std::string_view client, std::string_view client_name) {
  SlowEntry entry;
  entry.time_s = wall_us / 1'000'000;
  entry.duration_us = duration_us;
  entry.args = shown_arguments(command, spec);
  entry.client = client;
  entry.client_name = client_name;
  const std::lock_guard lock(mutex_);
  entry.id = next_id_++;
  if (entries_.size() >= std::min(kMostKept, max_entries())) entries_.erase(entries_.begin());
  entries_.push_back(std::move(entry));
}

std::vector<SlowEntry> SlowLog::entries() const {
  const std::lock_guard lock(mutex_);
  return {entries_.rbegin(), entries_.rend()};
}

void SlowLog::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

void SlowLog::set_max_entries(size_t most) {
  max_entries_.store(most, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  if (entries_.size() > most) entries_.erase(entries_.begin(), entries_.end() - static_cast<ptrdiff_t>(most));
}

}  // namespace corral::core
