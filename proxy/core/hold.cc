#include "proxy/core/hold.h"

#include <algorithm>
#include <set>
#include <vector>

#include "proxy/core/handlers.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

namespace {

constexpr std::string_view kOvertaken =
    "-TRYAGAIN the slot moved, and a later command on the same key has been executed\r\n";
constexpr uint8_t kPromptRedirects = 5;  // followed at once; later ones after a pause
constexpr size_t kWalkedInAMs = 1000;    // holds, at some tenth of a worker's time
constexpr uint32_t kAskHoldsMs = 20;     // a round trip or two, in which the others behind it have been refused too

bool is_before(const Request& a, const Request& b) { return static_cast<int32_t>(a.order - b.order) < 0; }

std::string unreachable(uint16_t slot, std::string_view why) {
  return "-CLUSTERDOWN no reachable owner of slot " + std::to_string(slot) + " (" + std::string(why) + ")\r\n";
}

}  // namespace

HoldTable::Holds::iterator HoldTable::find(const Request& request) {
  return holds_.find({request.session->id(), request.slot});
}

HoldTable::Holds::iterator HoldTable::obtain(const Request& request, uint32_t in_flight) {
  const auto [it, is_new] = holds_.try_emplace({request.session->id(), request.slot}, Hold{request.session, {}});
  if (is_new) {
    it->second.in_flight = in_flight;
    request.session->add_hold();
  }
  return it;
}

// For a request that came back from a link.
HoldTable::Holds::iterator HoldTable::obtain_for(Link& link, const Link::Pending& pending) {
  const auto it = find(pending.request);
  if (it == holds_.end()) {
    return obtain(pending.request, link.count(pending.request.session, pending.request.slot));
  }
  --it->second.in_flight;
  return it;
}

void HoldTable::erase(Holds::iterator it) {
  Session* session = it->second.session;
  holds_.erase(it);
  session->remove_hold();
}

bool HoldTable::queue_behind(const Request& request, std::string_view bytes) {
  const auto it = find(request);
  if (it == holds_.end()) return false;
  insert(it->second, {request, counted(bytes)});
  return true;
}

void HoldTable::add_unsent(const Request& request, std::string_view bytes, std::string_view why) {
  const auto it = obtain(request, 0);
  Held held{request, counted(bytes)};
  held.reason = unreachable(request.slot, why);
  it->second.queue.push_back(std::move(held));
  pause(it->second, request.attempts);
}

void HoldTable::add_refused(Link& link, const Link::Pending& pending, const resp::Refusal& refusal,
                            std::string_view reply) {
  const auto it = obtain_for(link, pending);
  Held held = returned(pending);
  ++held.request.attempts;
  held.reason = reply;
  bool pause_first = held.request.attempts > kPromptRedirects;
  if (refusal.kind == resp::RefusalKind::kMoved || refusal.kind == resp::RefusalKind::kAsk) {
    held.asking = refusal.kind == resp::RefusalKind::kAsk;
    held.asked_ms = worker_.now_ms();
    held.target = worker_.redirect_target(link, refusal, (held.request.flags & kScript) != 0);
    held.reason = "-TRYAGAIN slot " + std::to_string(pending.request.slot) + " is moving between nodes\r\n";
  } else {
    held.by_key = refusal.kind == resp::RefusalKind::kTryAgain;
    pause_first = true;
  }
  take_back(it, std::move(held), pause_first);
}

// A script may return the very words of a NOSCRIPT itself, and must then not run again. The node knows.
class ScriptCheck final : public Task {
 public:
  ScriptCheck(Worker& worker, const Request& request, std::string eval, std::string_view reply)
      : worker_(worker), request_(request), eval_(std::move(eval)), reply_(reply) {}

  void on_reply(uint32_t, std::string_view bytes) override {
    const auto exists = resp::ReplyView(bytes).elements();
    const bool missing = exists.size() == 1 && exists[0].integer() == 0;
    worker_.holds().on_script_checked(request_, eval_, !missing, reply_);
    delete this;
  }

