// INFO: as one server answers it. What only nodes know is asked of all masters and made one (info_text.h); what
// concerns clients is Corral's own.
// Source: https://redis.io/commands/info; Redis 7.0, server.c, genRedisInfoString.
#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "proxy/core/command_names.h"
#include "proxy/core/command_sums.h"
#include "proxy/core/gather.h"
#include "proxy/core/info_text.h"
#include "proxy/core/local.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

using resp::Command;
using resp::ReplyView;

namespace {

// What the sections are made of.
struct Sources {
  std::vector<std::string> infos;  // of the masters that answered
  uint32_t blocked = 0;            // clients that wait: for data, or since clients are paused
  std::vector<std::pair<std::string_view, CommandCounts>> counts;  // of what Corral answers itself
};

int64_t to_signed(uint64_t value) { return static_cast<int64_t>(value); }

std::string hundredths(double value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.2f", value);
  return text.data();
}

InfoLines server_section(Session& session, const Sources& sources) {
  Worker& worker = session.worker();
  const Process& process = worker.process();
  const SystemFacts& system = process.system();
  const int64_t now_us = worker.transport().wall_clock_us();
  const int64_t uptime = (now_us - process.started_us()) / 1'000'000;
  const std::string& local = session.addresses().local;
  const size_t colon = local.rfind(':');
  // Of builds and the like, the first master's.
  const std::vector<std::string> first_only(sources.infos.begin(), sources.infos.begin() + !sources.infos.empty());
  InfoLines lines = {{"redis_version", ""}};
  for (auto& [name, value] : merge_info_section(first_only, "Server")) {
    set_line(lines, name, value);
  }
  set_line(lines, "redis_version", process.upstream_version());
  set_line(lines, "redis_git_dirty", 0);
  set_line(lines, "redis_mode", "standalone");
  set_line(lines, "os", system.os);
  set_line(lines, "arch_bits", sizeof(void*) * 8);
  set_line(lines, "multiplexing_api", "epoll");
  set_line(lines, "gcc_version",
           std::to_string(__GNUC__) + '.' + std::to_string(__GNUC_MINOR__) + '.' + std::to_string(__GNUC_PATCHLEVEL__));
  set_line(lines, "process_id", system.process_id);
  set_line(lines, "process_supervised", "no");
  set_line(lines, "run_id", process.run_id());
  set_line(lines, "tcp_port", colon == std::string::npos || local.starts_with('/') ? "0" : local.substr(colon + 1));
  set_line(lines, "server_time_usec", now_us);
  set_line(lines, "uptime_in_seconds", uptime);
  set_line(lines, "uptime_in_days", uptime / 86400);
  set_line(lines, "hz", 10);
  set_line(lines, "configured_hz", 10);
  set_line(lines, "lru_clock", (now_us / 1'000'000) & 0xFFFFFF);
  set_line(lines, "executable", system.executable);
  set_line(lines, "config_file", system.config_file);
  set_line(lines, "io_threads_active", 0);
  return lines;
}

InfoLines clients_section(Session& session, const Sources& sources) {
  InfoLines lines;
  set_line(lines, "connected_clients", session.worker().process().clients());
  set_line(lines, "cluster_connections", 0);
  set_line(lines, "maxclients", session.worker().settings().server.max_clients);
  set_line(lines, "client_recent_max_input_buffer", 0);
  set_line(lines, "client_recent_max_output_buffer", 0);
  set_line(lines, "blocked_clients", sources.blocked);
  set_line(lines, "tracking_clients", to_signed(session.worker().process().tracking_totals().clients));
  set_line(lines, "clients_in_timeout_table", 0);
  return lines;
}

InfoLines memory_section(Session&, const Sources& sources) {
  InfoLines lines = merge_info_section(sources.infos, "Memory");
  if (lines.empty()) {  // clients read these
    for (const std::string_view name : {"used_memory", "maxmemory"}) set_line(lines, name, 0);
    set_line(lines, "maxmemory_policy", "noeviction");
  }
  return lines;
}

// A master that loads its data does not keep the proxy from serving the others.
InfoLines persistence_section(Session&, const Sources& sources) {
  InfoLines lines = {{"loading", ""}, {"async_loading", ""}};
  for (auto& [name, value] : merge_info_section(sources.infos, "Persistence")) {
    if (!name.starts_with("loading_")) set_line(lines, name, value);
  }
  set_line(lines, "loading", 0);
  set_line(lines, "async_loading", 0);
  return lines;
}

// Redirections are between Corral and the nodes.
bool is_redirection(std::string_view name) { return name == "errorstat_MOVED" || name == "errorstat_ASK"; }

int64_t redirections(const Sources& sources) {
  int64_t count = 0;
  for (const std::string& info : sources.infos) {
    for (const auto& [name, text] : info_section(info, "Errorstats")) {
      if (is_redirection(name)) count += text_number(text, "count=");
    }
  }
  return count;
}

InfoLines stats_section(Session& session, const Sources& sources) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kOwn = {
      {{"total_connections_received", "connections"},
       {"total_commands_processed", "requests"},
       {"total_net_input_bytes", "net_input_bytes"},
       {"total_net_output_bytes", "net_output_bytes"},
       {"rejected_connections", "clients_rejected"}}};
  Process& process = session.worker().process();
  const ServerStats& stats = process.server_stats();
  const auto totals = process.totals();
  const auto rates = stats.rates();
  InfoLines lines = merge_info_section(sources.infos, "Stats");
  for (const auto& [name, counter] : kOwn) set_line(lines, name, to_signed(stats.since_reset(totals, counter)));
  set_line(lines, "instantaneous_ops_per_sec", to_signed(rates.requests));
  set_line(lines, "instantaneous_input_kbps", hundredths(static_cast<double>(rates.input_bytes) / 1024));
  set_line(lines, "instantaneous_output_kbps", hundredths(static_cast<double>(rates.output_bytes) / 1024));
  int64_t errors = to_signed(stats.errors()) - redirections(sources);
  for (const auto& [name, value] : lines) {
    if (name == "total_error_replies") errors += resp::parse_decimal(value).value_or(0);
  }
  set_line(lines, "total_error_replies", errors);
  PubSubRegistry& pubsub = process.pubsub();
  set_line(lines, "pubsub_channels", to_signed(pubsub.count_names(ChannelKind::kChannel)));
  set_line(lines, "pubsub_patterns", to_signed(pubsub.count_names(ChannelKind::kPattern)));
  set_line(lines, "pubsubshard_channels", to_signed(pubsub.count_names(ChannelKind::kShard)));
  const Process::TrackingTotals tracked = process.tracking_totals();
  set_line(lines, "tracking_total_keys", to_signed(tracked.keys));
  set_line(lines, "tracking_total_items", to_signed(tracked.items));
  set_line(lines, "tracking_total_prefixes", to_signed(tracked.prefixes));
  return lines;
}

