#include "proxy/core/near_fill.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "proxy/core/near.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/decimal.h"
#include "resp/refusal.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"
#include "resp/resp2_form.h"

namespace corral::core {

using policy::NearCache;
using resp::ReplyView;

namespace {

constexpr std::string_view kCachingFrame = "*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$3\r\nYES\r\n";
constexpr uint32_t kReplies = 3;
constexpr uint8_t kAskedResp2 = 1, kAskedResp3 = 2;

// The read's key is its first argument: behind the line that says how many there are, and the command's name.
std::string_view key_of(std::string_view frame) {
  size_t at = frame.find('\n') + 1;  // $3
  at = frame.find('\n', at) + 1;     // GET
  at = frame.find('\n', at) + 1;     // $5
  const size_t begin = frame.find('\n', at) + 1;
  size_t size = 0;
  for (const char c : frame.substr(at + 1, begin - at - 3)) size = size * 10 + static_cast<size_t>(c - '0');
  return frame.substr(begin, size);
}

// What a read answers of a key that is not there; of one that is there it may be the same.
bool tells_of_nothing(const ReplyView& reply) {
  if (reply.is_null()) return true;
  switch (reply.type()) {
    case ':':
      return reply.text() == "0";
    case '$':
      return reply.text().empty();
    case '+':
      return reply.text() == "none";
    case '*':
    case '~':
    case '%': {
      const auto elements = reply.elements();
      return std::all_of(elements.begin(), elements.end(), tells_of_nothing);
    }
    default:
      return false;
  }
}

}  // namespace

// What the clients are told, in either version; neither: they are to read for themselves.
struct Fill::Outcome {
  std::shared_ptr<const std::string> resp2, resp3;
  std::shared_ptr<const std::string> frame;
  std::shared_ptr<const LeaseRead> read;
  bool judged = false;
  std::shared_ptr<const std::string> slow = nullptr;  // the frame, if it took too long; then also how long
  uint64_t upstream_us = 0;
  NodeId node = kNoNode;
  std::shared_ptr<void> end = nullptr;  // of a failure: when it has reached all
};

Fill::Fill(const Where& where, const policy::NearRule& rule, std::string frame, LeaseRead read, bool judged)
    : where_(where), rule_(rule), frame_(std::move(frame)), read_(std::move(read)), judged_(judged) {}

void Fill::add(Worker& worker, const Request& request, bool alone) {
  waiters_.push_back({worker.index(), request, alone});
  asked_resp_.fetch_or(request.session->resp() == 3 ? kAskedResp3 : kAskedResp2, std::memory_order_relaxed);
}

void Fill::start(Worker& maker) {
  if (maker.index() == where_.home) return send(maker);
  maker.transport().post(where_.home, [this](Worker& home) { send(home); });
}

void Fill::send(Worker& home) {
  home_worker_ = &home;
  Link* link = home.usable_link(where_.node, LinkKind(3, where_.database, Tracking::kOptIn));
  if (!link || !home.process().near_cache()->vouches(where_.link, home.now64_ms())) {
    fail(home);
    delete this;
    return;
  }
  std::string bytes;
  bytes.reserve(kCachingFrame.size() + 2 * frame_.size() + 16);
  bytes.append(kCachingFrame).append(frame_);
  resp::append_command(bytes, {"PTTL", key_of(frame_)});
  Request request;
  request.task = this;
  request.slot = where_.slot;
  request.flags = kPiece | kNodeBound | kReadOnly;
  link->send(request, bytes);
}

void Fill::begin() {
  taken_ = 0;
  sent_ms_ = home_worker_->now64_ms();
}

bool Fill::take(std::string_view reply) {
  switch (++taken_) {
    case 1:
      may_keep_ = reply[0] != '-';
      return false;
    case 2:
      reply_ = reply;
      return false;
    default:
      const auto pttl_ms = ReplyView(reply).integer();
      may_keep_ = may_keep_ && pttl_ms.has_value();
      pttl_ms_ = pttl_ms.value_or(-2);
      return true;
  }
}

// An error of Corral's own comes before all replies have; a node's refusal among them.
void Fill::on_reply(uint32_t, std::string_view) {
  const bool refused = resp::parse_refusal(reply_).kind != resp::RefusalKind::kNone;
  if (!failed_) taken_ < kReplies || refused ? fail(*home_worker_) : land(*home_worker_);
  delete this;
}

// Those who want it get it as large replies are got; it is remembered that it is one.
void Fill::on_dropping() {
  NearCache::Landing landing;
  landing.too_large = true;
  landing.until_ms = sent_ms_ + static_cast<uint64_t>(rule_.ttl_ms);
  fail(*home_worker_, &landing);
}

// For how long what is kept of it; the forms are those that somebody has asked for.
NearCache::Landing Fill::weigh(std::string_view resp2) const {
  NearCache::Landing landing;
  landing.until_ms = sent_ms_ + static_cast<uint64_t>(rule_.ttl_ms);
  landing.deadline_ms = pttl_ms_ == -1 ? NearCache::kNeverMs : 0;
  if (pttl_ms_ >= 0) {
    landing.deadline_ms = sent_ms_ + static_cast<uint64_t>(pttl_ms_);
    landing.until_ms = std::min(landing.until_ms, landing.deadline_ms);
  }
  // While a slot moves, keys that were not there are made at its next owner, and the node that tracks them never knows.
  if (pttl_ms_ == -2) {
    const auto staleness_ms = static_cast<uint64_t>(home_worker_->settings().near_cache.max_staleness_ms);
    landing.until_ms = std::min(landing.until_ms, sent_ms_ + staleness_ms);
  }
  landing.too_large = reply_.size() > rule_.max_value_bytes;
  const uint8_t asked = asked_resp_.load(std::memory_order_relaxed);
  const bool same = resp2 == reply_;
  if (same || (asked & kAskedResp2)) landing.resp2 = resp2;
  if (same || (asked & kAskedResp3)) landing.resp3 = reply_;
  return landing;
}

void Fill::land(Worker& home) {
  home.seen_keys().on_reply(frame_, reply_);
  std::string resp2;
  resp::append_resp2_form(resp2, reply_);
  const bool is_error = ReplyView(reply_).is_error();
  const bool keep = may_keep_ && !is_error && (pttl_ms_ != -2 || tells_of_nothing(ReplyView(reply_)));
  NearCache& cache = *home.process().near_cache();
  std::vector<Waiter> waiters;
  const NearCache::Landing landing = weigh(resp2);
  cache.land(*this, keep ? &landing : nullptr, [&] { waiters.swap(waiters_); });
  waiters_.swap(waiters);
  Outcome outcome;
  outcome.judged = judged_;
  const uint64_t took_ms = home.now64_ms() - sent_ms_;
  if (home.process().slow_requests().wants(static_cast<uint32_t>(took_ms))) [[unlikely]] {
    outcome.slow = std::make_shared<const std::string>(frame_);
    outcome.upstream_us = took_ms * 1000;
    outcome.node = where_.node;
  }
  if (judged_) {
    read_.deadline_ms = is_error ? 0 : landing.deadline_ms;
    outcome.read = std::make_shared<const LeaseRead>(std::move(read_));
  }
  outcome.resp3 = std::make_shared<const std::string>(std::move(reply_));
  outcome.resp2 = resp2 == *outcome.resp3 ? outcome.resp3 : std::make_shared<const std::string>(std::move(resp2));
  hand_out(home, outcome);
}

void Fill::fail(Worker& home, const NearCache::Landing* landing) {
  failed_ = true;
  std::vector<Waiter> waiters;
  NearCache* cache = home.process().near_cache();
  cache->fail(*this, landing, [&] { waiters.swap(waiters_); });
  waiters_.swap(waiters);
  const std::shared_ptr<void> end(cache, [hash = read_.hash](NearCache* one) { one->end_failed(hash); });
  Outcome outcome;
  outcome.frame = std::make_shared<const std::string>(frame_);
  outcome.read = std::make_shared<const LeaseRead>(read_);
  outcome.end = end;
  hand_out(home, outcome);
}

void Fill::hand_out(Worker& home, const Outcome& outcome) {
  std::sort(waiters_.begin(), waiters_.end(), [](const Waiter& a, const Waiter& b) { return a.worker < b.worker; });
  for (auto first = waiters_.begin(); first != waiters_.end();) {
    const auto last = std::find_if(first, waiters_.end(), [&](const Waiter& w) { return w.worker != first->worker; });
    std::vector<Waiter> part(first, last);
    if (first->worker == home.index()) {
      give(home, part, outcome);
    } else {
      home.transport().post(first->worker,
                            [part = std::move(part), outcome](Worker& other) { give(other, part, outcome); });
    }
    first = last;
  }
}

void Fill::give(Worker& worker, const std::vector<Waiter>& waiters, const Outcome& outcome) {
  for (const Waiter& waiter : waiters) {
    Session& session = *waiter.request.session;
    if (session.near_fills.end()) session.resume(Session::kNear);
    if (!outcome.resp3) {
      worker.near()->read_plainly(waiter.request, *outcome.read, *outcome.frame, waiter.alone);
      continue;
    }
    if (outcome.slow) [[unlikely]] {
      // Who joined it has not waited for all of its time, perhaps for a short one only.
      const uint32_t waited_ms = worker.now_ms() - waiter.request.since_ms;
      const uint64_t upstream_us = std::min(outcome.upstream_us, uint64_t{waited_ms} * 1000);
      if (worker.process().slow_requests().wants(waited_ms)) {
        note_slow(worker, waiter.request, *outcome.slow, outcome.node, upstream_us);
      }
    }
    const std::string_view reply = session.resp() == 3 ? *outcome.resp3 : *outcome.resp2;
    if (!outcome.judged) {
      worker.answer(waiter.request, reply);
      continue;
    }
    auto read = std::make_unique<LeaseRead>(*outcome.read);
    read->request = waiter.request;
    read->alone = waiter.alone;
    worker.leases().deliver(std::move(read), reply);
  }
}

}  // namespace corral::core