 private:
  Worker& worker_;
  const Request request_;  // holds a reference to the session
  std::string eval_;
  const std::string reply_;
};

void HoldTable::add_unloaded(Link& link, const Link::Pending& pending, std::string eval, std::string_view reply) {
  link.on_script_lost();
  const auto it = obtain_for(link, pending);
  ++it->second.in_flight;  // nothing else is sent meanwhile
  Held held = returned(pending);
  held.checking = true;
  insert(it->second, std::move(held));
  const ParsedRequest parsed(worker_, evalsha_frame(worker_, {pending.bytes, pending.size}));
  std::string ask;
  resp::append_command(ask, {"SCRIPT", "EXISTS", parsed.command().arg(1)});
  Request check = pending.request;
  check.task = new ScriptCheck(worker_, pending.request, std::move(eval), reply);
  check.flags = kNodeBound | kReadOnly;
  check.session->add_reference();
  link.send(check, ask);
}

void HoldTable::on_script_checked(const Request& request, std::string_view eval, bool loaded, std::string_view reply) {
  const auto it = find(request);
  if (it == holds_.end()) return worker_.answer(request, reply);  // the worker stops
  Hold& hold = it->second;
  --hold.in_flight;
  const auto held = std::find_if(hold.queue.begin(), hold.queue.end(),
                                 [&](const Held& one) { return one.checking && one.request.order == request.order; });
  if (loaded || held->overtaken) {
    hold.queue.erase(held);
    worker_.answer(request, loaded ? reply : kOvertaken);
  } else {
    held->checking = false;
    held->bytes = counted(eval);
    held->request.flags |= kReloaded;
    held->reason = unreachable(request.slot, "its script was being loaded");
  }
  if (hold.in_flight == 0) settle(it);
}

void HoldTable::add_lost(Link& link, const Link::Pending& pending, std::string_view why) {
  const auto it = obtain_for(link, pending);
  Held held = returned(pending);
  ++held.request.attempts;
  held.reason = unreachable(pending.request.slot, why);
  take_back(it, std::move(held), true);
}

void HoldTable::take_back(Holds::iterator it, Held held, bool pause_first) {
  Hold& hold = it->second;
  const uint8_t attempts = held.request.attempts;
  insert(hold, std::move(held));
  if (pause_first) pause(hold, attempts);
  if (hold.in_flight == 0) settle(it);
}

// The queue is in the order of the requests, also when a part of it was sent and is refused once more.
void HoldTable::insert(Hold& hold, Held held) {
  const auto after = [](const Held& one, const Held& other) { return is_before(one.request, other.request); };
  hold.queue.insert(std::upper_bound(hold.queue.begin(), hold.queue.end(), held, after), std::move(held));
}

// Not beyond what the first of them may wait.
void HoldTable::pause(Hold& hold, uint8_t attempts) {
  const uint32_t most_ms = std::min(500u, 4u << std::min<uint8_t>(attempts, 7));
  const int64_t delay_ms = most_ms / 2 + static_cast<int64_t>(worker_.transport().random() % (most_ms / 2 + 1));
  const int64_t waited_ms = worker_.now_ms() - hold.queue.front().request.since_ms;
  const int64_t left_ms = std::max<int64_t>(0, worker_.settings().upstream.request_timeout_ms - waited_ms);
  hold.waiting = true;
  hold.retry_at_ms = worker_.now_ms() + static_cast<uint32_t>(std::min(delay_ms, left_ms));
}

