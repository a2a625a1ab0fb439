#include "proxy/core/near.h"

#include "proxy/core/near_fill.h"
#include "proxy/core/rules.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"

namespace corral::core {

using policy::KeyReply;
using policy::NearCache;
using policy::NearRead;
using resp::Command;
using resp::CommandSpec;

namespace {

constexpr size_t kLongestHeader = 6;  // that resp::short_header() reads

// The arguments behind the key, as they came.
std::string_view args_behind_key(const Command& command) {
  const size_t at = command.slices[1].offset + command.slices[1].length + 2;
  return command.bytes().substr(at);
}

}  // namespace

Near::Near(Worker& worker, NearCache& cache)
    : worker_(worker), cache_(cache), links_(worker, cache), touches_(worker, cache) {}

// What is kept was kept under other rules.
void Near::on_new_rules() {
  cache_.drop_all();
  on_ = false;
  counters_by_rule_.clear();
  for (const policy::Rule& rule : worker_.policies().rules.rules()) {
    on_ = on_ || rule.near;
    counters_by_rule_.push_back(rule.near ? &counters_[rule.name] : nullptr);
  }
  links_.update();
}

Near::RuleCounters& Near::counters_of(const policy::Rule& rule) {
  return *counters_by_rule_[static_cast<size_t>(&rule - worker_.policies().rules.rules().data())];
}

void Near::count_hit(const policy::Rule& rule) {
  budget_.on_hit();
  worker_.stats().near_cache_hits.add();
  ++counters_of(rule).hits;
}

void Near::count_miss(const policy::Rule& rule, NearCache::Answer answer) {
  RuleCounters& counters = counters_of(rule);
  worker_.stats().near_cache_misses.add();
  ++counters.misses;
  if (answer != NearCache::Answer::kJoined) return;
  worker_.stats().reads_shared.add();
  ++counters.shared;
}

void Near::note_invalidation(std::string_view key) {
  worker_.stats().near_cache_invalidations.add();
  if (const policy::Rule* rule = rule_of(key)) ++counters_of(*rule).invalidations;
}

// A slot that is given away without its keys being moved sends no invalidations.
void Near::on_new_map(const SlotMap& before) {
  for (uint16_t slot = 0; slot < resp::kSlots; ++slot) {
    if (before.owner[slot] != worker_.map().owner[slot]) cache_.drop_slot(slot);
  }
  links_.update();
}

// A client that watches keys is to see them as its connection does; one that keeps what it reads, and wants to be told
// when it changes, reads where that is tracked for it.
bool Near::may_be_served(const Session& session) const {
  constexpr uint8_t kBypassing = Session::kQueueing | Session::kWatching;
  return (session.modes() & kBypassing) == 0 && !session.has_sink() && !session.tracks();
}

const policy::Rule* Near::rule_of(std::string_view key) const {
  const policy::Rule* rule = worker_.policies().rules.find(key);
  return rule && rule->near ? rule : nullptr;
}

NearRead Near::read_of(const Session& session, const CommandSpec& spec, std::string_view key,
                       std::string_view args) const {
  NearRead read;
  read.key = key;
  read.hash = policy::KeyTable::hash(key);
  read.database = session.database();
  read.command = spec.id;
  read.resp = static_cast<uint8_t>(session.resp());
  read.own_fills = session.near_fills.may_be(read.hash);
  read.own_fill = session.near_fill;
  read.own_touches = session.near_reads.may_be(read.hash);
  read.args = args;
  return read;
}

policy::NearPlace Near::place_of(const NearRead& read, Fill::Where& where) {
  where.slot = worker_.slot_of(read.key);
  where.home = links_.home_of(read.hash);
  where.node = worker_.map().owner[where.slot];
  where.link = links_.number(where.home, where.node, read.database);
  where.database = read.database;
  return {where.slot, where.link};
}

// One read, and what is done for it.
class Near::Asker {
 public:
  Asker(Near& near, Session& session, const NearRead& read, const policy::NearRule& rule, std::string_view frame)
      : near_(near), session_(session), read_(read), rule_(rule), frame_(frame) {}

  void serve(const KeyReply& reply) {
    session_.reply_with(reply.size(), [&](char* out) { reply.copy_to(out); });
  }
  void join(policy::NearFill& fill) {
    session_.near_fills.begin();
    session_.near_fills.mark(read_.hash);
    session_.near_fill = fill.serial();
    static_cast<Fill&>(fill).add(near_.worker_,
                                 session_.request_for_reply(near_.worker_.slot_of(read_.key), kReadOnly));
  }
  bool admit() { return near_.budget_.take(); }
  policy::NearPlace place() { return near_.place_of(read_, where_); }
  policy::NearFill& make_fill() {
    fill_ = new Fill(where_, rule_, std::string(frame_), read_.hash);
    return *fill_;
  }
  void read_plainly(policy::NearTouched touched) {
    if (touched.seen != policy::NearTouched::kUnknown) [[likely]]
      return session_.set_touch(near_.touches_.begin_read(touched, session_));
    NearTouch* touch = near_.touches_.begin_read(session_);
    touch->add(touched, session_);
    session_.set_touch(Touch(touch));
  }
  Fill* fill() const { return fill_; }

