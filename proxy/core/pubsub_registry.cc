#include "proxy/core/pubsub_registry.h"

#include <algorithm>

#include "policy/glob.h"

namespace corral::core {

const PubSubRegistry::Own* PubSubRegistry::Entry::own_at(NodeId node) const {
  const auto it = std::find_if(own.begin(), own.end(), [node](const Own& one) { return one.node == node; });
  return it == own.end() ? nullptr : &*it;
}

PubSubRegistry::Entry& PubSubRegistry::obtain(ChannelKind kind, std::string_view name) {
  Entries& entries = entries_[index_of(kind)];
  const auto it = entries.find(name);
  if (it != entries.end()) return it->second;
  names_.fetch_add(1, std::memory_order_release);
  return entries[std::string(name)];
}

const PubSubRegistry::Entry* PubSubRegistry::find(ChannelKind kind, std::string_view name) const {
  const Entries& entries = entries_[index_of(kind)];
  const auto it = entries.find(name);
  return it == entries.end() ? nullptr : &it->second;
}

void PubSubRegistry::erase_if_unused(ChannelKind kind, std::string_view name) {
  Entries& entries = entries_[index_of(kind)];
  const auto it = entries.find(name);
  if (it == entries.end() || it->second.clients > 0 || !it->second.own.empty()) return;
  entries.erase(it);
  names_.fetch_sub(1, std::memory_order_release);
}

void PubSubRegistry::add_client(ChannelKind kind, std::string_view name) {
  const std::lock_guard lock(mutex_);
  ++obtain(kind, name).clients;
}

void PubSubRegistry::remove_client(ChannelKind kind, std::string_view name) {
  const std::lock_guard lock(mutex_);
  --obtain(kind, name).clients;
  erase_if_unused(kind, name);
}

void PubSubRegistry::add_own(ChannelKind kind, std::string_view name, NodeId node, bool confirmed) {
  const std::lock_guard lock(mutex_);
  Entry& entry = obtain(kind, name);
  const auto it = std::find_if(entry.own.begin(), entry.own.end(), [node](const Own& one) { return one.node == node; });
  if (it == entry.own.end()) {
    entry.own.push_back({node, confirmed});
  } else {
    it->confirmed |= confirmed;
  }
}

void PubSubRegistry::remove_own(ChannelKind kind, std::string_view name, NodeId node) {
  const std::lock_guard lock(mutex_);
  std::erase_if(obtain(kind, name).own, [node](const Own& one) { return one.node == node; });
  erase_if_unused(kind, name);
}

// An own subscription that is not confirmed yet was there if the node told of more than those that are. A message
// reaches the clients of a shard channel through the node that it is published at (the map may be newer than the
// answer, so any will do); those of other channels through any node, for nodes pass it on.
int64_t PubSubRegistry::receivers(bool shard, std::string_view channel, NodeId node, int64_t told) const {
  int64_t reached = 0;
  std::vector<const Entry*> uncertain;
  const auto count = [&](const Entry& entry) {
    const Own* own = entry.own_at(node);
    if (own && own->confirmed) {
      if (--told >= 0) reached += entry.clients;
    } else if (own || (shard && !entry.own.empty())) {
      uncertain.push_back(&entry);
    } else if (!entry.own.empty()) {
      reached += entry.clients;
    }
  };
  const std::lock_guard lock(mutex_);
  if (const Entry* entry = find(shard ? ChannelKind::kShard : ChannelKind::kChannel, channel)) count(*entry);
  if (!shard) {
    for (const auto& [pattern, entry] : entries_[index_of(ChannelKind::kPattern)]) {
      if (policy::glob_match(pattern, channel)) count(entry);
    }
  }
  for (const Entry* entry : uncertain) {
    if (--told >= 0) reached += entry->clients;
  }
  return std::max<int64_t>(told, 0) + reached;
}

std::vector<std::string> PubSubRegistry::names(ChannelKind kind, std::string_view pattern) const {
  std::vector<std::string> found;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : entries_[index_of(kind)]) {
    if (entry.clients > 0 && policy::glob_match(pattern, name)) found.push_back(name);
  }
  return found;
}

size_t PubSubRegistry::count_names(ChannelKind kind) const {
  const std::lock_guard lock(mutex_);
  const Entries& entries = entries_[index_of(kind)];
  return static_cast<size_t>(
      std::count_if(entries.begin(), entries.end(), [](const auto& entry) { return entry.second.clients > 0; }));
}

int64_t PubSubRegistry::clients(ChannelKind kind, std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const Entry* entry = find(kind, name);
  return entry ? entry->clients : 0;
}

bool PubSubRegistry::own_at(ChannelKind kind, std::string_view name, NodeId node) const {
  const std::lock_guard lock(mutex_);
  const Entry* entry = find(kind, name);
  return entry && entry->own_at(node);
}

int64_t PubSubRegistry::own_patterns_at(NodeId node) const {
  const std::lock_guard lock(mutex_);
  const Entries& patterns = entries_[index_of(ChannelKind::kPattern)];
  return std::count_if(patterns.begin(), patterns.end(),
                       [node](const auto& entry) { return entry.second.own_at(node) != nullptr; });
}

uint16_t PubSubRegistry::publish_slot(const SlotMap& map) const {
  const NodeId node = home();
  for (const auto& master : map.masters) {
    if (master.id == node) return master.first_slot;
  }
  return 0;
}

}  // namespace corral::core
