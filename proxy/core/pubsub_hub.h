// The subscriptions of the whole process, on worker 0: one upstream subscription for each name that any client has
// subscribed to, however many clients there are.
//
// Where they are:
//   ordinary channels and patterns   at one node, the home node, to which PUBLISH goes too: so the messages of one
//                                    publisher keep their order over all channels. It stays the home node while it
//                                    serves, also when its slots move away or it becomes a replica: messages get there
//                                    from every node, and a change would lose or double some;
//   keyspace notifications           at every master, for each tells only of its own keys. From other nodes than the
//                                    home node nothing else is taken, so that nothing comes twice;
//   shard channels                   at the owner of their slot.
// A topic is a name with its sources, the nodes where it is subscribed to. Whatever happens (a new map, a lost
// connection, a slot that has moved, the last client that leaves), settle() compares them with where they should be and
// sends what is missing. Clients notice nothing of it but the messages that were published meanwhile.
//
// Workers ask with requests and get answers, in batches with the messages for their clients. No answer comes before all
// that the nodes had to tell when the request came: a client that subscribes gets nothing that was published before,
// one that leaves gets all that was, and what is published afterwards does not count it any more. So the answer waits
// for that of the node, to (UN)SUBSCRIBE or, where others have the subscription too, to a PING on its connection.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/core/pubsub_frame.h"
#include "proxy/core/pubsub_link.h"

namespace corral::core {

class PubSubRegistry;
class Worker;

/// Of one worker, for a name.
struct HubRequest {
  enum class What : uint8_t {
    kWant,   // a client wants it, and waits for it
    kLeave,  // a client leaves it, others do not
    kDrop,   // no client wants it any more
  } what;
  ChannelKind kind;
  std::string name;
  uint64_t number;  // of the worker's own; the answer bears it. 0: none is wanted
};

struct HubAnswer {
  uint64_t number;
  size_t at;          // so many bytes of the messages come before it
  std::string error;  // a RESP error: it could not be subscribed to, but is tried until it is dropped. Empty: done
};

/// What a worker gets at the end of a turn of the hub's.
struct HubBatch {
  std::vector<HubAnswer> answers;
  std::string messages;  // frames of RESP2, one after the other
  bool empty() const { return answers.empty() && messages.empty(); }
};

class PubSubHub final : public PubSubListener {
 public:
  explicit PubSubHub(Worker& worker);
  ~PubSubHub();

  void take(uint32_t worker, const std::vector<HubRequest>& requests);

  // --- for the worker ---
  void on_new_map();
  void tick();
  /// Writes to the nodes and gives the workers what is theirs.
  void flush();
  void stop();

  void on_ready(PubSubLink& link) override;
  void on_lost(PubSubLink& link) override;
  void on_progress() override { progress_ = true; }
  void on_message(PubSubLink& link, const PubSubFrame& frame, std::string_view reply) override;
  void on_confirmed(PubSubLink& link, bool subscribed, ChannelKind kind, std::string_view name) override;
  void on_refused(PubSubLink& link, bool subscribe, ChannelKind kind, std::string_view name,
                  std::string_view error) override;
  void on_ended(PubSubLink& link, std::string_view name) override;

 private:
  struct User {
    uint32_t worker;
    bool wants = false;
    uint32_t drops = 0;  // not answered yet; until then it gets the messages
  };
  /// A request that is not answered yet.
  struct Ask {
    uint32_t worker;
    uint64_t number;
    HubRequest::What what;
    uint32_t since_ms;
    std::vector<std::pair<NodeId, uint64_t>> marks = {};  // of connections, to be passed
  };
  struct Source {
    NodeId node;
    uint32_t unanswered = 0;  // of what was sent for it
    bool wanted = false;      // what was sent last: a subscription, or its end
    bool confirmed() const { return wanted && unanswered == 0; }
  };
  struct Topic {
    ChannelKind kind;
    std::string name;
    uint64_t number;    // in the order of their making
    uint16_t slot = 0;  // of a shard channel
    bool at_home = false;
    bool at_masters = false;
    std::vector<User> users;
    std::vector<Ask> asks;
    std::vector<Source> sources;
    NodeId target = kNoNode;  // where a MOVED said that the shard channel belongs
    uint32_t refusals = 0;    // in a row
    bool pausing = false;     // until retry_at_ms
    uint32_t retry_at_ms = 0;

    bool wanted() const;
    User& user(uint32_t worker);
    Source* find(NodeId node);
  };

  // pubsub_hub.cc: requests and topics
  void take_request(uint32_t worker, const HubRequest& request);
  Topic& obtain(const HubRequest& request);
  Topic* find(ChannelKind kind, std::string_view name);
  void settle(Topic& topic);
  void settle_all();
  const std::vector<NodeId>& places_of(const Topic& topic);
  bool is_settled(Topic& topic);
  void subscribe(Topic& topic, NodeId node);
  void unsubscribe(Topic& topic, Source& source);
  void erase_source(Topic& topic, NodeId node);
  void erase(Topic& topic);
  void pause(Topic& topic, uint32_t delay_ms);
  void answer(const Ask& ask, std::string_view error);
  void answer_asks(Topic& topic);
  void expire_asks(Topic& topic);
  void fail_asks(Topic& topic, std::string_view error);
  template <typename Choose>
  void answer_some(Topic& topic, std::string_view error, const Choose& choose);
  bool is_passed(const Ask& ask);
  bool takes(NodeId node, const PubSubFrame& frame) const;

  // pubsub_hub_links.cc: the home node, connections and turns
  void choose_home();
  bool home_serves();
  bool is_master(NodeId node) const;
  PubSubLink& obtain_link(NodeId node);
  PubSubLink* find_link(NodeId node);
  bool is_needed(NodeId node);
  void check_links();
  void answer_passed();

  Worker& worker_;
  PubSubRegistry& registry_;
  bool stopped_ = false;
  bool progress_ = false;  // marks may have been passed
  bool relink_ = false;    // a connection has been lost
  uint64_t next_number_ = 1;
  std::map<uint64_t, std::unique_ptr<Topic>> topics_;  // by number
  std::array<NameMap<Topic*>, kChannelKinds> names_;   // the same
  std::map<uint64_t, Topic*> restless_;                // of these, those that are asked for, or are to be tried again
  std::map<NodeId, std::unique_ptr<PubSubLink>> links_;
  std::vector<HubBatch> batches_;  // by worker
  std::vector<NodeId> places_;     // of one call
};

}  // namespace corral::core
