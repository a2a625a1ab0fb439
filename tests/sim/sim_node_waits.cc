// A simulated node's transactions, blocked clients and subscribers: what of a connection outlives a command.
#include <algorithm>
#include <utility>

#include "resp/ascii.h"
#include "resp/reply_builder.h"
#include "sim_cluster.h"
#include "sim_node.h"

namespace corral::sim {

// --- MULTI, EXEC, WATCH: multi.c ---

std::optional<std::string> SimNode::transaction_command(Client& client, const std::string& name, const Args& args,
                                                        bool asking) {
  if (name == "multi") {
    client.in_multi = true;
    client.asking = asking;
    return "+OK\r\n";
  }
  if (name == "exec") return client.in_multi ? exec(client, asking) : error_reply("ERR EXEC without MULTI");
  if (name == "unwatch" || name == "discard") {
    client.in_multi = client.abort = client.broken = false;
    client.queued.clear();
    client.watched.clear();
    return "+OK\r\n";
  }
  if (!client.in_multi) return {};
  std::string refused = refusal(asking, find_named(name, args));
  if (!refused.empty()) {
    client.abort = true;
    return refused;
  }
  client.queued.push_back(args);
  return "+QUEUED\r\n";
}

std::string SimNode::exec(Client& client, bool asking) {
  const std::vector<Args> queued = std::exchange(client.queued, {});
  for (const std::string& key : client.watched) find(key);
  const bool abort = client.abort, broken = client.broken;
  client.in_multi = client.abort = client.broken = false;
  client.watched.clear();
  if (abort) return error_reply("EXECABORT Transaction discarded because of previous errors.");
  if (broken) return client.resp == 3 ? "_\r\n" : "*-1\r\n";
  Named all;
  all.writes = false;
  for (const Args& args : queued) {
    const Named named = find_named(resp::lower_case(args[0]), args);
    all.writes = all.writes || named.writes;
    for (const std::string& key : named.keys) {
      if (std::find(all.keys.begin(), all.keys.end(), key) == all.keys.end()) all.keys.push_back(key);
    }
  }
  if (std::string refused = refusal(asking, all); !refused.empty()) return refused;
  std::string out;
  resp::append_array(out, queued.size());
  for (const Args& args : queued) {
    const std::string name = resp::lower_case(args[0]);
    out += run(name, args, client.resp);
    if (const Named named = find_named(name, args); !named.writes) remember(client, named.keys);
  }
  return out;
}

// --- BLPOP: blocked.c ---

std::string SimNode::block(Client& client, const Args& args) {
  const Named named = find_named("blpop", args);
  for (const std::string& key : named.keys) {
    if (!find(key)) continue;
    return "*2\r\n" + bulk_reply(key) + pop({"lpop", key}, client.resp);
  }
  client.waits_for = named.keys;
  for (const std::string& key : named.keys) waiting_[key].push_back(client.id);
  const auto timeout_us = static_cast<int64_t>(std::stod(args.back()) * 1e6);
  const uint64_t wait = ++client.wait;
  if (timeout_us == 0) return {};
  loop().after(timeout_us, [this, id = client.id, wait] {
    const auto it = clients_.find(id);
    if (it == clients_.end() || it->second->wait != wait || it->second->waits_for.empty()) return;
    unblock(*it->second, it->second->resp == 3 ? "_\r\n" : "*-1\r\n");
  });
  return {};
}

void SimNode::serve_waiting() {
  while (!pushed_.empty()) {
    const std::string key = *pushed_.begin();
    pushed_.erase(pushed_.begin());
    while (find(key) && !waiting_[key].empty()) {
      Client& client = *clients_.at(waiting_[key].front());
      unblock(client, "*2\r\n" + bulk_reply(key) + pop({"lpop", key}, client.resp));
    }
  }
}

// It goes on with what it has sent meanwhile.
void SimNode::unblock(Client& client, std::string_view reply) {
  for (const std::string& key : client.waits_for) std::erase(waiting_[key], client.id);
  client.waits_for.clear();
  client.connection.send(reply);
  loop().after(0, [this, id = client.id] {
    if (const auto it = clients_.find(id); it != clients_.end()) read_input(*it->second);
  });
}

void SimNode::unblock_all() {
  for (auto& [id, client] : clients_) {
    if (client->waits_for.empty()) continue;
    unblock(*client, error_reply("UNBLOCKED force unblock from blocking operation, instance state changed "
                                 "(master -> replica?)"));
  }
}

// --- SUBSCRIBE, PUBLISH: pubsub.c ---

std::string SimNode::subscribe(Client& client, const std::string& name, const Args& args) {
  std::string out;
  for (size_t i = 1; i < args.size(); ++i) {
    name == "subscribe" ? void(client.channels.insert(args[i])) : void(client.channels.erase(args[i]));
    out +=
        "*3\r\n" + bulk_reply(name) + bulk_reply(args[i]) + integer_reply(static_cast<int64_t>(client.channels.size()));
  }
  return out;
}

int64_t SimNode::publish(const std::string& channel, const std::string& message) {
  int64_t receivers = 0;
  for (auto& [id, client] : clients_) {
    if (!client->channels.contains(channel)) continue;
    ++receivers;
    client->connection.send("*3\r\n$7\r\nmessage\r\n" + bulk_reply(channel) + bulk_reply(message));
  }
  return receivers;
}

}  // namespace corral::sim
