#include "simulation.h"

#include <algorithm>

#include "proxy/core/leases.h"
#include "resp/slot.h"

namespace corral::sim {

namespace {

constexpr int kMasters = 3;
constexpr int64_t kSecondUs = 1'000'000;
// After the last fault: a request waits for its turn, for its timeout and for a connection's at most.
constexpr int64_t kGraceUs = 4 * kSecondUs;
constexpr int64_t kTardyUs = kSecondUs / 3;  // deadlines are looked at ten times a second
constexpr int64_t kPushUs = 30'000;            // what is on its way, however it is cut
constexpr int64_t kTimersUs = 11 * kSecondUs;  // the topology's refresh interval, which its timers last at most
constexpr size_t kPeriodicTimers = 4;          // of a worker: the heartbeats', the topology's

}  // namespace

Simulation::Simulation(const Scenario& scenario, uint64_t seed, bool tracing)
    : scenario_(scenario),
      loop_(seed, tracing),
      network_(loop_),
      checker_(loop_, scenario.allowed),
      cluster_(network_, checker_, kMasters, scenario.replicas) {
  network_.quality.chop_percent = scenario.chop_percent;
  network_.quality.window = scenario.window;
  network_.quality.latency_us = random().between(20, 400);
  cluster_.tryagain_when_migrating = random().chance(70);
  cluster_.knows_shards = random().chance(80);
  if (random().chance(20)) cluster_.password = "secret";
  if (scenario.tracking_overflows) cluster_.tracking_limit = 1 + random().below(6);
  set_bounds();
  make_tags();
  make_proxies(seed);
  make_clients();
}

// How late what was written past a proxy may be seen, and how long a read may wait.
void Simulation::set_bounds() {
  checker_.log().bound_us = kPushUs;
  const bool hidden = scenario_.hang_every_us != 0 || scenario_.failover_every_us != 0 ||
                      scenario_.give_away_every_us != 0 || scenario_.migration_every_us != 0;
  if (hidden) checker_.log().bound_us += scenario_.max_staleness_ms * 1000;
  for (const auto& rule : scenario_.rules) {
    if (!rule.stampede) continue;
    checker_.leases().times.lease_us = rule.stampede->lease_ms * 1000;
    checker_.leases().times.wait_us = rule.stampede->wait_ms * 1000;
    checker_.leases().times.wait_shared_us = rule.stampede->wait_shared_ms * 1000;
    checker_.leases().times.for_all = rule.stampede->scope == "cluster" && scenario_.is_calm();
    checker_.leases().times.slack_us = kPushUs;
  }
}

// Hash tags, each of a slot of its own.
void Simulation::make_tags() {
  while (tags_.size() < scenario_.tags) {
    std::string tag("t");
    tag += std::to_string(random().below(1000));
    const auto same_slot = [&](const std::string& other) { return resp::key_slot(other) == resp::key_slot(tag); };
    if (std::none_of(tags_.begin(), tags_.end(), same_slot)) tags_.push_back(tag);
  }
}

config::Settings Simulation::settings() {
  config::Settings made;
  made.guard.del = random().chance(50) ? "del" : "unlink";
  made.upstream.seeds.clear();
  for (int i = 0; i < kMasters; ++i) made.upstream.seeds.push_back(cluster_.node(i).address());
  made.upstream.request_timeout_ms = scenario_.request_timeout_ms;
  made.upstream.connect_timeout_ms = std::min<int64_t>(scenario_.request_timeout_ms, 1000);
  made.upstream.password = cluster_.password;
  made.limits = scenario_.limits;
  made.near_cache.max_staleness_ms = scenario_.max_staleness_ms;
  made.near_cache.memory_bytes = scenario_.near_memory_bytes;
  made.rules = scenario_.rules;
  return made;
}

void Simulation::make_proxies(uint64_t seed) {
  // Sometimes the worker's 32-bit clock wraps during the run.
  const uint64_t start_ms = random().chance(25) ? 0xFFFFFFFF - random().below(3000) : 1000 + random().below(1000000);
  for (uint32_t number = 0; number < scenario_.processes; ++number) {
    proxies_.push_back(std::make_unique<Proxy>());
    Proxy& proxy = *proxies_.back();
    const std::string run_id(40, static_cast<char>('0' + number));
    proxy.process = std::make_unique<core::Process>(settings(), scenario_.workers, 1, run_id);
    for (uint32_t i = 0; i < scenario_.workers; ++i) {
      const uint64_t own_seed = seed * 31 + number * 7 + i;
      proxy.transports.push_back(std::make_unique<SimTransport>(network_, proxy.transports, own_seed, start_ms));
      proxy.workers.push_back(std::make_unique<core::Worker>(*proxy.process, *proxy.transports[i], i, start_ms));
    }
    for (uint32_t i = 0; i < scenario_.workers; ++i) proxy.transports[i]->start(proxy.workers[i].get());
  }
}

ClientPlan Simulation::plan_for(uint32_t number) {
  ClientPlan plan = scenario_.plan;
  plan.tags = tags_;
  plan.window = 1 + static_cast<uint32_t>(random().below(scenario_.plan.window));
  plan.think_us = 1 + random().between(0, 2 * scenario_.plan.think_us);
  plan.patience_us = scenario_.request_timeout_ms * 1000 + kTardyUs;
  // By its own fills of the near cache that are under way, by a limit of what is.
  plan.held_back = plan.near_percent > 0 || scenario_.limits.client_pipeline <= scenario_.plan.window;
  plan.slow_reader = scenario_.plan.slow_reader && number % 2 == 0;
  if (scenario_.clients_vanish && number % 3 == 1) plan.ending = Ending::kMidway;
  if (scenario_.clients_vanish && number % 3 == 2) plan.ending = Ending::kHalfClose;
  return plan;
}

void Simulation::add(std::unique_ptr<SimPeer> peer) {
  const auto number = static_cast<uint32_t>(peers_.size());
  peers_.push_back(std::move(peer));
  const uint64_t worker = random().below(scenario_.workers);
  loop_.after(random().between(0, 30'000),
              [this, number, worker] { peers_[number]->start(*proxies_[process_of(number)]->transports[worker]); });
}

template <typename Kind>
void Simulation::make_actors(uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    const auto number = static_cast<uint32_t>(peers_.size());
    ActorPlan plan = scenario_.actors;
    plan.tags = tags_;
    plan.calm = scenario_.is_calm();
    plan.tracked = scenario_.tracks_waits();
    plan.vanishes = scenario_.clients_vanish;
    auto made = std::make_unique<Kind>(loop_, checker_, process_of(number), number, plan);
    if constexpr (std::is_same_v<Kind, Transactor>) transactors_.push_back(made.get());
    if constexpr (std::is_same_v<Kind, Subscriber>) subscribers_.push_back(made.get());
    add(std::move(made));
  }
}

void Simulation::make_clients() {
  for (uint32_t number = 0; number < scenario_.clients; ++number) {
    auto made = std::make_unique<SimClient>(loop_, checker_, process_of(number), number, plan_for(number));
    clients_.push_back(made.get());
    add(std::move(made));
  }
  make_actors<CacheAside>(scenario_.cache_asides);
  make_actors<Transactor>(scenario_.transactors);
  make_actors<Producer>(scenario_.producers);
  make_actors<Consumer>(scenario_.consumers);
  make_actors<Publisher>(scenario_.publishers);
  make_actors<Subscriber>(scenario_.subscribers);
}

// --- the run ---

bool Simulation::clients_done() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const auto& peer) { return peer->done(); });
}

