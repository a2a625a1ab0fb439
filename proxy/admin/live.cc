#include "proxy/admin/live.h"

#include <algorithm>
#include <utility>

#include "proxy/admin/process_facts.h"
#include "proxy/admin/state.h"
#include "proxy/core/gather.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::admin {

namespace {

constexpr core::SnapshotWish kWish{.clients = 50, .hot_keys = 400, .big_keys = 50};

int64_t wall_clock_us() {
  using std::chrono::duration_cast, std::chrono::microseconds, std::chrono::system_clock;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace

/// Comes from a worker when the nodes have answered.
struct Live::SlowLogAnswer {
  std::mutex mutex;
  std::vector<core::SlowEntry> entries;
};

Live::Live(core::Process& process, Collector& collector, Post post)
    : process_(process), collector_(collector), post_(std::move(post)) {}

Live::~Live() { stop(); }

void Live::start() {
  thread_ = std::thread([this] { run(); });
}

void Live::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Live::run() {
  auto due = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    awaited_ = false;
    lock.unlock();
    take_turn();
    lock.lock();
    due = std::max(due + kPeriod, std::chrono::steady_clock::now());
    changed_.wait_until(lock, due, [this] { return stopping_ || awaited_; });
  }
}

void Live::take_turn() {
  bool watched;
  {
    const std::lock_guard lock(mutex_);
    watched = watchers_ > 0;
  }
  if (!watched) return history_.add(take_sample(process_, nullptr, wall_clock_us()));
  if (!slow_asked_ || turns_++ % kSlowLogPeriods == 0) ask_slow_log();
  const core::WorkerSnapshot snapshot = collector_.collect(kWish);
  history_.add(take_sample(process_, &snapshot, wall_clock_us()));
  const ProcessFacts facts = process_facts();
  std::vector<core::SlowEntry> slow_log;
  {
    const std::lock_guard lock(slow_asked_->mutex);
    slow_log = slow_asked_->entries;
  }
  const View view{process_, snapshot, history_, slow_log, facts, draining_};
  auto whole = std::make_shared<const std::string>(state_json(view, true));
  auto latest = std::make_shared<const std::string>(state_json(view, false));
  {
    const std::lock_guard lock(mutex_);
    whole_ = std::move(whole);
    latest_ = std::move(latest);
    ++number_;
  }
  changed_.notify_all();
}

// What comes later than the next question is of no use any more, and goes nowhere.
void Live::ask_slow_log() {
  auto answer = std::make_shared<SlowLogAnswer>();
  if (slow_asked_) {
    const std::lock_guard lock(slow_asked_->mutex);
    answer->entries = slow_asked_->entries;
  }
  slow_asked_ = answer;
  post_(0, [answer, &process = process_](core::Worker& worker) {
    std::string bytes;
    resp::append_command(bytes, {"SLOWLOG", "GET", "20"});
    core::ask_masters(worker, bytes, [answer, &process](const core::Replies& replies) {
      auto entries = core::whole_slow_log(replies, process.slow_log().entries(), process.slow_log().max_entries());
      const std::lock_guard lock(answer->mutex);
      answer->entries = std::move(entries);
    });
  });
}

Live::Watcher::Watcher(Live& live) : live_(live) {
  {
    const std::lock_guard lock(live_.mutex_);
    ++live_.watchers_;
    live_.awaited_ = true;
    seen_ = live_.number_;
  }
  live_.changed_.notify_all();
}

Live::Watcher::~Watcher() {
  const std::lock_guard lock(live_.mutex_);
  --live_.watchers_;
}

std::shared_ptr<const std::string> Live::Watcher::next() {
  std::unique_lock lock(live_.mutex_);
  live_.changed_.wait(lock, [this] { return live_.stopping_ || live_.number_ > seen_; });
  if (live_.stopping_) return nullptr;
  const bool is_first = std::exchange(first_, false);
  seen_ = live_.number_;
  return is_first ? live_.whole_ : live_.latest_;
}

}  // namespace corral::admin
