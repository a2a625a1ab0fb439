#include "proxy/core/near.h"

#include <algorithm>

#include "proxy/core/near_asker.h"
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

constexpr size_t kLongestHeader = 6;       // that resp::short_header() reads
constexpr uint32_t kLocalityReads = 1024;  // that are counted here before all workers' are

// The arguments behind the key, as they came.
std::string_view args_behind_key(const Command& command) {
  const size_t at = command.slices[1].offset + command.slices[1].length + 2;
  return command.bytes().substr(at);
}

// What a client sees of a TTL (section 6 of the design, Soft TTL).
int64_t visible_ttl_ms(const policy::Rule& rule, int64_t ttl_ms) {
  return rule.stampede ? std::max<int64_t>(0, ttl_ms - rule.stampede->stale_ms) : ttl_ms;
}

}  // namespace

Near::Near(Worker& worker, NearCache& cache)
    : worker_(worker), cache_(cache), links_(worker, cache), touches_(worker, cache) {}

// What is kept was kept under other rules, and what is passed by may not be under these.
void Near::on_new_rules() {
  cache_.start_anew();
  on_ = false;
  all_may_pass_ = true;
  counters_by_rule_.clear();
  for (const policy::Rule& rule : worker_.policies().rules.rules()) {
    on_ = on_ || is_near(rule);
    all_may_pass_ = all_may_pass_ && (!is_near(rule) || may_pass(rule));
    counters_by_rule_.push_back(rule.near ? &counters_[rule.name] : nullptr);
  }
  links_.update();
}

Near::RuleCounters& Near::counters_of(const policy::Rule& rule) {
  return *counters_by_rule_[static_cast<size_t>(&rule - worker_.policies().rules.rules().data())];
}

void Near::begin_hits(const policy::Rule& rule, const CommandSpec* answered) {
  settle_hits();
  hits_ = {&rule, answered, 0};
}

void Near::count_hits() {
  const policy::Rule& rule = *hits_.rule;
  const uint32_t count = std::exchange(hits_.count, 0);
  if (hits_.answered) worker_.process().server_stats().count_calls(worker_.index(), *hits_.answered, count);
  if (!rule.near) return;
  budget_.on_hits(count);
  worker_.stats().near_cache_hits.add(count);
  counters_of(rule).hits += count;
  count_looked(rule, count, true);
}

void Near::count_miss(const policy::Rule& rule, NearCache::Answer answer) {
  if (!rule.near) return;
  RuleCounters& counters = counters_of(rule);
  worker_.stats().near_cache_misses.add();
  ++counters.misses;
  count_looked(rule, 1, answer == NearCache::Answer::kJoined);
  if (answer != NearCache::Answer::kJoined) return;
  worker_.stats().reads_shared.add();
  ++counters.shared;
}

void Near::count_passed(const policy::Rule& rule, uint64_t hash) {
  worker_.stats().near_cache_misses.add();
  worker_.stats().near_cache_passed_by.add();
  ++counters_of(rule).misses;
  locality_.repeated += repeats_.note(hash);
  if (++locality_.passed == kLocalityReads) judge_locality();
}

void Near::count_looked(const policy::Rule& rule, uint32_t reads, bool found) {
  if (!may_pass(rule)) return;
  if (found) locality_.found += reads;
  locality_.looked += reads;
  if (locality_.looked >= kLocalityReads) judge_locality();
}

// What was counted across a change of eras says nothing of either. A wide cache is filled as a new one is.
void Near::judge_locality() {
  if (cache_.count(locality_, era_)) {
    worker_.transport().log(LogLevel::kInfo, NearCache::is_narrow(cache_.era())
                                                 ? "the near cache finds hardly anything: it looks for few keys now"
                                                 : "the near cache finds what it looks for: it looks for all keys now");
  }
  locality_ = {};
  if (era_ == cache_.era()) return;
  era_ = cache_.era();
  if (!NearCache::is_narrow(era_)) budget_ = {};
}

uint32_t Near::era_of(const policy::Rule& rule) const { return may_pass(rule) ? cache_.era() : 0; }

