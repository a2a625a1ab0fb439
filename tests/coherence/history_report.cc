// How a violation is told: the read, what is held against it, and the last writes of the key.
#include <algorithm>
#include <cstdio>

#include "history.h"

namespace corral::test {
namespace {

constexpr uint64_t kWritesShown = 16;

std::string time_text(Nanos time) {
  if (time >= kNever) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", static_cast<double>(time) / 1e6);
  return text;
}

std::string seen_text(Seen seen) {
  if (seen.type == Seen::Type::kNothing) return "nothing";
  if (seen.type == Seen::Type::kPresent) return "that the key is there";
  const char* what = seen.type == Seen::Type::kLength ? "the length of version " : "version ";
  return what + std::to_string(seen.version);
}

}  // namespace

const char* name_of(Way way) {
  static constexpr const char* kNames[kWays] = {"proxy A", "proxy B", "direct"};
  return kNames[way];
}

std::string KeyHistory::describe(const Write& write) const {
  static constexpr const char* kOutcomes[] = {"unanswered", "done", "refused", "in doubt"};
  std::string text = "version " + std::to_string(write.id) + ": " + write.command + " by " + name_of(write.way) +
                     ", sent " + time_text(write.sent) + ", answered " + time_text(write.answered) + ", " +
                     kOutcomes[static_cast<size_t>(write.outcome)];
  if (write.kind == Kind::kDelete) text += ", removes the key";
  if (write.ttl > 0) text += ", TTL " + time_text(write.ttl) + " until " + time_text(write.deadline);
  if (counts_) text += ", count " + std::to_string(write.count);
  return text;
}

std::string KeyHistory::last_writes() const {
  std::string text = "\n  the last writes (times in ms):";
  for (uint64_t i = 0; i < std::min(kWritesShown, last_id_); ++i) {
    text += "\n    " + describe(writes_[(last_id_ - i) % writes_.size()]);
  }
  return text;
}

std::string KeyHistory::report(const ReadMark& mark, Seen seen, Nanos now, const char* command,
                               const Verdict& verdict) {
  std::string text = verdict.guarantee + " broken: " + command + " of " + name_ + " by " + name_of(mark.way) +
                     ", sent " + time_text(mark.sent) + ", answered " + time_text(now) + ", returned " +
                     seen_text(seen);
  const Write* of_floor = find(verdict.floor.id);
  if (of_floor) text += "\n  held against it: " + describe(*of_floor);
  if (!of_floor && verdict.floor.rank > 0) text += "\n  held against it: " + std::to_string(verdict.floor.rank);
  const Write* returned = seen.version != 0 && !counts_ ? find(seen.version) : nullptr;
  if (returned) text += "\n  what it returned: " + describe(*returned);
  return text + last_writes();
}

}  // namespace corral::test