void Simulation::run_until_answered(const std::string& what) {
  const int64_t rounds_us = scenario_.actors.rounds * 4 * (scenario_.actors.think_us + scenario_.actors.compute_us);
  const int64_t limit = loop_.now_us() + 3 * scenario_.request_timeout_ms * 1000 + kGraceUs + 10 * rounds_us +
                        (scenario_.plan.slow_reader ? 30 * kSecondUs : 0);
  loop_.run_until(limit, [this] { return checker_.failed() || clients_done(); });
  if (checker_.failed() || clients_done()) return;
  for (const auto& peer : peers_) {
    if (peer->done()) continue;
    checker_.fail(what + ": client " + std::to_string(peer->number()) + " still waits, " + peer->state());
  }
}

Outcome Simulation::run() {
  start_faults();
  loop_.run_until(scenario_.faults_us, [this] { return checker_.failed(); });
  run_until_answered("after the faults");
  // All is well again for long enough: now everything must work.
  loop_.run_until(loop_.now_us() + 3 * scenario_.request_timeout_ms * 1000 + kGraceUs,
                  [this] { return checker_.failed(); });
  if (!checker_.failed()) {
    checker_.allow_nothing();
    for (int i = 0; i < 5; ++i) {
      for (const auto& peer : peers_) peer->once_more();
    }
    run_until_answered("when all was well again");
  }
  if (!checker_.failed()) end_clients();
  Outcome outcome{checker_.failures(), 0, 0, 0, {}, {}};
  for (const auto& proxy : proxies_) {
    for (const auto& transport : proxy->transports) transport->halt();
    for (const auto& worker : proxy->workers) worker->stop();
    const auto totals = proxy->process->totals();
    for (size_t i = 0; i < totals.size(); ++i) {
      if (outcome.counters.size() == i) outcome.counters.emplace_back(totals[i].first, 0);
      outcome.counters[i].second += totals[i].second;
    }
  }
  outcome.hash = loop_.hash();
  outcome.errors = checker_.errors();
  outcome.trace = loop_.traced();
  for (const SimClient* client : clients_) outcome.requests += client->history().size();
  return outcome;
}

