// A simulated node's commands about connections and the cluster: CLIENT, HELLO, CLUSTER.
#include <algorithm>

#include "resp/ascii.h"
#include "resp/reply_builder.h"
#include "sim_cluster.h"
#include "sim_node.h"

namespace corral::sim {

std::string SimNode::hello(Client& client) {
  client.resp = 3;
  return "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n";
}

std::string SimNode::client_command(Client& client, const Args& args) {
  const std::string sub = resp::lower_case(args[1]);
  if (sub == "setname") {
    client.name = args[2];
    return "+OK\r\n";
  }
  if (sub == "kill") return kill(client, args);
  if (sub == "tracking") return tracking_command(client, args);
  if (sub == "caching") {
    if (!client.tracking || !client.optin) {
      return error_reply("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    }
    client.caching = resp::same_word(args[2], "yes");
    return "+OK\r\n";
  }
  if (sub != "info") return error_reply("ERR unknown subcommand");
  const std::string text = "id=" + std::to_string(client.id) + " addr=" + client_address(client) +
                           " laddr=" + address_.host + ':' + std::to_string(address_.port) +
                           " fd=8 name=" + client.name + "\n";
  std::string out;
  resp::append_verbatim(out, text, client.resp);
  return out;
}

std::string SimNode::tracking_command(Client& client, const Args& args) {
  client.tracking = resp::same_word(args[2], "on");
  client.optin = std::any_of(args.begin(), args.end(), [](auto& arg) { return resp::same_word(arg, "optin"); });
  if (client.tracking && client.resp != 3) return error_reply("ERR the simulated nodes push, and redirect nothing");
  return "+OK\r\n";
}

// As SKIPME yes: not the caller, whose number and address may be those of a connection before a restart.
std::string SimNode::kill(const Client& caller, const Args& args) {
  std::string id, address;
  for (size_t i = 2; i + 1 < args.size(); i += 2) {
    (resp::lower_case(args[i]) == "id" ? id : address) = args[i + 1];
  }
  for (const auto& [number, victim] : clients_) {
    if (number == caller.id || std::to_string(number) != id || client_address(*victim) != address) continue;
    victim->connection.leave(true);
    forget(number);
    return integer_reply(1);
  }
  return integer_reply(0);
}

std::string SimNode::cluster_command(const Args& args) {
  const std::string sub = resp::lower_case(args[1]);
  if (sub == "info") {
    return bulk_reply("cluster_state:ok\r\ncluster_current_epoch:" + std::to_string(epoch_) +
                      "\r\ncluster_my_epoch:" + std::to_string(index_ + 1) + "\r\n");
  }
  if (sub == "shards" && cluster_.knows_shards) return shards_.empty() ? shards_ = describe_shards() : shards_;
  if (sub == "slots") return slots_.empty() ? slots_ = describe_slots() : slots_;
  return error_reply("ERR unknown subcommand '" + sub + "'. Try CLUSTER HELP.");
}

// The slots of each master, as this node sees them.
std::vector<std::pair<int, std::vector<std::pair<int, int>>>> SimNode::ranges() const {
  std::map<int, std::vector<std::pair<int, int>>> found;
  for (int slot = 0; slot < resp::kSlots;) {
    int end = slot + 1;
    while (end < resp::kSlots && owners_[static_cast<size_t>(end)] == owners_[static_cast<size_t>(slot)]) ++end;
    if (const int owner = owners_[static_cast<size_t>(slot)]; owner != kNobody)
      found[owner].emplace_back(slot, end - 1);
    slot = end;
  }
  return {found.begin(), found.end()};
}

std::string SimNode::describe_shards() {
  const auto shards = ranges();
  std::string out;
  resp::append_array(out, shards.size());
  for (const auto& [owner, slots] : shards) {
    const std::vector<int> nodes = cluster_.shard_of(owner);
    resp::append_array(out, 4);
    resp::append_bulk(out, "slots");
    resp::append_array(out, slots.size() * 2);
    for (const auto& [first, last] : slots) out += integer_reply(first) + integer_reply(last);
    resp::append_bulk(out, "nodes");
    resp::append_array(out, nodes.size());
    for (const int index : nodes) {
      const SimNode& node = cluster_.node(index);
      resp::append_array(out, 10);
      const auto add = [&](std::string_view key, std::string_view value) {
        resp::append_bulk(out, key);
        resp::append_bulk(out, value);
      };
      add("id", node.name());
      resp::append_bulk(out, "port");
      out += integer_reply(node.address().port);
      add("endpoint", node.address().host);
      add("role", index == owner ? "master" : "replica");
      add("health", node.alive ? "online" : "fail");
    }
  }
  return out;
}

std::string SimNode::describe_slots() {
  size_t count = 0;
  std::string entries;
  for (const auto& [owner, slots] : ranges()) {
    const std::vector<int> nodes = cluster_.shard_of(owner);
    for (const auto& [first, last] : slots) {
      ++count;
      resp::append_array(entries, 2 + nodes.size());
      entries += integer_reply(first) + integer_reply(last);
      for (const int index : nodes) {
        const SimNode& node = cluster_.node(index);
        resp::append_array(entries, 4);
        resp::append_bulk(entries, node.address().host);
        entries += integer_reply(node.address().port);
        resp::append_bulk(entries, node.name());
        resp::append_array(entries, 0);
      }
    }
  }
  std::string out;
  resp::append_array(out, count);
  return out + entries;
}

}  // namespace corral::sim
