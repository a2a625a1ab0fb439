// INFO: as one server answers it. What only the masters know (memory, keyspace) is asked of them and added up.
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "proxy/core/local.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;
using resp::ReplyView;

namespace {

// Of one master, or the sum of all.
struct Upstream {
  int64_t used_memory = 0, used_memory_rss = 0, used_memory_peak = 0, maxmemory = 0, keys = 0, expires = 0, ttl_sum = 0;
  std::string maxmemory_policy;
};

std::string_view field(std::string_view text, std::string_view name) {
  for (size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    if (at > 0 && text[at - 1] != '\n' && text[at - 1] != ',' && text[at - 1] != ':') continue;
    const size_t from = at + name.size();
    return text.substr(from, text.find_first_of(",\r\n", from) - from);
  }
  return {};
}

int64_t number(std::string_view text, std::string_view name) {
  const std::string_view digits = field(text, name);
  int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

void add(Upstream& sum, std::string_view info) {
  sum.used_memory += number(info, "used_memory:");
  sum.used_memory_rss += number(info, "used_memory_rss:");
  sum.used_memory_peak += number(info, "used_memory_peak:");
  sum.maxmemory += number(info, "maxmemory:");
  if (sum.maxmemory_policy.empty()) sum.maxmemory_policy = field(info, "maxmemory_policy:");
  const int64_t expires = number(info, "expires=");
  sum.keys += number(info, "keys=");
  sum.expires += expires;
  sum.ttl_sum += number(info, "avg_ttl=") * expires;
}

std::string human(int64_t bytes) {
  static constexpr std::array<char, 5> kUnits = {'B', 'K', 'M', 'G', 'T'};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) value /= 1024, ++unit;
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f%c" : "%.2f%c", value, kUnits[unit]);
  return text.data();
}

std::string line(std::string_view name, std::string_view value) {
  return std::string(name) + ':' + std::string(value) + "\r\n";
}
std::string line(std::string_view name, int64_t value) { return line(name, std::to_string(value)); }

std::string server_section(Session& session, const Upstream&) {
  Worker& worker = session.worker();
  const Process& process = worker.process();
  const int64_t now_us = worker.transport().wall_clock_us();
  const int64_t uptime = (now_us - process.started_us()) / 1'000'000;
  utsname system{};
  uname(&system);
  const std::string& local = session.addresses().local;
  const size_t colon = local.rfind(':');
  return line("redis_version", process.upstream_version()) + line("redis_mode", "standalone") +
         line("os", std::string(system.sysname) + ' ' + system.release + ' ' + system.machine) +
         line("arch_bits", sizeof(void*) * 8) + line("multiplexing_api", "epoll") + line("process_id", getpid()) +
         line("run_id", process.run_id()) +
         line("tcp_port", colon == std::string::npos ? "0" : local.substr(colon + 1)) +
         line("server_time_usec", now_us) + line("uptime_in_seconds", uptime) + line("uptime_in_days", uptime / 86400) +
         line("io_threads_active", 0);
}

std::string clients_section(Session& session, const Upstream&) {
  const Process& process = session.worker().process();
  return line("connected_clients", process.clients()) + line("cluster_connections", 0) +
         line("maxclients", session.worker().settings().server.max_clients) +
         line("blocked_clients", process.blocked_clients()) + line("tracking_clients", 0) +
         line("clients_in_timeout_table", 0);
}

std::string memory_section(Session&, const Upstream& up) {
  return line("used_memory", up.used_memory) + line("used_memory_human", human(up.used_memory)) +
         line("used_memory_rss", up.used_memory_rss) + line("used_memory_rss_human", human(up.used_memory_rss)) +
         line("used_memory_peak", up.used_memory_peak) + line("used_memory_peak_human", human(up.used_memory_peak)) +
         line("maxmemory", up.maxmemory) + line("maxmemory_human", human(up.maxmemory)) +
         line("maxmemory_policy", up.maxmemory_policy.empty() ? "noeviction" : up.maxmemory_policy);
}

std::string persistence_section(Session&, const Upstream&) { return line("loading", 0) + line("async_loading", 0); }

std::string stats_section(Session& session, const Upstream&) {
  const PubSubRegistry& pubsub = session.worker().process().pubsub();
  uint64_t connections = 0, requests = 0, rejected = 0;
  for (const auto& [name, value] : session.worker().process().totals()) {
    if (name == "connections") connections = value;
    if (name == "requests") requests = value;
    if (name == "clients_rejected") rejected = value;
  }
  return line("total_connections_received", static_cast<int64_t>(connections)) +
         line("total_commands_processed", static_cast<int64_t>(requests)) +
         line("rejected_connections", static_cast<int64_t>(rejected)) +
         line("pubsub_channels", static_cast<int64_t>(pubsub.count_names(ChannelKind::kChannel))) +
         line("pubsub_patterns", static_cast<int64_t>(pubsub.count_names(ChannelKind::kPattern)));
}

std::string replication_section(Session& session, const Upstream&) {
  return line("role", "master") + line("connected_slaves", 0) + line("master_failover_state", "no-failover") +
         line("master_replid", session.worker().process().run_id()) + line("master_repl_offset", 0);
}

std::string seconds(const timeval& time) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%ld.%06ld", static_cast<long>(time.tv_sec), static_cast<long>(time.tv_usec));
  return text.data();
}

