#include "proxy/core/pubsub_hub.h"

#include <algorithm>
#include <utility>

#include "proxy/core/pubsub_registry.h"
#include "proxy/core/worker.h"
#include "resp/refusal.h"
#include "resp/slot.h"

namespace corral::core {

namespace {

constexpr uint32_t kPromptRedirects = 5;  // followed at once; later ones after a pause
constexpr uint32_t kRedirectPauseMs = 100;
constexpr uint32_t kErrorPauseMs = 1000;  // a node refuses for good: a user's rights may be changed
constexpr std::string_view kNotInTime = "-CLUSTERDOWN no node has confirmed the subscription in time\r\n";

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

PubSubHub::PubSubHub(Worker& worker)
    : worker_(worker), registry_(worker.process().pubsub()), batches_(worker.process().workers()) {
  choose_home();
}

PubSubHub::~PubSubHub() = default;

// --- what workers want ---

void PubSubHub::take(uint32_t worker, const std::vector<HubRequest>& requests) {
  if (stopped_) return;
  for (const HubRequest& request : requests) take_request(worker, request);
}

void PubSubHub::take_request(uint32_t worker, const HubRequest& request) {
  using What = HubRequest::What;
  Ask ask{worker, request.number, request.what, worker_.now_ms()};
  Topic* topic = request.what == What::kWant ? &obtain(request) : find(request.kind, request.name);
  if (!topic) return answer(ask, {});
  if (request.what != What::kLeave) {
    User& user = topic->user(worker);
    user.wants = request.what == What::kWant;
    user.drops += request.what == What::kDrop && request.number != 0;
  }
  settle(*topic);
  topic = find(request.kind, request.name);  // it may be gone
  if (!topic || request.number == 0) return answer(ask, {});
  for (const Source& source : topic->sources) ask.marks.emplace_back(source.node, find_link(source.node)->mark());
  topic->asks.push_back(std::move(ask));
  settle(*topic);
}

bool PubSubHub::Topic::wanted() const {
  return std::any_of(users.begin(), users.end(), [](const User& user) { return user.wants; });
}

PubSubHub::User& PubSubHub::Topic::user(uint32_t worker) {
  const auto it = std::find_if(users.begin(), users.end(), [worker](const User& one) { return one.worker == worker; });
  return it != users.end() ? *it : users.emplace_back(User{worker});
}

PubSubHub::Topic& PubSubHub::obtain(const HubRequest& request) {
  if (Topic* topic = find(request.kind, request.name)) return *topic;
  auto topic = std::make_unique<Topic>();
  topic->kind = request.kind;
  topic->name = request.name;
  topic->number = next_number_++;
  if (request.kind == ChannelKind::kShard) {
    topic->slot = resp::key_slot(request.name);
  } else if (request.kind == ChannelKind::kPattern) {
    topic->at_home = true;
    topic->at_masters = may_match_keyspace_channel(request.name);
  } else {
    topic->at_masters = is_keyspace_channel(request.name);
    topic->at_home = !topic->at_masters;
  }
  names_[index_of(topic->kind)][topic->name] = topic.get();
  return *(topics_[topic->number] = std::move(topic));
}

PubSubHub::Topic* PubSubHub::find(ChannelKind kind, std::string_view name) {
  const auto& names = names_[index_of(kind)];
  const auto it = names.find(name);
  return it == names.end() ? nullptr : it->second;
}

PubSubHub::Source* PubSubHub::Topic::find(NodeId node) {
  const auto it = std::find_if(sources.begin(), sources.end(), [node](const Source& one) { return one.node == node; });
  return it == sources.end() ? nullptr : &*it;
}

void PubSubHub::answer(const Ask& ask, std::string_view error) {
  HubBatch& batch = batches_[ask.worker];
  if (ask.number != 0) batch.answers.push_back({ask.number, batch.messages.size(), std::string(error)});
}

bool PubSubHub::is_passed(const Ask& ask) {
  return std::all_of(ask.marks.begin(), ask.marks.end(), [this](const auto& mark) {
    const PubSubLink* link = find_link(mark.first);
    return !link || link->passed(mark.second);
  });
}

template <typename Choose>
void PubSubHub::answer_some(Topic& topic, std::string_view error, const Choose& choose) {
  std::erase_if(topic.asks, [&](const Ask& ask) {
    if (!choose(ask)) return false;
    answer(ask, error);
    if (ask.what == HubRequest::What::kDrop) --topic.user(ask.worker).drops;
    return true;
  });
  std::erase_if(topic.users, [](const User& user) { return !user.wants && user.drops == 0; });
}

void PubSubHub::answer_asks(Topic& topic) {
  const bool settled = is_settled(topic);
  answer_some(topic, {},
              [&](const Ask& ask) { return (settled || ask.what != HubRequest::What::kWant) && is_passed(ask); });
}

void PubSubHub::fail_asks(Topic& topic, std::string_view error) {
  answer_some(topic, error, [](const Ask& ask) { return ask.what == HubRequest::What::kWant; });
}

void PubSubHub::expire_asks(Topic& topic) {
  const int64_t timeout_ms = worker_.settings().upstream.request_timeout_ms;
  const auto late = [&](const Ask& ask) { return worker_.now_ms() - ask.since_ms >= timeout_ms; };
  answer_some(topic, {}, [&](const Ask& ask) { return late(ask) && ask.what != HubRequest::What::kWant; });
  answer_some(topic, kNotInTime, late);
}

// --- where topics are ---

const std::vector<NodeId>& PubSubHub::places_of(const Topic& topic) {
  places_.clear();
  if (!topic.wanted()) return places_;
  if (topic.kind == ChannelKind::kShard) {
    places_.push_back(topic.target != kNoNode ? topic.target : worker_.map().owner[topic.slot]);
  }
  if (topic.at_home) places_.push_back(registry_.home());
  if (topic.at_masters) {
    for (const auto& master : worker_.map().masters) {
      if (!contains(places_, master.id)) places_.push_back(master.id);
    }
  }
  std::erase(places_, kNoNode);
  return places_;
}

// A master that cannot be reached need not be waited for: what it has to tell would not come from a single Redis that
// is down either. The home node must be there, and any of them.
bool PubSubHub::is_settled(Topic& topic) {
  bool any = false;
  for (const NodeId node : places_of(topic)) {
    const Source* source = topic.find(node);
    const PubSubLink* link = find_link(node);
    if (source && source->confirmed()) {
      any = true;
    } else if (!topic.at_masters || (topic.at_home && node == registry_.home()) || !link || link->failures() == 0) {
      return false;
    }
  }
  return any;
}

// A shard channel whose slot has moved is left for its old owner to end: until then messages may still come from there.
void PubSubHub::settle(Topic& topic) {
  const auto& places = places_of(topic);
  const bool keep_all = topic.kind == ChannelKind::kShard && topic.wanted();
  for (Source& source : topic.sources) {
    if (source.wanted && !keep_all && !contains(places, source.node)) unsubscribe(topic, source);
  }
  if (!topic.pausing) {
    for (const NodeId node : places) subscribe(topic, node);
  }
  answer_asks(topic);
  if (topic.pausing || !topic.asks.empty()) {
    restless_[topic.number] = &topic;
  } else {
    restless_.erase(topic.number);
    if (topic.users.empty() && topic.sources.empty()) erase(topic);
  }
}

void PubSubHub::settle_all() {
  for (auto it = topics_.begin(); it != topics_.end();) settle(*(it++)->second);  // it may be gone afterwards
}

void PubSubHub::subscribe(Topic& topic, NodeId node) {
  PubSubLink& link = obtain_link(node);
  Source* source = topic.find(node);
  if (!link.ready() || (source && source->wanted)) return;
  if (!source) {
    source = &topic.sources.emplace_back(Source{node});
    ++link.sources;
  }
  source->wanted = true;
  ++source->unanswered;
  registry_.add_own(topic.kind, topic.name, node, false);
  link.send(true, topic.kind, topic.name);
}

void PubSubHub::unsubscribe(Topic& topic, Source& source) {
  source.wanted = false;
  ++source.unanswered;
  find_link(source.node)->send(false, topic.kind, topic.name);
}

void PubSubHub::erase_source(Topic& topic, NodeId node) {
  if (std::erase_if(topic.sources, [node](const Source& one) { return one.node == node; }) == 0) return;
  registry_.remove_own(topic.kind, topic.name, node);
  PubSubLink* link = find_link(node);
  if (--link->sources == 0) link->unused_since_ms = worker_.now_ms();
}

void PubSubHub::erase(Topic& topic) {
  auto& names = names_[index_of(topic.kind)];
  names.erase(names.find(topic.name));
  topics_.erase(topic.number);
}

void PubSubHub::pause(Topic& topic, uint32_t delay_ms) {
  topic.pausing = true;
  topic.retry_at_ms = worker_.now_ms() + delay_ms;
}

// --- what nodes say ---

bool PubSubHub::takes(NodeId node, const PubSubFrame& frame) const {
  if (frame.kind == ChannelKind::kShard) return true;
  return is_keyspace_channel(frame.channel) ? is_master(node) : node == registry_.home();
}

void PubSubHub::on_message(PubSubLink& link, const PubSubFrame& frame, std::string_view reply) {
  const Topic* topic = find(frame.kind, frame.name);
  if (!topic || !takes(link.node(), frame)) return;
  for (const User& user : topic->users) batches_[user.worker].messages.append(reply);
}

void PubSubHub::on_confirmed(PubSubLink& link, bool subscribed, ChannelKind kind, std::string_view name) {
  Topic* topic = find(kind, name);
  Source* source = topic ? topic->find(link.node()) : nullptr;
  if (!source) return;
  --source->unanswered;
  if (subscribed) {
    topic->refusals = 0;
    registry_.add_own(kind, name, link.node(), true);
  } else {
    registry_.remove_own(kind, name, link.node());
    if (!source->wanted && source->unanswered == 0) erase_source(*topic, link.node());
  }
  settle(*topic);
}

void PubSubHub::on_refused(PubSubLink& link, bool subscribe, ChannelKind kind, std::string_view name,
                           std::string_view error) {
  Topic* topic = find(kind, name);
  Source* source = topic ? topic->find(link.node()) : nullptr;
  if (!source) return;
  if (--source->unanswered == 0) erase_source(*topic, link.node());
  if (!subscribe) return settle(*topic);
  ++topic->refusals;
  const resp::Refusal refusal = resp::parse_refusal(error);
  if (refusal.kind == resp::RefusalKind::kMoved) {
    const NodeId target = worker_.redirect_target(link.node(), link.address(), refusal);  // may bring a new map
    topic = find(kind, name);
    if (!topic) return;
    topic->target = target;
    if (topic->refusals > kPromptRedirects) pause(*topic, kRedirectPauseMs);
  } else if (refusal.kind == resp::RefusalKind::kNone) {
    fail_asks(*topic, error);
    pause(*topic, kErrorPauseMs);
  } else {
    worker_.refresh_topology();
    pause(*topic, std::min(500u, 20u << std::min(topic->refusals, 5u)));
  }
  settle(*topic);
}

void PubSubHub::on_ended(PubSubLink& link, std::string_view name) {
  worker_.refresh_topology();
  Topic* topic = find(ChannelKind::kShard, name);
  if (!topic) return;
  erase_source(*topic, link.node());
  settle(*topic);
}

void PubSubHub::on_ready(PubSubLink&) { settle_all(); }

void PubSubHub::on_lost(PubSubLink& link) {
  for (auto& [number, topic] : topics_) {
    erase_source(*topic, link.node());
    if (topic->target == link.node()) topic->target = kNoNode;
  }
  relink_ = true;
  choose_home();
  settle_all();
  worker_.refresh_topology();
}

void PubSubHub::on_new_map() {
  for (auto& [number, topic] : topics_) topic->target = kNoNode;
  choose_home();
  settle_all();
}

// --- time ---

void PubSubHub::tick() {
  const uint32_t now_ms = worker_.now_ms();
  std::vector<uint64_t> numbers;
  for (const auto& [number, topic] : restless_) numbers.push_back(number);
  for (const uint64_t number : numbers) {
    const auto it = restless_.find(number);
    if (it == restless_.end()) continue;
    Topic& topic = *it->second;
    if (topic.pausing && static_cast<int32_t>(now_ms - topic.retry_at_ms) >= 0) topic.pausing = false;
    expire_asks(topic);
    settle(topic);
  }
  for (auto& [node, link] : links_) link->check(now_ms);
  check_links();
}

}  // namespace corral::core
