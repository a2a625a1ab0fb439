#include "proxy/core/pubsub_subscribers.h"

#include <cassert>
#include <unordered_set>
#include <utility>

#include "proxy/core/pubsub_registry.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr std::string_view kStopping = "-CLUSTERDOWN the proxy is shutting down\r\n";

Subscriptions& subscriptions_of(Session& session) {
  if (!session.subscriptions()) session.set_subscriptions(std::make_unique<Subscriptions>(session));
  return *session.subscriptions();
}

}  // namespace

Subscribers::~Subscribers() = default;

// --- channels ---

Channel* Subscribers::find(ChannelKind kind, std::string_view name) {
  Channels& channels = channels_[index_of(kind)];
  const auto it = channels.find(name);
  return it == channels.end() ? nullptr : it->second.get();
}

Channel& Subscribers::obtain(ChannelKind kind, std::string_view name) {
  if (Channel* channel = find(kind, name)) return *channel;
  auto channel = std::make_unique<Channel>();
  channel->kind = kind;
  channel->name = name;
  return *(channels_[index_of(kind)][channel->name] = std::move(channel));
}

// If nobody needs the channel any more, the hub is told.
void Subscribers::let_go(Channel& channel) {
  if (!channel.members.empty() || channel.holders > 0 || &channel == delivering_) return;
  if (channel.wanted) requests_.push_back({HubRequest::What::kDrop, channel.kind, channel.name, 0});
  Channels& channels = channels_[index_of(channel.kind)];
  channels.erase(channels.find(channel.name));
}

void Subscribers::leave(Subscriptions& subscriptions, ChannelKind kind, std::string_view name) {
  Channel* channel = subscriptions.leave(kind, name);
  if (!channel) return;
  worker_.process().pubsub().remove_client(kind, name);
  let_go(*channel);
}

void Subscribers::leave_all(Subscriptions& subscriptions) {
  for (const ChannelKind kind : {ChannelKind::kChannel, ChannelKind::kPattern, ChannelKind::kShard}) {
    for (const std::string& name : subscriptions.names(kind)) leave(subscriptions, kind, name);
  }
  send_requests();
}

void Subscribers::send_requests() {
  if (requests_.empty()) return;
  worker_.transport().post(0, [from = worker_.index(), requests = std::exchange(requests_, {})](Worker& first) {
    first.hub()->take(from, requests);
  });
}

// --- commands ---

void Subscribers::subscribe(Session& session, ChannelKind kind, std::vector<std::string> names) {
  const Subscriptions& own = subscriptions_of(session);
  const uint64_t number = next_number_++;
  const bool hides_errors = session.hides_replies();
  Waiting& waiting = waiting_[number] = {session.request_for_push(), kind, true, hides_errors};
  waiting.names = std::move(names);
  std::unordered_set<std::string_view> asked;
  for (const std::string& name : waiting.names) {
    if (own.has(kind, name) || !asked.insert(name).second) continue;
    Channel& channel = obtain(kind, name);
    channel.wanted = true;
    ++channel.holders;
    waiting.held.push_back(&channel);
    requests_.push_back({HubRequest::What::kWant, kind, name, number});
    ++waiting.awaited;
  }
  begin(number);
}

// The last one who leaves drops the channel.
void Subscribers::unsubscribe(Session& session, ChannelKind kind, std::vector<std::string> names) {
  Subscriptions& own = subscriptions_of(session);
  const uint64_t number = next_number_++;
  Waiting& waiting = waiting_[number] = {session.request_for_push(), kind, false};
  size_t told = own.told(kind);
  if (names.empty()) names = own.names(kind);
  if (names.empty()) append_confirmation(waiting.reply, false, kind, nullptr, told, session.resp());
  for (const std::string_view name : names) {
    if (Channel* channel = own.begin_to_leave(kind, name)) {
      const bool last = channel->members.size() == channel->leaving && channel->holders == 0;
      if (last) channel->wanted = false;
      const auto what = last ? HubRequest::What::kDrop : HubRequest::What::kLeave;
      requests_.push_back({what, kind, channel->name, number});
      waiting.names.push_back(channel->name);
      ++waiting.awaited;
      --told;
    }
    append_confirmation(waiting.reply, false, kind, &name, told, session.resp());
  }
  begin(number);
}

