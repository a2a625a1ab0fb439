// Two workers on a stage, for the tests of pub/sub: clients come to worker 1 (those of a Stage), or to worker 0, which
// has the hub. What the workers post to each other is carried over at once. Of worker 0's connections to nodes only
// the hub's are seen; the topology's keeper gets no answer.
#pragma once

#include <string>
#include <string_view>

#include "proxy/core/pubsub_link.h"
#include "stage.h"

namespace corral::core {

class PubSubStage {
 public:
  explicit PubSubStage(const config::Settings& settings = {});
  ~PubSubStage();

  // --- clients, of worker 1 if not said otherwise ---
  Stage::Client connect(int resp = 2);
  Stage::Client connect_to_hub_worker();
  void sends(const Stage::Client& client, std::string_view command);
  std::string received(const Stage::Client& client) { return std::exchange(client.socket->written, {}); }
  void close(const Stage::Client& client);
  /// A client that has subscribed already: `command` is answered by whichever node it goes to.
  Stage::Client subscriber(std::string_view command, int resp = 2);

  // --- the hub's connections ---
  bool has_node(const config::Address& node) const;
  FakeSocket& node(const config::Address& node);
  /// Accepts the connection; the commands of the handshake.
  Commands accept(const config::Address& node, int id = 1);
  /// What the node has received since it was last asked.
  Commands taken(const config::Address& at) { return take_commands(node(at).written); }
  void says(const config::Address& node, std::string_view bytes);
  /// Does what the node has been asked to, as a node does: (UN)SUBSCRIBE and PING. What it has been asked.
  Commands serve(const config::Address& node);
  void lose(const config::Address& node);

  void pass(uint32_t ms);
  void move_slot(uint16_t slot, const config::Address& to);
  /// Makes a map of which node owns the lower and the upper half of the slots, and tells the workers.
  void publish_map(const config::Address& lower, const config::Address& upper, bool a_has_failed = false);
  /// Carries over what has been posted.
  void settle();
  void turn(const std::function<void()>& event);

  Stage stage;
  FakeTransport transport;  // of worker 0
  Worker hub_worker;
};

/// "*2\r\n$1\r\na\r\n..."; a word that is a number preceded by ':' becomes an integer.
std::string frame(std::initializer_list<std::string_view> words, char type = '*');

}  // namespace corral::core
