// Answered locally: commands about the connection, the proxy, or the one server that it looks like.
#include <array>

#include "proxy/core/handlers.h"
#include "proxy/core/local.h"
#include "proxy/core/near.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Action;
using resp::Command;
using resp::CommandSpec;

namespace {

constexpr int64_t kOwnTimeUs = 1;  // that a command is said to take which Corral answers itself

void local_ok(Session& session, const Command&) { session.reply(resp::kOk); }

void local_time(Session& session, const Command&) {
  const int64_t now_us = session.worker().transport().wall_clock_us();
  std::string out;
  resp::append_array(out, 2);
  resp::append_bulk(out, std::to_string(now_us / 1'000'000));
  resp::append_bulk(out, std::to_string(now_us % 1'000'000));
  session.reply(out);
}

void local_hang_up(Session& session, const Command&) {
  session.worker().log_closed(session, LogLevel::kWarn, "it speaks HTTP, which may be an attack through a browser");
  session.close();
}

// A master without replicas.
void local_role(Session& session, const Command&) {
  std::string out;
  resp::append_array(out, 3);
  resp::append_bulk(out, "master");
  resp::append_integer(out, 0);
  resp::append_array(out, 0);
  session.reply(out);
}

LocalFunction function_of(Action action) {
  switch (action) {
    case Action::kPing:
      return local_ping;
    case Action::kEcho:
      return local_echo;
    case Action::kQuit:
      return local_quit;
    case Action::kReset:
      return local_reset;
    case Action::kSelect:
      return local_select;
    case Action::kHello:
      return local_hello;
    case Action::kAuth:
      return local_auth;
    case Action::kTime:
      return local_time;
    case Action::kConfigGet:
      return local_config_get;
    case Action::kInfo:
      return local_info;
    case Action::kRole:
      return local_role;
    case Action::kReadOnly:
    case Action::kReadWrite:
      return local_ok;
    case Action::kClientId:
      return local_client_id;
    case Action::kClientInfo:
      return local_client_info;
    case Action::kClientList:
      return local_client_list;
    case Action::kClientKill:
      return local_client_kill;
    case Action::kClientSetName:
      return local_client_setname;
    case Action::kClientGetName:
      return local_client_getname;
    case Action::kClientSetInfo:
      return local_client_setinfo;
    case Action::kClientNoEvict:
      return local_client_no_evict;
    case Action::kClientReply:
      return local_client_reply;
    case Action::kClientUnblock:
      return local_client_unblock;
    case Action::kClientHelp:
      return local_client_help;
    case Action::kClientNoTouch:
      return local_client_no_touch;
    case Action::kClientPause:
      return local_client_pause;
    case Action::kClientUnpause:
      return local_client_unpause;
    case Action::kClientTracking:
      return local_client_tracking;
    case Action::kClientCaching:
      return local_client_caching;
    case Action::kClientGetRedir:
      return local_client_getredir;
    case Action::kClientTrackingInfo:
      return local_client_trackinginfo;
    case Action::kMonitor:
      return local_monitor;
    case Action::kAclWhoAmI:
      return local_acl_whoami;
    case Action::kAclCat:
      return local_acl_cat;
    case Action::kAclList:
      return local_acl_list;
    case Action::kAclUsers:
      return local_acl_users;
    case Action::kAclGetUser:
      return local_acl_getuser;
    case Action::kAclGenPass:
      return local_acl_genpass;
    case Action::kAclDryRun:
      return local_acl_dryrun;
    case Action::kAclLog:
      return local_acl_log;
    case Action::kAclChange:
      return local_acl_change;
    case Action::kAclFile:
      return local_acl_file;
    case Action::kAclHelp:
      return local_acl_help;
    case Action::kSlowLogGet:
      return local_slowlog_get;
    case Action::kSlowLogLen:
      return local_slowlog_len;
    case Action::kLatencyLatest:
      return local_latency_latest;
    case Action::kLatencyHistory:
      return local_latency_history;
    case Action::kLatencyHistogram:
      return local_latency_histogram;
    case Action::kMemoryStats:
      return local_memory_stats;
    case Action::kLongestText:
      return local_longest_text;
    case Action::kClusterInfo:
      return local_cluster_info;
    case Action::kClusterSlots:
      return local_cluster_slots;
    case Action::kClusterShards:
      return local_cluster_shards;
    case Action::kClusterNodes:
      return local_cluster_nodes;
    case Action::kClusterKeySlot:
      return local_cluster_keyslot;
    case Action::kClusterMyId:
      return local_cluster_myid;
    case Action::kClusterHelp:
      return local_cluster_help;
    case Action::kCorralHelp:
      return local_corral_help;
    case Action::kCorralStats:
      return local_corral_stats;
    case Action::kCorralTopology:
      return local_corral_topology;
    case Action::kCorralReload:
      return local_corral_reload;
    case Action::kCorralRules:
      return local_corral_rules;
    case Action::kCorralHotKeys:
      return local_corral_hot_keys;
    case Action::kCorralBigKeys:
      return local_corral_big_keys;
    case Action::kCorralSlowLog:
      return local_corral_slow_log;
    case Action::kCorralLeases:
      return local_corral_leases;
    case Action::kCorralCache:
      return local_corral_cache;
    case Action::kCorralRule:
      return local_corral_rule;
    case Action::kHangUp:
      return local_hang_up;
    default:
      return nullptr;
  }
  return nullptr;
}

// Counted when it has run, as Redis does: LATENCY HISTOGRAM does not show itself.
void run_counted(Session& session, const Command& command, const CommandSpec& spec, LocalFunction function) {
  Worker& worker = session.worker();
  Process& process = worker.process();
  const uint64_t errors = worker.errors_given();
  const bool timed = process.slow_log().wants(kOwnTimeUs) && !spec.is(resp::kFlagSkipSlowlog);
  if (Near* near = worker.near()) near->settle_hits();
  function(session, command);
  process.server_stats().count_call(worker.index(), spec, worker.errors_given() != errors);
  if (!timed) return;
  const Session::Details* details = session.details_if_any();
  process.slow_log().add(worker.transport().wall_clock_us(), kOwnTimeUs, command, spec, session.addresses().peer,
                         details ? details->name : "");
}

}  // namespace

void handle_local(Session& session, const Command& command, const CommandSpec& spec) {
  if (const LocalFunction function = function_of(spec.action)) return run_counted(session, command, spec, function);
  session.reply_error("ERR '" + std::string(spec.name) +
                      "' concerns one node or one connection to it, and is not served through a proxy");
}

// Redis: networking.c, addReplySubcommandSyntaxError.
void reply_subcommand_syntax(Session& session, const Command& command) {
  std::string container(command.arg(0));
  for (char& c : container) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  session.reply_error("ERR unknown subcommand or wrong number of arguments for '" +
                      std::string(command.arg(1).substr(0, 128)) + "'. Try " + container + " HELP.");
}

void reply_help(Session& session, std::string_view container, std::initializer_list<std::string_view> lines) {
  std::string out;
  resp::append_array(out, lines.size() + 1);
  resp::append_simple(out, std::string(container) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const std::string_view line : lines) resp::append_simple(out, line);
  session.reply(out);
}

}  // namespace corral::core
