#include "proxy/admin/state.h"

#include <algorithm>
#include <utility>

#include "config/units.h"
#include "config/version.h"
#include "proxy/admin/json.h"
#include "proxy/admin/printable.h"
#include "proxy/admin/readiness.h"
#include "proxy/core/policies.h"

namespace corral::admin {

namespace {

constexpr size_t kMostKeys = 20, kMostClients = 50, kMostSlow = 20, kMostArgBytes = 60;

class State {
 public:
  explicit State(const View& view) : view_(view), process_(view.process), snapshot_(view.snapshot) {}

  std::string write(bool whole) {
    json_.begin_object();
    write_process();
    write_totals();
    write_groups();
    write_memory();
    write_topology();
    write_nodes();
    write_rules();
    write_keys();
    write_slow_log();
    write_clients();
    write_events();
    write_points(whole);
    json_.end_object();
    return json_.take();
  }

 private:
  void write_process();
  void write_totals();
  void write_groups();
  void write_memory();
  void write_topology();
  void write_nodes();
  void write_node(core::NodeId id, const core::SlotMap& map);
  void write_ranges(core::NodeId id, const core::SlotMap& map);
  void write_rules();
  void write_keys();
  void write_slow_log();
  void write_clients();
  void write_client(std::string_view line);
  void write_events();
  void write_points(bool whole);
  void write_times(const History::Times& times) {
    json_.field("a_second", times.a_second).field("p50_us", times.p50_us).field("p99_us", times.p99_us);
  }
  std::string name_of(core::NodeId id) const { return config::format_address(process_.node_address(id)); }

