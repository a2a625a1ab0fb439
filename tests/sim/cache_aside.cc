// The cache-aside client of sim_actor.h. It waits for one thing at a time and has one lease at most, so that what it is
// told can be judged (lease_checks.h).
#include <algorithm>

#include "resp/reply_view.h"
#include "sim_actor.h"

namespace corral::sim {

using resp::ReplyView;

namespace {

constexpr int64_t kOnItsWayUs = 15'000;      // what is answered when all is well
constexpr int64_t kForgottenUs = 3'000'000;  // what is not

}  // namespace

void CacheAside::check(const std::string& key, const std::string& wrong) {
  if (!wrong.empty()) fail("key " + key + " " + wrong);
}

void CacheAside::round() {
  if (random().chance(plan_.together_percent)) return ask_for_all(pick_tag());
  const std::string key = "a{" + pick_tag() + "}:" + std::to_string(random().below(plan_.keys));
  if (random().chance(plan_.astray_percent / 2)) return random().chance(50) ? set(key) : remove(key);
  const KeyLog::Sent sent = checker_.log().on_sent(process_, key, loop_.now_us());
  ask({"GET", key}, [this, key, sent](const std::string& reply) {
    if (!is_fine(reply, false)) return round_over();
    if (plan_.calm) check(key, checker_.leases().on_answer(key, sent.us, loop_.now_us()));
    ReplyView(reply).is_null() ? on_nil(key, sent) : on_value(key, sent, reply);
  });
}

void CacheAside::on_value(const std::string& key, const KeyLog::Sent& sent, const std::string& reply) {
  check_value(key, sent, reply);
  round_over();
}

void CacheAside::check_value(const std::string& key, const KeyLog::Sent& sent, const std::string& reply) {
  std::string_view told;
  Writer writer;
  if (!parse_value(ReplyView(reply).text(), told, writer) || told != key) {
    return fail("key " + key + ": read another key's value: " + readable(reply));
  }
  check(key, checker_.log().on_value({process_, number_}, key, sent, writer));
}

// In one pipeline: what has another request behind it waits no longer than `wait_shared`; there may be several leases.
void CacheAside::ask_for_all(const std::string& tag) {
  missing_.clear();
  for (uint32_t i = 0; i < plan_.keys; ++i) {
    const std::string key = "a{" + tag + "}:" + std::to_string(i);
    const KeyLog::Sent sent = checker_.log().on_sent(process_, key, loop_.now_us());
    ask({"GET", key}, [this, key, sent](const std::string& reply) { on_one_of_many(key, sent, reply); });
  }
}

void CacheAside::on_one_of_many(const std::string& key, const KeyLog::Sent& sent, const std::string& reply) {
  const int64_t now_us = loop_.now_us();
  const LeaseTimes& times = checker_.leases().times;
  const bool is_last = !waits();
  if (plan_.calm && is_last) check(key, checker_.leases().on_answer(key, sent.us, now_us));
  if (plan_.calm && !is_last && now_us - sent.us > times.wait_shared_us + times.slack_us) {
    fail("key " + key + ": waited for " + std::to_string(now_us - sent.us) + " us, with another request behind it");
  }
  if (is_fine(reply, false)) {
    const bool is_nil = ReplyView(reply).is_null();
    is_nil ? missing_.push_back(key) : check_value(key, sent, reply);
    if (is_nil) check(key, checker_.leases().on_nil(process_, key, number_, false, sent.us, now_us));
  }
  if (!is_last) return;
  if (missing_.empty()) return round_over();
  later(plan_.compute_us, [this] {
    for (const std::string& each : missing_) set(each);
  });
}

// Who has waited in vain may have been told late what was so when it asked.
void CacheAside::on_nil(const std::string& key, const KeyLog::Sent& sent) {
  const int64_t now_us = loop_.now_us();
  if (!plan_.may_be_told_nil_early) {
    check(key, checker_.log().on_nothing({process_, number_}, key, sent, now_us));
    const int64_t since_us = std::max(sent.us, now_us - kOnItsWayUs);
    if (plan_.calm && !checker_.log().was_absent(key, since_us, !plan_.tracked)) {
      fail("key " + key + " was told nil long after the key had been set: nobody woke it");
    }
  }
  const bool waits = holds_until_us_ < sent.us;
  check(key, checker_.leases().on_nil(process_, key, number_, waits, sent.us, now_us));
  later(plan_.compute_us, [this, key] {
    if (!random().chance(plan_.astray_percent)) return set(key);
    keep_lease();
    random().chance(50) ? remove(key) : round_over();
  });
}

void CacheAside::keep_lease() { holds_until_us_ = loop_.now_us() + 2 * checker_.leases().times.lease_us; }

// What it was writing may still be done.
void CacheAside::on_leaving() {
  checker_.leases().on_gone(number_, loop_.now_us());
  loop_.after(kForgottenUs, [this, keys = writing_] {
    for (const std::string& key : keys) checker_.leases().on_write_over(key, false, loop_.now_us());
  });
}

void CacheAside::set(const std::string& key) {
  const uint32_t number = ++values_;
  const KeyLog::Sent sent = checker_.log().on_sent(process_, key, loop_.now_us());
  checker_.leases().on_write_sent(key);
  writing_.push_back(key);
  const std::string ttl = std::to_string(random().between(plan_.ttl_ms / 2, plan_.ttl_ms));
  ask({"SET", key, make_value(key, number_, number, 0), "PX", ttl},
      [this, key, sent, number](const std::string& reply) {
        const bool fine = is_fine(reply, true);
        if (fine) checker_.log().on_stored({process_, number_}, key, sent, {number_, number});
        if (!fine) keep_lease();
        checker_.leases().on_write_over(key, fine, loop_.now_us());
        std::erase(writing_, key);
        if (!waits()) round_over();
      });
}

void CacheAside::remove(const std::string& key) {
  const KeyLog::Sent sent = checker_.log().on_sent(process_, key, loop_.now_us());
  checker_.leases().on_write_sent(key);
  writing_.push_back(key);
  ask({"DEL", key}, [this, key, sent](const std::string& reply) {
    if (is_fine(reply, true)) checker_.log().on_removed({process_, number_}, key, sent, reply == ":1\r\n");
    checker_.leases().on_write_over(key, false, loop_.now_us());
    std::erase(writing_, key);
    if (!waits()) round_over();
  });
}

}  // namespace corral::sim
