#include "proxy/admin/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <sstream>
#include <utility>
#include <vector>

#include "config/units.h"
#include "config/version.h"

namespace corral::admin {

using core::LatencyCounts;
using core::NodeId;
using core::NodeSnapshot;
using core::Process;
using core::RuleSnapshot;
using core::WorkerSnapshot;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

namespace {

// The bounds of the histograms' buckets are powers of two in microseconds: from 16 us to 16.8 s.
constexpr uint32_t kFirstPower = 4, kLastPower = 24;

// Of hot and big keys. They are told by rank: their names would make ever more series.
constexpr size_t kMostKeys = 10;

using Labels = std::initializer_list<std::pair<const char*, std::string>>;

// One metric at all its labels.
class Family {
 public:
  Family(std::vector<MetricFamily>& all, MetricType type, std::string name, std::string help) : all_(all) {
    family_.name = "corral_" + std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }
  ~Family() {
    if (!family_.metric.empty()) all_.push_back(std::move(family_));
  }

  void add(double value, Labels labels = {}) {
    ClientMetric& metric = with(labels);
    (family_.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  }
  void add(uint64_t value, Labels labels = {}) { add(static_cast<double>(value), labels); }

  void add(const LatencyCounts& times, Labels labels) {
    auto& histogram = with(labels).histogram;
    for (uint32_t power = kFirstPower; power <= kLastPower; ++power) {
      histogram.bucket.push_back({times.count_below_power(power), static_cast<double>(1u << power) / 1e6});
    }
    histogram.sample_count = times.count();
    histogram.bucket.push_back({histogram.sample_count, std::numeric_limits<double>::infinity()});
    histogram.sample_sum = static_cast<double>(times.sum_us) / 1e6;
  }

  Family& rename(std::string whole_name) {  // without the prefix: of every process
    family_.name = std::move(whole_name);
    return *this;
  }

 private:
  ClientMetric& with(Labels labels) {
    ClientMetric& metric = family_.metric.emplace_back();
    for (const auto& [name, value] : labels) metric.label.push_back({name, value});
    return metric;
  }

  std::vector<MetricFamily>& all_;
  MetricFamily family_;
};

class Collection {
 public:
  Collection(Process& process, const WorkerSnapshot& snapshot) : process_(process), snapshot_(snapshot) {}

  void add_counters();
  void add_process(const ProcessFacts& facts);
  void add_clients();
  void add_times();
  void add_nodes();
  void add_topology();
  void add_memory();
  void add_rules();
  void add_keys();
  std::string text() const { return prometheus::TextSerializer().prometheus::Serializer::Serialize(families_); }

 private:
  Family counter(std::string name, std::string help) {
    return {families_, MetricType::Counter, std::move(name), std::move(help)};
  }
  Family gauge(std::string name, std::string help) {
    return {families_, MetricType::Gauge, std::move(name), std::move(help)};
  }
  void add_by_node(std::string name, std::string help, bool grows, uint64_t (*value)(const NodeSnapshot&));
  void add_by_rule(const std::string& name, const std::string& help, uint64_t (*value)(const RuleSnapshot&));
  std::string name_of(NodeId id) const { return config::format_address(process_.node_address(id)); }

