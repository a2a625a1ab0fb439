#include "history.h"

#include <algorithm>

namespace corral::test {
namespace {

constexpr size_t kWritesKept = 2048;  // a read of an older version is as old as can be
static_assert(kWritesKept % kLengths == 0);
constexpr size_t kVanishingsKept = 2048;
constexpr uint64_t kRemembered = 1024;    // writes while a read is under way, after which what it saw may be forgotten
constexpr uint64_t kMayStillExpire = 64;  // the last writes, of which one may be there when a TTL is given

void raise(ReadMark::Floor& floor, ReadMark::Floor to) {
  if (to.rank > floor.rank) floor = to;
}

}  // namespace

KeyHistory::KeyHistory(std::string name, bool counts, const Bounds& bounds)
    : name_(std::move(name)), counts_(counts), bounds_(bounds), writes_(kWritesKept) {}

// --- writes ---

KeyHistory::Write& KeyHistory::add(Kind kind, Way way, const char* command, Nanos sent, Nanos ttl) {
  const uint64_t id = ++last_id_;
  Write& write = writes_[id % kWritesKept];
  write = Write();
  write.id = id, write.kind = kind, write.way = way, write.command = command, write.sent = sent, write.ttl = ttl;
  return write;
}

KeyHistory::Write* KeyHistory::find(uint64_t id) {
  Write& write = writes_[id % kWritesKept];
  return id != 0 && write.id == id ? &write : nullptr;
}

uint64_t KeyHistory::begin_put(Way way, const char* command, Nanos sent, Nanos ttl) {
  const std::lock_guard lock(mutex_);
  const Write& write = add(Kind::kPut, way, command, sent, ttl);
  if (ttl > 0) may_vanish(write);
  return write.id;
}

uint64_t KeyHistory::begin_delete(Way way, const char* command, Nanos sent) {
  const std::lock_guard lock(mutex_);
  const Write& write = add(Kind::kDelete, way, command, sent, 0);
  may_vanish(write);
  return write.id;
}

// What is there may live longer by it than by its own TTL, so those of the last writes end no longer when they said.
std::optional<uint64_t> KeyHistory::begin_expire(Way way, const char* command, Nanos sent, Nanos ttl) {
  const std::lock_guard lock(mutex_);
  end_expire(sent);
  if (expiring_ != 0) return std::nullopt;
  for (uint64_t id = last_id_; id > 0 && id + kMayStillExpire > last_id_; --id) {
    if (Write* put = find(id)) put->deadline = kNever;
  }
  const Write& write = add(Kind::kExpire, way, command, sent, ttl);
  expiring_ = write.id;
  may_vanish(write);
  return write.id;
}

std::string KeyHistory::end_write(uint64_t id, Outcome outcome, Nanos now, uint64_t count) {
  const std::lock_guard lock(mutex_);
  Write* write = find(id);
  if (!write) return {};  // so long ago that nothing is held against reads by it
  write->outcome = outcome;
  write->count = count;
  if (outcome == Outcome::kRefused) {
    forget_vanishing(id);
    if (expiring_ == id) expiring_ = 0;
    if (write->seen) return "a write that was refused was seen: " + name_ + " " + describe(*write) + last_writes();
    return {};
  }
  write->answered = outcome == Outcome::kDone ? now : now + kDoubtLasts;
  vanishes_by(id, write->answered + write->ttl);
  if (outcome == Outcome::kDone) finish(*write, now);
  return {};
}

void KeyHistory::finish(Write& write, Nanos now) {
  if (write.kind == Kind::kExpire) return;
  if (write.kind == Kind::kPut) {
    set_deadline(write, now);
    cancel_expiries(write);
  }
  if (epoch_ % 2 != 0) return;
  const Floor floor{counts_ ? static_cast<Nanos>(write.count) : write.sent, write.id};
  raise(written_[write.way], floor);
  aging_.push_back({now, floor});
}

// A TTL that was given to the key meanwhile may have come after this write, and count instead of its own.
void KeyHistory::set_deadline(Write& put, Nanos now) {
  if (put.ttl == 0) return;
  put.deadline = now + put.ttl;
  const Write* other = find(expiring_);
  if (!other || put.sent > other->answered) return;
  put.deadline = other->outcome == Outcome::kDone ? std::max(put.deadline, other->answered + other->ttl) : kNever;
}

// --- what may have removed the key ---

void KeyHistory::may_vanish(const Write& write) {
  vanishings_.push_back({write.id, write.kind != Kind::kDelete, write.sent + write.ttl, kNever});
  while (vanishings_.size() > kVanishingsKept) vanishings_.pop_front();
}

void KeyHistory::vanishes_by(uint64_t id, Nanos latest) {
  for (Vanishing& vanishing : vanishings_) {
    if (vanishing.id == id) vanishing.latest = latest;
  }
}

void KeyHistory::forget_vanishing(uint64_t id) {
  std::erase_if(vanishings_, [&](const Vanishing& vanishing) { return vanishing.id == id; });
}

// A TTL that was given for certain before this write, and ends for certain after it, never ends: the write replaced it.
void KeyHistory::cancel_expiries(const Write& put) {
  std::erase_if(vanishings_, [&](const Vanishing& vanishing) {
    const Write* write = find(vanishing.id);
    return vanishing.by_ttl && write && write->answered < put.sent && vanishing.earliest > put.answered;
  });
}

// --- reads ---

// The way that gave the TTL knows it at once, and so does Redis; the others within the bound, as of every write.
void KeyHistory::end_expire(Nanos now) {
  const Write* expire = find(expiring_);
  if (!expire) return;
  const bool done = expire->outcome == Outcome::kDone;
  const Floor floor{expire->sent, expire->id};
  if (done && expire->answered + expire->ttl + bounds_.ttl_slack < now) {
    raise(expired_[expire->way], floor);
    if (bounds_.direct_sees_all) raise(expired_[kDirect], floor);
  }
  if (!over_everywhere(*expire, now)) return;
  for (Floor& each : expired_) {
    if (done) raise(each, floor);
  }
  expiring_ = 0;
}

bool KeyHistory::over_everywhere(const Write& expire, Nanos now) const {
  return expire.answered + std::max(expire.ttl + bounds_.ttl_slack, bounds_.staleness.load()) < now;
}

ReadMark KeyHistory::begin_read(Way way, Nanos sent) {
  const std::lock_guard lock(mutex_);
  const Nanos staleness = bounds_.staleness;
  for (; !aging_.empty() && aging_.front().answered < sent - staleness; aging_.pop_front()) {
    raise(aged_, aging_.front().floor);
  }
  end_expire(sent);
  ReadMark mark{way, sent, epoch_, last_id_, written_[way], seen_[way], aged_, expired_[way]};
  if (way == kDirect && bounds_.direct_sees_all) {
    for (size_t i = 0; i < kWays; ++i) raise(mark.written, written_[i]), raise(mark.seen, seen_[i]);
  }
  return mark;
}

std::string KeyHistory::end_read(const ReadMark& mark, Seen seen, Nanos now, const char* command) {
  const std::lock_guard lock(mutex_);
  if (seen.type == Seen::Type::kLength) seen.version = version_of_length(seen.version);
  if (mark.epoch != epoch_ || epoch_ % 2 != 0) return {};
  const Verdict verdict = judge(mark, seen, now);
  return verdict.guarantee.empty() ? std::string() : report(mark, seen, now, command, verdict);
}

KeyHistory::Verdict KeyHistory::judge(const ReadMark& mark, Seen seen, Nanos now) {
  switch (seen.type) {
    case Seen::Type::kNothing:
      return judge_absence(mark, now);
    case Seen::Type::kPresent:
      return judge_presence(mark);
    default:
      return counts_ ? judge_count(mark, seen.version) : judge_version(mark, seen);
  }
}

KeyHistory::Verdict KeyHistory::judge_version(const ReadMark& mark, Seen seen) {
  const uint64_t version = seen.version;
  if (version == 0 || version > last_id_) return {"a version that nobody wrote", {}};
  Write* write = find(version);
  if (!write) return too_long_ago(mark) ? Verdict() : against_floors(mark, 0);
  if (write->kind != Kind::kPut) return {"a version that nobody wrote", {}};
  if (write->outcome == Outcome::kRefused) return {"a version whose write was refused", {0, version}};
  if (write->deadline + bounds_.ttl_slack < mark.sent) return {"TTL", {0, version}};
  const Verdict verdict = against_floors(mark, write->answered);
  if (seen.type == Seen::Type::kLength) return verdict;  // it may have been another one of this length
  write->seen = true;
  if (verdict.guarantee.empty()) saw(mark, {write->sent, version});
  return verdict;
}

KeyHistory::Verdict KeyHistory::judge_count(const ReadMark& mark, uint64_t count) {
  const Verdict verdict = against_floors(mark, static_cast<Nanos>(count));
  if (verdict.guarantee.empty()) saw(mark, {static_cast<Nanos>(count), 0});
  return verdict;
}

bool KeyHistory::too_long_ago(const ReadMark& mark) const { return last_id_ - mark.newest > kRemembered; }

bool KeyHistory::still_counts(const ReadMark& mark) {
  const std::lock_guard lock(mutex_);
  return mark.epoch == epoch_ && epoch_ % 2 == 0;
}

// Something is there: it would have to be a write that is not older than the floors.
KeyHistory::Verdict KeyHistory::judge_presence(const ReadMark& mark) {
  if (counts_ || too_long_ago(mark)) return {};
  Nanos newest = 0;
  for (uint64_t id = last_id_; id > 0 && id + kWritesKept > last_id_; --id) {
    const Write* write = find(id);
    if (!write || write->kind != Kind::kPut || write->outcome == Outcome::kRefused) continue;
    newest = std::max(newest, write->answered);
    if (against_floors(mark, newest).guarantee.empty()) return {};
  }
  return against_floors(mark, newest);
}

bool KeyHistory::explains(const Vanishing& vanishing, const ReadMark& mark, Nanos now) {
  const Nanos slack = vanishing.by_ttl ? bounds_.ttl_slack.load() : 0;
  if (vanishing.earliest - slack > now) return false;
  if (counts_) return vanishing.latest + bounds_.staleness > mark.sent;  // floors are no times then
  return against_floors(mark, vanishing.latest + slack).guarantee.empty();
}

KeyHistory::Verdict KeyHistory::judge_absence(const ReadMark& mark, Nanos now) {
  Floor first{kNever, 0};
  Nanos newest = 0;
  for (const Vanishing& vanishing : vanishings_) {
    newest = std::max(newest, vanishing.latest);
    if (!explains(vanishing, mark, now)) continue;
    const Nanos begin = vanishing.earliest - (vanishing.by_ttl ? bounds_.ttl_slack.load() : 0);
    if (begin < first.rank) first = {begin, vanishing.id};
  }
  if (first.rank < kNever) {
    if (!counts_) saw(mark, first);
    return {};
  }
  if (too_long_ago(mark)) return {};
  Verdict verdict = counts_ ? Verdict() : against_floors(mark, newest);
  if (verdict.guarantee.empty()) verdict.guarantee = "nothing, though nothing can have removed the key";
  return verdict;
}

// `newest` is the latest moment at which what was seen may have come about.
KeyHistory::Verdict KeyHistory::against_floors(const ReadMark& mark, Nanos newest) {
  if (newest < mark.written.rank) return {"G1 (read your writes)", mark.written};
  if (newest < mark.seen.rank) return {"G2 (monotonic reads)", mark.seen};
  if (newest < mark.aged.rank) return {"G3 (bounded staleness)", mark.aged};
  if (newest < mark.expired.rank) return {"TTL (given later)", mark.expired};
  const Write* before = find(mark.after);
  if (before && before->outcome == Outcome::kDone && before->kind != Kind::kExpire) {
    const Nanos rank = counts_ ? static_cast<Nanos>(before->count) : before->sent;
    if (newest < rank) return {"order on one connection", {rank, before->id}};
  }
  return {};
}

// Of the writes whose value has this length the one that may have happened last: lenient where a read is very old.
uint64_t KeyHistory::version_of_length(uint64_t length) {
  const Write* best = nullptr;
  for (size_t i = length; i < kWritesKept; i += kLengths) {  // the ring's size is a multiple of kLengths
    const Write& write = writes_[i];
    if (write.id == 0 || write.kind != Kind::kPut) continue;
    if (write.outcome == Outcome::kRefused) continue;
    if (!best || write.answered > best->answered) best = &write;
  }
  return best ? best->id : 0;
}

void KeyHistory::saw(const ReadMark& mark, Floor floor) {
  if (counts_ || floor.id > lost_up_to_) raise(seen_[mark.way], floor);
}

// --- losses ---

void KeyHistory::begin_loss(Nanos now) {
  const std::lock_guard lock(mutex_);
  if (epoch_ % 2 != 0) return;
  ++epoch_;
  loss_began_ = now;
}

void KeyHistory::end_loss(Nanos now) {
  const std::lock_guard lock(mutex_);
  if (epoch_ % 2 == 0) return;
  ++epoch_;
  written_ = {};
  seen_ = {};
  expired_ = {};
  aged_ = {};
  aging_.clear();
  expiring_ = 0;
  lost_up_to_ = last_id_;
  vanishings_.push_back({0, false, loss_began_, now});
}

}  // namespace corral::test
