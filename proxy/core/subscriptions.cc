#include "proxy/core/subscriptions.h"

#include <utility>

#include "proxy/core/pubsub_subscribers.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"

namespace corral::core {

size_t Subscriptions::told(ChannelKind kind) const {
  return kind == ChannelKind::kShard ? of(kind) : of(ChannelKind::kChannel) + of(ChannelKind::kPattern);
}

bool Subscriptions::has(ChannelKind kind, std::string_view name) const {
  return places_[index_of(kind)].contains(name);
}

std::vector<std::string> Subscriptions::names(ChannelKind kind) const {
  std::vector<std::string> names;
  for (const auto& [name, place] : places_[index_of(kind)]) names.emplace_back(name);
  return names;
}

void Subscriptions::join(Channel& channel) {
  Place& place = places_[index_of(channel.kind)][channel.name];
  place = {&channel, channel.members.size()};
  channel.members.push_back({&session_, &place.index});
}

Channel* Subscriptions::begin_to_leave(ChannelKind kind, std::string_view name) {
  Places& places = places_[index_of(kind)];
  const auto it = places.find(name);
  if (it == places.end()) return nullptr;
  Channel& channel = *it->second.channel;
  if (std::exchange(channel.members[it->second.index].leaving, true)) return nullptr;
  ++channel.leaving;
  return &channel;
}

Channel* Subscriptions::leave(ChannelKind kind, std::string_view name) {
  Places& places = places_[index_of(kind)];
  const auto it = places.find(name);
  if (it == places.end()) return nullptr;
  const Place place = it->second;
  auto& members = place.channel->members;
  place.channel->leaving -= members[place.index].leaving;
  members[place.index] = members.back();
  *members[place.index].place = place.index;
  members.pop_back();
  places.erase(it);
  return place.channel;
}

void Subscriptions::leave_all() {
  if (count() > 0) session_.worker().subscribers().leave_all(*this);
}

}  // namespace corral::core