// A master without replicas.
InfoLines replication_section(Session& session, const Sources&) {
  return {{"role", "master"},
          {"connected_slaves", "0"},
          {"master_failover_state", "no-failover"},
          {"master_replid", session.worker().process().run_id()},
          {"master_replid2", std::string(40, '0')},
          {"master_repl_offset", "0"},
          {"second_repl_offset", "-1"},
          {"repl_backlog_active", "0"},
          {"repl_backlog_size", "0"},
          {"repl_backlog_first_byte_offset", "0"},
          {"repl_backlog_histlen", "0"}};
}

std::string seconds(int64_t us) {
  std::array<char, 40> text;
  std::snprintf(text.data(), text.size(), "%lld.%06lld", static_cast<long long>(us / 1'000'000),
                static_cast<long long>(us % 1'000'000));
  return text.data();
}

InfoLines cpu_section(Session& session, const Sources&) {
  const CpuTimes used = session.worker().transport().cpu_times();
  return {{"used_cpu_sys", seconds(used.system_us)},
          {"used_cpu_user", seconds(used.user_us)},
          {"used_cpu_sys_children", seconds(0)},
          {"used_cpu_user_children", seconds(0)},
          {"used_cpu_sys_main_thread", seconds(used.thread_system_us)},
          {"used_cpu_user_main_thread", seconds(used.thread_user_us)}};
}

