#include "simulation.h"

#include <algorithm>

#include "resp/slot.h"

namespace corral::sim {

namespace {

constexpr int kMasters = 3;
constexpr int64_t kSecondUs = 1'000'000;
// After the last fault: a request waits for its turn, for its timeout and for a connection's at most.
constexpr int64_t kGraceUs = 4 * kSecondUs;

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
  make_tags();
  make_core(seed);
  make_clients();
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
  made.guard.del = "del";  // the simulated nodes know no UNLINK
  made.upstream.seeds.clear();
  for (int i = 0; i < kMasters; ++i) made.upstream.seeds.push_back(cluster_.node(i).address());
  made.upstream.request_timeout_ms = scenario_.request_timeout_ms;
  made.upstream.connect_timeout_ms = std::min<int64_t>(scenario_.request_timeout_ms, 1000);
  made.upstream.password = cluster_.password;
  made.limits = scenario_.limits;
  return made;
}

void Simulation::make_core(uint64_t seed) {
  process_ = std::make_unique<core::Process>(settings(), scenario_.workers, 1, std::string(40, '0'));
  // Sometimes the worker's 32-bit clock wraps during the run.
  const uint64_t start_ms = random().chance(25) ? 0xFFFFFFFF - random().below(3000) : 1000 + random().below(1000000);
  for (uint32_t i = 0; i < scenario_.workers; ++i) {
    transports_.push_back(std::make_unique<SimTransport>(network_, transports_, seed * 31 + i, start_ms));
    workers_.push_back(std::make_unique<core::Worker>(*process_, *transports_.back(), i, start_ms));
  }
  for (uint32_t i = 0; i < scenario_.workers; ++i) transports_[i]->start(workers_[i].get());
}

ClientPlan Simulation::plan_for(uint32_t number) {
  ClientPlan plan = scenario_.plan;
  plan.tags = tags_;
  plan.window = 1 + static_cast<uint32_t>(random().below(scenario_.plan.window));
  plan.think_us = 1 + random().between(0, 2 * scenario_.plan.think_us);
  plan.slow_reader = scenario_.plan.slow_reader && number % 2 == 0;
  if (scenario_.clients_vanish && number % 3 == 1) plan.ending = Ending::kMidway;
  if (scenario_.clients_vanish && number % 3 == 2) plan.ending = Ending::kHalfClose;
  return plan;
}

void Simulation::make_clients() {
  for (uint32_t number = 0; number < scenario_.clients; ++number) {
    clients_.push_back(std::make_unique<SimClient>(loop_, checker_, number, plan_for(number)));
    loop_.after(random().between(0, 30'000),
                [this, number] { clients_[number]->start(*transports_[number % scenario_.workers]); });
  }
}

// --- what goes wrong ---

void Simulation::repeat(int64_t every_us, std::function<void()> action) {
  if (every_us == 0) return;
  loop_.after(random().between(0, 2 * every_us), [this, every_us, action] {
    if (loop_.now_us() > scenario_.faults_us) return;
    action();
    repeat(every_us, action);
  });
}

void Simulation::start_faults() {
  repeat(scenario_.migration_every_us, [this] { start_migration(); });
  repeat(scenario_.failover_every_us, [this] { start_failover(); });
  repeat(scenario_.break_every_us, [this] { break_some(false); });
  repeat(scenario_.hang_every_us, [this] { break_some(true); });
  repeat(scenario_.refuse_every_us, [this] { refuse_for_a_while(); });
  repeat(scenario_.down_every_us, [this] { refuse_everything_for_a_while(); });
}

void Simulation::start_migration() {
  const auto masters = cluster_.masters();
  if (masters.empty()) return;
  const std::string& tag = tags_[random().below(tags_.size())];
  const int to = masters[random().below(masters.size())];
  cluster_.migrate(resp::key_slot(tag), to, scenario_.migration_pace_us,
                   scenario_.migrations_cancel && random().chance(30));
}

void Simulation::start_failover() {
  const auto masters = cluster_.masters();
  if (masters.empty()) return;
  const bool crash = random().chance(60);
  cluster_.fail_over(masters[random().below(masters.size())], crash, crash && random().chance(40));
}

void Simulation::break_some(bool hang) {
  std::vector<Connection*> candidates;
  for (const auto& each : network_.connections()) {
    if (each->serves_node()) candidates.push_back(each.get());
  }
  if (candidates.empty()) return;
  Connection& chosen = *candidates[random().below(candidates.size())];
  if (!hang) return chosen.break_off(random().chance(50));
  chosen.hang(random().between(1000, 3 * scenario_.request_timeout_ms * 1000), random().chance(70));
}

void Simulation::refuse_for_a_while() {
  SimNode& node = cluster_.node(static_cast<int>(random().below(static_cast<uint64_t>(cluster_.size()))));
  node.refusing = true;
  loop_.after(random().between(0, 100'000), [&node] { node.refusing = false; });
}

void Simulation::refuse_everything_for_a_while() {
  SimNode& node = cluster_.node(static_cast<int>(random().below(static_cast<uint64_t>(cluster_.size()))));
  bool& refusal = random().chance(50) ? node.upset_down : node.upset_loading;
  refusal = true;
  loop_.after(random().between(0, 50'000), [&refusal] { refusal = false; });
}

// --- the run ---

bool Simulation::clients_done() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->done(); });
}

void Simulation::run_until_answered(const std::string& what) {
  const int64_t limit = loop_.now_us() + 3 * scenario_.request_timeout_ms * 1000 + kGraceUs +
                        (scenario_.plan.slow_reader ? 30 * kSecondUs : 0);
  loop_.run_until(limit, [this] { return checker_.failed() || clients_done(); });
  if (checker_.failed() || clients_done()) return;
  for (const auto& client : clients_) {
    if (client->done()) continue;
    checker_.fail(what + ": client " + std::to_string(client->number()) + " still waits, for request " +
                  std::to_string(client->answered()) + " of " + std::to_string(client->history().size()));
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
      for (const auto& client : clients_) client->ask_once_more();
    }
    run_until_answered("when all was well again");
  }
  if (!checker_.failed()) {
    for (const auto& client : clients_) client->close();
    loop_.run_until(loop_.now_us() + 2 * kSecondUs, [] { return false; });
    check_quiet();
    check_data();
  }
  for (const auto& transport : transports_) transport->halt();
  for (const auto& worker : workers_) worker->stop();
  Outcome outcome{checker_.failures(), loop_.hash(), 0, checker_.errors(), {}, loop_.traced()};
  for (const auto& client : clients_) outcome.requests += client->history().size();
  for (const auto& [name, value] : process_->totals()) outcome.counters.emplace_back(name, value);
  return outcome;
}

// Nothing is left behind: clients, held requests, requests under way.
void Simulation::check_quiet() {
  for (const auto& worker : workers_) {
    const std::string which = "worker " + std::to_string(worker->index());
    if (!worker->sessions().empty()) checker_.fail(which + " still has sessions");
    if (worker->holds().size() > 0) checker_.fail(which + " still holds requests");
    if (worker->backlogged()) checker_.fail(which + " still counts bytes under way");
    worker->for_each_link([&](core::Link& link) {
      if (link.in_flight() > 0) checker_.fail(which + " still has requests under way to " + link.address().host);
    });
  }
  if (process_->clients() != 0) checker_.fail("the process still counts clients");
}

void Simulation::check_data() {
  std::map<std::string, int64_t> counters;
  for (const auto& [key, value] : cluster_.contents()) {
    if (key[0] == 'i') counters[key] = std::stoll(value);
  }
  for (const auto& client : clients_) checker_.check_history(client->number(), client->history());
  checker_.check_counters(counters);
}

}  // namespace corral::sim