void HoldTable::on_answered(const Link::Pending& pending) {
  if (pending.request.flags & kNodeBound) return;
  const auto it = find(pending.request);
  if (it == holds_.end()) return;
  Hold& hold = it->second;
  const std::string_view executed(pending.bytes, pending.size);
  std::vector<Request> overtaken;
  const auto is_earlier = [&](const Held& held) { return is_before(held.request, pending.request); };
  const auto end = std::partition_point(hold.queue.begin(), hold.queue.end(), is_earlier);
  for (auto held = hold.queue.begin(); held != end; ++held) {
    held->overtaken = held->overtaken || share_key(worker_, held->bytes, executed);
  }
  const auto gone = std::remove_if(hold.queue.begin(), end, [&](const Held& held) {
    if (!held.overtaken || held.checking) return false;
    overtaken.push_back(held.request);
    return true;
  });
  hold.queue.erase(gone, end);
  for (const Request& request : overtaken) {
    worker_.answer(request, kOvertaken);
  }
  if (--hold.in_flight == 0) settle(it);
}

void HoldTable::on_new_map(const SlotMap& map) {
  worker_.for_each_link([&](Link& link) {
    for (uint32_t i = 0; i < link.in_flight(); ++i) {
      const Request& request = link.pending(i).request;
      if (!request.session || request.slot == kNoSlot || (request.flags & (kNodeBound | kDiscard))) continue;
      if (map.owner[request.slot] == link.node() || find(request) != holds_.end()) continue;
      obtain(request, link.count(request.session, request.slot));
    }
  });
}

void HoldTable::on_detached(Link& link) {
  std::set<Key> writes;
  for (uint32_t i = 1; i < link.in_flight(); ++i) {
    const Request& request = link.pending(i).request;
    if (request.session && !(request.flags & kReadOnly)) writes.insert({request.session->id(), request.slot});
  }
  std::vector<std::pair<Request, std::string_view>> again;
  for (uint32_t i = 1; i < link.in_flight(); ++i) {
    Link::Pending& pending = link.pending(i);
    const Request request = pending.request;
    if (!request.session || request.slot == kNoSlot || (request.flags & (kNodeBound | kDiscard))) continue;
    if (find(request) != holds_.end()) continue;
    if (writes.contains({request.session->id(), request.slot})) {
      obtain(request, link.count(request.session, request.slot));
    } else {
      again.emplace_back(request, std::string_view(pending.bytes, pending.size));
      pending.request = {};
      pending.request.flags = kDiscard;
    }
  }
  for (const auto& [request, bytes] : again) worker_.send(request, bytes);
}

// Walks over all: the more there are, the more seldom.
int64_t HoldTable::run(uint32_t now_ms) {
  const auto rest_ms = static_cast<int64_t>(holds_.size() / kWalkedInAMs), passed_ms = int64_t{now_ms - ran_ms_};
  if (passed_ms < rest_ms) return rest_ms - passed_ms;
  ran_ms_ = now_ms;
  std::vector<Key> due;
  for (const auto& [key, hold] : holds_) {
    const bool goes_on = hold.waiting && static_cast<int32_t>(now_ms - hold.retry_at_ms) >= 0;
    if (hold.in_flight == 0 ? goes_on : has_expired(hold)) due.push_back(key);
  }
  for (const Key& key : due) {
    const auto it = holds_.find(key);
    if (it == holds_.end()) continue;
    it->second.in_flight == 0 ? settle(it) : expire(it);  // those under way are not waited for
  }
  int64_t next = -1;
  for (const auto& [key, hold] : holds_) {
    if (hold.in_flight > 0 || !hold.waiting) continue;
    const int64_t left = std::max({int64_t{1}, rest_ms, int64_t{static_cast<int32_t>(hold.retry_at_ms - now_ms)}});
    next = next < 0 ? left : std::min(next, left);
  }
  return next;
}

void HoldTable::settle(Holds::iterator it) {
  Hold& hold = it->second;
  if (hold.waiting && static_cast<int32_t>(worker_.now_ms() - hold.retry_at_ms) < 0) return;
  hold.waiting = false;
  forget_old_asks(hold);
  expire(it);
  if (hold.queue.empty()) return erase(it);
  send_front(it);
}