// --- the end: nothing is left behind ---

void Simulation::end_clients() {
  for (const Subscriber* subscriber : subscribers_) const_cast<Subscriber*>(subscriber)->check_complete();
  for (const auto& peer : peers_) peer->close();
  const int64_t leases_us = checker_.leases().times.lease_us * 2;
  loop_.run_until(loop_.now_us() + kTimersUs + leases_us, [] { return false; });
  // The heartbeats come and go: between them there must be a time when nothing is under way.
  loop_.run_until(loop_.now_us() + kSecondUs, [this] { return is_idle(); });
  check_quiet();
  check_data();
}

bool Simulation::is_idle() const {
  size_t under_way = 0;
  for (const auto& proxy : proxies_) {
    for (const auto& worker : proxy->workers) {
      worker->for_each_link([&](core::Link& link) { under_way += link.in_flight(); });
      under_way += worker->inflight_bytes();
    }
  }
  return under_way == 0;
}

void Simulation::check_quiet() {
  for (const auto& proxy : proxies_) {
    for (const auto& worker : proxy->workers) {
      check_worker(*worker, "worker " + std::to_string(worker->index()));
    }
    core::Process& process = *proxy->process;
    if (process.clients() != 0) checker_.fail("the process still counts clients");
    if (process.blocked_clients() != 0) checker_.fail("the process still counts blocked clients");
    if (process.near_cache()->fills() != 0) checker_.fail("a fill of the near cache is still under way");
    if (process.leases().waiting() != 0) checker_.fail("somebody is still said to wait for a lease");
    process.leases().for_each_leased([&](std::string_view key, uint16_t, const policy::KeyLease&) {
      checker_.fail("there is still a lease of " + std::string(key));
    });
  }
}

void Simulation::check_worker(core::Worker& worker, const std::string& which) {
  if (!worker.sessions().empty()) checker_.fail(which + " still has sessions");
  if (worker.lingering() > 0) checker_.fail(which + " still has sessions that have been closed");
  if (worker.holds().size() > 0) checker_.fail(which + " still holds requests");
  if (worker.leases().waiting() > 0) checker_.fail(which + " still keeps readers waiting");
  if (worker.timers() > kPeriodicTimers) {
    checker_.fail(which + " still has " + std::to_string(worker.timers()) + " timers");
  }
  uint64_t of_probes = 0;  // such may be under way at any time
  const auto look = [&](core::Link& link) {
    for (uint32_t i = 0; i < link.in_flight(); ++i) {
      const core::Link::Pending& pending = link.pending(i);
      if (pending.request.session) checker_.fail(which + " still has requests under way to " + link.address().host);
      of_probes += pending.size;
    }
  };
  worker.for_each_link(look);
  worker.for_each_control_link(look);
  if (worker.inflight_bytes() > of_probes) checker_.fail(which + " still counts bytes under way");
}

void Simulation::check_data() {
  std::map<std::string, int64_t> counters;
  int64_t watched = 0;
  for (const auto& [key, value] : cluster_.contents()) {
    if (key[0] == 'i') counters[key] = std::stoll(value);
    if (key[0] == 'w') watched = std::stoll(value);
  }
  for (const SimClient* client : clients_) checker_.check_history(client->number(), client->history());
  checker_.check_counters(counters);
  checker_.check_lists();
  uint64_t least = 0, most = 0;
  for (const Transactor* one : transactors_) {
    least += one->increments();
    most += one->increments() + one->in_doubt();
  }
  if (static_cast<uint64_t>(watched) < least || static_cast<uint64_t>(watched) > most) {
    checker_.fail("the watched counter is " + std::to_string(watched) + ", not " + std::to_string(least) + " to " +
                  std::to_string(most));
  }
}

}  // namespace corral::sim
