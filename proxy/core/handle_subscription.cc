// SUBSCRIBE and kin (their work is in pubsub_subscribers.h), PUBLISH, and PUBSUB (pubsub_query.cc).
//
// A PUBLISH goes to the home node as a request like others; what that answers counts Corral as one subscriber, so the
// number is put right. As long as nobody has subscribed to anything it is passed on as it came.
#include <string>
#include <vector>

#include "proxy/core/handlers.h"
#include "proxy/core/pubsub_registry.h"
#include "proxy/core/pubsub_subscribers.h"
#include "proxy/core/session.h"
#include "proxy/core/subscriptions.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/slot.h"

namespace corral::core {

using resp::Action;
using resp::Command;
using resp::CommandSpec;

namespace {

class PublishTask final : public Task {
 public:
  static void start(Session& session, const Command& command, uint16_t slot, uint8_t flags, bool shard) {
    auto* task = new PublishTask(session.request_for_reply(slot, flags), command.arg(1), shard);
    Request part = task->whole_;
    part.task = task;
    session.add_reference();
    session.worker().send(part, command.bytes());
  }

  void on_reply(uint32_t, std::string_view reply) override {
    Worker& worker = whole_.session->worker();
    std::string corrected;
    if (const auto told = resp::ReplyView(reply).integer()) {
      const NodeId node = worker.map().owner[whole_.slot];
      resp::append_integer(corrected, worker.process().pubsub().receivers(shard_, channel_, node, *told));
      reply = corrected;
    }
    worker.answer(whole_, reply);
    delete this;
  }

 private:
  PublishTask(const Request& whole, std::string_view channel, bool shard)
      : whole_(whole), channel_(channel), shard_(shard) {}

  const Request whole_;  // holds a reference to the session
  const std::string channel_;
  const bool shard_;
};

void publish(Session& session, const Command& command, const CommandSpec& spec) {
  Worker& worker = session.worker();
  const bool shard = spec.action == Action::kSPublish;
  const PubSubRegistry& registry = worker.process().pubsub();
  const uint16_t slot = shard ? worker.slot_of(command.arg(1)) : registry.publish_slot(worker.map());
  const uint8_t flags = request_flags(spec);
  if (registry.empty()) return session.forward(command.bytes(), slot, flags);
  PublishTask::start(session, command, slot, flags, shard);
}

std::vector<std::string> names_of(const Command& command) {
  std::vector<std::string> names;
  for (size_t i = 1; i < command.argc(); ++i) names.emplace_back(command.arg(i));
  return names;
}

// More names than a client may have, those that it has already told again included.
bool too_many(Session& session, const Command& command) {
  const Subscriptions* own = session.subscriptions();
  const uint32_t most = session.worker().settings().limits.subscriptions;
  if ((own ? own->count() : 0) + command.argc() - 1 <= most) return false;
  session.worker().stats().too_many_subscriptions.add();
  session.reply_error("ERR too many subscriptions, a client may have " + std::to_string(most));
  return true;
}

void subscribe(Session& session, ChannelKind kind, const Command& command) {
  if (too_many(session, command)) return;
  session.worker().subscribers().subscribe(session, kind, names_of(command));
}

}  // namespace

void handle_subscription(Session& session, const Command& command, const CommandSpec& spec) {
  Subscribers& subscribers = session.worker().subscribers();
  switch (spec.action) {
    case Action::kSubscribe:
      return subscribe(session, ChannelKind::kChannel, command);
    case Action::kPSubscribe:
      return subscribe(session, ChannelKind::kPattern, command);
    case Action::kSSubscribe:
      return subscribe(session, ChannelKind::kShard, command);
    case Action::kUnsubscribe:
      return subscribers.unsubscribe(session, ChannelKind::kChannel, names_of(command));
    case Action::kPUnsubscribe:
      return subscribers.unsubscribe(session, ChannelKind::kPattern, names_of(command));
    case Action::kSUnsubscribe:
      return subscribers.unsubscribe(session, ChannelKind::kShard, names_of(command));
    case Action::kPublish:
    case Action::kSPublish:
      return publish(session, command, spec);
    default:
      return query_pubsub(session, command, spec);
  }
}

}  // namespace corral::core
