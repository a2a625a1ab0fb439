// Leases, the part for those who wait: parked until they are woken, by whatever worker, or their time is over.
#include <algorithm>
#include <utility>

#include "proxy/core/leases.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using policy::LeaseKey;
using policy::LeaseReader;
using policy::LeaseValue;

void Leases::park(std::unique_ptr<LeaseRead> read, const LeaseReader& reader, uint64_t place) {
  Session& session = *read->request.session;
  session.leases().parked.insert(reader.number);
  Parked& parked = parked_[reader.number];
  parked.read = std::move(read);
  parked.place = place;
  parked.since_ms = worker_.now64_ms();
  parked.hurried = session.due() > 1 || session.has_input();
  const uint64_t until_ms = worker_.now64_ms() + static_cast<uint64_t>(reader.may_wait_ms);
  if (parked.read->wait_until_ms == 0) parked.read->wait_until_ms = until_ms;
  parked.due = due_.emplace(until_ms, reader.number);
  arm();
}

// Null if it does not wait any more.
std::unique_ptr<LeaseRead> Leases::unpark(uint64_t number) {
  const auto it = parked_.find(number);
  if (it == parked_.end()) return nullptr;
  auto read = std::move(it->second.read);
  read->waited_ms += worker_.now64_ms() - it->second.since_ms;
  due_.erase(it->second.due);
  parked_.erase(it);
  read->request.session->leases().parked.erase(number);
  return read;
}

void Leases::set_due(uint64_t number, Parked& parked, uint64_t due_ms) {
  due_.erase(parked.due);
  parked.due = due_.emplace(due_ms, number);
  arm();
}

// One timer for all, for the next that is due.
void Leases::arm() {
  if (due_.empty()) return;
  const uint64_t next_ms = due_.begin()->first, now_ms = worker_.now64_ms();
  if (armed_ms_ != 0 && armed_ms_ <= next_ms) return;
  armed_ms_ = next_ms;
  worker_.after(static_cast<uint32_t>(next_ms > now_ms ? next_ms - now_ms : 0), [this, next_ms] {
    if (armed_ms_ != next_ms) return;  // another one has been set for an earlier time
    armed_ms_ = 0;
    check_due();
  });
}

void Leases::check_due() {
  const uint64_t now_ms = worker_.now64_ms();
  while (!due_.empty() && due_.begin()->first <= now_ms) {
    const uint64_t number = due_.begin()->second;
    Parked& parked = parked_.at(number);
    const auto until_ms = table_.on_wait_over(parked.read->lease_key(), parked.place, now_ms);
    if (until_ms && !parked.hurried && !worker_.stopping()) {
      parked.read->wait_until_ms = *until_ms;  // the lease has gone to another client
      set_due(number, parked, *until_ms);
      continue;
    }
    give_up(number);
  }
  arm();
}

// Its time is over: what it has found was that there is nothing.
void Leases::give_up(uint64_t number) {
  Parked& parked = parked_.at(number);
  table_.leave(parked.read->lease_key(), parked.place);
  const auto read = unpark(number);
  worker_.stats().waits_timed_out.add();
  ++counters_of(read->key).waits_timed_out;
  answer_nil(*read);
}

void Leases::on_more(Session& session) {
  const std::set<uint64_t> numbers = session.leases().parked;
  for (const uint64_t number : numbers) {
    const auto it = parked_.find(number);
    if (it == parked_.end() || it->second.hurried) continue;
    const policy::Rule* rule = rule_of(it->second.read->key);
    const int64_t wait_ms = rule && rule->stampede ? rule->stampede->wait_shared_ms : 0;
    if (wait_ms <= 0) {
      give_up(number);
      continue;
    }
    it->second.hurried = true;
    const uint64_t due_ms = worker_.now64_ms() + static_cast<uint64_t>(wait_ms);
    set_due(number, it->second, std::min(due_ms, it->second.due->first));
  }
}

