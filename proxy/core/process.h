// What the workers of a process share. None of it is on the hot way but the slot map, of which each worker keeps its
// own pointer.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/settings.h"
#include "policy/lease_table.h"
#include "policy/near_cache.h"
#include "policy/policies.h"
#include "proxy/core/acl_log.h"
#include "proxy/core/auth_throttle.h"
#include "proxy/core/event_log.h"
#include "proxy/core/gate.h"
#include "proxy/core/near_links.h"
#include "proxy/core/pubsub_registry.h"
#include "proxy/core/reply_times.h"
#include "proxy/core/script_registry.h"
#include "proxy/core/server_stats.h"
#include "proxy/core/slot_map.h"
#include "proxy/core/slow_log.h"
#include "proxy/core/slow_requests.h"
#include "proxy/core/stats.h"
#include "resp/command_table.h"

namespace corral::core {

/// What each worker tells the others.
struct WorkerBoard {
  Stats stats;
  TimesByGroup times;  // of clients' requests
  CommandTimes command_times;
  std::atomic<uint32_t> clients{0};
  // If it is limited: what its clients and connections hold, and the largest client.
  std::atomic<uint64_t> memory_bytes{0}, largest_client_bytes{0};
  std::atomic<NodeId> busy_node{kNoNode};  // with a script of this worker's clients
  std::atomic<uint32_t> blocked{0};        // clients in BLPOP and its like
  std::atomic<uint32_t> monitors{0};       // clients that watch (MONITOR)
  // Of CLIENT TRACKING: clients, keys that they have read, pairs of both.
  std::atomic<uint32_t> tracking_clients{0};
  std::atomic<uint64_t> tracked_keys{0}, tracked_items{0};
};

/// What INFO tells of the program and the machine that it runs on.
struct SystemFacts {
  std::string os, executable, config_file;
  int64_t process_id = 0;
};

class Process {
 public:
  /// `started_us`: the wall clock. `run_id`: 40 hex digits, new for each process.
  Process(config::Settings settings, uint32_t workers, int64_t started_us, std::string run_id);

  const config::Settings& settings() const { return settings_; }
  /// What is in force now; workers keep their own copy (Worker::policies()).
  policy::PoliciesPtr policies() const;
  void set_policies(policy::PoliciesPtr policies);
  uint32_t workers() const { return static_cast<uint32_t>(boards_.size()); }
  WorkerBoard& board(uint32_t worker) { return *boards_[worker]; }
  int64_t started_us() const { return started_us_; }
  const std::string& run_id() const { return run_id_; }

  uint64_t next_client_id() { return next_client_id_.fetch_add(1, std::memory_order_relaxed); }
  uint32_t clients() const;
  /// A client comes from "host:port"; false if there are as many from that host as there may be. From any thread.
  bool count_address(const std::string& peer);
  void uncount_address(const std::string& peer);
  /// If memory is limited: what the workers' clients and connections hold, and the largest client of any.
  uint64_t clients_memory_bytes() const;
  uint64_t largest_client_bytes() const;
  /// Of any worker; kNoNode if none is.
  NodeId busy_node() const;
  uint32_t monitors() const;
  uint32_t blocked_clients() const;
  struct TrackingTotals {
    uint64_t clients = 0, keys = 0, items = 0, prefixes = 0;
  };
  TrackingTotals tracking_totals() const;
  /// One client more or less that tracks this prefix.
  void count_tracked_prefix(const std::string& prefix, int change);
  std::vector<std::pair<std::string_view, uint64_t>> totals() const;  // of the workers' counters

  /// The number that stands for an address; always the same for the same address.
  NodeId node_id(const config::Address& address);
  config::Address node_address(NodeId id) const;

  SlotMapPtr slot_map() const;
  /// Makes a view the map that is routed by, and notes the slots that changed hands. Null if it is as before.
  SlotMapPtr publish(const ClusterView& view, int64_t now_us);
  /// One slot has a new owner, as a MOVED said. Null if it is as before.
  SlotMapPtr publish_move(uint16_t slot, NodeId owner, int64_t now_us);
  /// An ASK said that a slot is on its way, or CLUSTER NODES did.
  void note_open_slot(uint16_t slot, int64_t now_us);
  /// Slots that changed hands, or were on their way, since `since_us`; ascending. They are known since
  /// known_since_us().
  std::vector<uint16_t> slots_touched_since(int64_t since_us) const;
  int64_t touched_known_since_us() const { return started_us_; }

