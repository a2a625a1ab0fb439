#include "traffic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace corral::test {
namespace {

milliseconds ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration_cast<milliseconds>(to - from);
}

}  // namespace

Traffic::Traffic(Crowd& crowd, TrafficOptions options) : crowd_(crowd), options_(std::move(options)) {}

void Traffic::fill() {
  ++under_way_;
  set(options_.first_client, begin_call());
  EXPECT_TRUE(crowd_.run_until([&] { return computed_ == 1; }));
}

void Traffic::start() {
  const size_t clients = std::min(options_.clients, crowd_.size() - options_.first_client);
  for (size_t i = 0; i < clients; ++i) {
    const auto part = options_.pause * static_cast<int>(i) / static_cast<int>(clients);
    crowd_.after(part, [this, client = options_.first_client + i] { ask(client); });
  }
}

void Traffic::stop() {
  stopped_ = true;
  EXPECT_TRUE(crowd_.run_until([&] { return under_way_ == 0; })) << under_way_ << " questions are not answered";
}

size_t Traffic::overlapping() const {
  return static_cast<size_t>(std::ranges::count_if(calls_, [](const Call& call) { return call.overlaps; }));
}

size_t Traffic::calls_before(milliseconds age) const {
  const auto too_soon = [&](const Call& call) { return &call != &calls_.front() && call.age < age; };
  return static_cast<size_t>(std::ranges::count_if(calls_, too_soon));
}

void Traffic::ask(size_t client) {
  if (stopped_) return;
  ++under_way_;
  const auto asked = Clock::now();
  crowd_.request(client, {"GET", options_.key}, [=, this](const Reply& reply) { take(client, asked, reply); });
}

void Traffic::take(size_t client, Clock::time_point asked, const Reply& reply) {
  ++reads_;
  longest_read_ = std::max(longest_read_, ms_between(asked, Clock::now()));
  if (reply.is_nil()) return crowd_.after(options_.origin, [=, this, call = begin_call()] { set(client, call); });
  if (reply.is_error()) {
    if (failed_reads_++ == 0 && !options_.may_fail) ADD_FAILURE() << "GET: " << reply;
  } else {
    judge_value(reply.text);
  }
  rest(client);
}

// A value is the number of the call that computed it.
void Traffic::judge_value(const std::string& text) {
  const size_t number = text.empty() ? calls_.size() : std::stoull(text);
  ASSERT_LT(number, calls_.size()) << "a value that nobody wrote: " << text;
  stalest_ = std::max(stalest_, ms_between(calls_[number].sent, Clock::now()) - options_.ttl);
}

size_t Traffic::begin_call() {
  Call call;
  call.told = Clock::now();
  call.overlaps = computing_++ > 0;
  for (const Call& before : calls_) {
    if (before.acked != Clock::time_point()) call.age = ms_between(before.sent, call.told);
  }
  calls_.push_back(call);
  return calls_.size() - 1;
}

void Traffic::set(size_t client, size_t number) {
  calls_[number].sent = Clock::now();
  const Args write = {"SET", options_.key, std::to_string(number), "PX", std::to_string(options_.ttl.count())};
  crowd_.request(client, write, [=, this](const Reply& reply) {
    Call& call = calls_[number];
    call.acked = Clock::now();
    call.refused = reply.is_error();
    if (call.refused && !options_.may_fail) ADD_FAILURE() << "SET: " << reply;
    --computing_;
    if (computed_++ > 0 || reads_ > 0) return rest(client);
    --under_way_;  // what fill() did
  });
}

void Traffic::rest(size_t client) {
  --under_way_;
  crowd_.after(options_.pause, [=, this] { ask(client); });
}

std::string Traffic::report() const {
  std::ostringstream out;
  out << reads_ << " reads, " << failed_reads_ << " failed; the origin was asked " << calls_.size() << " times, "
      << overlapping() << " of them while it was asked already; the longest read took " << longest_read_.count()
      << " ms, the stalest value was " << stalest_.count() << " ms over its TTL";
  return out.str();
}

}  // namespace corral::test
