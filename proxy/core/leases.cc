#include "proxy/core/leases.h"

#include <algorithm>
#include <utility>

#include "proxy/core/near.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

using policy::Finding;
using policy::LeaseKey;
using policy::LeaseKind;
using policy::LeaseReader;
using policy::LeaseValue;
using policy::OnUpstreamError;
using policy::StampedeRule;

namespace {

constexpr uint8_t kMostTries = 3;
constexpr size_t kMostKeyBytes = 1024;
constexpr size_t kMostParked = 1024;  // reads of one client that wait

// An error that says that the node could not be asked, or not be heard.
bool tells_of_failure(std::string_view reply) {
  constexpr std::string_view kCodes[] = {"-CLUSTERDOWN ", "-INDOUBT ", "-LOADING ", "-MASTERDOWN ", "-TRYAGAIN "};
  return std::any_of(std::begin(kCodes), std::end(kCodes), [&](auto code) { return reply.starts_with(code); });
}

// Whether a value that goes in so long may be one that somebody is to compute anew.
bool may_be_due(const StampedeRule& rule, const Finding& finding) {
  return finding.left_ms >= 0 && (rule.early_refresh > 0 || finding.left_ms <= rule.stale_ms);
}

}  // namespace

Leases::Leases(Worker& worker, policy::LeaseTable& table) : worker_(worker), table_(table) {}

Leases::~Leases() = default;

void Leases::RuleCounters::add(const RuleCounters& other) {
  granted += other.granted;
  filled += other.filled;
  lapsed += other.lapsed;
  waits += other.waits;
  waits_filled += other.waits_filled;
  waits_timed_out += other.waits_timed_out;
  stale_served += other.stale_served;
  early_refreshes += other.early_refreshes;
  for (size_t i = 0; i < kBuckets; ++i) compute_ms[i] += other.compute_ms[i];
}

const policy::Rule* Leases::rule_of(std::string_view key) const { return worker_.policies().rules.find(key); }

Leases::RuleCounters& Leases::counters_of(std::string_view key) {
  const policy::Rule* rule = rule_of(key);
  return counters_[rule ? rule->name : std::string()];
}

Finding Leases::judge_reply(const policy::Rule& rule, const LeaseRead& read, std::string_view reply) const {
  Finding finding{.sent_ms = read.sent_ms};
  if (reply[0] != '-' && reply != "$-1\r\n" && reply != "_\r\n") {
    finding.what = Finding::What::kValue;
    const uint64_t now_ms = worker_.now64_ms();
    if (read.deadline_ms == policy::NearCache::kNeverMs) {
      finding.left_ms = Finding::kForever;
    } else if (read.deadline_ms > 0) {
      finding.left_ms = read.deadline_ms > now_ms ? static_cast<int64_t>(read.deadline_ms - now_ms) : 0;
    }
  } else if (reply[0] == '-') {
    const bool fails = rule.on_upstream_error != OnUpstreamError::kError && tells_of_failure(reply);
    finding.what = fails ? Finding::What::kFailed : Finding::What::kValue;  // any other error is a finding like a value
  }
  return finding;
}

// Who waits holds back all that its client waits for later.
LeaseReader Leases::reader_of(const StampedeRule& rule, const LeaseRead& read) {
  Session& session = *read.request.session;
  LeaseReader reader{.client = session.id(), .number = next_number_++, .worker = worker_.index(), .may_wait_ms = 0};
  if (!read.alone || holds_any(session)) return reader;
  reader.may_wait_ms = session.due() > 1 || session.has_input() ? rule.wait_shared_ms : rule.wait_ms;
  if (read.wait_until_ms != 0) {
    const auto left_ms = static_cast<int64_t>(read.wait_until_ms - worker_.now64_ms());
    reader.may_wait_ms = std::clamp<int64_t>(left_ms, 0, reader.may_wait_ms);
  }
  return reader;
}

