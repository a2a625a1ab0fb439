#include "proxy/admin/live_feed.h"

#include <chrono>
#include <utility>

namespace corral::admin {

namespace {

using std::chrono::duration_cast, std::chrono::steady_clock, std::chrono::system_clock;

constexpr std::chrono::seconds kEvery{1};

std::string as_event(std::string_view name, uint64_t number, const std::string& data) {
  return "event: " + std::string(name) + "\nid: " + std::to_string(number) + "\ndata: " + data + "\n\n";
}

uint64_t now_us() {
  return static_cast<uint64_t>(
      duration_cast<std::chrono::microseconds>(steady_clock::now().time_since_epoch()).count());
}

int64_t wall_ms() { return duration_cast<std::chrono::milliseconds>(system_clock::now().time_since_epoch()).count(); }

}  // namespace

void LiveFeed::start() {
  thread_ = std::thread([this] { run(); });
}

void LiveFeed::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void LiveFeed::stop() {
  end();
  if (thread_.joinable()) thread_.join();
}

void LiveFeed::run() {
  auto due = steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!ended_) {
    const bool watched = viewers_ > 0;
    lock.unlock();
    take(watched);
    lock.lock();
    due += kEvery;
    const auto now = steady_clock::now();
    if (due < now) due = now;  // it was held up
    changed_.wait_until(lock, due, [&] { return ended_; });
  }
}

void LiveFeed::take(bool watched) {
  past_.add(take_sample(process_, now_us(), wall_ms()));
  if (!watched) return;
  const std::string snapshot = page_.text(past_, collector_.collect(PageSnapshot::kWish));
  const std::string history = history_text(past_);
  const std::lock_guard lock(mutex_);
  ++number_;
  latest_ = std::make_shared<const std::string>(as_event("snapshot", number_, snapshot));
  history_ = std::make_shared<const std::string>(as_event("history", number_, history));
  changed_.notify_all();
}

std::shared_ptr<LiveFeed::Viewer> LiveFeed::let_in() {
  const std::lock_guard lock(mutex_);
  if (ended_ || viewers_ == kMostViewers) return nullptr;
  if (viewers_++ == 0) latest_ = history_ = nullptr;  // they are of when somebody last watched
  return std::make_shared<Viewer>(*this);
}

LiveFeed::Viewer::~Viewer() {
  const std::lock_guard lock(feed_.mutex_);
  --feed_.viewers_;
}

LiveFeed::Text LiveFeed::Viewer::next() {
  std::unique_lock lock(feed_.mutex_);
  feed_.changed_.wait(lock, [&] { return feed_.ended_ || (feed_.latest_ && feed_.number_ > seen_); });
  if (feed_.ended_) return nullptr;
  if (!std::exchange(begun_, true)) return feed_.history_;
  seen_ = feed_.number_;
  return feed_.latest_;
}

}  // namespace corral::admin