InfoLines modules_section(Session&, const Sources& sources) {
  return sources.infos.empty() ? InfoLines() : info_section(sources.infos.front(), "Modules");
}

InfoLines commandstats_section(Session&, const Sources& sources) {
  CommandSums sums;
  for (const std::string& info : sources.infos) add_masters_commandstats(info, sums);
  for (const auto& [name, count] : sources.counts) {
    auto& sum = sums[std::string(name)];
    sum[0] += to_signed(count.calls);
    sum[2] += to_signed(count.rejected);
    sum[3] += to_signed(count.failed);
    take_back(name, to_signed(count.calls), sums);
  }
  InfoLines lines;
  for (const auto& [name, sum] : sums) {
    const double per_call = sum[0] > 0 ? static_cast<double>(sum[1]) / static_cast<double>(sum[0]) : 0;
    lines.emplace_back("cmdstat_" + name, "calls=" + std::to_string(sum[0]) + ",usec=" + std::to_string(sum[1]) +
                                              ",usec_per_call=" + hundredths(per_call) + ",rejected_calls=" +
                                              std::to_string(sum[2]) + ",failed_calls=" + std::to_string(sum[3]));
  }
  return lines;
}

InfoLines errorstats_section(Session& session, const Sources& sources) {
  std::map<std::string, int64_t> counts;
  for (const std::string& info : sources.infos) {
    for (const auto& [name, text] : info_section(info, "Errorstats")) {
      if (!is_redirection(name)) counts[name] += text_number(text, "count=");
    }
  }
  for (const auto& [code, count] : session.worker().process().server_stats().errors_by_code()) {
    counts["errorstat_" + code] += to_signed(count);
  }
  InfoLines lines;
  for (const auto& [name, count] : counts) lines.emplace_back(name, "count=" + std::to_string(count));
  return lines;
}

// Percentiles cannot be added: of each the worst master's is told.
InfoLines latencystats_section(Session&, const Sources& sources) {
  static constexpr std::string_view kPrefix = "latency_percentiles_usec_";
  std::map<std::string, InfoValues> worst;
  for (const std::string& info : sources.infos) {
    for (const auto& [name, text] : info_section(info, "Latencystats")) {
      if (!name.starts_with(kPrefix) || accounting_of(name.substr(kPrefix.size())) == Accounting::kByCorral) continue;
      InfoValues& values = worst[name];
      for (const auto& [percentile, value] : info_values(text)) {
        const auto same = [&wanted = percentile](const auto& one) { return one.first == wanted; };
        const auto known = std::find_if(values.begin(), values.end(), same);
        if (known == values.end()) {
          values.emplace_back(percentile, value);
        } else if (std::strtod(value.c_str(), nullptr) > std::strtod(known->second.c_str(), nullptr)) {
          known->second = value;
        }
      }
    }
  }
  InfoLines lines;
  for (const auto& [name, values] : worst) {
    std::string text;
    for (const auto& [percentile, value] : values) text += (text.empty() ? "" : ",") + percentile + '=' + value;
    lines.emplace_back(name, text);
  }
  return lines;
}

InfoLines cluster_section(Session&, const Sources&) { return {{"cluster_enabled", "0"}}; }

InfoLines keyspace_section(Session&, const Sources& sources) {
  struct Database {
    int64_t keys = 0, expires = 0, ttl_sum = 0;
  };
  std::map<std::string, Database> databases;
  for (const std::string& info : sources.infos) {
    for (const auto& [name, text] : info_section(info, "Keyspace")) {
      Database& database = databases[name];
      const int64_t expires = text_number(text, "expires=");
      database.keys += text_number(text, "keys=");
      database.expires += expires;
      database.ttl_sum += text_number(text, "avg_ttl=") * expires;
    }
  }
  InfoLines lines;
  for (const auto& [name, sum] : databases) {
    lines.emplace_back(name, "keys=" + std::to_string(sum.keys) + ",expires=" + std::to_string(sum.expires) +
                                 ",avg_ttl=" + std::to_string(sum.expires > 0 ? sum.ttl_sum / sum.expires : 0));
  }
  return lines;
}

