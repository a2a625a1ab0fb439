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
#include "sim_client.h"
#include "sim_cluster.h"
#include "sim_loop.h"
#include "sim_network.h"
#include "sim_transport.h"

namespace corral::sim {

/// What a scenario is made of. Intervals are averages in microseconds; 0: never.
struct Scenario {
  std::string name;
  uint32_t workers = 1;
  bool replicas = false;
  uint32_t clients = 6;
  uint32_t tags = 5;  // slots that the keys are in
  ClientPlan plan;
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

  uint32_t chop_percent = 20;
  size_t window = 64 * 1024;
  int64_t request_timeout_ms = 5000;
  config::LimitSettings limits;
  Allowed allowed;
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
  void make_tags();
  config::Settings settings();
  void make_core(uint64_t seed);
  void make_clients();
  ClientPlan plan_for(uint32_t number);
  /// Calls `action` about every `every_us` while faults last.
  void repeat(int64_t every_us, std::function<void()> action);
  void start_faults();
  void start_migration();
  void start_failover();
  void break_some(bool hang);
  void refuse_for_a_while();
  void refuse_everything_for_a_while();

  bool clients_done() const;
  void run_until_answered(const std::string& what);
  void check_quiet();
  void check_data();
  Random& random() { return loop_.random(); }

  const Scenario scenario_;
  SimLoop loop_;
  SimNetwork network_;
  Checker checker_;
  SimCluster cluster_;
  std::unique_ptr<core::Process> process_;
  std::vector<std::unique_ptr<SimTransport>> transports_;
  std::vector<std::unique_ptr<core::Worker>> workers_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::vector<std::string> tags_;
};

}  // namespace corral::sim
