#include "proxy/admin/page_snapshot.h"

#include <algorithm>
#include <span>
#include <utility>

#include "config/units.h"
#include "config/version.h"
#include "proxy/admin/process_facts.h"
#include "proxy/admin/readiness.h"
#include "proxy/core/policies.h"

namespace corral::admin {

using core::LatencyCounts;
using core::NodeId;
using core::NodeSnapshot;
using core::RuleSnapshot;
using core::SlotMap;
using core::WorkerSnapshot;

namespace {

constexpr size_t kSlotsInCell = 32;  // of the map that is drawn
constexpr size_t kMostRanges = 4;    // of slots, that are told of a node
constexpr size_t kMostEvents = 50, kMostKeys = 10, kMostSlow = 10, kMostRules = 200, kMostClients = 100;
constexpr double kLeastReads = 0.05;  // a second, of a hot key

void add_times(JsonWriter& json, const LatencyCounts& times, double seconds) {
  const uint64_t count = times.count();
  const auto percentile = [&](double share) -> std::optional<uint64_t> {
    if (count == 0) return {};
    return times.quantile_us(share);
  };
  json.field("per_s", seconds > 0 ? static_cast<double>(count) / seconds : 0.0);
  json.field("p50_us", percentile(0.5)).field("p99_us", percentile(0.99));
}

// As panels.js has it in kPlaces.
void append_point(JsonWriter& json, const History::Point& point) {
  const Figures& figures = point.figures;
  json.begin_array().value(point.time_ms).value(figures.requests).value(figures.hit_share).value(figures.p99_us);
  json.value(figures.saved_share).value(figures.origin_saved).value(figures.errors).end_array();
}

// "0-5460 5500" of the slots that a node owns; of many ranges the first.
std::string ranges_of(const SlotMap& map, NodeId node) {
  std::string text;
  size_t ranges = 0;
  for (uint32_t slot = 0; slot < resp::kSlots; ++slot) {
    if (map.owner[slot] != node) continue;
    const uint32_t first = slot;
    while (slot + 1 < resp::kSlots && map.owner[slot + 1] == node) ++slot;
    if (++ranges > kMostRanges) continue;
    if (!text.empty()) text += ' ';
    text += std::to_string(first);
    if (slot > first) text += '-' + std::to_string(slot);
  }
  if (ranges > kMostRanges) text += " and " + std::to_string(ranges - kMostRanges) + " more";
  return text;
}

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

// Those with slots first, by their first one.
std::vector<NodeId> nodes_of(const SlotMap& map) {
  std::vector<SlotMap::Master> masters = map.masters;
  std::sort(masters.begin(), masters.end(), [](auto& a, auto& b) { return a.first_slot < b.first_slot; });
  std::vector<NodeId> nodes;
  for (const auto& master : masters) nodes.push_back(master.id);
  for (const auto* others : {&map.sound, &map.failed}) {
    for (const NodeId node : *others) {
      if (!contains(nodes, node)) nodes.push_back(node);
    }
  }
  return nodes;
}

const char* state_of(const SlotMap& map, NodeId id, const NodeSnapshot& node) {
  if (node.given_up > 0) return "given up";
  if (!node.reachable()) return "unreachable";
  if (contains(map.failed, id)) return "failed";
  return node.connections > 0 ? "up" : "idle";
}

// "name=value name=value" as CLIENT LIST has it. No value has a blank in it.
std::string_view word_of(std::string_view line, std::string_view name) {
  const std::string wanted = ' ' + std::string(name) + '=';
  size_t begin = 0;
  if (!line.starts_with(wanted.substr(1))) {
    const size_t at = line.find(wanted);
    if (at == std::string_view::npos) return {};
    begin = at + 1;
  }
  begin += wanted.size() - 1;
  return line.substr(begin, std::min(line.find(' ', begin), line.size()) - begin);
}

}  // namespace

std::string PageSnapshot::text(const History& past, const WorkerSnapshot& now) {
  json_ = {};
  json_.begin_object();
  json_.field("time_ms", past.latest().time_ms);
  add_process(now);
  json_.key("counters").begin_object();
  for (const auto& [name, count] : past.latest().totals) json_.field(name, count);
  json_.end_object();
  json_.key("errors").begin_object();
  for (const auto& [code, count] : process_.server_stats().errors_by_code()) json_.field(code, count);
  json_.end_object();
  add_figures(past);
  add_groups(past);
  add_cluster(now, past.latest().at_us);
  add_rules(now);
  add_clients(now);
  add_keys(now);
  add_slow_requests();
  add_events();
  return json_.end_object().take();
}

void PageSnapshot::add_process(const WorkerSnapshot& now) {
  const ProcessFacts facts = process_facts();
  json_.key("process").begin_object();
  json_.field("run_id", process_.run_id()).field("version", config::kVersion);
  json_.field("redis_version", process_.upstream_version()).field("mode", process_.settings().upstream.mode);
  json_.field("started_ms", process_.started_us() / 1000).field("workers", process_.workers());
  json_.field("cpu_seconds", facts.cpu_seconds).field("not_ready", why_not_ready(process_, now));
  json_.end_object();
  json_.key("memory").begin_object().field("resident", facts.resident_bytes);
  json_.field("near_cache_limit", process_.settings().near_cache.memory_bytes);
  json_.field("buffers", now.buffer_bytes + now.spare_buffer_bytes).end_object();
}

void PageSnapshot::add_figures(const History& past) {
  const Figures second = past.last_second(), window = past.window();
  if (!past.points().empty()) append_point(json_.key("point"), past.points().back());
  json_.key("now").begin_object();
  json_.field("requests", second.requests).field("input_bytes", second.input_bytes);
  json_.field("output_bytes", second.output_bytes).field("seconds", window.seconds);
  json_.field("answered_here", window.answered_here).field("saved_share", window.saved_share);
  json_.field("origin_saved", window.origin_saved).field("errors", window.errors);
  json_.field("hit_share", window.hit_share).field("p50_us", window.p50_us).field("p99_us", window.p99_us);
  json_.end_object();
}

void PageSnapshot::add_groups(const History& past) {
  const double seconds = past.window().seconds;
  json_.key("groups").begin_array();
  for (size_t group = 0; group < core::kCommandGroupNames.size(); ++group) {
    LatencyCounts times = past.latest().times[group];
    const uint64_t ever = times.count();
    if (ever == 0) continue;
    times.subtract(past.earlier().times[group]);
    json_.begin_object().field("name", core::kCommandGroupNames[group]).field("count", ever);
    add_times(json_, times, seconds);
    json_.end_object();
  }
  json_.end_array();
}

void PageSnapshot::add_cluster(const WorkerSnapshot& now, uint64_t at_us) {
  // What is of long before, when somebody last watched, is no beginning of a window.
  constexpr uint64_t kMostUs = (History::kWindow + 2) * 1'000'000;
  while (!node_times_.empty() && at_us - node_times_.front().at_us > kMostUs) node_times_.pop_front();
  NodeTimes times{at_us, {}};
  for (const auto& [id, node] : now.nodes) times.times[id] = node.times;
  node_times_.push_back(std::move(times));
  if (node_times_.size() > History::kWindow + 1) node_times_.pop_front();

  const core::SlotMapPtr map = process_.slot_map();
  const std::vector<NodeId> nodes = nodes_of(*map);
  json_.key("cluster").begin_object().field("version", map->version);
  json_.field("unowned", std::count(map->owner.begin(), map->owner.end(), core::kNoNode)).field("held", now.held);
  json_.key("nodes").begin_array();
  for (const NodeId id : nodes) {
    const auto node = now.nodes.find(id);
    add_node(id, *map, node == now.nodes.end() ? NodeSnapshot() : node->second, at_us);
  }
  json_.end_array();
  add_slots(*map, nodes);
  json_.end_object();
}

void PageSnapshot::add_node(NodeId id, const SlotMap& map, const NodeSnapshot& node, uint64_t at_us) {
  const auto is_it = [id](const SlotMap::Master& master) { return master.id == id; };
  const auto master = std::find_if(map.masters.begin(), map.masters.end(), is_it);
  json_.begin_object().field("name", config::format_address(process_.node_address(id)));
  json_.field("slots", master == map.masters.end() ? 0 : master->slots).field("ranges", ranges_of(map, id));
  json_.field("state", state_of(map, id, node)).field("connections", node.connections);
  json_.field("in_flight", node.in_flight).field("failures", node.failures);
  json_.field("moved", node.moved).field("asked", node.asked);
  LatencyCounts times = node.times;
  const NodeTimes& earlier = node_times_.front();
  if (const auto before = earlier.times.find(id); before != earlier.times.end()) times.subtract(before->second);
  add_times(json_, times, static_cast<double>(at_us - earlier.at_us) / 1e6);
  json_.end_object();
}

// Runs of cells of one owner, by its place among the nodes; -1: a slot of the cell has no owner. A few slots of another
// node's within a cell do not show.
void PageSnapshot::add_slots(const SlotMap& map, const std::vector<NodeId>& nodes) {
  const auto owner_of = [&](size_t cell) -> int {
    const auto begin = map.owner.begin() + static_cast<std::ptrdiff_t>(cell * kSlotsInCell);
    if (std::find(begin, begin + kSlotsInCell, core::kNoNode) != begin + kSlotsInCell) return -1;
    return static_cast<int>(std::find(nodes.begin(), nodes.end(), *begin) - nodes.begin());
  };
  constexpr size_t kCells = resp::kSlots / kSlotsInCell;
  json_.field("cells", kCells).key("map").begin_array();
  for (size_t cell = 0; cell < kCells;) {
    const int owner = owner_of(cell);
    const size_t first = cell;
    while (++cell < kCells && owner_of(cell) == owner) {
    }
    json_.begin_array().value(owner).value(cell - first).end_array();
  }
  json_.end_array();
}

void PageSnapshot::add_rules(const WorkerSnapshot& now) {
  const policy::PoliciesPtr policies = process_.policies();
  const auto rules = policies->rules.rules();
  json_.field("rules_in_force", rules.size()).key("rules").begin_array();
  for (const policy::Rule& rule : rules.first(std::min(rules.size(), kMostRules))) {
    const auto counts = now.rules.find(rule.name);
    const std::string about = core::describe_rule(rule).substr(rule.name.size() + 2);
    add_rule(rule.name, about, true, counts == now.rules.end() ? RuleSnapshot() : counts->second);
  }
  size_t former = 0;
  for (const auto& [name, counts] : now.rules) {
    const auto is_it = [&name = name](const policy::Rule& rule) { return rule.name == name; };
    if (std::any_of(rules.begin(), rules.end(), is_it)) continue;
    if (++former > kMostRules) break;
    add_rule(name, {}, false, counts);
  }
  json_.end_array();
}

void PageSnapshot::add_rule(const std::string& name, const std::string& about, bool in_force,
                            const RuleSnapshot& counts) {
  json_.begin_object().field("name", name).field("about", about).field("in_force", in_force);
  json_.field("hits", counts.near_hits).field("misses", counts.near_misses).field("shared", counts.reads_shared);
  json_.field("invalidations", counts.invalidations);
  json_.field("granted", counts.leases.granted).field("filled", counts.leases.filled);
  json_.field("lapsed", counts.leases.lapsed).field("waits", counts.leases.waits);
  json_.field("waits_filled", counts.leases.waits_filled).field("waits_timed_out", counts.leases.waits_timed_out);
  json_.field("stale", counts.leases.stale_served).field("early", counts.leases.early_refreshes);
  json_.field("defaulted", counts.ttl.ttl_defaulted).field("clamped", counts.ttl.ttl_clamped);
  json_.field("rejected", counts.ttl.ttl_rejected).field("observed", counts.ttl.ttl_observed);
  json_.field("missing", counts.ttl.ttl_missing).field("too_big", counts.ttl.too_big);
  json_.end_object();
}

void PageSnapshot::add_clients(const WorkerSnapshot& now) {
  json_.key("clients").begin_object().field("connected", process_.clients());
  json_.field("max", process_.settings().server.max_clients).field("blocked", process_.blocked_clients());
  json_.field("monitors", process_.monitors()).key("list").begin_array();
  for (const std::string& line : std::span(now.clients).first(std::min(now.clients.size(), kMostClients))) {
    json_.begin_object();
    for (const char* word : {"id", "addr", "name", "age", "idle", "db", "cmd", "user", "lib-name", "tot-mem"}) {
      json_.field(word, word_of(line, word));
    }
    json_.end_object();
  }
  json_.end_array().end_object();
}

void PageSnapshot::add_keys(const WorkerSnapshot& now) {
  json_.key("hot_keys").begin_array();
  for (const policy::HotKey& key : std::span(now.hot_keys).first(std::min(now.hot_keys.size(), kMostKeys))) {
    if (key.reads_per_second < kLeastReads) break;
    json_.begin_object().field("key", key.key).field("cut", key.cut).field("reads", key.reads_per_second).end_object();
  }
  json_.end_array().key("big_keys").begin_array();
  for (const policy::BigKey& key : std::span(now.big_keys).first(std::min(now.big_keys.size(), kMostKeys))) {
    json_.begin_object().field("key", key.key).field("bytes", key.bytes).field("elements", key.elements);
    json_.field("command", key.command).end_object();
  }
  json_.end_array();
}

void PageSnapshot::add_slow_requests() {
  json_.key("slow").begin_array();
  for (const core::SlowRequest& slow : process_.slow_requests().entries(kMostSlow)) {
    json_.begin_object().field("time_ms", slow.time_us / 1000).field("us", slow.duration_us);
    json_.field("queue_us", slow.queue_us).field("upstream_us", slow.upstream_us).field("lease_us", slow.lease_us);
    json_.field("node", slow.node).field("client", slow.client).field("client_name", slow.client_name);
    json_.key("args").begin_array();
    for (const std::string& arg : slow.args) json_.value(arg);
    json_.end_array().end_object();
  }
  json_.end_array();
}

void PageSnapshot::add_events() {
  json_.key("events").begin_array();
  size_t told = 0;
  for (const core::LoggedEvent& event : process_.events().events()) {
    if (++told > kMostEvents) break;
    json_.begin_object().field("number", event.number).field("time_ms", event.time_us / 1000);
    json_.field("kind", core::name_of(event.kind)).field("bad", event.bad).field("times", event.times);
    json_.field("text", event.text).end_object();
  }
  json_.end_array();
}

std::string history_text(const History& past) {
  JsonWriter json;
  json.begin_array();
  for (const History::Point& point : past.points()) append_point(json, point);
  return json.end_array().take();
}

}  // namespace corral::admin
