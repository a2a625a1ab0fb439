// A node of the simulated cluster: a small Redis with real slot semantics, driven by the bytes that arrive.
//
// Source of what it answers: Redis 7.0, cluster.c (getNodeByQuery, clusterRedirectClient) and networking.c (CLIENT).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checker.h"
#include "resp/request_scanner.h"
#include "resp/slot.h"
#include "sim_network.h"

namespace corral::sim {

class SimCluster;
inline constexpr int kNobody = -1;

class SimNode final : public Acceptor {
 public:
  SimNode(SimCluster& cluster, int index);

  int index() const { return index_; }
  const config::Address& address() const { return address_; }
  const std::string& name() const { return name_; }

  Peer* accept(Connection& connection) override;
  bool unreachable() const override { return black_hole; }

  /// Dies: all connections are reset, and new ones refused (or, as a black hole, never answered).
  void die(bool silently);
  void revive() { alive = true, black_hole = false; }
  /// What this node believes of a slot. Older news (by `epoch`) than it has is dropped.
  void learn_owner(uint16_t slot, int owner, uint32_t epoch);
  int owner(uint16_t slot) const { return owners_[slot]; }
  /// The cluster's roles or who is alive have changed: what CLUSTER SHARDS says is told anew.
  void forget_view() { shards_.clear(), slots_.clear(); }

  bool alive = true;
  bool black_hole = false;  // does not even refuse
  bool refusing = false;    // takes no new connections, but serves those it has
  int master = kNobody;     // if it is a replica: of which node
  bool loading = false;
  bool down = false;                               // believes that the cluster is down
  bool unaware = false;                            // restarted, and has not heard of the others yet
  bool read_only = false;                          // just demoted: it refuses writes and is loading for reads
  bool upset_down = false, upset_loading = false;  // the same as a fault of its own
  std::map<uint16_t, int> migrating, importing;    // slot -> other node
  std::map<std::string, std::string> data;         // of a master; a replica takes it over

 private:
  /// A connection, seen from here.
  struct Client final : public Peer {
    Client(SimNode& of, Connection& from, uint64_t number) : node(of), connection(from), id(number) {}
    void on_bytes(Connection&, std::string_view bytes) override { node.on_bytes(*this, bytes); }
    void on_closed(Connection&) override { node.forget(id); }
    SimNode& node;
    Connection& connection;
    const uint64_t id;
    std::string input;
    std::string name;
    bool asking = false;
    bool authenticated = false;
  };

  std::string client_address(const Client& client) const;
  void on_bytes(Client& client, std::string_view bytes);
  void forget(uint64_t id) { clients_.erase(id); }
  std::string execute(Client& client, const resp::Command& command);
  std::string client_command(Client& client, const resp::Command& command);
  std::string kill(const Client& caller, const resp::Command& command);
  std::string cluster_command(const resp::Command& command);
  std::string describe_shards();
  std::string describe_slots();
  std::vector<std::pair<int, std::vector<std::pair<int, int>>>> ranges() const;
  std::string refusal(bool asking, const std::vector<std::string>& keys, bool writes);
  std::string redirect(std::string_view code, uint16_t slot, int to) const;
  std::string run(std::string_view name, const resp::Command& command, const std::vector<std::string>& keys);
  std::string increment(const std::string& key);

  SimCluster& cluster_;
  const int index_;
  const config::Address address_;
  const std::string name_;
  std::array<int8_t, resp::kSlots> owners_;
  std::array<uint32_t, resp::kSlots> epochs_{};
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  uint64_t next_client_ = 1;
  std::string shards_, slots_;  // replies of CLUSTER SHARDS and SLOTS, kept while nothing changes
};

}  // namespace corral::sim