// `reply_size`: of what is kept. A nil is less than any string. Early refresh is up to how long the key takes to
// compute; that it cannot take longer than any key has spares most readers the way to the table.
bool Leases::is_to_be_judged(const StampedeRule& rule, size_t reply_size, uint64_t deadline_ms) {
  constexpr size_t kLeastString = 6;
  if (reply_size < kLeastString) return true;
  if (!wants_deadlines(rule) || deadline_ms == 0 || deadline_ms == policy::NearCache::kNeverMs) return false;
  const uint64_t soft_end_ms = worker_.now64_ms() + static_cast<uint64_t>(rule.stale_ms);
  if (deadline_ms <= soft_end_ms) return true;
  if (rule.early_refresh <= 0) return false;
  chance_ = worker_.transport().random();
  const auto longest_ms = static_cast<double>(table_.longest_compute_ms());
  return policy::early_by_ms(longest_ms, rule.early_refresh, chance_) >= static_cast<double>(deadline_ms - soft_end_ms);
}

// What nobody does in earnest is not protected: it would only fill the memory.
bool Leases::asks_too_much(const LeaseRead& read) {
  const SessionLeases* leases = read.request.session->leases_if_any();
  return read.key.size() > kMostKeyBytes || (leases && leases->parked.size() >= kMostParked);
}

void Leases::deliver(std::unique_ptr<LeaseRead> read, std::string_view reply) {
  const policy::Rule* rule = rule_of(read->key);
  const bool is_given = reply.empty();  // as it came, since it is large
  if (!rule || is_given || !read->request.session->open()) return answer(*read, reply);
  const Finding finding = judge_reply(*rule, *read, reply);
  if (finding.what == Finding::What::kFailed) {
    if (rule->on_upstream_error == OnUpstreamError::kStale) {
      const std::string last = worker_.near()->find_last(*read, rule->stale_if_error_ms);
      if (!last.empty()) worker_.stats().stale_served.add();
      const LeaseValue fed = last.empty() ? table_.find_fed(read->lease_key(), worker_.now64_ms()) : nullptr;
      if (!fed) return answer(*read, last.empty() ? reply : last);
      std::string value;
      resp::append_bulk(value, *fed);
      return answer(*read, value);
    }
    if (!rule->stampede) return answer_nil(*read);
  }
  const bool is_string = read->spec->near_read == resp::NearRead::kString;
  if (!rule->stampede || !is_string || asks_too_much(*read)) return answer(*read, reply);
  const bool counts = finding.what == Finding::What::kNothing ||
                      (finding.what == Finding::What::kValue && may_be_due(*rule->stampede, finding));
  // What was sent behind it must not run before it.
  if (counts && read->tries < kMostTries && table_.is_old(read->hash, read->mark)) {
    return read->request.session->due() > 1 ? answer(*read, reply) : read_again(std::move(read));
  }
  const LeaseReader reader = reader_of(*rule->stampede, *read);
  RuleCounters& counters = counters_[rule->name];
  const policy::LeaseMoment moment{.now_ms = worker_.now64_ms(),
                                   .random = read->chance != 0 ? read->chance : worker_.transport().random(),
                                   .guess_ms = counters.mean_compute_ms};
  Wakes wakes;
  const LeaseKey key = read->lease_key();
  Told told = table_.on_read(key, *rule->stampede, finding, reader, moment, wakes);
  if (!wakes.empty() || wakes.lapsed || wakes.release != 0) {
    const std::string name = read->key;
    act(*rule, std::move(read), reply, told, reader);
    return wake({name, key.hash, key.database}, std::move(wakes));
  }
  act(*rule, std::move(read), reply, told, reader);
}

void Leases::act(const policy::Rule& rule, std::unique_ptr<LeaseRead> read, std::string_view reply, const Told& told,
                 const LeaseReader& reader) {
  Stats& stats = worker_.stats();
  RuleCounters& counters = counters_[rule.name];
  switch (told.what) {
    case Told::What::kFound:
      return answer(*read, reply);
    case Told::What::kOld:
      stats.stale_served.add();
      ++counters.stale_served;
      return answer(*read, reply);
    case Told::What::kFed: {
      std::string value;
      resp::append_bulk(value, *told.value);
      return answer(*read, value);
    }
    case Told::What::kNil:
      return answer_nil(*read);
    case Told::What::kLease:
      if (told.kind == LeaseKind::kEarly) {
        stats.early_refreshes.add();
        ++counters.early_refreshes;
      }
      hold(*read, told.serial);
      return answer_nil(*read);
    case Told::What::kWait:
      stats.waits.add();
      ++counters.waits;
      return park(std::move(read), reader, told.place);
    case Told::What::kAsk:
      return ask(std::move(read), reply, told.serial);
  }
}

