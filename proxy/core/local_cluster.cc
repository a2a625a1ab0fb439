// CLUSTER as one node that owns every slot answers it, at the address that the client used or that is to be announced:
// so that cluster-mode clients work and send everything here.
#include <algorithm>

#include "proxy/core/local.h"
#include "resp/reply_builder.h"
#include "resp/slot.h"

namespace corral::core {

using resp::Command;

namespace {

struct OwnAddress {
  std::string host;
  int64_t port;
};

OwnAddress own_address(const Session& session) {
  const auto& server = session.worker().settings().server;
  std::string text = server.announce.empty() ? session.addresses().local : server.announce;
  if (const size_t colon = text.rfind(':'); colon != std::string::npos && !text.starts_with('/')) {
    std::string host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return {host, std::strtol(text.c_str() + colon + 1, nullptr, 10)};
  }
  // The client came through a unix socket: the first other address that is listened on.
  for (const auto& address : server.listen) {
    if (!address.is_unix()) return {address.host, address.port};
  }
  return {"127.0.0.1", 6379};
}

const std::string& own_id(const Session& session) { return session.worker().process().run_id(); }

}  // namespace

void local_cluster_info(Session& session, const Command&) {
  const SlotMap& map = session.worker().map();
  const auto assigned = resp::kSlots - std::count(map.owner.begin(), map.owner.end(), kNoNode);
  const std::string slots = std::to_string(assigned);
  const std::string text = std::string("cluster_state:") + (assigned == resp::kSlots ? "ok" : "fail") +
                           "\r\ncluster_slots_assigned:" + slots + "\r\ncluster_slots_ok:" + slots +
                           "\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:1\r\n"
                           "cluster_size:1\r\ncluster_current_epoch:1\r\ncluster_my_epoch:1\r\n"
                           "cluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n"
                           "total_cluster_links_buffer_limit_exceeded:0\r\n";
  std::string out;
  resp::append_verbatim(out, text, session.resp());
  session.reply(out);
}

void local_cluster_slots(Session& session, const Command&) {
  const OwnAddress own = own_address(session);
  std::string out;
  resp::append_array(out, 1);
  resp::append_array(out, 3);
  resp::append_integer(out, 0);
  resp::append_integer(out, resp::kSlots - 1);
  resp::append_array(out, 4);
  resp::append_bulk(out, own.host);
  resp::append_integer(out, own.port);
  resp::append_bulk(out, own_id(session));
  resp::append_array(out, 0);
  session.reply(out);
}

void local_cluster_shards(Session& session, const Command&) {
  const OwnAddress own = own_address(session);
  const int resp = session.resp();
  std::string out;
  resp::append_array(out, 1);
  resp::append_map(out, 2, resp);
  resp::append_bulk(out, "slots");
  resp::append_array(out, 2);
  resp::append_integer(out, 0);
  resp::append_integer(out, resp::kSlots - 1);
  resp::append_bulk(out, "nodes");
  resp::append_array(out, 1);
  resp::append_map(out, 7, resp);
  resp::append_bulk(out, "id");
  resp::append_bulk(out, own_id(session));
  resp::append_bulk(out, "port");
  resp::append_integer(out, own.port);
  resp::append_bulk(out, "ip");
  resp::append_bulk(out, own.host);
  resp::append_bulk(out, "endpoint");
  resp::append_bulk(out, own.host);
  resp::append_bulk(out, "role");
  resp::append_bulk(out, "master");
  resp::append_bulk(out, "replication-offset");
  resp::append_integer(out, 0);
  resp::append_bulk(out, "health");
  resp::append_bulk(out, "online");
  session.reply(out);
}

// Two lines, each with half of the slots and both at this one address: redis-benchmark --cluster refuses a cluster of
// one.
void local_cluster_nodes(Session& session, const Command&) {
  const OwnAddress own = own_address(session);
  const std::string address = own.host + ':' + std::to_string(own.port) + '@' + std::to_string(own.port + 10000);
  std::string other_id = own_id(session);
  other_id.back() = other_id.back() == '0' ? '1' : '0';
  std::string out;
  resp::append_verbatim(out,
                        own_id(session) + ' ' + address + " myself,master - 0 0 1 connected 0-8191\n" + other_id + ' ' +
                            address + " master - 0 0 2 connected 8192-16383\n",
                        session.resp());
  session.reply(out);
}

void local_cluster_keyslot(Session& session, const Command& command) {
  std::string out;
  resp::append_integer(out, resp::key_slot(command.arg(2)));
  session.reply(out);
}

void local_cluster_myid(Session& session, const Command&) {
  std::string out;
  resp::append_bulk(out, own_id(session));
  session.reply(out);
}

void local_cluster_help(Session& session, const Command&) {
  reply_help(session, "CLUSTER",
             {"COUNTKEYSINSLOT <slot>", "    Return the number of keys in <slot>.", "GETKEYSINSLOT <slot> <count>",
              "    Return key names stored by current node in a slot.", "INFO",
              "    Return information about the cluster, as which this proxy presents itself.", "KEYSLOT <key>",
              "    Return the hash slot for <key>.", "MYID", "    Return the node id.", "NODES",
              "    Return the configuration of this one node, which owns every slot.", "SHARDS",
              "    Return information about slot range mappings and the nodes associated with them.", "SLOTS",
              "    Return information about slots range mappings.", "HELP", "    Print this help."});
}

}  // namespace corral::core