 private:
  Near& near_;
  Session& session_;
  const NearRead& read_;
  const policy::NearRule& rule_;
  const std::string_view frame_;
  Fill::Where where_{};
  Fill* fill_ = nullptr;
};

Near::Way Near::handle(Session& session, const Command& command, const CommandSpec& spec) {
  if (spec.near_read != resp::NearRead::kNo && may_be_served(session)) {
    switch (spec.near_read) {
      case resp::NearRead::kByKey:
        return read_many(session, command, spec);
      case resp::NearRead::kTtl:
      case resp::NearRead::kPttl:
        return tell_ttl(session, command, spec);
      default:
        if (spec.only_key == 1 || command.argc() == 2) return read(session, command, spec);
    }
  }
  return touches_.begin(session, command, spec) ? Way::kOrdinary : Way::kWait;
}

Near::Way Near::read(Session& session, const Command& command, const CommandSpec& spec) {
  const policy::Rule* rule = rule_of(command.arg(1));
  if (!rule) return Way::kOrdinary;
  const NearRead read = read_of(session, spec, command.arg(1), args_behind_key(command));
  Asker asker(*this, session, read, *rule->near, command.bytes());
  const auto right_now = [this] { return worker_.transport().clock_ms(); };
  const NearCache::Answer answer = cache_.read(read, worker_.now64_ms(), right_now, asker);
  switch (answer) {
    case NearCache::Answer::kServed:
      count_hit(*rule);
      worker_.process().server_stats().count_call(worker_.index(), spec, false);
      return Way::kAnswered;
    case NearCache::Answer::kJoined:
      count_miss(*rule, answer);
      return Way::kAnswered;
    case NearCache::Answer::kFill:
      count_miss(*rule, answer);
      asker.fill()->start(worker_);
      return Way::kAnswered;
    case NearCache::Answer::kPlain:
      count_miss(*rule, answer);
      return Way::kOrdinary;
    default:
      return Way::kWait;
  }
}

// Redis: expire.c, ttlGenericCommand.
Near::Way Near::tell_ttl(Session& session, const Command& command, const CommandSpec& spec) {
  const policy::Rule* rule = rule_of(command.arg(1));
  if (!rule) return Way::kOrdinary;
  const uint64_t now_ms = worker_.now64_ms();
  const auto deadline_ms = cache_.find_deadline(read_of(session, spec, command.arg(1), {}), now_ms);
  if (!deadline_ms) return touches_.begin(session, command, spec) ? Way::kOrdinary : Way::kWait;
  int64_t ttl = *deadline_ms == 0 ? -2 : -1;
  if (*deadline_ms != 0 && *deadline_ms != NearCache::kNeverMs) {
    ttl = static_cast<int64_t>(*deadline_ms - now_ms);
    if (spec.near_read == resp::NearRead::kTtl) ttl = (ttl + 500) / 1000;
  }
  if (ttl == -1 && rule->ttl) worker_.stats().ttl_missing.add();
  count_hit(*rule);
  worker_.process().server_stats().count_call(worker_.index(), spec, false);
  std::string out;
  resp::append_integer(out, ttl);
  session.reply(out);
  return Way::kAnswered;
}

// Of a request with a key as its first argument; whatever else it may be, nothing comes of it.
void Near::foresee(std::string_view bytes) const {
  uint32_t length = 0;
  const auto skip_header = [&](char mark) {
    const size_t header = bytes.size() < kLongestHeader ? 0 : resp::short_header(bytes.data(), mark, length);
    bytes.remove_prefix(header);
    return header > 0;
  };
  if (!skip_header('*') || !skip_header('$') || bytes.size() < length + 2) return;
  bytes.remove_prefix(length + 2);
  if (skip_header('$') && bytes.size() >= length) cache_.prefetch(bytes.substr(0, length));
}

void Near::end_unused_touch(Session& session) {
  if (const Touch touch = session.take_touch()) touches_.end(touch, session);
}

void Near::end(const Request& request) {
  if (request.task && (request.touch.is_read() || !request.touch.object()->of_part)) return;
  touches_.end(request.touch, *request.session);
}

void Near::read_plainly(Request request, uint64_t hash, std::string_view frame) {
  cache_.begin_touch(hash, false, false);
  NearTouch* touch = touches_.begin_read(*request.session);
  touch->add({hash}, *request.session);
  touch->of_part = request.task != nullptr;
  request.touch = Touch(touch);
  worker_.send(request, frame);
}

}  // namespace corral::core
