// The subscribers of one worker: which clients get what comes from the hub, and the SUBSCRIBE and UNSUBSCRIBE commands
// that wait for it.
//
// A channel is in the table as long as a client has joined it or a SUBSCRIBE that names it is under way. Both commands
// ask the hub for each name and are confirmed when it has answered for all: then, in between the messages, the client
// joins or leaves. If one of the names cannot be subscribed to, the client joins none.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/core/pubsub_hub.h"
#include "proxy/core/request.h"
#include "proxy/core/subscriptions.h"

namespace corral::core {

class Session;
class Worker;

class Subscribers {
 public:
  explicit Subscribers(Worker& worker) : worker_(worker) {}
  ~Subscribers();

  /// Confirmed when the nodes have confirmed it; until then the session pauses.
  void subscribe(Session& session, ChannelKind kind, std::vector<std::string> names);
  /// Without names: from all of this kind.
  void unsubscribe(Session& session, ChannelKind kind, std::vector<std::string> names);
  void leave_all(Subscriptions& subscriptions);

  /// From the hub.
  void take(HubBatch& batch);
  /// Answers all that wait.
  void stop();

 private:
  /// A command under way.
  struct Waiting {
    Request whole;  // holds a reference to the session
    ChannelKind kind;
    bool subscribes;
    bool hides_errors = false;            // CLIENT REPLY OFF: of confirmations it hides none
    uint32_t awaited = 0;                 // answers of the hub's
    std::vector<std::string> names = {};  // to be subscribed to, or left
    std::vector<Channel*> held = {};      // it is a holder of these
    std::string reply = {};               // of UNSUBSCRIBE
  };
  using Channels = NameMap<std::unique_ptr<Channel>>;

  Channel& obtain(ChannelKind kind, std::string_view name);
  Channel* find(ChannelKind kind, std::string_view name);
  void let_go(Channel& channel);
  void leave(Subscriptions& subscriptions, ChannelKind kind, std::string_view name);
  void send_requests();
  void begin(uint64_t number);
  void take_answer(const HubAnswer& answer);
  void confirm(uint64_t number);
  void join_all(Waiting& waiting, Subscriptions& own);
  void finish(const Waiting& waiting, std::string_view reply);
  Waiting extract(uint64_t number);
  void deliver(char* messages, size_t size);
  void deliver(Channel& channel, char* frame, size_t size);

  Worker& worker_;
  std::array<Channels, kChannelKinds> channels_;
  uint64_t next_number_ = 1;
  std::unordered_map<uint64_t, Waiting> waiting_;  // by number
  std::vector<HubRequest> requests_;               // to be sent
  const Channel* delivering_ = nullptr;            // is not let go
};

}  // namespace corral::core
