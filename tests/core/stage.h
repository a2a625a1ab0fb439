// One worker on a stage: clients and nodes are strings in the test's hands, time passes when the test says so.
//
// The cluster has two masters, A with slots 0 ... 8191 and B with the rest, and C without slots. Unless a test wants
// it, the worker is not the one that keeps the topology, so no CLUSTER command comes in between; what it asks the
// keeper for is in transport.posted.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fake_transport.h"
#include "proxy/core/process.h"
#include "proxy/core/worker.h"

namespace corral::core {

inline const config::Address kNodeA{"10.0.0.1", 7001};
inline const config::Address kNodeB{"10.0.0.2", 7002};
inline const config::Address kNodeC{"10.0.0.3", 7003};

// Slots of these keys: {bar} 5061, on A; {hello} 866, on A; {foo} 12182, on B.
inline constexpr uint16_t kBarSlot = 5061, kHelloSlot = 866, kFooSlot = 12182;

using Commands = std::vector<std::string>;  // each with its words joined by blanks

/// Takes the whole requests out of `bytes`.
Commands take_commands(std::string& bytes);

class Stage {
 public:
  /// Worker 0 keeps the topology: it starts without one, and asks for it by itself.
  explicit Stage(config::Settings settings = {}, uint32_t worker_index = 1);
  ~Stage();

  struct Client {
    FakeSocket* socket;
    Session* session;  // valid while the socket is not closed
  };

  // --- clients ---
  Client connect_client();
  /// Inline requests are fine: "SET k v\r\n". One event, one turn.
  void client_sends(const Client& client, std::string_view bytes);
  /// Fin. Like a kernel, the socket tells it only when all before it has been read.
  void client_ends(const Client& client);
  void client_fails(const Client& client);
  /// What the client has received since it was last asked.
  std::string received(const Client& client) { return std::exchange(client.socket->written, {}); }
  /// From now on the client takes so many bytes more; with more than before, the socket becomes writable.
  void give_room(const Client& client, size_t bytes);

  // --- nodes ---
  /// The latest open connection to a node; fails the test if there is none.
  FakeSocket& link(const config::Address& node);
  bool has_link(const config::Address& node) const;
  /// Accepts the connection and returns the commands of the handshake, all answered +OK but CLIENT INFO, which says
  /// id=`id`.
  Commands accept(const config::Address& node, int id = 1);
  /// The commands that the node has received since it was last asked.
  Commands taken(const config::Address& node);
  void answer(const config::Address& node, std::string_view replies);
  void lose(const config::Address& node, std::string_view reason = "reset by peer");

  // --- time ---
  /// Runs `event` in a turn of its own, and further turns as long as the worker wants one at once.
  void turn(const std::function<void()>& event);
  /// Time passes in steps of 1 ms for short whiles, of 10 ms for longer ones.
  void pass(uint32_t ms);

  void move_slot(uint16_t slot, const config::Address& to);
  uint64_t count(Counter Stats::*counter) { return (worker.stats().*counter).get(); }

  FakeTransport transport;
  Process process;
  uint64_t now_ms = 1'000'000;
  Worker worker;
};

}  // namespace corral::core