  const View& view_;
  core::Process& process_;
  const core::WorkerSnapshot& snapshot_;
  Json json_;
};

void State::write_process() {
  const int64_t now_us = view_.history.latest().time_us;
  const std::string why_not = view_.draining ? "draining" : why_not_ready(process_, snapshot_);
  json_.field("version", config::kVersion).field("redis_version", process_.upstream_version());
  json_.field("mode", process_.settings().upstream.mode).field("workers", process_.workers());
  json_.field("now_ms", now_us / 1000).field("uptime_s", (now_us - process_.started_us()) / 1'000'000);
  json_.field("why_not_ready", printable(why_not));
  json_.field("clients", process_.clients()).field("max_clients", process_.settings().server.max_clients);
  json_.field("blocked_clients", process_.blocked_clients());
  json_.field("has_rules", !process_.policies()->rules.empty());
}

void State::write_totals() {
  const Sample& sample = view_.history.latest();
  json_.key("totals").begin_object();
  for (size_t i = 0; i < sample.totals.size(); ++i) json_.field(core::kCounterInfos[i].name, sample.totals[i]);
  json_.field("errors", sample.errors).field("saved_requests", sample.saved_requests());
  json_.field("saved_computations", sample.saved_computations()).end_object();
  json_.key("errors_by_code").begin_object();
  for (const auto& [code, count] : process_.server_stats().errors_by_code()) json_.field(printable(code), count);
  json_.end_object();
}

void State::write_groups() {
  json_.key("groups").begin_array();
  for (size_t i = 0; i < core::kCommandGroupNames.size(); ++i) {
    json_.begin_object().field("name", core::kCommandGroupNames[i]);
    write_times(view_.history.of_group(static_cast<core::CommandGroup>(i)));
    json_.field("count", view_.history.latest().times[i].count()).end_object();
  }
  json_.end_array();
}

void State::write_memory() {
  auto* near = process_.near_cache();
  json_.key("memory").begin_object().field("resident", view_.facts.resident_bytes);
  json_.field("near_cache", near->totals().bytes).field("near_cache_limit", near->memory_bytes());
  json_.field("buffers", snapshot_.buffer_bytes).field("spare_buffers", snapshot_.spare_buffer_bytes);
  json_.field("hot_keys", snapshot_.key_counter_bytes).end_object();
  json_.field("held", snapshot_.held).field("in_flight_bytes", snapshot_.in_flight_bytes);
  json_.field("own_connections", snapshot_.own_connections);
}

void State::write_topology() {
  const core::SlotMapPtr map = process_.slot_map();
  const auto unowned = std::count(map->owner.begin(), map->owner.end(), core::kNoNode);
  json_.field("topology_version", map->version).field("unowned_slots", unowned);
}

// Those that own slots, then the others that there is something to tell of.
void State::write_nodes() {
  const core::SlotMapPtr map = process_.slot_map();
  std::vector<core::NodeId> ids;
  for (const auto& master : map->masters) ids.push_back(master.id);
  const size_t masters = ids.size();
  for (const auto& [id, node] : snapshot_.nodes) {
    if (std::find(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(masters), id) == ids.end()) ids.push_back(id);
  }
  json_.key("nodes").begin_array();
  for (const core::NodeId id : ids) write_node(id, *map);
  json_.end_array();
}

void State::write_node(core::NodeId id, const core::SlotMap& map) {
  const auto found = snapshot_.nodes.find(id);
  const core::NodeSnapshot node = found == snapshot_.nodes.end() ? core::NodeSnapshot() : found->second;
  const bool failed = std::find(map.failed.begin(), map.failed.end(), id) != map.failed.end();
  json_.begin_object().field("name", printable(name_of(id))).field("up", node.reachable()).field("failed", failed);
  write_ranges(id, map);
  write_times(view_.history.of_node(id));
  json_.field("in_flight", node.in_flight).field("connections", node.connections).field("failures", node.failures);
  json_.field("moved", node.moved).field("asked", node.asked).end_object();
}

void State::write_ranges(core::NodeId id, const core::SlotMap& map) {
  json_.key("slots").begin_array();
  for (size_t slot = 0; slot < resp::kSlots; ++slot) {
    if (map.owner[slot] != id) continue;
    const size_t first = slot;
    while (slot + 1 < resp::kSlots && map.owner[slot + 1] == id) ++slot;
    json_.begin_array().value(first).value(slot).end_array();
  }
  json_.end_array();
}

void State::write_rules() {
  const policy::PoliciesPtr policies = process_.policies();
  json_.key("rules").begin_array();
  for (const policy::Rule& rule : policies->rules.rules()) {
    const auto found = snapshot_.rules.find(rule.name);
    const core::RuleSnapshot counts = found == snapshot_.rules.end() ? core::RuleSnapshot() : found->second;
    json_.begin_object().field("name", printable(rule.name)).key("match").begin_array();
    for (const std::string& glob : rule.match) json_.value(printable(glob));
    json_.end_array().field("text", printable(core::describe_rule(rule)));
    json_.field("near_hits", counts.near_hits).field("near_misses", counts.near_misses);
    json_.field("reads_shared", counts.reads_shared).field("invalidations", counts.invalidations);
    json_.field("leases_granted", counts.leases.granted).field("leases_filled", counts.leases.filled);
    json_.field("leases_lapsed", counts.leases.lapsed).field("waits", counts.leases.waits);
    json_.field("stale_served", counts.leases.stale_served).field("early_refreshes", counts.leases.early_refreshes);
    json_.field("ttl_defaulted", counts.ttl.ttl_defaulted).field("ttl_clamped", counts.ttl.ttl_clamped);
    json_.field("ttl_rejected", counts.ttl.ttl_rejected).field("ttl_observed", counts.ttl.ttl_observed);
    json_.field("ttl_missing", counts.ttl.ttl_missing).field("too_big", counts.ttl.too_big).end_object();
  }
  json_.end_array();
}

void State::write_keys() {
  json_.key("hot_keys").begin_array();
  for (size_t i = 0; i < std::min(kMostKeys, snapshot_.hot_keys.size()); ++i) {
    const policy::HotKey& key = snapshot_.hot_keys[i];
    json_.begin_object().field("key", printable(key.key) + (key.cut ? "..." : ""));
    json_.field("reads", key.reads_per_second).end_object();
  }
  json_.end_array().key("big_keys").begin_array();
  for (size_t i = 0; i < std::min(kMostKeys, snapshot_.big_keys.size()); ++i) {
    const policy::BigKey& key = snapshot_.big_keys[i];
    json_.begin_object().field("key", printable(key.key)).field("bytes", key.bytes);
    json_.field("elements", key.elements).field("command", key.command).end_object();
  }
  json_.end_array();
}

// Without the values: of each command its name and what is most likely its key.
void State::write_slow_log() {
  json_.key("slow_log").begin_array();
  for (size_t i = 0; i < std::min(kMostSlow, view_.slow_log.size()); ++i) {
    const core::SlowEntry& entry = view_.slow_log[i];
    json_.begin_object().field("time_s", entry.time_s).field("us", entry.duration_us);
    std::string command;
    for (size_t arg = 0; arg < std::min<size_t>(entry.args.size(), 2); ++arg) {
      command += (command.empty() ? "" : " ") + printable(entry.args[arg].substr(0, kMostArgBytes));
    }
    json_.field("command", command).field("more", entry.args.size() > 2 ? entry.args.size() - 2 : 0);
    json_.field("client", printable(entry.client)).end_object();
  }
  json_.end_array();
}

void State::write_clients() {
  json_.key("client_list").begin_array();
  for (size_t i = 0; i < std::min(kMostClients, snapshot_.clients.size()); ++i) write_client(snapshot_.clients[i]);
  json_.end_array();
}

// "id=3 addr=127.0.0.1:50312 ..."; no value has a blank in it.
void State::write_client(std::string_view line) {
  json_.begin_object();
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    const std::string_view pair = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    json_.field(printable(pair.substr(0, equals)), printable(pair.substr(equals + 1)));
  }
  json_.end_object();
}

void State::write_events() {
  json_.key("events").begin_array();
  for (const core::LoggedEvent& event : process_.events().events()) {
    json_.begin_object().field("number", event.number).field("time_ms", event.time_us / 1000);
    json_.field("kind", core::name_of(event.kind)).field("bad", event.bad).field("times", event.times);
    json_.field("text", printable(event.text)).end_object();
  }
  json_.end_array();
}

void State::write_points(bool whole) {
  const auto& points = view_.history.points();
  const size_t first = whole || points.empty() ? 0 : points.size() - 1;
  json_.field("whole", whole).key("points").begin_array();
  for (size_t i = first; i < points.size(); ++i) {
    const History::Point& point = points[i];
    json_.begin_object().field("time_ms", point.time_us / 1000).field("requests", point.requests);
    json_.field("errors", point.errors).field("saved_computations", point.saved_computations);
    json_.field("hit_ratio", point.hit_ratio).field("saved_ratio", point.saved_ratio);
    json_.field("p50_us", point.p50_us).field("p99_us", point.p99_us).end_object();
  }
  json_.end_array();
}

}  // namespace

std::string state_json(const View& view, bool whole) { return State(view).write(whole); }

}  // namespace corral::admin
