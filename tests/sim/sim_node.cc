#include "sim_node.h"

#include <algorithm>

#include "resp/ascii.h"
#include "resp/reply_builder.h"
#include "sim_cluster.h"

namespace corral::sim {

namespace {

constexpr int64_t kSilenceUs = 3'000'000;  // for so long nothing tells of a node that died silently

std::string error(std::string_view text) {
  std::string out;
  resp::append_error(out, text);
  return out;
}

std::string integer(int64_t value) {
  std::string out;
  resp::append_integer(out, value);
  return out;
}

// The keys of the few commands there are.
std::vector<std::string> keys_of(std::string_view name, const resp::Command& command) {
  std::vector<std::string> keys;
  const size_t step = name == "mset" ? 2 : 1;
  const bool many = name == "mset" || name == "mget" || name == "del" || name == "exists";
  for (size_t i = 1; i < (many ? command.argc() : 2); i += step) keys.emplace_back(command.arg(i));
  return keys;
}

}  // namespace

SimNode::SimNode(SimCluster& cluster, int index)
    : cluster_(cluster),
      index_(index),
      address_{"10.0.0." + std::to_string(index + 1), static_cast<uint16_t>(7000 + index)},
      name_(40, static_cast<char>('a' + index)) {
  owners_.fill(kNobody);
}

Peer* SimNode::accept(Connection& connection) {
  if (!alive || refusing) return nullptr;
  const uint64_t id = next_client_++;
  return (clients_[id] = std::make_unique<Client>(*this, connection, id)).get();
}

std::string SimNode::client_address(const Client& client) const {
  return "192.168.0.2:" + std::to_string(20000 + client.connection.id());
}

void SimNode::die(bool silently) {
  alive = false;
  black_hole = silently;
  for (auto& [id, client] : clients_) {
    if (silently) {
      client->connection.hang(kSilenceUs, false);
    }
    client->connection.leave(true);
  }
  clients_.clear();
}

void SimNode::learn_owner(uint16_t slot, int owner, uint32_t epoch) {
  uint32_t& known = epochs_[slot];
  if (epoch < known) return;
  known = epoch;
  owners_[slot] = static_cast<int8_t>(owner);
  forget_view();
}

void SimNode::on_bytes(Client& client, std::string_view bytes) {
  cluster_.loop().trace([&] {
    return "node " + std::to_string(index_) + " <- #" + std::to_string(client.connection.id()) + " " + readable(bytes);
  });
  client.input += bytes;
  resp::RequestScanner scanner;
  std::string out;
  size_t at = 0;
  while (at < client.input.size()) {
    const auto status = scanner.scan(client.input.data() + at, client.input.size() - at, resp::RequestLimits{});
    if (status == resp::ScanStatus::kNeedMore) break;
    if (status == resp::ScanStatus::kError) {
      cluster_.checker().fail("a node was sent something that is not RESP: " + readable(client.input.substr(at)));
      break;
    }
    out += execute(client, scanner.command(client.input.data() + at));
    at += scanner.consumed();
    scanner.reset();
  }
  client.input.erase(0, at);
  if (!out.empty()) client.connection.send(out);
}

std::string SimNode::execute(Client& client, const resp::Command& command) {
  const std::string name = resp::lower_case(command.arg(0));
  const bool asking = std::exchange(client.asking, false);
  if (name == "auth") {
    client.authenticated = command.arg(command.argc() - 1) == cluster_.password;
    return client.authenticated ? "+OK\r\n" : error("WRONGPASS invalid username-password pair or user is disabled.");
  }
  if (!cluster_.password.empty() && !client.authenticated) return error("NOAUTH Authentication required.");
  if (name == "client") return client_command(client, command);
  if (name == "cluster") return cluster_command(command);
  if (name == "asking") {
    client.asking = true;
    return "+OK\r\n";
  }
  if (name == "info") {
    std::string out;
    resp::append_bulk(out, "# Server\r\nredis_version:7.0.15\r\nredis_mode:cluster\r\n");
    return out;
  }
  const std::vector<std::string> keys = keys_of(name, command);
  const bool writes = name != "get" && name != "mget" && name != "exists";
  std::string refused = refusal(asking, keys, writes);
  return refused.empty() ? run(name, command, keys) : refused;
}

// getNodeByQuery: empty if this node executes the command.
std::string SimNode::refusal(bool asking, const std::vector<std::string>& keys, bool writes) {
  if (loading || upset_loading) return error("LOADING Redis is loading the dataset in memory");
  const uint16_t slot = resp::key_slot(keys[0]);
  size_t missing = 0;
  for (const std::string& key : keys) {
    if (resp::key_slot(key) != slot) return error("CROSSSLOT Keys in request don't hash to the same slot");
    missing += !data.contains(key);
  }
  if (down || unaware || upset_down) return error("CLUSTERDOWN The cluster is down");
  if (read_only) {
    return writes ? error("READONLY You can't write against a read only replica.")
                  : error("LOADING Redis is loading the dataset in memory");
  }
  const int owner = owners_[slot];
  if (owner == kNobody) return error("CLUSTERDOWN Hash slot not served");
  if (owner == index_) {
    const auto to = migrating.find(slot);
    if (to == migrating.end() || missing == 0) return {};
    if (cluster_.tryagain_when_migrating && missing < keys.size()) {
      return error("TRYAGAIN Multiple keys request during rehashing of slot");
    }
    return redirect("ASK", slot, to->second);
  }
  if (asking && importing.contains(slot)) {
    if (keys.size() == 1 || missing == 0) return {};
    return error("TRYAGAIN Multiple keys request during rehashing of slot");
  }
  return redirect("MOVED", slot, owner);
}

std::string SimNode::redirect(std::string_view code, uint16_t slot, int to) const {
  const config::Address& address = cluster_.node(to).address();
  return error(std::string(code) + ' ' + std::to_string(slot) + ' ' + address.host + ':' +
               std::to_string(address.port));
}

std::string SimNode::run(std::string_view name, const resp::Command& command, const std::vector<std::string>& keys) {
  std::string out;
  if (name == "get" || name == "mget") {
    if (name == "mget") resp::append_array(out, keys.size());
    for (const std::string& key : keys) {
      const auto it = data.find(key);
      it == data.end() ? resp::append_null(out, 2) : resp::append_bulk(out, it->second);
    }
    return out;
  }
  if (name == "set" || name == "mset") {
    for (size_t i = 1; i + 1 < command.argc(); i += 2) {
      const std::string key(command.arg(i));
      data[key] = command.arg(i + 1);
      cluster_.checker().on_set(key, data[key]);
    }
    return "+OK\r\n";
  }
  if (name == "incr") return increment(keys[0]);
  int64_t count = 0;
  for (const std::string& key : keys) {
    if (name == "del") count += static_cast<int64_t>(data.erase(key));
    if (name == "exists") count += data.contains(key);
  }
  if (name == "del" || name == "exists") return integer(count);
  return error("ERR unknown command");
}

std::string SimNode::increment(const std::string& key) {
  const auto it = data.find(key);
  const int64_t value = (it == data.end() ? 0 : std::stoll(it->second)) + 1;
  data[key] = std::to_string(value);
  return integer(value);
}

// --- CLIENT and CLUSTER ---

std::string SimNode::client_command(Client& client, const resp::Command& command) {
  const std::string sub = resp::lower_case(command.arg(1));
  if (sub == "setname") {
    client.name = command.arg(2);
    return "+OK\r\n";
  }
  if (sub == "kill") return kill(client, command);
  if (sub != "info") return error("ERR unknown subcommand");
  std::string out;
  resp::append_bulk(out, "id=" + std::to_string(client.id) + " addr=" + client_address(client) + " laddr=" +
                             address_.host + ':' + std::to_string(address_.port) + " fd=8 name=" + client.name + "\n");
  return out;
}

// As SKIPME yes: not the caller, whose number and address may be those of a connection before a restart.
std::string SimNode::kill(const Client& caller, const resp::Command& command) {
  std::string id, address;
  for (size_t i = 2; i + 1 < command.argc(); i += 2) {
    (resp::lower_case(command.arg(i)) == "id" ? id : address) = command.arg(i + 1);
  }
  for (const auto& [number, victim] : clients_) {
    if (number == caller.id || std::to_string(number) != id || client_address(*victim) != address) continue;
    victim->connection.leave(true);
    clients_.erase(number);
    return integer(1);
  }
  return integer(0);
}

std::string SimNode::cluster_command(const resp::Command& command) {
  const std::string sub = resp::lower_case(command.arg(1));
  if (sub == "shards" && cluster_.knows_shards) return shards_.empty() ? shards_ = describe_shards() : shards_;
  if (sub == "slots") return slots_.empty() ? slots_ = describe_slots() : slots_;
  return error("ERR unknown subcommand '" + sub + "'. Try CLUSTER HELP.");
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
    for (const auto& [first, last] : slots) out += integer(first) + integer(last);
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
      out += integer(node.address().port);
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
      entries += integer(first) + integer(last);
      for (const int index : nodes) {
        const SimNode& node = cluster_.node(index);
        resp::append_array(entries, 4);
        resp::append_bulk(entries, node.address().host);
        entries += integer(node.address().port);
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