void Near::note_invalidation(std::string_view key) {
  worker_.stats().near_cache_invalidations.add();
  const policy::Rule* rule = rule_of(key);
  if (rule && rule->near) ++counters_of(*rule).invalidations;
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
  return rule && is_near(*rule) ? rule : nullptr;
}

NearRead Near::read_of(const Session& session, const CommandSpec& spec, std::string_view key, std::string_view args,
                       uint32_t era) const {
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
  read.era = NearCache::may_pass(read.hash) ? era : 0;
  read.behind_passed = read.era != 0 && !read.is_passed() && session.near_passed > 0;
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

Near::Way Near::handle(Session& session, const Command& command, const CommandSpec& spec) {
  if (SessionLeases* leases = session.leases_if_any(); leases && !leases->parked.empty()) [[unlikely]] {
    worker_.leases().before_keys(session, command, spec);
  }
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

// A client's own command. Plainly, it goes the ordinary way.
struct Near::SessionTarget {
  static constexpr bool kIsCommand = true;
  Near& near;
  Session& asker;
  const uint16_t slot;

  Session& session() { return asker; }
  bool is_alone() const { return asker.quiet(); }
  Request request() { return asker.request_for_reply(slot, kReadOnly); }
  void serve(const KeyReply& reply) {
    asker.reply_with(reply.size(), [&](char* out) { reply.copy_to(out); });
  }
  void read_plainly(policy::NearTouched touched, std::unique_ptr<LeaseRead> read, std::string_view) {
    if (!read && touched.seen != policy::NearTouched::kUnknown) [[likely]]
      return asker.set_touch(near.touches_.begin_read(touched, asker));
    NearTouch* touch = near.touches_.begin_read(asker);
    touch->add(touched, asker);
    touch->read = std::move(read);
    asker.set_touch(Touch(touch));
  }
};

Near::Way Near::read(Session& session, const Command& command, const CommandSpec& spec) {
  const policy::Rule* rule = rule_of(command.arg(1));
  if (!rule || !concerns(*rule, spec)) return Way::kOrdinary;
  const uint32_t era = era_of(*rule);
  if (NearCache::is_narrow(era) && pass(session, *rule, command.arg(1), era)) return Way::kOrdinary;
  const NearRead read = read_of(session, spec, command.arg(1), args_behind_key(command), era);
  SessionTarget target{*this, session, worker_.slot_of(read.key)};
  switch (ask(target, *rule, spec, read, command.bytes())) {
    case NearCache::Answer::kServed:
    case NearCache::Answer::kJoined:
    case NearCache::Answer::kFill:
      return Way::kAnswered;
    case NearCache::Answer::kPlain:
      return Way::kOrdinary;
    default:
      return Way::kWait;
  }
}

// Whether the key is passed by. It is to cost next to nothing.
bool Near::pass(Session& session, const policy::Rule& rule, std::string_view key, uint32_t era) {
  const uint64_t hash = policy::KeyTable::hash(key);
  if (!NearCache::may_pass(hash) || session.near_fills.may_be(hash)) return false;
  count_passed(rule, hash);
  session.set_touch(NearTouches::pass(hash, era, session));
  return true;
}

// A read that was judged before.
struct Near::AgainTarget {
  static constexpr bool kIsCommand = false;  // when it was judged first it has been one
  Near& near;
  const Request& whole;
  const bool alone;
  std::string kept = {};  // is given when the lock has been let go: more may come of the answer

  Session& session() { return *whole.session; }
  bool is_alone() const { return alone; }
  Request request() { return whole; }
  void serve(const KeyReply& reply) {
    kept.resize(reply.size());
    reply.copy_to(kept.data());
  }
  void read_plainly(policy::NearTouched touched, std::unique_ptr<LeaseRead> read, std::string_view frame) {
    near.send_plainly(whole, touched, std::move(read), frame);
  }
};

// Its client waits for nothing else of this key that could come in the wrong order.
void Near::read_again(std::unique_ptr<LeaseRead> again) {
  const policy::Rule* rule = rule_of(again->key);
  std::string frame;
  resp::append_command(frame, {again->spec->name, again->key});
  if (!rule || !concerns(*rule, *again->spec)) return worker_.send(again->request, frame);
  Session& session = *again->request.session;
  NearRead read = read_of(session, *again->spec, again->key, {}, era_of(*rule));
  read.own_fills = read.own_touches = false;
  AgainTarget target{*this, again->request, again->alone};
  ask(target, *rule, *again->spec, read, frame, again->tries);
  if (!target.kept.empty()) worker_.answer(again->request, target.kept);
}

void Near::send_plainly(Request request, policy::NearTouched touched, std::unique_ptr<LeaseRead> read,
                        std::string_view frame) {
  NearTouch* touch = touches_.begin_read(*request.session);
  touch->add(touched, *request.session);
  touch->of_part = request.task != nullptr;
  touch->read = std::move(read);
  request.touch = Touch(touch);
  worker_.send(request, frame);
}

void Near::read_plainly(const Request& request, const LeaseRead& like, std::string_view frame, bool alone) {
  cache_.begin_touch(like.hash, false, false);
  const policy::Rule* rule = rule_of(like.key);
  std::unique_ptr<LeaseRead> read;
  if (rule && may_be_judged(*rule, *like.spec)) {
    read = std::make_unique<LeaseRead>(like);
    read->alone = alone;
  }
  send_plainly(request, {like.hash}, std::move(read), frame);
}

std::string Near::find_last(const LeaseRead& read, int64_t most_ms) {
  std::string reply;
  cache_.serve_last(read_of(*read.request.session, *read.spec, read.key, read.args), worker_.now64_ms(),
                    static_cast<uint64_t>(most_ms), [&](const KeyReply& last) {
                      reply.resize(last.size());
                      last.copy_to(reply.data());
                    });
  return reply;
}

// Redis: expire.c, ttlGenericCommand.
Near::Way Near::tell_ttl(Session& session, const Command& command, const CommandSpec& spec) {
  const policy::Rule* rule = rule_of(command.arg(1));
  if (!rule || !rule->near) return Way::kOrdinary;
  const uint64_t now_ms = worker_.now64_ms();
  const auto deadline_ms = cache_.find_deadline(read_of(session, spec, command.arg(1), {}, era_of(*rule)), now_ms);
  if (!deadline_ms) return touches_.begin(session, command, spec) ? Way::kOrdinary : Way::kWait;
  int64_t ttl = *deadline_ms == 0 ? -2 : -1;
  if (*deadline_ms != 0 && *deadline_ms != NearCache::kNeverMs) {
    ttl = visible_ttl_ms(*rule, static_cast<int64_t>(*deadline_ms - now_ms));
    if (spec.near_read == resp::NearRead::kTtl) ttl = (ttl + 500) / 1000;
  }
  if (ttl == -1 && rule->ttl && rule->ttl->mode != policy::TtlRule::Mode::kOff) {
    worker_.stats().ttl_missing.add();
    ++worker_.rule_stats().of(*rule->ttl).ttl_missing;
  }
  count_hit(*rule, &spec);
  std::string out;
  resp::append_integer(out, ttl);
  session.reply(out);
  return Way::kAnswered;
}

// Of a request with a key as its first argument; whatever else it may be, nothing comes of it.
void Near::look_ahead(std::string_view bytes) const {
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
  if (session.has_touch()) [[unlikely]]
    touches_.end(session.take_touch(), session, {});
}

// A failure has seen nothing of the key, so that what is known of it may still be used.
bool Near::end(const Request& request, std::string_view reply) {
  if (request.touch.is_passed()) [[likely]] {
    if (!request.task) touches_.end_passed(request.touch, *request.session, reply);
    return false;
  }
  if (request.task && (request.touch.is_read() || !request.touch.object()->of_part)) return false;
  std::unique_ptr<LeaseRead> read;
  if (!request.touch.is_read()) read = std::move(request.touch.object()->read);
  touches_.end(request.touch, *request.session, reply);
  if (!read) return false;
  read->request = request;
  read->request.touch = {};
  worker_.leases().deliver(std::move(read), reply);
  return true;
}

bool Near::gives_up_early(const Request& request) {
  if (!request.touch || request.touch.is_read()) return false;
  const auto& read = request.touch.object()->read;
  return read && read->gives_up_early;
}

}  // namespace corral::core
