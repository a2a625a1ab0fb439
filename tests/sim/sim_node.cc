#include "sim_node.h"

#include <algorithm>
#include <utility>

#include "resp/ascii.h"
#include "resp/reply_builder.h"
#include "resp/request_scanner.h"
#include "sim_cluster.h"

namespace corral::sim {

namespace {

constexpr int64_t kSilenceUs = 3'000'000;  // for so long nothing tells of a node that died silently

}  // namespace

std::string error_reply(std::string_view text) {
  std::string out;
  resp::append_error(out, text);
  return out;
}

std::string integer_reply(int64_t value) {
  std::string out;
  resp::append_integer(out, value);
  return out;
}

std::string bulk_reply(std::string_view text) {
  std::string out;
  resp::append_bulk(out, text);
  return out;
}

std::string null_reply(int resp) { return resp == 3 ? "_\r\n" : "$-1\r\n"; }

SimNode::SimNode(SimCluster& cluster, int index)
    : cluster_(cluster),
      index_(index),
      address_{"10.0.0." + std::to_string(index + 1), static_cast<uint16_t>(7000 + index)},
      name_(40, static_cast<char>('a' + index)) {
  owners_.fill(kNobody);
}

SimLoop& SimNode::loop() const { return cluster_.loop(); }
int64_t SimNode::now_us() const { return cluster_.loop().now_us(); }

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
    if (silently) client->connection.hang(kSilenceUs, false);
    client->connection.leave(true);
  }
  clients_.clear();
  tracked_.clear();
  waiting_.clear();
}

void SimNode::forget(uint64_t id) {
  for (auto& [key, clients] : waiting_) std::erase(clients, id);
  clients_.erase(id);
}

void SimNode::learn_owner(uint16_t slot, int owner, uint32_t epoch) {
  uint32_t& known = epochs_[slot];
  epoch_ = std::max(epoch_, epoch);
  if (epoch < known) return;
  known = epoch;
  const bool lost = owners_[slot] == index_ && owner != index_;
  owners_[slot] = static_cast<int8_t>(owner);
  forget_view();
  if (!lost || waiting_.empty()) return;
  // clusterRedirectBlockedClientIfNeeded
  for (auto& [id, client] : clients_) {
    if (client->waits_for.empty() || resp::key_slot(client->waits_for[0]) != slot) continue;
    unblock(*client, redirect("MOVED", slot, owner));
  }
}

// --- what arrives ---

void SimNode::on_bytes(Client& client, std::string_view bytes) {
  loop().trace([&] {
    return "node " + std::to_string(index_) + " <- #" + std::to_string(client.connection.id()) + " " + readable(bytes);
  });
  client.input += bytes;
  read_input(client);
}

// Who blocks is not read from. What a command does may close connections, its own too (CLIENT KILL never does).
void SimNode::read_input(Client& client) {
  resp::RequestScanner scanner;
  size_t at = 0;
  while (at < client.input.size() && client.waits_for.empty()) {
    const auto status = scanner.scan(client.input.data() + at, client.input.size() - at, resp::RequestLimits{});
    if (status == resp::ScanStatus::kNeedMore) break;
    if (status == resp::ScanStatus::kError) {
      cluster_.checker().fail("a node was sent something that is not RESP: " + readable(client.input.substr(at)));
      break;
    }
    const resp::Command command = scanner.command(client.input.data() + at);
    Args args;
    for (size_t i = 0; i < command.argc(); ++i) args.emplace_back(command.arg(i));
    at += scanner.consumed();
    scanner.reset();
    const std::string reply = execute(client, args);
    if (!reply.empty()) client.connection.send(reply);
    serve_waiting();
  }
  client.input.erase(0, at);
}

