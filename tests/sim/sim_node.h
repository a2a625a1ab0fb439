// A node of the simulated cluster: a small Redis with real slot semantics, driven by the bytes that arrive.
//
// Source of what it answers: Redis 7.0, cluster.c (getNodeByQuery, clusterRedirectClient), networking.c (CLIENT),
// tracking.c, multi.c, blocked.c, expire.c.
//
//   sim_node.cc           connections, what is refused, what a connection's state does to a command
//   sim_node_keys.cc      the commands on keys, who is told that a key has changed
//   sim_node_waits.cc     MULTI, WATCH, BLPOP, SUBSCRIBE
//   sim_node_control.cc   CLIENT, CLUSTER, INFO
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checker.h"
#include "resp/slot.h"
#include "sim_network.h"
#include "sim_store.h"

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

  // --- its data ---
  /// A command that came another way than over the proxy; the caller knows that this node executes it.
  std::string run_directly(const Args& args);
  /// A key came from another node or goes there (MIGRATE).
  void put(const std::string& key, Entry entry);
  void take_away(const std::string& key);
  /// Null if it is not there (any more).
  Entry* find(const std::string& key);
  /// Another node's data replace what it has: all that it vouched for is void.
  void flush_tracking();
  /// It is no master any more: who waits here is sent away.
  void unblock_all();

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
  Store data;                                      // of a master; a replica takes it over

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
    int resp = 2;
    bool asking = false, authenticated = false;
    bool tracking = false, optin = false, caching = false;
    bool in_multi = false, abort = false, broken = false;  // the last: a watched key has changed
    std::vector<Args> queued;
    std::set<std::string> watched, channels;
    std::vector<std::string> waits_for;  // keys, while it blocks
    uint64_t wait = 0;                   // which of its waits
  };

  int64_t now_us() const;
  SimLoop& loop() const;
  std::string client_address(const Client& client) const;
  void on_bytes(Client& client, std::string_view bytes);
  void read_input(Client& client);
  void forget(uint64_t id);
  std::string execute(Client& client, const Args& args);
  std::string execute_keyed(Client& client, const std::string& name, const Args& args, bool asking);
  std::string refusal(bool asking, const Named& named);
  std::string redirect(std::string_view code, uint16_t slot, int to) const;

  // sim_node_keys.cc
  std::string run(const std::string& name, const Args& args, int resp);
  std::string get(const std::vector<std::string>& keys, bool many, int resp);
  std::string set(const Args& args, const SetOptions& options, int resp);
  std::string remove(const std::vector<std::string>& keys);
  std::string expire(const Args& args, bool seconds);
  std::string push(const Args& args);
  std::string pop(const Args& args, int resp);
  void store(const std::string& key, std::string value, int64_t expire_us);
  void erase(const std::string& key);
  void expire_later(const std::string& key);
  void on_changed(const std::string& key);
  void invalidate(const std::string& key);
  void remember(Client& client, const std::vector<std::string>& keys);

  // sim_node_waits.cc
  std::optional<std::string> transaction_command(Client& client, const std::string& name, const Args& args,
                                                 bool asking);
  std::string exec(Client& client, bool asking);
  std::string block(Client& client, const Args& args);
  void serve_waiting();
  void unblock(Client& client, std::string_view reply);
  std::string subscribe(Client& client, const std::string& name, const Args& args);
  int64_t publish(const std::string& channel, const std::string& message);

  // sim_node_control.cc
  std::string client_command(Client& client, const Args& args);
  std::string tracking_command(Client& client, const Args& args);
  std::string kill(const Client& caller, const Args& args);
  std::string hello(Client& client);
  std::string cluster_command(const Args& args);
  std::string describe_shards();
  std::string describe_slots();
  std::vector<std::pair<int, std::vector<std::pair<int, int>>>> ranges() const;

  SimCluster& cluster_;
  const int index_;
  const config::Address address_;
  const std::string name_;
  std::array<int8_t, resp::kSlots> owners_;
  std::array<uint32_t, resp::kSlots> epochs_{};
  uint32_t epoch_ = 0;  // the newest that it has heard of
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  uint64_t next_client_ = 1;
  std::map<std::string, std::set<uint64_t>> tracked_;     // key -> clients
  std::map<std::string, std::vector<uint64_t>> waiting_;  // key -> clients that block, the first one first
  std::set<std::string> pushed_;                          // lists that have grown in this command
  std::string shards_, slots_;  // replies of CLUSTER SHARDS and SLOTS, kept while nothing changes
};

std::string error_reply(std::string_view text);
std::string integer_reply(int64_t value);
std::string bulk_reply(std::string_view text);
std::string null_reply(int resp);

}  // namespace corral::sim