  Process& process_;
  const WorkerSnapshot& snapshot_;
  std::vector<MetricFamily> families_;
};

void Collection::add_counters() {
  const auto totals = process_.totals();
  for (size_t i = 0; i < totals.size(); ++i) {
    const core::CounterInfo& info = core::kCounterInfos[i];
    const std::string name(info.name), about(info.about);
    info.grows ? counter(name + "_total", about).add(totals[i].second) : gauge(name, about).add(totals[i].second);
  }
  Family errors = counter("errors_total", "Error replies that Corral itself gave, by their code.");
  for (const auto& [code, count] : process_.server_stats().errors_by_code()) errors.add(count, {{"code", code}});
}

// The names are those that all of Prometheus' own client libraries use.
void Collection::add_process(const ProcessFacts& facts) {
  gauge("build_info", "Which Corral this is, and in front of which Redis; always 1.")
      .add(1.0, {{"version", std::string(config::kVersion)}, {"redis_version", process_.upstream_version()}});
  gauge("workers", "Threads that serve clients.").add(uint64_t{process_.workers()});
  counter("", "CPU time used, of user and system.").rename("process_cpu_seconds_total").add(facts.cpu_seconds);
  gauge("", "Memory that is resident.").rename("process_resident_memory_bytes").add(facts.resident_bytes);
  gauge("", "Virtual memory.").rename("process_virtual_memory_bytes").add(facts.virtual_bytes);
  gauge("", "Files and sockets that are open.").rename("process_open_fds").add(facts.open_files);
  gauge("", "Files and sockets that may be open.").rename("process_max_fds").add(facts.most_files);
  gauge("", "When the process started, in seconds since 1970.")
      .rename("process_start_time_seconds")
      .add(static_cast<double>(process_.started_us()) / 1e6);
}

void Collection::add_clients() {
  gauge("clients", "Clients that are connected.").add(uint64_t{process_.clients()});
  gauge("max_clients", "Clients that may be connected.").add(uint64_t{process_.settings().server.max_clients});
  gauge("blocked_clients", "Clients whose command waits for what others do (BLPOP and its like).")
      .add(uint64_t{process_.blocked_clients()});
  gauge("monitors", "Clients that watch all commands (MONITOR).").add(uint64_t{process_.monitors()});
  const auto tracked = process_.tracking_totals();
  gauge("tracking_clients", "Clients that keep what they read (CLIENT TRACKING).").add(tracked.clients);
  gauge("tracked_keys", "Keys that these have read.").add(tracked.keys);
  Family channels = gauge("pubsub_channels", "Channels and patterns with subscribers, by kind.");
  using core::ChannelKind;
  channels.add(uint64_t{process_.pubsub().count_names(ChannelKind::kChannel)}, {{"kind", "channel"}});
  channels.add(uint64_t{process_.pubsub().count_names(ChannelKind::kPattern)}, {{"kind", "pattern"}});
  channels.add(uint64_t{process_.pubsub().count_names(ChannelKind::kShard)}, {{"kind", "shard"}});
}

void Collection::add_times() {
  Family times(
      families_, MetricType::Histogram, "request_duration_seconds",
      "From the loop turn that read a client's request to the end of the one that wrote its reply, by group of "
      "commands. blocking includes the wait for others, up to 71 minutes.");
  for (size_t group = 0; group < core::kCommandGroupNames.size(); ++group) {
    LatencyCounts counts;
    for (uint32_t i = 0; i < process_.workers(); ++i) counts.add(process_.board(i).times[group]);
    times.add(counts, {{"group", std::string(core::kCommandGroupNames[group])}});
  }
}

void Collection::add_by_node(std::string name, std::string help, bool grows, uint64_t (*value)(const NodeSnapshot&)) {
  Family family = grows ? counter(std::move(name), std::move(help)) : gauge(std::move(name), std::move(help));
  for (const auto& [id, node] : snapshot_.nodes) family.add(value(node), {{"node", name_of(id)}});
}

void Collection::add_nodes() {
  {
    Family times(
        families_, MetricType::Histogram, "node_request_duration_seconds",
        "From the loop turn that handed a request to a connection to the one that read the node's reply, without "
        "commands that wait for others.");
    for (const auto& [id, node] : snapshot_.nodes) times.add(node.times, {{"node", name_of(id)}});
  }
  add_by_node("node_up", "Whether the node can be reached, as far as is known.", false,
              [](const NodeSnapshot& node) { return uint64_t{node.reachable()}; });
  add_by_node("node_connections", "Connections to the node that are ready.", false,
              [](const NodeSnapshot& node) { return uint64_t{node.connections}; });
  add_by_node("node_requests_in_flight", "Requests that wait for the node's reply.", false,
              [](const NodeSnapshot& node) { return uint64_t{node.in_flight}; });
  add_by_node("node_connection_failures_total", "Connections to the node that failed or could not be made.", true,
              [](const NodeSnapshot& node) { return node.failures; });
  Family redirects = counter("node_redirects_total", "Redirections that the node answered, by kind.");
  for (const auto& [id, node] : snapshot_.nodes) {
    redirects.add(node.moved, {{"node", name_of(id)}, {"kind", "moved"}});
    redirects.add(node.asked, {{"node", name_of(id)}, {"kind", "ask"}});
  }
}

void Collection::add_topology() {
  const core::SlotMapPtr map = process_.slot_map();
  gauge("topology_version", "Grows with each change of the map by which requests are routed.").add(map->version);
  const auto unowned = std::count(map->owner.begin(), map->owner.end(), core::kNoNode);
  gauge("unowned_slots", "Slots that no node owns.").add(static_cast<uint64_t>(unowned));
  {
    Family slots = gauge("node_slots", "Slots that the node owns.");
    for (const auto& master : map->masters) slots.add(uint64_t{master.slots}, {{"node", name_of(master.id)}});
  }
  gauge("held_requests", "Queues of requests that wait until a slot is settled: redirected, moving or unreachable.")
      .add(snapshot_.held);
  gauge("own_connections", "Connections to nodes that serve one client each: what blocks, watches or streams.")
      .add(snapshot_.own_connections);
}

void Collection::add_memory() {
  Family memory =
      gauge("memory_bytes",
            "Memory by purpose: the near cache, buffers of requests and replies under way, buffers kept for more of "
            "them, and what finds the hot keys.");
  auto* near = process_.near_cache();
  memory.add(near ? near->totals().bytes : uint64_t{0}, {{"purpose", "near_cache"}});
  memory.add(snapshot_.buffer_bytes, {{"purpose", "buffers"}});
  memory.add(snapshot_.spare_buffer_bytes, {{"purpose", "spare_buffers"}});
  memory.add(snapshot_.key_counter_bytes, {{"purpose", "hot_keys"}});
  gauge("near_cache_limit_bytes", "Memory that the near cache may use.").add(near ? near->memory_bytes() : uint64_t{0});
  gauge("requests_in_flight_bytes", "Bytes of requests that wait for nodes' replies.").add(snapshot_.in_flight_bytes);
}

void Collection::add_by_rule(const std::string& name, const std::string& help, uint64_t (*value)(const RuleSnapshot&)) {
  Family family = counter("rule_" + name + "_total", help);
  for (const auto& [rule, counts] : snapshot_.rules) family.add(value(counts), {{"rule", rule}});
}

void Collection::add_rules() {
  using Rule = RuleSnapshot;
  add_by_rule("near_cache_hits", "Reads answered from the near cache, by rule.",
              [](const Rule& r) { return r.near_hits; });
  add_by_rule("near_cache_misses", "Reads that the near cache could not answer, by rule.",
              [](const Rule& r) { return r.near_misses; });
  add_by_rule("reads_shared", "Reads that joined an identical one under way, by rule.",
              [](const Rule& r) { return r.reads_shared; });
  add_by_rule("near_cache_invalidations", "Keys that nodes said have changed, by rule.",
              [](const Rule& r) { return r.invalidations; });
  add_by_rule("ttl_defaulted", "Writes that were given the rule's default TTL.",
              [](const Rule& r) { return r.ttl.ttl_defaulted; });
  add_by_rule("ttl_clamped", "Writes whose TTL was over the rule's maximum.",
              [](const Rule& r) { return r.ttl.ttl_clamped; });
  add_by_rule("ttl_rejected", "Writes that the rule refused with -TTLREQUIRED.",
              [](const Rule& r) { return r.ttl.ttl_rejected; });
  add_by_rule("ttl_observed", "Writes without a TTL that the rule has seen.",
              [](const Rule& r) { return r.ttl.ttl_observed; });
  add_by_rule("ttl_missing", "Keys of the rule that were found without a TTL.",
              [](const Rule& r) { return r.ttl.ttl_missing; });
  add_by_rule("leases_granted", "Leases given to the first reader of a missing key, by rule.",
              [](const Rule& r) { return r.leases.granted; });
  add_by_rule("leases_filled", "Leases whose holder has set the key, by rule.",
              [](const Rule& r) { return r.leases.filled; });
  add_by_rule("leases_lapsed", "Leases that ended without their key being set, by rule.",
              [](const Rule& r) { return r.leases.lapsed; });
  add_by_rule("waits", "Reads that waited for the holder of a lease, by rule.",
              [](const Rule& r) { return r.leases.waits; });
  add_by_rule("waits_filled", "Reads that waited and were answered by what the holder set, by rule.",
              [](const Rule& r) { return r.leases.waits_filled; });
  add_by_rule("waits_timed_out", "Reads that waited for as long as they may, by rule.",
              [](const Rule& r) { return r.leases.waits_timed_out; });
  add_by_rule("stale_served", "Reads answered with a value past its soft TTL, by rule.",
              [](const Rule& r) { return r.leases.stale_served; });
  add_by_rule("early_refreshes", "Times that one client was made to compute a key before its TTL was over, by rule.",
              [](const Rule& r) { return r.leases.early_refreshes; });
  add_by_rule("too_big", "Writes over the rule's max_value.", [](const Rule& r) { return r.ttl.too_big; });
}

void Collection::add_keys() {
  {
    Family hot = gauge("hot_key_reads_per_second",
                       "Reads a second of the keys that are read the most, by rank; CORRAL HOTKEYS names them.");
    for (size_t i = 0; i < std::min(kMostKeys, snapshot_.hot_keys.size()); ++i) {
      hot.add(snapshot_.hot_keys[i].reads_per_second, {{"rank", std::to_string(i + 1)}});
    }
  }
  Family big =
      gauge("big_key_bytes",
            "The largest values and collections seen within the last hour, by rank; CORRAL BIGKEYS names them.");
  for (size_t i = 0; i < std::min(kMostKeys, snapshot_.big_keys.size()); ++i) {
    big.add(snapshot_.big_keys[i].bytes, {{"rank", std::to_string(i + 1)}});
  }
}

}  // namespace

std::string metrics_text(Process& process, const WorkerSnapshot& snapshot, const ProcessFacts& facts) {
  Collection collection(process, snapshot);
  collection.add_process(facts);
  collection.add_counters();
  collection.add_clients();
  collection.add_times();
  collection.add_nodes();
  collection.add_topology();
  collection.add_memory();
  collection.add_rules();
  collection.add_keys();
  return collection.text();
}

}  // namespace corral::admin