InfoLines corral_section(Session& session, const Sources&) {
  InfoLines lines;
  for (const auto& [name, value] : session.worker().process().totals()) set_line(lines, name, to_signed(value));
  return lines;
}

struct Section {
  std::string_view title;
  InfoLines (*lines)(Session&, const Sources&);
  bool asks_masters;
  bool by_default;  // shown if none is named
};

constexpr std::array kSections = {
    Section{"Server", server_section, true, true},
    Section{"Clients", clients_section, false, true},
    Section{"Memory", memory_section, true, true},
    Section{"Persistence", persistence_section, true, true},
    Section{"Stats", stats_section, true, true},
    Section{"Replication", replication_section, false, true},
    Section{"CPU", cpu_section, false, true},
    Section{"Modules", modules_section, true, true},
    Section{"Commandstats", commandstats_section, true, false},
    Section{"Errorstats", errorstats_section, true, true},
    Section{"Latencystats", latencystats_section, true, false},
    Section{"Cluster", cluster_section, false, true},
    Section{"Keyspace", keyspace_section, true, true},
    Section{"Corral", corral_section, false, true},
};

using Chosen = std::vector<const Section*>;

Chosen chosen_sections(const Command& command) {
  Chosen chosen;
  for (const Section& section : kSections) {
    bool wanted = command.argc() == 1 && section.by_default;
    for (size_t i = 1; i < command.argc(); ++i) {
      const std::string_view name = command.arg(i);
      wanted |= same_word(name, section.title) || same_word(name, "all") || same_word(name, "everything") ||
                (section.by_default && same_word(name, "default"));
    }
    if (wanted) chosen.push_back(&section);
  }
  return chosen;
}

void answer(const Request& whole, const Chosen& sections, const Sources& sources) {
  Session& session = *whole.session;
  std::string text, reply;
  for (const Section* section : sections) {
    if (!text.empty()) text += "\r\n";
    text.append("# ").append(section->title).append("\r\n");
    for (const auto& [name, value] : section->lines(session, sources)) {
      text.append(name).append(":").append(value).append("\r\n");
    }
  }
  resp::append_verbatim(reply, text, session.resp());
  session.worker().answer(whole, reply);
}

// Clients that wait for data are counted by the process, those that wait since they are paused by each worker.
void count_blocked_and_answer(const Request& whole, Chosen sections, std::shared_ptr<Sources> sources) {
  Worker& home = whole.session->worker();
  sources->blocked = home.process().blocked_clients();
  if (!home.gate().busy()) return answer(whole, sections, *sources);
  ask_all_workers<uint32_t>(
      home, [](Worker& worker) { return worker.gate().waiting(); },
      [whole, sections = std::move(sections), sources](const std::vector<uint32_t>& counts) {
        for (const uint32_t count : counts) sources->blocked += count;
        answer(whole, sections, *sources);
      });
}

}  // namespace

void local_info(Session& session, const Command& command) {
  const Chosen sections = chosen_sections(command);
  auto sources = std::make_shared<Sources>();
  sources->counts = session.worker().process().server_stats().counts();
  std::vector<std::string_view> words = {"INFO"};
  for (const Section* section : sections) {
    if (section->asks_masters) words.push_back(section->title);
  }
  if (words.size() > 1) words.push_back("errorstats");  // for the sum of Stats
  if (words.size() == 1) return count_blocked_and_answer(session.request_for_reply(kNoSlot, 0), sections, sources);
  std::string bytes;
  resp::append_command(bytes, words);
  ask_masters(session, bytes, [sections, sources](const Request& whole, const Replies& replies) {
    for (const std::string& reply : replies) {  // a master that is away is left out
      if (const ReplyView view(reply); !view.is_error()) sources->infos.emplace_back(view.text());
    }
    count_blocked_and_answer(whole, sections, sources);
  });
}

}  // namespace corral::core