void Leases::answer(const LeaseRead& read, std::string_view reply) {
  const uint32_t elapsed_ms = worker_.now_ms() - read.request.since_ms;
  if (read.waited_ms > 0 && worker_.process().slow_requests().wants(elapsed_ms)) [[unlikely]] {
    std::string bytes;
    resp::append_command(bytes, {read.spec->name, read.key});
    const uint64_t waited_ms = std::min<uint64_t>(read.waited_ms, elapsed_ms);
    note_slow(worker_, read.request, bytes, kNoNode, (elapsed_ms - waited_ms) * 1000, waited_ms * 1000);
  }
  worker_.answer(read.request, reply);
}

std::string_view Leases::nil_for(const LeaseRead& read) {
  return read.request.session->resp() == 3 ? "_\r\n" : "$-1\r\n";
}

// A client that has a lease waits for nothing.
void Leases::hold(const LeaseRead& read, uint64_t serial) {
  worker_.stats().leases_granted.add();
  ++counters_of(read.key).granted;
  Session& session = *read.request.session;
  release_all(session);
  prune(session.leases());
  session.leases().held.push_back({read.key, read.hash, read.database, serial});
  watch_end(read.lease_key(), lease_end_ms(rule_of(read.key)));
}

// Of one that is granted now.
uint64_t Leases::lease_end_ms(const policy::Rule* rule) const {
  const int64_t lease_ms = rule && rule->stampede ? rule->stampede->lease_ms : 0;
  return worker_.now64_ms() + static_cast<uint64_t>(lease_ms);
}

void Leases::watch_end(const LeaseKey& key, uint64_t end_ms) {
  const uint64_t now_ms = worker_.now64_ms();
  worker_.after(static_cast<uint32_t>(end_ms > now_ms ? end_ms - now_ms : 0),
                [this, name = std::string(key.key), hash = key.hash, database = key.database] {
                  if (worker_.stopping()) return;
                  Wakes wakes;
                  table_.on_time({name, hash, database}, worker_.now64_ms(), wakes);
                  wake({name, hash, database}, std::move(wakes));
                });
}

// The newest is the likeliest to be held, so that few have to be looked at.
bool Leases::holds_any(Session& session) {
  SessionLeases* leases = session.leases_if_any();
  if (!leases) return false;
  while (!leases->held.empty() && !is_held(leases->held.back())) leases->held.pop_back();
  return !leases->held.empty();
}

bool Leases::is_held(const SessionLeases::Held& held) const {
  return table_.is_held({held.key, held.hash, held.database}, held.serial);
}

void Leases::prune(SessionLeases& leases) {
  if (leases.held.size() < leases.prune_at) return;
  std::erase_if(leases.held, [&](const SessionLeases::Held& held) { return !is_held(held); });
  leases.prune_at = std::max<size_t>(16, 2 * leases.held.size());
}

void Leases::on_closed(Session& session) {
  release_all(session);
  for (const auto& held : std::exchange(session.leases().held, {})) {
    const LeaseKey key{held.key, held.hash, held.database};
    Wakes wakes;
    table_.on_holder_gone(key, held.serial, worker_.now64_ms(), wakes);
    wake(key, std::move(wakes));
  }
}

bool Leases::may_overwrite(const Session& session, const LeaseKey& key, uint64_t deadline_ms) const {
  const uint64_t hidden_ms = table_.hidden_deadline_ms(key, session.id(), worker_.now64_ms());
  const uint64_t moved_ms = hidden_ms > deadline_ms ? hidden_ms - deadline_ms : deadline_ms - hidden_ms;
  return hidden_ms != 0 && moved_ms <= policy::KeyLease::kMovedByMs;
}

void Leases::read_again(std::unique_ptr<LeaseRead> read) {
  ++read->tries;
  worker_.near()->read_again(std::move(read));
}

}  // namespace corral::core
