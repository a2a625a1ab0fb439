// The model's fills: what proxy/core/near_fill does.
#include <algorithm>
#include <memory>
#include <utility>

#include "near_model.h"

namespace corral::policy::model {

// What came of a fill, for those who wait for it.
struct Model::Outcome {
  bool failed;
  int key;
  uint64_t version, hash;
  std::shared_ptr<void> end;
};

void Model::start(Fill& fill, int worker) {
  if (worker == fill.link->home) return send(fill);
  post(worker, fill.link->home, [this, &fill] { send(fill); });
}

void Model::send(Fill& fill) {
  Tracked& link = *fill.link;
  if (!link.is_up || !cache_.vouches(link.number, time())) {
    fail(fill, false);
    delete &fill;
    return;
  }
  fill.sent = now_;
  link.fills.push_back(&fill);
  if (!link.is_alive) return;
  link.asked.push_back({.what = Asked::kRead, .key = fill.key});
  link.asked.push_back({.what = Asked::kPttl, .key = fill.key});
}

void Model::on_said(Tracked& link) {
  const Said said = link.said.front();
  link.said.pop_front();
  Fill* fill = link.fills.empty() ? nullptr : link.fills.front();
  switch (said.what) {
    case Said::kValue:
      fill->version = said.version;
      fill->answered = true;
      if (is_large(said.version)) fail(*fill, true);
      return;
    case Said::kMoved:
      if (!fill->answered) {
        fill->answered = fill->refused = true;
        return;
      }
      [[fallthrough]];
    case Said::kPttl:
      link.fills.pop_front();
      if (!fill->failed) fill->refused ? fail(*fill, false) : land(*fill, said);
      delete fill;
      return;
    case Said::kInvalid:
      say("link ", link.number, " says that ", said.key, " has changed");
      return cache_.invalidate(keys_[said.key]);
    case Said::kAllInvalid:
      return cache_.drop_link(link.number);
    case Said::kBeat:
      link.beat_awaited = false;
      if (link.epoch_seen != said.epoch) {
        if (link.epoch_seen != 0) cache_.drop_link(link.number);
        link.epoch_seen = said.epoch;
      }
      cache_.renew(link.number, at(said.sent + config_.staleness));
  }
}

void Model::land(Fill& fill, const Said& last) {
  const bool there = last.left != 0;
  const bool keep = last.what == Said::kPttl && (there || nodes_.about(fill.key, fill.version).absent);
  const uint64_t left = there ? last.left : kNever;
  const bool same = fill.version % 3 == 0;
  const uint64_t goes = left == kNever ? uint64_t{1} << 40 : fill.sent + left - 1;
  const std::string resp2 = text(same ? '=' : '2', fill.key, fill.command, fill.version);
  const std::string resp3 = text(same ? '=' : '3', fill.key, fill.command, fill.version);
  NearCache::Landing landing;
  landing.too_large = is_over_limit(fill.version);
  landing.until_ms = at(fill.sent + std::min<uint64_t>(left, kKept));
  landing.deadline_ms = at(goes) | fill.version;
  if (same || (fill.asked_resp & 1)) landing.resp2 = resp2;
  if (same || (fill.asked_resp & 2)) landing.resp3 = resp3;
  std::vector<Fill::Waiter> waiters;
  cache_.land(fill, keep ? &landing : nullptr, [&] { waiters.swap(fill.waiters); });
  fill.waiters.swap(waiters);
  say("fill of ", fill.key, fill.command, " landed with ", fill.version);
  interleave(fill.link->home);
  hand_out(fill, {false, fill.key, fill.version, fill.hash, nullptr});
}

void Model::fail(Fill& fill, bool too_large) {
  fill.failed = true;
  ++counts_.failed;
  NearCache::Landing landing;
  landing.too_large = true;
  landing.until_ms = at(fill.sent + kKept);
  std::vector<Fill::Waiter> waiters;
  cache_.fail(fill, too_large ? &landing : nullptr, [&] { waiters.swap(fill.waiters); });
  fill.waiters.swap(waiters);
  say("fill of ", fill.key, fill.command, " failed");
  interleave(fill.link->home);
  const std::shared_ptr<void> end(&cache_, [hash = fill.hash](NearCache* cache) { cache->end_failed(hash); });
  hand_out(fill, {true, fill.key, 0, fill.hash, end});
}

void Model::hand_out(Fill& fill, const Outcome& outcome) {
  const int home = fill.link->home;
  for (int worker = 0; worker < kWorkers; ++worker) {
    std::vector<Fill::Waiter> part;
    for (const Fill::Waiter& waiter : fill.waiters) {
      if (waiter.part.client->worker == worker) part.push_back(waiter);
    }
    if (part.empty()) continue;
    if (worker == home) {
      give(part, outcome);
    } else {
      post(home, worker, [this, part, outcome] { give(part, outcome); });
    }
  }
  fill.waiters.clear();
}

void Model::give(const std::vector<Fill::Waiter>& waiters, const Outcome& outcome) {
  for (const auto& [part, joined] : waiters) {
    end_fill(*part.client);
    if (!outcome.failed) {
      check_age("joined", outcome.key, outcome.version, joined);
      answer(part, outcome.version);
      continue;
    }
    cache_.begin_touch(outcome.hash, false, false);
    ++part.client->reads.requests;
    part.client->reads.mark(outcome.key);
    send_plain({part.client, part.op, part.place, true});
    interleave(part.client->worker);
  }
}

}  // namespace corral::policy::model
