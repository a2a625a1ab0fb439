// Answered locally: commands about the connection, the proxy, or the one server that it looks like.
#include <array>

#include "proxy/core/handlers.h"
#include "proxy/core/local.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;
using resp::CommandSpec;
using resp::LocalAction;

namespace {

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
  session.worker().transport().log(LogLevel::kWarn, "closed " + session.addresses().peer +
                                                        ": it speaks HTTP, which may be an attack through a browser");
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

LocalFunction function_of(LocalAction action) {
  switch (action) {
    case LocalAction::kPing:
      return local_ping;
    case LocalAction::kEcho:
      return local_echo;
    case LocalAction::kQuit:
      return local_quit;
    case LocalAction::kReset:
      return local_reset;
    case LocalAction::kSelect:
      return local_select;
    case LocalAction::kHello:
      return local_hello;
    case LocalAction::kAuth:
      return local_auth;
    case LocalAction::kTime:
      return local_time;
    case LocalAction::kInfo:
      return local_info;
    case LocalAction::kRole:
      return local_role;
    case LocalAction::kReadOnly:
    case LocalAction::kReadWrite:
      return local_ok;
    case LocalAction::kClientId:
      return local_client_id;
    case LocalAction::kClientInfo:
      return local_client_info;
    case LocalAction::kClientList:
      return local_client_list;
    case LocalAction::kClientKill:
      return local_client_kill;
    case LocalAction::kClientSetName:
      return local_client_setname;
    case LocalAction::kClientGetName:
      return local_client_getname;
    case LocalAction::kClientSetInfo:
      return local_client_setinfo;
    case LocalAction::kClientNoEvict:
      return local_client_no_evict;
    case LocalAction::kClientReply:
      return local_client_reply;
    case LocalAction::kClientUnblock:
      return local_client_unblock;
    case LocalAction::kClientHelp:
      return local_client_help;
    case LocalAction::kClusterInfo:
      return local_cluster_info;
    case LocalAction::kClusterSlots:
      return local_cluster_slots;
    case LocalAction::kClusterShards:
      return local_cluster_shards;
    case LocalAction::kClusterNodes:
      return local_cluster_nodes;
    case LocalAction::kClusterKeySlot:
      return local_cluster_keyslot;
    case LocalAction::kClusterMyId:
      return local_cluster_myid;
    case LocalAction::kClusterHelp:
      return local_cluster_help;
    case LocalAction::kCorralHelp:
      return local_corral_help;
    case LocalAction::kCorralStats:
      return local_corral_stats;
    case LocalAction::kCorralTopology:
      return local_corral_topology;
    case LocalAction::kHangUp:
      return local_hang_up;
    default:
      return nullptr;
  }
  return nullptr;
}

}  // namespace

void handle_local(Session& session, const Command& command, const CommandSpec& spec) {
  if (const LocalFunction function = function_of(spec.local)) return function(session, command);
  session.reply_error("ERR '" + std::string(spec.name) +
                      "' concerns one node or one connection to it, and is not served through a proxy");
}

void reply_help(Session& session, std::string_view container, std::initializer_list<std::string_view> lines) {
  std::string out;
  resp::append_array(out, lines.size() + 1);
  resp::append_simple(out, std::string(container) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const std::string_view line : lines) resp::append_simple(out, line);
  session.reply(out);
}

}  // namespace corral::core