std::string cpu_section(Session&, const Upstream&) {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return line("used_cpu_sys", seconds(used.ru_stime)) + line("used_cpu_user", seconds(used.ru_utime));
}

std::string empty_section(Session&, const Upstream&) { return {}; }

std::string cluster_section(Session&, const Upstream&) { return line("cluster_enabled", 0); }

std::string keyspace_section(Session&, const Upstream& up) {
  if (up.keys == 0) return {};
  return "db0:keys=" + std::to_string(up.keys) + ",expires=" + std::to_string(up.expires) +
         ",avg_ttl=" + std::to_string(up.expires > 0 ? up.ttl_sum / up.expires : 0) + "\r\n";
}

std::string corral_section(Session& session, const Upstream&) {
  std::string text;
  for (const auto& [name, value] : session.worker().process().totals()) text += line(name, static_cast<int64_t>(value));
  return text;
}

struct Section {
  std::string_view title;
  std::string (*text)(Session&, const Upstream&);
  bool asks_masters = false;
};

constexpr std::array kSections = {
    Section{"Server", server_section},
    Section{"Clients", clients_section},
    Section{"Memory", memory_section, true},
    Section{"Persistence", persistence_section},
    Section{"Stats", stats_section},
    Section{"Replication", replication_section},
    Section{"CPU", cpu_section},
    Section{"Modules", empty_section},
    Section{"Errorstats", empty_section},
    Section{"Cluster", cluster_section},
    Section{"Keyspace", keyspace_section, true},
    Section{"Corral", corral_section},
};

std::vector<const Section*> chosen_sections(const Command& command) {
  std::vector<const Section*> chosen;
  for (const Section& section : kSections) {
    bool wanted = command.argc() == 1;
    for (size_t i = 1; i < command.argc(); ++i) {
      const std::string_view name = command.arg(i);
      wanted |= same_word(name, section.title) || same_word(name, "all") || same_word(name, "default") ||
                same_word(name, "everything");
    }
    if (wanted) chosen.push_back(&section);
  }
  return chosen;
}

class InfoTask final : public Task {
 public:
  static void start(Session& session, std::vector<const Section*> sections) {
    (new InfoTask(session, std::move(sections)))->ask();
  }

  void on_reply(uint32_t, std::string_view bytes) override {
    const ReplyView reply(bytes);
    if (!reply.is_error()) add(upstream_, reply.text());  // a master that is away is left out
    done_one();
  }

 private:
  InfoTask(Session& session, std::vector<const Section*> sections)
      : session_(session), whole_(session.request_for_reply(kNoSlot, 0)), sections_(std::move(sections)) {}

  void ask() {
    bool asks = false;
    for (const Section* section : sections_) asks |= section->asks_masters;
    const auto masters = asks ? session_.worker().map().masters : std::vector<SlotMap::Master>();
    awaited_ = masters.size() + 1;  // one more, so that the answer is not given before all are asked
    std::string bytes;
    resp::append_command(bytes, {"INFO", "memory", "keyspace"});
    for (const auto& master : masters) {
      Request part = whole_;
      part.task = this;
      part.flags = kReadOnly;
      session_.add_reference();
      session_.worker().send_to_node(part, master.id, bytes);
    }
    done_one();
  }

  void done_one() {
    if (--awaited_ > 0) return;
    std::string text, reply;
    for (const Section* section : sections_) {
      if (!text.empty()) text += "\r\n";
      text += "# " + std::string(section->title) + "\r\n" + section->text(session_, upstream_);
    }
    resp::append_verbatim(reply, text, session_.resp());
    session_.worker().answer(whole_, reply);
    delete this;
  }

  Session& session_;
  const Request whole_;  // holds a reference to the session
  const std::vector<const Section*> sections_;
  Upstream upstream_;
  size_t awaited_ = 0;
};

}  // namespace

void local_info(Session& session, const Command& command) { InfoTask::start(session, chosen_sections(command)); }

}  // namespace corral::core
