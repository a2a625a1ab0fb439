#include "proxy/core/tracking_session.h"

#include <utility>

#include "proxy/core/session.h"
#include "proxy/core/tracking_clients.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Action;

namespace {

constexpr size_t kMostLate = 1000;  // then all has changed

bool is_client_command(const resp::CommandSpec& spec) {
  return spec.action >= Action::kClientId && spec.action <= Action::kClientTrackingInfo;
}

}  // namespace

std::string tracked_keys(const std::vector<std::string_view>& keys) {
  std::string out;
  resp::append_array(out, keys.size());
  for (const std::string_view key : keys) resp::append_bulk(out, key);
  return out;
}

std::string invalidation_push(std::string_view keys) {
  std::string frame = ">2\r\n$10\r\ninvalidate\r\n";
  frame += keys.empty() ? "_\r\n" : keys;
  return frame;
}

void SessionTracking::set_options(TrackingOptions options) {
  options_ = std::move(options);
  broken_ = false;
  if (!options_.broadcast) return;
  const bool own = options_.no_loop && reaches_somebody();
  const LinkKind wanted(own ? session_.resp() : 3, own ? session_.database() : 0, Tracking::kBroadcast);
  moved = established && feed != wanted;
  if (moved) established = false;
  feed = wanted;
}

bool SessionTracking::redirects() const { return options_.redirect != 0 && options_.redirect != session_.id(); }

bool SessionTracking::reaches_somebody() const { return session_.resp() == 3 || redirects(); }

// With NOLOOP and BCAST the commands go over the feed; not any more if the client changes its protocol meanwhile, and
// then it hears of its own changes too.
LinkKind SessionTracking::link_kind(int resp, uint16_t database) const {
  const bool reaches = resp == 3 || redirects();
  if (options_.broadcast) {
    const LinkKind own(resp, database, Tracking::kBroadcast);
    return options_.no_loop && own == feed ? own : LinkKind(resp, database);
  }
  const Tracking tracking = options_.no_loop ? Tracking::kNoLoop : Tracking::kAll;
  return {resp, database, reaches ? tracking : Tracking::kNone};
}

// --- which commands ---

Tracked SessionTracking::mark() const {
  const bool reads = options_.opt_in ? caching_ || caching_queued_ : !(options_.opt_out && caching_);
  return reads && !options_.broadcast ? Tracked::kReads : Tracked::kSeen;
}

// CLIENT CACHING holds for one command that is not CLIENT itself, or for one transaction. Within MULTI it is taken to
// hold for all of the transaction, or for nothing: so no key too few is remembered.
void SessionTracking::begin_command(const resp::CommandSpec* spec, bool queueing) {
  if (std::exchange(caching_used_, false)) caching_ = caching_queued_ = false;
  const Action action = spec ? spec->action : Action::kNone;
  const bool ends = action == Action::kExec || action == Action::kDiscard;
  if (queueing && !ends) {
    caching_queued_ |= action == Action::kClientCaching;
  } else if (action != Action::kMulti && !(spec && is_client_command(*spec))) {
    caching_used_ = caching_ || caching_queued_;
  }
  session_.set_tracked(mark());
}

// --- telling ---

void SessionTracking::raise_fence() { fence_ = session_.next_ticket(); }

void SessionTracking::note_read() {
  told_all_ = false;
  raise_fence();
}

void SessionTracking::tell(std::string_view keys) {
  if (!reaches_somebody()) {
    missed_ = true;
    return;
  }
  if (keys.empty() && std::exchange(told_all_, true)) return;  // every node says so after a FLUSHALL
  if (redirects()) return session_.worker().tracking().redirect(session_, keys);
  if (options_.broadcast) order_behind_reads();
  put(invalidation_push(keys));
}

// What is told of keys with a prefix does not come on the connections over which they are read: any reply that is due
// may be older. But a command that waits for what others do may wait for ever.
void SessionTracking::order_behind_reads() {
  if (!session_.blocked()) return raise_fence();
  const resp::CommandSpec* command = session_.last_command();
  repeats_all_ |= command && command->is(resp::kFlagReadOnly);
}

void SessionTracking::tell_what_was_missed() {
  if (missed_ && reaches_somebody()) {
    missed_ = false;
    tell({});
  }
}

void SessionTracking::set_broken() {
  broken_ = true;
  if (session_.resp() != 3) return;
  std::string frame = ">2\r\n$21\r\ntracking-redir-broken\r\n";
  resp::append_integer(frame, static_cast<int64_t>(options_.redirect));
  put(std::move(frame));
}

// The last thing done in a call: a client that does not read is closed.
void SessionTracking::put(std::string frame) {
  if (!late_.empty() || !session_.has_passed(fence_)) {
    if (late_.size() >= kMostLate) {
      late_.clear();
      frame = invalidation_push({});
    }
    late_.push_back({fence_, std::move(frame)});
  } else {
    session_.push(frame);
  }
}

void SessionTracking::on_progress() {
  std::string frames;
  if (std::exchange(repeats_all_, false)) frames = invalidation_push({});
  while (!late_.empty() && session_.has_passed(late_.front().behind)) {
    frames += late_.front().frame;
    late_.pop_front();
  }
  if (!frames.empty()) session_.push(frames);
}

}  // namespace corral::core
