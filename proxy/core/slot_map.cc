// CLUSTER SHARDS and CLUSTER SLOTS: https://redis.io/commands/cluster-shards, https://redis.io/commands/cluster-slots.
#include "proxy/core/slot_map.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>

namespace corral::core {

using resp::ReplyView;

namespace {

// The value of `key` in a map that is an array of keys and values in turn.
ReplyView member(const std::vector<ReplyView>& pairs, std::string_view key) {
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    if (pairs[i].text() == key) return pairs[i + 1];
  }
  return {};
}

std::string known_host(const ReplyView& host, const config::Address& source) {
  if (host.is_null() || host.type() == '\0' || host.text().empty() || host.text() == "?") return source.host;
  return std::string(host.text());
}

bool valid_port(std::optional<int64_t> port) { return port && *port > 0 && *port <= 65535; }

// Marks slots first..last (inclusive) as owned by `node`; false if they are not slots.
bool own(ClusterView& view, std::optional<int64_t> first, std::optional<int64_t> last, size_t node) {
  if (!first || !last || *first < 0 || *last >= resp::kSlots || *first > *last) return false;
  std::fill(view.owner.begin() + *first, view.owner.begin() + *last + 1, static_cast<uint16_t>(node));
  return true;
}

// One node of a shard; nothing if it cannot be reached under any address.
std::optional<ClusterView::Node> parse_shard_node(const ReplyView& reply, const config::Address& source, bool tls) {
  const auto pairs = reply.elements();
  // One of them is missing unless the cluster speaks TLS itself (tls-cluster yes) and plain ports are open as well.
  ReplyView port = member(pairs, tls ? "tls-port" : "port");
  if (port.type() == '\0') port = member(pairs, tls ? "port" : "tls-port");
  if (!valid_port(port.integer())) return {};
  ReplyView endpoint = member(pairs, "endpoint");
  return ClusterView::Node{std::string(member(pairs, "id").text()),
                           {known_host(endpoint, source), static_cast<uint16_t>(*port.integer())},
                           member(pairs, "role").text() == "master",
                           member(pairs, "health").text() == "fail"};
}

bool parse_shard(ClusterView& view, const ReplyView& shard, const config::Address& source, bool tls) {
  const auto pairs = shard.elements();
  const auto slots = member(pairs, "slots").elements();
  size_t owner = ClusterView::kNobody;
  for (const ReplyView& entry : member(pairs, "nodes").elements()) {
    auto node = parse_shard_node(entry, source, tls);
    if (!node) continue;
    if (node->master && (owner == ClusterView::kNobody || !node->failed)) owner = view.nodes.size();
    view.nodes.push_back(*std::move(node));
  }
  if (owner == ClusterView::kNobody) return true;
  for (size_t i = 0; i + 1 < slots.size(); i += 2) {
    if (!own(view, slots[i].integer(), slots[i + 1].integer(), owner)) return false;
  }
  return true;
}

}  // namespace

std::optional<ClusterView> parse_cluster_shards(const ReplyView& reply, const config::Address& source, bool tls) {
  if (!reply.is_aggregate()) return {};
  ClusterView view;
  for (const ReplyView& shard : reply.elements()) {
    if (!parse_shard(view, shard, source, tls)) return {};
  }
  return view;
}

std::optional<ClusterView> parse_cluster_slots(const ReplyView& reply, const config::Address& source) {
  if (!reply.is_aggregate()) return {};
  ClusterView view;
  std::map<std::string, size_t, std::less<>> known;
  for (const ReplyView& range : reply.elements()) {
    const auto parts = range.elements();  // first, last, master, replicas...
    for (size_t i = 2; i < parts.size(); ++i) {
      const auto node = parts[i].elements();  // host, port, name, metadata
      if (node.size() < 2 || !valid_port(node[1].integer())) return {};
      config::Address address{known_host(node[0], source), static_cast<uint16_t>(*node[1].integer())};
      std::string name =
          node.size() > 2 ? std::string(node[2].text()) : address.host + ':' + std::to_string(address.port);
      const auto [it, is_new] = known.try_emplace(name, view.nodes.size());
      if (is_new) view.nodes.push_back({name, address, i == 2});
      if (i == 2 && !own(view, parts[0].integer(), parts[1].integer(), it->second)) return {};
    }
  }
  return view;
}

ClusterView majority(std::span<const ClusterView> views) {
  ClusterView result;
  std::unordered_map<std::string_view, uint16_t> index;  // by name, into result.nodes
  std::vector<std::vector<uint16_t>> translated(views.size());
  std::vector<int> failed;  // by node: how many views more say so than do not
  for (size_t v = 0; v < views.size(); ++v) {
    for (const auto& node : views[v].nodes) {
      const auto [it, is_new] = index.try_emplace(node.name, static_cast<uint16_t>(result.nodes.size()));
      if (is_new) result.nodes.push_back(node);
      failed.resize(result.nodes.size());
      failed[it->second] += node.failed ? 1 : -1;
      translated[v].push_back(it->second);
    }
  }
  for (size_t i = 0; i < failed.size(); ++i) result.nodes[i].failed = failed[i] > 0;
  std::vector<std::pair<uint16_t, int>> votes;
  for (size_t slot = 0; slot < resp::kSlots; ++slot) {
    votes.clear();
    for (size_t v = 0; v < views.size(); ++v) {
      const uint16_t owner = views[v].owner[slot];
      const uint16_t node = owner == ClusterView::kNobody ? owner : translated[v][owner];
      const auto vote = std::find_if(votes.begin(), votes.end(), [&](auto& entry) { return entry.first == node; });
      vote == votes.end() ? (void)votes.emplace_back(node, 1) : (void)++vote->second;
    }
    const auto best =
        std::max_element(votes.begin(), votes.end(), [](auto& a, auto& b) { return a.second < b.second; });
    if (best != votes.end()) result.owner[slot] = best->first;
  }
  return result;
}

bool SlotMap::has(NodeId node) const {
  return std::find(sound.begin(), sound.end(), node) != sound.end() ||
         std::any_of(masters.begin(), masters.end(), [node](const Master& master) { return master.id == node; });
}

void SlotMap::count_slots() {
  for (Master& master : masters) {
    master.slots = static_cast<uint16_t>(std::ranges::count(owner, master.id));
    master.first_slot = static_cast<uint16_t>(std::ranges::find(owner, master.id) - owner.begin());
  }
  std::erase_if(masters, [](const Master& master) { return master.slots == 0; });
}

}  // namespace corral::core
