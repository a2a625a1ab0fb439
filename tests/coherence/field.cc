#include "field.h"

#include "support/wait.h"

namespace corral::test {
namespace {

constexpr size_t kComplaintsKept = 3;                                      // each is some twenty lines
const Clock::time_point kBegin = Clock::now() - std::chrono::seconds(10);  // so that 0 is before everything

}  // namespace

Field::Field() : keys_(make_keys()), ports_(keys_.size()) {
  for (const Key& key : keys_) histories_.push_back(std::make_unique<KeyHistory>(key.name, key.counts(), bounds_));
}

Nanos Field::now() const { return std::chrono::nanoseconds(Clock::now() - kBegin).count(); }

void Field::complain(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (complaints_++ < kComplaintsKept) texts_.push_back("while " + phase_ + ": " + text);
}

std::string Field::first_complaints() {
  const std::lock_guard lock(mutex_);
  std::string all;
  for (const std::string& text : texts_) all += text + "\n";
  return all;
}

void Field::forget_complaints() {
  const std::lock_guard lock(mutex_);
  complaints_ = 0;
  texts_.clear();
}

void Field::set_phase(std::string phase) {
  const std::lock_guard lock(mutex_);
  phase_ = std::move(phase);
}

bool Field::begin_writing() {
  ++writing_;
  if (!held_) return true;
  --writing_;
  return false;
}

void Field::hold_writers() {
  held_ = true;
  require_eventually(
      "the writers rest", [&] { return writing_ == 0; }, milliseconds(60'000));
}

}  // namespace corral::test
