// A simulated node's commands on keys, and who is told when one changes. The checker hears of each change at the moment
// at which it happens; of an end by TTL when that is due, though the node may notice it later, as Redis does.
#include <algorithm>
#include <utility>

#include "resp/ascii.h"
#include "resp/reply_builder.h"
#include "sim_cluster.h"
#include "sim_node.h"
#include "sim_transport.h"

namespace corral::sim {

namespace {

constexpr int64_t kNoticedUs = 60'000;  // how late the active expiry may be

}  // namespace

std::string SimNode::run_directly(const Args& args) {
  std::string reply = run(resp::lower_case(args[0]), args, 2);
  serve_waiting();
  return reply;
}

std::string SimNode::run(const std::string& name, const Args& args, int resp) {
  if (name == "get" || name == "mget") return get({args.begin() + 1, args.end()}, name == "mget", resp);
  if (name == "set") return set(args, read_options(args, 3), resp);
  if (name == "psetex") return set(args, {.ttl_ms = std::stoll(args[2])}, resp);
  if (name == "mset") {
    for (size_t i = 1; i + 1 < args.size(); i += 2) store(args[i], args[i + 1], 0);
    return "+OK\r\n";
  }
  if (name == "incr") {
    const Entry* entry = find(args[1]);
    const int64_t value = (entry ? std::stoll(entry->text) : 0) + 1;
    store(args[1], std::to_string(value), entry ? entry->expire_us : 0);
    return integer_reply(value);
  }
  if (name == "del" || name == "unlink") return remove({args.begin() + 1, args.end()});
  if (name == "exists") {
    return integer_reply(std::count_if(args.begin() + 1, args.end(), [this](auto& key) { return find(key); }));
  }
  if (name == "pttl" || name == "ttl") {
    const Entry* entry = find(args[1]);
    if (!entry || entry->expire_us == 0) return integer_reply(entry ? -1 : -2);
    const int64_t left_ms = (entry->expire_us - now_us()) / 1000;
    return integer_reply(name == "ttl" ? (left_ms + 500) / 1000 : left_ms);
  }
  if (name == "pexpire" || name == "expire") return expire(args, name == "expire");
  if (name == "rpush") return push(args);
  if (name == "lpop") return pop(args, resp);
  if (name == "llen") {
    const Entry* entry = find(args[1]);
    return integer_reply(entry ? static_cast<int64_t>(entry->items.size()) : 0);
  }
  if (name == "eval") {  // the one script that there is: deletes a key if it has the value
    const Entry* entry = find(args[3]);
    return entry && entry->text == args[4] ? remove({args[3]}) : integer_reply(0);
  }
  if (name == "publish") return integer_reply(publish(args[1], args[2]));
  return error_reply("ERR unknown command '" + name + "'");
}

std::string SimNode::get(const std::vector<std::string>& keys, bool many, int resp) {
  std::string out;
  if (many) resp::append_array(out, keys.size());
  for (const std::string& key : keys) {
    const Entry* entry = find(key);
    entry ? resp::append_bulk(out, entry->text) : resp::append_null(out, resp);
  }
  return out;
}

// SET, and PSETEX with its value behind the TTL.
std::string SimNode::set(const Args& args, const SetOptions& options, int resp) {
  const std::string& key = args[1];
  const Entry* before = find(key);
  const std::string old = before && options.get ? bulk_reply(before->text) : null_reply(resp);
  if ((options.nx && before) || (options.xx && !before)) return options.get ? old : null_reply(resp);
  int64_t expire_us = options.keep_ttl && before ? before->expire_us : 0;
  if (options.ttl_ms != 0) {
    expire_us =
        options.absolute ? options.ttl_ms * 1000 - SimTransport::kWallClockUs : now_us() + options.ttl_ms * 1000;
  }
  const bool is_psetex = resp::same_word(args[0], "psetex");
  store(key, args[is_psetex ? 3 : 2], expire_us);
  return options.get ? old : "+OK\r\n";
}

std::string SimNode::remove(const std::vector<std::string>& keys) {
  int64_t count = 0;
  for (const std::string& key : keys) {
    if (!find(key)) continue;
    ++count;
    cluster_.checker().on_written(key, nullptr, now_us());
    erase(key);
  }
  return integer_reply(count);
}

std::string SimNode::expire(const Args& args, bool seconds) {
  const SetOptions options = read_options(args, 3);
  Entry* entry = find(args[1]);
  if (!entry) return integer_reply(0);
  const int64_t expire_us = now_us() + std::stoll(args[2]) * (seconds ? 1'000'000 : 1000);
  const int64_t before_us = entry->expire_us == 0 ? INT64_MAX : entry->expire_us;
  if (options.nx && entry->expire_us != 0) return integer_reply(0);
  if (options.lt && expire_us >= before_us) return integer_reply(0);
  entry->expire_us = expire_us;
  expire_later(args[1]);
  on_changed(args[1]);
  return integer_reply(1);
}

std::string SimNode::push(const Args& args) {
  find(args[1]);
  Entry& entry = data[args[1]];
  for (size_t i = 2; i < args.size(); ++i) {
    entry.items.push_back(args[i]);
    cluster_.checker().on_pushed(args[1], args[i]);
  }
  pushed_.insert(args[1]);
  on_changed(args[1]);
  return integer_reply(static_cast<int64_t>(entry.items.size()));
}

std::string SimNode::pop(const Args& args, int resp) {
  Entry* entry = find(args[1]);
  if (!entry) return null_reply(resp);
  const std::string item = entry->items.front();
  cluster_.checker().on_popped(args[1], item);
  entry->items.pop_front();
  entry->items.empty() ? erase(args[1]) : on_changed(args[1]);
  return bulk_reply(item);
}

// --- what there is ---

Entry* SimNode::find(const std::string& key) {
  const auto it = data.find(key);
  if (it == data.end()) return nullptr;
  Entry& entry = it->second;
  if (entry.expire_us == 0 || entry.expire_us > now_us()) return &entry;
  if (!entry.end_told) cluster_.checker().on_written(key, nullptr, entry.expire_us);
  erase(key);
  return nullptr;
}

void SimNode::store(const std::string& key, std::string value, int64_t expire_us) {
  cluster_.checker().on_written(key, &value, now_us());
  Entry& entry = data[key] = Entry{};
  entry.text = std::move(value);
  entry.expire_us = expire_us;
  if (expire_us != 0) expire_later(key);
  on_changed(key);
}

void SimNode::erase(const std::string& key) {
  data.erase(key);
  on_changed(key);
}

void SimNode::put(const std::string& key, Entry entry) {
  const bool has_end = entry.expire_us != 0;
  data[key] = std::move(entry);
  if (has_end) expire_later(key);
  on_changed(key);
}

void SimNode::take_away(const std::string& key) { erase(key); }

void SimNode::expire_later(const std::string& key) {
  const int64_t due_us = data[key].expire_us;
  data[key].end_told = false;
  loop().after(due_us - now_us(), [this, key, due_us] {
    const auto it = data.find(key);
    if (it == data.end() || it->second.expire_us != due_us || it->second.end_told) return;
    it->second.end_told = true;
    cluster_.checker().on_written(key, nullptr, due_us);
    loop().after(loop().random().between(0, kNoticedUs), [this, key] { find(key); });
  });
}

// --- who is told ---

void SimNode::on_changed(const std::string& key) {
  for (auto& [id, client] : clients_) {
    if (client->watched.contains(key)) client->broken = true;
  }
  invalidate(key);
}

void SimNode::invalidate(const std::string& key) {
  const auto it = tracked_.find(key);
  if (it == tracked_.end()) return;
  const std::set<uint64_t> ids = std::move(it->second);
  tracked_.erase(it);
  for (const uint64_t id : ids) {
    const auto client = clients_.find(id);
    if (client == clients_.end()) continue;
    std::string push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n";
    client->second->connection.send(push + bulk_reply(key));
  }
}

// trackingRememberKeys; a table that is full lets go of any key, and says so (trackingLimitUsedSlots).
void SimNode::remember(Client& client, const std::vector<std::string>& keys) {
  if (!client.tracking || (client.optin && !client.caching)) return;
  for (const std::string& key : keys) tracked_[key].insert(client.id);
  while (cluster_.tracking_limit != 0 && tracked_.size() > cluster_.tracking_limit) {
    auto victim = tracked_.begin();
    std::advance(victim, loop().random().below(tracked_.size()));
    const std::string key = victim->first;
    invalidate(key);
  }
}

void SimNode::flush_tracking() {
  tracked_.clear();
  for (auto& [id, client] : clients_) {
    if (client->tracking) client->connection.send(">2\r\n$10\r\ninvalidate\r\n_\r\n");
  }
}

}  // namespace corral::sim