// ASKING and CLIENT CACHING hold for the next command, or for the whole transaction that it begins; each clears the
// other (networking.c, resetClient).
std::string SimNode::execute(Client& client, const Args& args) {
  const std::string name = resp::lower_case(args[0]);
  const bool asking = client.asking;
  const bool is_caching = name == "client" && args.size() == 3 && resp::same_word(args[1], "caching");
  struct Reset {
    Client& client;
    const bool keeps_asking, keeps_caching;
    ~Reset() {
      if (!client.in_multi && !keeps_asking) client.asking = false;
      if (!client.in_multi && !keeps_caching) client.caching = false;
    }
  } reset{client, name == "asking", is_caching};
  if (name == "auth") {
    client.authenticated = args.back() == cluster_.password;
    return client.authenticated ? "+OK\r\n"
                                : error_reply("WRONGPASS invalid username-password pair or user is disabled.");
  }
  if (!cluster_.password.empty() && !client.authenticated) return error_reply("NOAUTH Authentication required.");
  if (name == "hello") return hello(client);
  if (name == "client") return client_command(client, args);
  if (name == "cluster") return cluster_command(args);
  if (name == "asking") {
    client.asking = true;
    return "+OK\r\n";
  }
  if (name == "info") return bulk_reply("# Server\r\nredis_version:7.0.15\r\nredis_mode:cluster\r\n");
  if (name == "ping") return client.channels.empty() ? "+PONG\r\n" : "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
  if (name == "subscribe" || name == "unsubscribe") return subscribe(client, name, args);
  if (auto reply = transaction_command(client, name, args, asking)) return *std::move(reply);
  return execute_keyed(client, name, args, asking);
}

std::string SimNode::execute_keyed(Client& client, const std::string& name, const Args& args, bool asking) {
  const Named named = find_named(name, args);
  std::string refused = refusal(asking, named);
  if (!refused.empty()) return refused;
  if (name == "watch") {
    client.watched.insert(named.keys.begin(), named.keys.end());
    return "+OK\r\n";
  }
  if (name == "blpop") return block(client, args);
  std::string reply = run(name, args, client.resp);
  if (!named.writes) remember(client, named.keys);
  return reply;
}

// getNodeByQuery: empty if this node executes the command.
std::string SimNode::refusal(bool asking, const Named& named) {
  if (loading || upset_loading) return error_reply("LOADING Redis is loading the dataset in memory");
  if (named.keys.empty()) return {};
  const uint16_t slot = resp::key_slot(named.keys[0]);
  size_t missing = 0;
  for (const std::string& key : named.keys) {
    if (resp::key_slot(key) != slot) return error_reply("CROSSSLOT Keys in request don't hash to the same slot");
    missing += find(key) == nullptr;
  }
  if (down || unaware || upset_down) return error_reply("CLUSTERDOWN The cluster is down");
  if (read_only) {
    return named.writes ? error_reply("READONLY You can't write against a read only replica.")
                        : error_reply("LOADING Redis is loading the dataset in memory");
  }
  const int owner = owners_[slot];
  if (owner == kNobody) return error_reply("CLUSTERDOWN Hash slot not served");
  if (owner == index_) {
    const auto to = migrating.find(slot);
    if (to == migrating.end() || missing == 0) return {};
    if (cluster_.tryagain_when_migrating && missing < named.keys.size()) {
      return error_reply("TRYAGAIN Multiple keys request during rehashing of slot");
    }
    return redirect("ASK", slot, to->second);
  }
  if (asking && importing.contains(slot)) {
    if (named.keys.size() == 1 || missing == 0) return {};
    return error_reply("TRYAGAIN Multiple keys request during rehashing of slot");
  }
  return redirect("MOVED", slot, owner);
}

std::string SimNode::redirect(std::string_view code, uint16_t slot, int to) const {
  const config::Address& address = cluster_.node(to).address();
  return error_reply(std::string(code) + ' ' + std::to_string(slot) + ' ' + address.host + ':' +
                     std::to_string(address.port));
}

}  // namespace corral::sim