// An ASK is for the next moment only. Later the slot may have come, gone and be on its way there once more, and the
// node would take what its owner still has: the owner is asked again.
void HoldTable::forget_old_asks(Hold& hold) {
  for (Held& held : hold.queue) {
    if (!held.asking || worker_.now_ms() - held.asked_ms < kAskHoldsMs) continue;
    held.asking = false;
    held.target = kNoNode;
  }
}

bool HoldTable::has_expired(const Hold& hold) const {
  if (hold.queue.empty()) return false;
  const uint32_t waited_ms = worker_.now_ms() - hold.queue.front().request.since_ms;
  return waited_ms >= worker_.settings().upstream.request_timeout_ms;
}

// Answers what has waited for as long as a request may, or waits for a node that nobody is to wait for.
void HoldTable::expire(Holds::iterator it) {
  Hold& hold = it->second;
  const int64_t timeout = worker_.settings().upstream.request_timeout_ms;
  const NodeId owner = worker_.map().owner[it->first.second];
  const bool in_vain = !worker_.health().admits(owner);
  std::vector<std::pair<Request, std::string>> expired;
  std::erase_if(hold.queue, [&](Held& held) {
    if (held.checking) return false;  // what comes of it needs it
    const bool gives_up = in_vain && target_of(held) == owner;
    if (!gives_up && worker_.now_ms() - held.request.since_ms < timeout) return false;
    if (gives_up) {
      held.reason = worker_.health().refusal(owner, held.request.slot);
      worker_.stats().failed_fast.add();
    }
    if (held.reason.empty()) held.reason = unreachable(held.request.slot, "waited behind a refused command");
    expired.emplace_back(held.request, std::move(held.reason));
    return true;
  });
  for (const auto& [request, reason] : expired) worker_.answer(request, reason);
}

void HoldTable::abandon() {
  while (!holds_.empty()) {
    const auto it = holds_.begin();
    const auto queue = std::move(it->second.queue);
    erase(it);
    for (const Held& held : queue) {
      if (!held.checking) worker_.answer(held.request, "-CLUSTERDOWN the proxy is shutting down\r\n");
    }
  }
}

NodeId HoldTable::target_of(const Held& held) const {
  return held.target != kNoNode ? held.target : worker_.map().owner[held.request.slot];
}

void HoldTable::send_front(Holds::iterator it) {
  Hold& hold = it->second;
  if (hold.queue.front().by_key) send_by_key(hold);
  const bool asking = hold.queue.front().asking;
  const NodeId target = target_of(hold.queue.front());
  Link* link = worker_.usable_link(target, hold.session->link_kind());
  if (!link) {
    Held& front = hold.queue.front();
    front.target = kNoNode;
    front.asking = false;
    if (front.reason.empty()) front.reason = unreachable(front.request.slot, "not served by any known node");
    return pause(hold, front.request.attempts < 255 ? ++front.request.attempts : 255);
  }
  while (!hold.queue.empty()) {
    Held& held = hold.queue.front();
    if (held.asking != asking || held.by_key || target_of(held) != target) break;
    worker_.stats().retries.add(held.refused);
    asking ? link->send_asking(held.request, held.bytes) : link->send(held.request, held.bytes);
    ++hold.in_flight;
    hold.queue.pop_front();
  }
  if (hold.queue.empty() && !asking && target == worker_.map().owner[it->first.second]) erase(it);
}

// The keys of a read that merges may be on both sides of a moving slot: each of its keys becomes a request of its own.
void HoldTable::send_by_key(Hold& hold) {
  Held whole = std::move(hold.queue.front());
  hold.queue.pop_front();
  whole.by_key = false;
  auto parts = split_by_key(worker_, whole.request, whole.bytes);
  if (parts.empty()) {
    hold.queue.push_front(std::move(whole));
    return;
  }
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    Held held{part->request, counted(part->bytes), true};
    held.reason = whole.reason;
    hold.queue.push_front(std::move(held));
  }
}

}  // namespace corral::core
