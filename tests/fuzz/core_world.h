// The core between clients and nodes that a fuzzer plays: connections made of strings, time that passes when the input
// says so.
//
// A node says what the input has it say, or answers what it was sent as a Redis would (core_node.h). What clients send
// is counted, and what they get is checked: whole replies, and never more than were asked for.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core_node.h"
#include "proxy/core/process.h"
#include "proxy/core/session.h"
#include "proxy/core/transport.h"
#include "proxy/core/worker.h"
#include "resp/reply_scanner.h"
#include "resp/request_scanner.h"

namespace corral::fuzz {

struct FuzzSocket : core::Socket {
  uint32_t worker = 0;
  config::Address address;  // of a node; empty for a client's
  bool is_client = false;
  bool connected = false;
  bool reading = true;
  bool closed = false;
  bool blocked = false;              // write() took less than all
  bool ended = false, told = false;  // the peer has finished sending; the core knows
  bool hang_up_told = false;
  size_t room = SIZE_MAX;  // write() takes no more than this, and counts it down
  std::string written;     // and not yet looked at by the peer
  std::string incoming;    // on its way to the core
  NodeState node;
};

/// What one client has asked and got.
class ClientLog {
 public:
  void on_sent(std::string_view bytes);
  /// Whole replies, and not more than there may be.
  void on_received(std::string_view bytes);

 private:
  void count(const resp::Command& command);

  resp::RequestScanner requests_;
  resp::ReplyScanner replies_;
  std::string sent_, received_;  // of one that is not whole
  uint64_t asked_ = 0, given_ = 0;
  bool broken_ = false;   // it has sent what is no request
  bool listens_ = false;  // it gets what it has not asked for (RESP2)
};

class World {
 public:
  static constexpr uint32_t kClients = 4;

  struct Play {
    uint32_t workers = 1;
    uint64_t seed = 0;
    bool answering = false;       // the nodes accept connections and answer by themselves
    bool tells_topology = false;  // they say who has which slot
  };
  World(config::Settings settings, const Play& play);
  ~World();

  // --- the input's part: each is an event of its own, and what follows from it ---
  /// Connects first, if it is not connected.
  void client_sends(uint32_t client, std::string_view bytes);
  enum class End : uint8_t { kFinish, kReset };
  void client_ends(uint32_t client, End how);
  /// From now on it takes so many bytes.
  void client_reads(uint32_t client, size_t bytes);
  /// One of the connections to nodes says this.
  void node_says(uint32_t number, std::string_view bytes);
  /// It answers what it has been sent (NodeState::answer).
  void node_answers(uint32_t number, std::string_view flavours);
  void node_ends(uint32_t number, End how);
  void node_reads(uint32_t number, size_t bytes);
  void pass(uint32_t ms);

  /// All clients go, nodes answer, time passes: nothing is left.
  void end_all();
  /// What is held does not exceed the limits.
  void check_bounds();

 private:
  class Wire;
  struct Mail {
    uint32_t worker;
    std::function<void(core::Worker&)> work;
  };
  struct Client {
    FuzzSocket* socket = nullptr;
    ClientLog log;
  };

  void connect(uint32_t client);
  FuzzSocket& add_socket(uint32_t worker);
  FuzzSocket* node_socket(uint32_t number);
  void turn(uint32_t worker, const std::function<void()>& event);
  void settle();
  bool run_mail();
  bool deliver(FuzzSocket& socket);
  bool answer(FuzzSocket& socket, std::string_view flavours);
  void end(FuzzSocket& socket, End how);
  void give_room(FuzzSocket& socket, size_t bytes);
  void look_at_clients();
  bool is_quiet();
  void check_quiet();

  core::Process process_;
  std::vector<std::unique_ptr<Wire>> wires_;
  std::vector<std::unique_ptr<core::Worker>> workers_;
  std::vector<uint32_t> waits_ms_;  // until each wants a turn
  std::vector<std::unique_ptr<FuzzSocket>> sockets_;
  std::vector<Mail> mail_;
  std::array<Client, kClients> clients_;
  uint64_t now_ms_ = 1'000'000;
  uint64_t random_;
  bool answering_;
  const bool tells_topology_;
};

}  // namespace corral::fuzz
