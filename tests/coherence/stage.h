// The coherence test's cluster, its two proxies and its clients: phases of load, each with a fault of its own.
//
// CORRAL_READS sets how many reads all phases of the program together are to judge; CORRAL_NEAR=0 turns the near cache
// off, CORRAL_NARROW=1 narrows and widens it all the time; CORRAL_SEED chooses what the clients do; CORRAL_SLACK_MS is
// added to the staleness that is promised, and CORRAL_TTL_SLACK_MS to a TTL.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "caller.h"
#include "field.h"
#include "support/cluster.h"
#include "support/corral.h"
#include "support/env.h"

namespace corral::test {

inline constexpr int kMaxStalenessMs = 1000;  // as the proxies are told
inline constexpr int kNodeTimeoutMs = 6000;   // longer than nodes stop where nobody shall take over
inline constexpr int kPhases = 13;            // among which the reads are shared out

class Stage {
 public:
  Stage();
  ~Stage();

  RedisCluster& cluster() { return cluster_; }
  Field& field() { return field_; }
  Corral& proxy(size_t index) { return *proxies_[index]; }
  static bool near() { return from_environment("CORRAL_NEAR", 1) != 0; }

  // Load, and under it the fault again and again: at least `rounds` times, and until the phase's reads are done.
  // Reports what was wrong as a failure.
  void phase(const std::string& name, int rounds, const std::function<void(int round)>& fault);
  // The proxies' near caches are narrowed by odd turns, and widened by even ones.
  void turn_near_caches(int turn);
  // Lets the load go on for a while.
  void go_on(milliseconds time);
  // Until so many more reads were judged.
  void go_on_for_reads(uint64_t reads);

  // The nodes that have keys now.
  std::vector<size_t> masters();
  std::vector<size_t> keys_of(size_t node);
  // Fresh versions for these keys, while the writers rest.
  void settle(const std::vector<size_t>& keys);
  std::vector<size_t> all_keys() const;
  std::vector<size_t> counters() const;
  // Tells direct clients where the keys are.
  void find_keys();

  void set_node_timeout(int ms);

  // What is lost from here on ...
  void begin_loss(const std::vector<size_t>& keys);
  // ... until here, where fresh versions are written.
  void end_loss(const std::vector<size_t>& keys);

  // The connections of the proxies at a node.
  struct Connection {
    std::string id;
    uint16_t port;
    bool tracked;  // it tracks keys for it
  };
  std::vector<Connection> connections(size_t node);

 private:
  void make_callers();
  void print(const std::string& name, Nanos began);
  int64_t hits();

  RedisCluster cluster_;
  std::vector<std::unique_ptr<Corral>> proxies_;
  Field field_;
  std::vector<std::unique_ptr<Caller>> callers_;
  std::unique_ptr<Caller> settler_;
  std::vector<size_t> owners_ = std::vector<size_t>(kKeys);  // of each key, when they were looked up
  uint64_t total_reads_ = 0, violations_ = 0;
};

}  // namespace corral::test