void Leases::before_keys(Session& session, const resp::Command& command, const resp::CommandSpec& spec) {
  on_more(session);
  if (spec.handling == resp::Handling::kLocal || spec.handling == resp::Handling::kSubscription) return;
  const std::set<uint64_t> numbers = session.leases().parked;
  for (const uint64_t number : numbers) {
    const auto it = parked_.find(number);
    const bool other = spec.only_key != 0 && it != parked_.end() && it->second.read->key != command.arg(spec.only_key);
    if (it != parked_.end() && !other) give_up(number);
  }
}

void Leases::release_all(Session& session) {
  SessionLeases* leases = session.leases_if_any();
  if (!leases) return;
  const std::set<uint64_t> numbers = leases->parked;
  for (const uint64_t number : numbers) {
    if (parked_.contains(number)) give_up(number);
  }
}

// Each worker is told once of all of its own.
void Leases::wake(const LeaseKey& key, Wakes wakes) {
  if (wakes.lapsed) {
    worker_.stats().leases_lapsed.add();
    ++counters_of(key.key).lapsed;
  }
  if (wakes.release != 0) release_at_node(key, wakes.release);
  using Wake = void (Leases::*)(uint64_t, const LeaseValue&);
  const auto tell = [&](std::vector<LeaseReader>& readers, Wake how) {
    std::stable_sort(readers.begin(), readers.end(), [](auto& a, auto& b) { return a.worker < b.worker; });
    for (auto first = readers.begin(); first != readers.end();) {
      const auto last = std::find_if(first, readers.end(), [&](auto& one) { return one.worker != first->worker; });
      std::vector<uint64_t> numbers;
      for (auto one = first; one != last; ++one) numbers.push_back(one->number);
      on_worker(first->worker, [numbers = std::move(numbers), value = wakes.value, how](Leases& leases) {
        for (const uint64_t number : numbers) (leases.*how)(number, value);
      });
      first = last;
    }
  };
  tell(wakes.filled, &Leases::wake_filled);
  tell(wakes.again, &Leases::wake_again);
  tell(wakes.nil, &Leases::wake_nil);
  if (!wakes.promoted) return;
  const SessionLeases::Held lease{std::string(key.key), key.hash, key.database, wakes.serial};
  on_worker(wakes.promoted->worker, [lease, number = wakes.promoted->number, ask = wakes.ask](Leases& leases) {
    leases.wake_promoted(number, lease, ask);
  });
}

void Leases::on_worker(uint32_t worker, std::function<void(Leases&)> work) {
  if (worker == worker_.index()) return work(*this);
  worker_.transport().post(worker, [work = std::move(work)](Worker& other) { work(other.leases()); });
}

void Leases::wake_filled(uint64_t number, const LeaseValue& value) {
  const auto read = unpark(number);
  if (!read) return;
  worker_.stats().waits_filled.add();
  ++counters_of(read->key).waits_filled;
  std::string bulk;
  resp::append_bulk(bulk, *value);
  answer(*read, bulk);
}

void Leases::wake_again(uint64_t number, const LeaseValue&) {
  auto read = unpark(number);
  if (!read) return;
  read->tries = 0;
  read_again(std::move(read));
}

void Leases::wake_nil(uint64_t number, const LeaseValue&) {
  if (const auto read = unpark(number)) answer_nil(*read);
}

// Who does not wait any more gives the lease to the next.
void Leases::wake_promoted(uint64_t number, const SessionLeases::Held& lease, bool ask_first) {
  auto read = unpark(number);
  if (!read) {
    const LeaseKey key{lease.key, lease.hash, lease.database};
    Wakes wakes;
    table_.on_holder_gone(key, lease.serial, worker_.now64_ms(), wakes);
    return wake(key, std::move(wakes));
  }
  if (ask_first) return ask(std::move(read), {}, lease.serial);
  if (!is_held(lease)) {  // it has ended while the news were on their way
    read->tries = 0;
    return read_again(std::move(read));
  }
  hold(*read, lease.serial);
  answer_nil(*read);
}

}  // namespace corral::core
