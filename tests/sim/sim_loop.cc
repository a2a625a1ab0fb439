#include "sim_loop.h"

#include <algorithm>
#include <cstdio>

namespace corral::sim {

namespace {

constexpr size_t kKeptTrace = 20000;
constexpr size_t kReadableBytes = 160;
constexpr uint64_t kFnvPrime = 0x100000001B3;

}  // namespace

uint64_t Random::next() {
  uint64_t z = (state_ += 0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

void SimLoop::after(int64_t delay_us, std::function<void()> action) {
  events_.push({now_us_ + std::max<int64_t>(delay_us, 0), next_number_++, std::move(action)});
}

void SimLoop::run_until(int64_t time_us, const std::function<bool()>& done) {
  while (!events_.empty() && events_.top().time_us <= time_us) {
    // The queue lends its top only for reading; nothing looks at the moved-from event before pop().
    const auto action = std::move(const_cast<Event&>(events_.top()).action);
    now_us_ = events_.top().time_us;
    events_.pop();
    action();
    if (done()) return;
  }
  now_us_ = std::max(now_us_, time_us);
}

void SimLoop::hash(uint64_t stream, std::string_view bytes) {
  const auto mix = [this](uint64_t value) { hash_ = (hash_ ^ value) * kFnvPrime; };
  mix(stream);
  mix(static_cast<uint64_t>(now_us_));
  for (const char c : bytes) mix(static_cast<unsigned char>(c));
}

void SimLoop::add_trace(std::string text) {
  char time[32];
  std::snprintf(time, sizeof time, "%12.3f ms  ", static_cast<double>(now_us_) / 1000);
  traced_.push_back(time + std::move(text));
  if (traced_.size() > kKeptTrace) traced_.pop_front();
}

std::string readable(std::string_view bytes) {
  std::string out;
  for (const char c : bytes.substr(0, kReadableBytes)) {
    if (c == '\n') continue;
    out += c == '\r' ? '~' : c;
  }
  if (bytes.size() > kReadableBytes) out += "... (" + std::to_string(bytes.size()) + " bytes)";
  return out;
}

}  // namespace corral::sim
