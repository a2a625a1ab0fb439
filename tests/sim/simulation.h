// One run: the core, a cluster, clients, faults and the checker, put together from a scenario and a seed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checker.h"
#include "config/settings.h"
#include "proxy/core/process.h"
#include "proxy/core/worker.h"
#include "sim_actor.h"
#include "sim_client.h"
#include "sim_cluster.h"
#include "sim_loop.h"
#include "sim_network.h"
#include "sim_transport.h"

namespace corral::sim {

/// What a scenario is made of. Intervals are averages in microseconds; 0: never.
struct Scenario {
  std::string name;
  uint32_t processes = 1;
  uint32_t workers = 1;  // of each process
  bool replicas = false;
  uint32_t clients = 6;
  uint32_t tags = 5;  // slots that the keys are in
  ClientPlan plan;
  uint32_t cache_asides = 0, transactors = 0, producers = 0, consumers = 0, publishers = 0, subscribers = 0;
  ActorPlan actors;
  bool clients_vanish = false;  // some go away midway, some half close
  int64_t faults_us = 300'000;  // for so long the cluster and the network are disturbed

  int64_t migration_every_us = 0;
  int64_t migration_pace_us = 1000;  // between two keys
  bool migrations_cancel = false;    // some do
  int64_t failover_every_us = 0;
  int64_t break_every_us = 0;
  int64_t hang_every_us = 0;
  int64_t refuse_every_us = 0;  // a node takes no connections for a while
  int64_t down_every_us = 0;    // a node refuses everything for a while
  // Past the proxies:
  int64_t direct_every_us = 0;     // a key under a rule is written
  int64_t near_turn_every_us = 0;  // a near cache is narrowed, or widened again
  int64_t give_away_every_us = 0;  // a slot has another owner without its keys
  bool tracking_overflows = false;

  uint32_t chop_percent = 20;
  size_t window = 64 * 1024;
  int64_t request_timeout_ms = 5000;
  config::LimitSettings limits;
  int64_t max_staleness_ms = 1000;
  uint64_t near_memory_bytes = 1 << 20;
  std::vector<config::RuleSettings> rules;
  Allowed allowed;

  /// Nothing goes wrong with connections and nodes.
  bool is_calm() const {
    return failover_every_us == 0 && break_every_us == 0 && hang_every_us == 0 && refuse_every_us == 0 &&
           down_every_us == 0 && migration_every_us == 0 && give_away_every_us == 0 && !plan.slow_reader;
  }
  /// The nodes tell of what is written past the proxies to those who wait for a lease.
  bool tracks_waits() const {
    for (const auto& rule : rules) {
      const auto& lease = rule.stampede;
      if (!lease) continue;
      if (lease->stale_while_revalidate_ms > 0 || lease->early_refresh > 0 || lease->scope == "cluster") return true;
    }
    return false;
  }
};

struct Outcome {
  std::vector<std::string> failures;
  uint64_t hash = 0;
  uint64_t requests = 0, errors = 0;
  std::vector<std::pair<std::string, uint64_t>> counters;  // of the core
  std::deque<std::string> trace;
};

class Simulation {
 public:
  Simulation(const Scenario& scenario, uint64_t seed, bool tracing);
  Outcome run();

 private:
  /// A process of Corral.
  struct Proxy {
    std::unique_ptr<core::Process> process;
    std::vector<std::unique_ptr<SimTransport>> transports;
    std::vector<std::unique_ptr<core::Worker>> workers;
  };

  void make_tags();
  config::Settings settings();
  void make_proxies(uint64_t seed);
  void make_clients();
  void set_bounds();
  ClientPlan plan_for(uint32_t number);
  template <typename Kind>
  void make_actors(uint32_t count);
  void add(std::unique_ptr<SimPeer> peer);
  uint32_t process_of(uint32_t number) const { return number % scenario_.processes; }

  // simulation_faults.cc
  /// Calls `action` about every `every_us` while faults last.
  void repeat(int64_t every_us, std::function<void()> action);
  void start_faults();
  void start_migration();
  void start_failover();
  void give_away();
  void turn_near_cache();
  void write_directly();
  void break_some(bool hang);
  void refuse_for_a_while();
  void refuse_everything_for_a_while();

  bool clients_done() const;
  void run_until_answered(const std::string& what);
  void end_clients();
  bool is_idle() const;
  void check_quiet();
  void check_worker(core::Worker& worker, const std::string& which);
  void check_data();
  Random& random() { return loop_.random(); }

  const Scenario scenario_;
  SimLoop loop_;
  SimNetwork network_;
  Checker checker_;
  SimCluster cluster_;
  std::vector<std::unique_ptr<Proxy>> proxies_;
  std::vector<std::unique_ptr<SimPeer>> peers_;
  std::vector<SimClient*> clients_;  // of them
  std::vector<Transactor*> transactors_;
  std::vector<Subscriber*> subscribers_;
  std::vector<std::string> tags_;
  uint32_t direct_values_ = 0;
};

}  // namespace corral::sim
