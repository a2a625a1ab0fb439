#include "rush.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace corral::test {
namespace {

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

// MGET's reply is told by its elements: a client is told nil if any of them is.
bool tells_nil(const Reply& reply) {
  return reply.is_nil() || std::ranges::any_of(reply.elements, [](const Reply& element) { return element.is_nil(); });
}

}  // namespace

void Rush::run(const OnNil& on_nil) { run(on_nil, {"GET", key_}); }

void Rush::run(const OnNil& on_nil, const Args& ask) {
  waits_.assign(crowd_.size(), true);
  waiting_ = crowd_.size();
  asked_ = Clock::now();
  for (size_t i = 0; i < crowd_.size(); ++i) {
    crowd_.request(i, ask, [&, i](const Reply& reply) { answer(i, reply, on_nil); });
  }
  const bool all = crowd_.run_until([&] { return waiting_ == 0 && to_do_ == 0; });
  EXPECT_TRUE(all) << waiting_ << " clients are not answered, " << to_do_ << " things are not done";
  EXPECT_EQ(odd_, "");
}

void Rush::answer(size_t client, const Reply& reply, const OnNil& on_nil) {
  waits_[client] = false;
  --waiting_;
  const std::string& value = reply.elements.empty() ? reply.text : reply.elements[0].text;
  if (tells_nil(reply)) {
    nil_at_.push_back(Clock::now());
    on_nil(nils_++, client);
  } else if (std::ranges::find(values_, value) != values_.end()) {
    value_at_.push_back(Clock::now());
    ++filled_;
  } else {
    if (others_++ == 0) odd_ = to_string(reply);
  }
}

void Rush::fill(size_t client, const Args& write, const std::string& value) {
  values_.push_back(value);
  ++to_do_;
  crowd_.request(client, write, [&](const Reply& reply) {
    EXPECT_FALSE(reply.is_error()) << reply;
    acknowledged_ = Clock::now();
    --to_do_;
  });
}

void Rush::after(milliseconds delay, std::function<void()> action) {
  ++to_do_;
  crowd_.after(delay, [this, action = std::move(action)] {
    action();
    --to_do_;
  });
}

void Rush::del(size_t client) {
  ++to_do_;
  crowd_.request(client, {"DEL", key_}, [this](const Reply& reply) {
    EXPECT_EQ(reply, Reply::number(0));
    --to_do_;
  });
}

void Rush::leave(size_t client) {
  crowd_.close(client);
  if (waits_[client]) --waiting_;
  waits_[client] = false;
}

milliseconds Rush::second_nil() const {
  if (nil_at_.size() < 2) return milliseconds(0);
  return std::chrono::duration_cast<milliseconds>(nil_at_[1] - asked_);
}

milliseconds Rush::last() const {
  auto last = asked_;
  for (const auto* times : {&nil_at_, &value_at_}) {
    if (!times->empty()) last = std::max(last, times->back());
  }
  return std::chrono::duration_cast<milliseconds>(last - asked_);
}

std::string Rush::report() const {
  std::ostringstream out;
  out << nils_ << " nil, " << filled_ << " values, " << others_ << " others; the last answer after " << last().count()
      << " ms";
  if (value_at_.empty()) return out.str();
  // In the order in which they came; some may have come before the acknowledgement was read here.
  const auto since = [&](Clock::time_point at) { return std::max(0.0, ms_between(acknowledged_, at)); };
  out << "; values after the write's acknowledgement: median " << since(value_at_[value_at_.size() / 2]) << " ms, last "
      << since(value_at_.back()) << " ms";
  return out.str();
}

}  // namespace corral::test
