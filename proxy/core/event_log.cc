#include "proxy/core/event_log.h"

#include <algorithm>
#include <utility>

namespace corral::core {

std::string_view name_of(EventKind kind) {
  switch (kind) {
    case EventKind::kLink:
      return "link";
    case EventKind::kTopology:
      return "topology";
    case EventKind::kFailover:
      return "failover";
    case EventKind::kSettings:
      break;
  }
  return "settings";
}

void EventLog::add(int64_t now_us, EventKind kind, bool bad, std::string text) {
  const std::lock_guard lock(mutex_);
  LoggedEvent event{next_number_++, now_us, kind, bad, 1, std::move(text)};
  const auto same = std::find_if(events_.begin(), events_.end(), [&](const LoggedEvent& earlier) {
    return earlier.kind == kind && earlier.text == event.text && now_us - earlier.time_us < kSameUs;
  });
  if (same != events_.end()) {
    event.times += same->times;
    events_.erase(same);
  }
  events_.push_front(std::move(event));
  if (events_.size() > kMostKept) events_.pop_back();
}

std::vector<LoggedEvent> EventLog::events() const {
  const std::lock_guard lock(mutex_);
  return {events_.begin(), events_.end()};
}

}  // namespace corral::core
