#include "proxy/core/acl_log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "resp/reply_builder.h"

namespace corral::core {

namespace {

constexpr int64_t kSameWithinUs = 60'000'000;
constexpr size_t kLookedThrough = 10;  // entries, for one that is the same

bool same(const AclLogEntry& a, const AclLogEntry& b) {
  return a.reason == b.reason && a.in_transaction == b.in_transaction && std::abs(a.at_us - b.at_us) <= kSameWithinUs &&
         a.object == b.object && a.user == b.user;
}

std::string_view name_of(AclLogEntry::Reason reason) {
  static constexpr std::string_view kNames[] = {"command", "key", "channel", "auth"};
  return kNames[static_cast<size_t>(reason)];
}

void append_double(std::string& out, double value, int resp) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.17g", value);
  if (resp == 2) return resp::append_bulk(out, text.data());
  out.append(",").append(text.data()).append("\r\n");
}

}  // namespace

void AclLog::add(AclLogEntry entry) {
  for (std::string* text : {&entry.object, &entry.user}) text->resize(std::min(text->size(), kMostBytes));
  const std::lock_guard lock(mutex_);
  auto it = entries_.begin();
  for (size_t i = 0; i < kLookedThrough && it != entries_.end() && !same(*it, entry); ++i) ++it;
  if (it != entries_.end() && same(*it, entry)) {
    entry.count += it->count;
    entries_.erase(it);
  }
  entries_.push_front(std::move(entry));
  if (entries_.size() > kMostKept) entries_.pop_back();
}

std::vector<AclLogEntry> AclLog::entries(size_t most) const {
  const std::lock_guard lock(mutex_);
  const auto count = static_cast<std::ptrdiff_t>(std::min(most, entries_.size()));
  return {entries_.begin(), std::next(entries_.begin(), count)};
}

void AclLog::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

std::string describe_acl_log(const std::vector<AclLogEntry>& entries, int64_t now_us, int resp) {
  std::string out;
  resp::append_array(out, entries.size());
  for (const AclLogEntry& entry : entries) {
    resp::append_map(out, 7, resp);
    resp::append_bulk(out, "count");
    resp::append_integer(out, static_cast<int64_t>(entry.count));
    resp::append_bulk(out, "reason");
    resp::append_bulk(out, name_of(entry.reason));
    resp::append_bulk(out, "context");
    resp::append_bulk(out, entry.in_transaction ? "multi" : "toplevel");
    resp::append_bulk(out, "object");
    resp::append_bulk(out, entry.object);
    resp::append_bulk(out, "username");
    resp::append_bulk(out, entry.user);
    resp::append_bulk(out, "age-seconds");
    append_double(out, static_cast<double>(now_us - entry.at_us) / 1e6, resp);
    resp::append_bulk(out, "client-info");
    resp::append_bulk(out, entry.client);
  }
  return out;
}

}  // namespace corral::core