  /// Without memory for one it keeps no replies, only when keys go.
  policy::NearCache* near_cache() const { return near_cache_.get(); }
  policy::LeaseTable& leases() { return leases_; }
  NearLinkNumbers& near_links() { return near_links_; }
  ScriptRegistry& scripts() { return scripts_; }
  ServerStats& server_stats() { return server_stats_; }
  SlowLog& slow_log() { return slow_log_; }
  SlowRequests& slow_requests() { return slow_requests_; }
  AclLog& acl_log() { return acl_log_; }
  AuthThrottle& auth_throttle() { return auth_throttle_; }
  EventLog& events() { return events_; }
  const SystemFacts& system() const { return system_; }
  void set_system(SystemFacts system) { system_ = std::move(system); }  // before the workers start
  PubSubRegistry& pubsub() { return pubsub_; }

  /// Commands that the table lacks and an upstream was asked about. Found once, they stay. `known`: whether it was
  /// asked lately; the result is null if the upstream does not know the command either.
  const resp::CommandSpec* unlisted(std::string_view name, int64_t now_us, bool& known) const;
  void learn_unlisted(std::string_view name, std::unique_ptr<resp::UnlistedCommand> command, int64_t now_us);

  /// CLIENT PAUSE and UNPAUSE; the workers' gates are to be told. A pause never shortens or weakens the one before it.
  void pause_clients(ClientPause pause, uint64_t now_ms);
  void unpause_clients();
  ClientPause client_pause() const;

  /// Of the upstream, as its INFO says ("7.0.15"); told by the topology's keeper.
  void set_upstream_version(std::string version);
  std::string upstream_version() const;
  /// Why the nodes cannot be asked, as long as nothing is known of them; empty: nothing has failed.
  void set_upstream_failure(std::string reason);
  std::string upstream_failure() const;
  /// How many databases the one server upstream has, as far as it tells.
  void set_upstream_databases(uint32_t number) { upstream_databases_.store(number, std::memory_order_relaxed); }
  uint32_t upstream_databases() const { return upstream_databases_.load(std::memory_order_relaxed); }

 private:
  NodeId node_id_locked(const config::Address& address);
  SlotMapPtr store(std::shared_ptr<SlotMap> next, int64_t now_us);

  const config::Settings settings_;
  const int64_t started_us_;
  const std::string run_id_;
  std::vector<std::unique_ptr<WorkerBoard>> boards_;
  ScriptRegistry scripts_;
  ServerStats server_stats_;
  SlowLog slow_log_;
  SlowRequests slow_requests_;
  AclLog acl_log_;
  AuthThrottle auth_throttle_;
  EventLog events_;
  SystemFacts system_;
  PubSubRegistry pubsub_;
  std::unique_ptr<policy::NearCache> near_cache_;
  policy::LeaseTable leases_;
  NearLinkNumbers near_links_;
  std::atomic<uint64_t> next_client_id_{1};
  std::atomic<uint32_t> upstream_databases_{16};

  mutable std::mutex mutex_;                // guards what follows
  std::vector<config::Address> addresses_;  // by NodeId
  SlotMapPtr map_ = std::make_shared<SlotMap>();
  SlotMapPtr told_ = map_;  // what the events tell of; only whole views are told
  std::vector<int64_t> touched_us_ = std::vector<int64_t>(resp::kSlots, 0);  // by slot; 0: never
  struct Unlisted {
    std::unique_ptr<resp::UnlistedCommand> command;
    int64_t asked_us;
  };
  std::unordered_map<std::string, Unlisted> unlisted_;
  ClientPause client_pause_;
  std::unordered_map<std::string, uint32_t> tracked_prefixes_;  // clients by prefix
  std::unordered_map<std::string, uint32_t> clients_by_host_;   // if they are limited
  policy::PoliciesPtr policies_;
  std::string upstream_version_ = "7.0.0";
  std::string upstream_failure_;
};

}  // namespace corral::core