void Subscribers::begin(uint64_t number) {
  send_requests();
  const Waiting& waiting = waiting_.at(number);
  if (waiting.awaited == 0) return confirm(number);
  waiting.whole.session->pause(Session::kWalk);
}

Subscribers::Waiting Subscribers::extract(uint64_t number) {
  const auto it = waiting_.find(number);
  Waiting waiting = std::move(it->second);
  waiting_.erase(it);
  return waiting;
}

void Subscribers::confirm(uint64_t number) {
  Waiting waiting = extract(number);
  Session& session = *waiting.whole.session;
  Subscriptions& own = *session.subscriptions();
  if (session.open()) {
    if (waiting.subscribes) {
      join_all(waiting, own);
    } else {
      for (const std::string& name : waiting.names) leave(own, waiting.kind, name);
    }
    session.set_mode(Session::kSubscribed, own.count() > 0);
    if (waiting.subscribes) worker_.access().check_listener(session);
  }
  finish(waiting, waiting.reply);
}

void Subscribers::join_all(Waiting& waiting, Subscriptions& own) {
  for (const std::string_view name : waiting.names) {
    if (!own.has(waiting.kind, name)) {
      own.join(*find(waiting.kind, name));
      worker_.process().pubsub().add_client(waiting.kind, name);
    }
    const size_t told = own.told(waiting.kind);
    append_confirmation(waiting.reply, true, waiting.kind, &name, told, waiting.whole.session->resp());
  }
}

void Subscribers::finish(const Waiting& waiting, std::string_view reply) {
  for (Channel* channel : waiting.held) {
    --channel->holders;
    let_go(*channel);
  }
  send_requests();
  waiting.whole.session->resume(Session::kWalk);
  worker_.answer(waiting.whole, reply);
}

// --- from the hub ---

void Subscribers::take(HubBatch& batch) {
  size_t at = 0;
  for (const HubAnswer& answer : batch.answers) {
    deliver(batch.messages.data() + at, answer.at - at);
    at = answer.at;
    take_answer(answer);
  }
  deliver(batch.messages.data() + at, batch.messages.size() - at);
  send_requests();
}

void Subscribers::take_answer(const HubAnswer& answer) {
  const auto it = waiting_.find(answer.number);
  if (it == waiting_.end()) return;  // refused because of another name
  if (!answer.error.empty()) {
    const Waiting waiting = extract(answer.number);
    finish(waiting, waiting.hides_errors ? std::string_view() : answer.error);
  } else if (--it->second.awaited == 0) {
    confirm(answer.number);
  }
}

void Subscribers::deliver(char* messages, size_t size) {
  for (size_t at = 0; at < size;) {
    const PubSubFrame frame = parse_pubsub_frame({messages + at, size - at});
    assert(frame.type == PubSubFrame::Type::kMessage);
    if (Channel* channel = find(frame.kind, frame.name)) deliver(*channel, messages + at, frame.size);
    at += frame.size;
  }
}

// A client that does not read is closed, and then another may be in its place.
void Subscribers::deliver(Channel& channel, char* frame, size_t size) {
  delivering_ = &channel;
  for (size_t i = 0; i < channel.members.size();) {
    Session* session = channel.members[i].session;
    frame[0] = session->resp() == 3 ? '>' : '*';
    session->push({frame, size});
    if (i < channel.members.size() && channel.members[i].session == session) ++i;
  }
  delivering_ = nullptr;
  let_go(channel);
}

void Subscribers::stop() {
  while (!waiting_.empty()) {
    const Waiting waiting = extract(waiting_.begin()->first);
    worker_.answer(waiting.whole, kStopping);
  }
}

}  // namespace corral::core
