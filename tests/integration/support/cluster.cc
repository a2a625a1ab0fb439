#include "cluster.h"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <unordered_map>

namespace corral::test {
namespace {

// CRC16/XMODEM, bit by bit: slow, short, and not the code under test.
uint16_t crc16(std::string_view bytes) {
  unsigned crc = 0;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned>(static_cast<unsigned char>(c)) << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) ? 0x1021 : 0);
    crc &= 0xffff;
  }
  return static_cast<uint16_t>(crc);
}

std::vector<std::string> make_tags() {
  std::vector<std::string> tags(kSlots);
  int missing = kSlots;
  for (int i = 0; missing > 0; ++i) {
    const std::string tag = "{" + std::to_string(i) + "}";
    std::string& place = tags[static_cast<size_t>(slot_of(tag))];
    if (place.empty()) place = tag, --missing;
  }
  return tags;
}

}  // namespace

int slot_of(std::string_view key) {
  const size_t open = key.find('{');
  if (open != std::string_view::npos) {
    const size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close != open + 1) key = key.substr(open + 1, close - open - 1);
  }
  return crc16(key) % kSlots;
}

std::string tag_of_slot(int slot) {
  static const std::vector<std::string> tags = make_tags();
  return tags.at(static_cast<size_t>(slot));
}

RedisCluster::RedisCluster(ClusterOptions options) : options_(std::move(options)) {
  const int count = options_.masters * (1 + options_.replicas_per_master);
  for (int i = 0; i < count; ++i) start_node(i + 1);
  assign_slots();
  for (size_t i = 1; i < size(); ++i) introduce(i);
  make_replicas();
  wait_until_agreed();
}

std::string RedisCluster::seeds() const {
  std::string text;
  for (const auto& node : nodes_) text += (text.empty() ? "" : ",") + node->address();
  return text;
}

size_t RedisCluster::add_node() {
  const size_t index = start_node(0);  // its epoch is the cluster's to give
  introduce(index);
  wait_until_agreed();
  return index;
}

size_t RedisCluster::start_node(int epoch) {
  std::vector<std::string> settings = {"--cluster-node-timeout",
                                       std::to_string(options_.node_timeout_ms),
                                       "--cluster-require-full-coverage",
                                       options_.full_coverage ? "yes" : "no",
                                       "--cluster-allow-replica-migration",
                                       "no",
                                       "--cluster-replica-validity-factor",
                                       "0"};
  settings.insert(settings.end(), options_.settings.begin(), options_.settings.end());
  nodes_.push_back(std::make_unique<RedisServer>(true, settings));
  RedisServer& node = *nodes_.back();
  ids_.push_back(node.command("CLUSTER", "MYID").text);
  if (epoch > 0) require_ok(node.command("CLUSTER", "SET-CONFIG-EPOCH", epoch), "setting an epoch");
  return nodes_.size() - 1;
}

// Every node before `index` is told of it, rather than left to hear it from gossip.
void RedisCluster::introduce(size_t index) {
  for (size_t i = 0; i < index; ++i) {
    RedisServer& stranger = node(index);
    require_ok(node(i).command("CLUSTER", "MEET", "127.0.0.1", stranger.port(), stranger.bus_port()), "MEET");
  }
}

void RedisCluster::assign_slots() {
  const int count = options_.last_slot - options_.first_slot + 1;
  for (int i = 0; i < options_.masters; ++i) {
    const int first = options_.first_slot + count * i / options_.masters;
    const int last = options_.first_slot + count * (i + 1) / options_.masters - 1;
    require_ok(node(static_cast<size_t>(i)).command("CLUSTER", "ADDSLOTSRANGE", first, last), "ADDSLOTSRANGE");
  }
}

void RedisCluster::make_replicas() {
  const auto masters = static_cast<size_t>(options_.masters);
  for (size_t i = masters; i < size(); ++i) {
    require_eventually("a replica knows its master",
                       [&] { return node(i).command("CLUSTER", "REPLICATE", id(i % masters)) == Reply::status("OK"); });
  }
  for (size_t i = masters; i < size(); ++i) {
    require_eventually("a replica follows its master", [&] {
      return info_field(node(i).command("INFO", "replication").text, "master_link_status") == "up";
    });
  }
}

// A node's word counts only for itself: what it says of others may be old, and just after a failover two may claim a
// slot.
size_t RedisCluster::owner(int slot) {
  std::optional<size_t> best;
  int64_t best_epoch = -1;
  for (size_t i = 0; i < size(); ++i) {
    if (!node(i).running() || owner_seen_by(i, slot) != i) continue;
    const int64_t epoch = std::stoll("0" + info_field(node(i).command("CLUSTER", "INFO").text, "cluster_my_epoch"));
    if (epoch > best_epoch) best = i, best_epoch = epoch;
  }
  if (!best) throw std::runtime_error("nobody owns slot " + std::to_string(slot));
  return *best;
}

std::optional<size_t> RedisCluster::owner_seen_by(size_t viewer, int slot) {
  for (const Reply& range : node(viewer).command("CLUSTER", "SLOTS").elements) {
    if (slot < range.elements[0].integer || slot > range.elements[1].integer) continue;
    const auto found = std::find(ids_.begin(), ids_.end(), range.elements[2].elements[2].text);
    if (found != ids_.end()) return static_cast<size_t>(found - ids_.begin());
  }
  return std::nullopt;
}

void RedisCluster::migrate_slot(int slot, size_t from, size_t to) {
  begin_migration(slot, from, to);
  move_keys(slot, from, to);
  end_migration(slot, from, to);
}

void RedisCluster::begin_migration(int slot, size_t from, size_t to) {
  require_eventually("slot " + std::to_string(slot) + " is settled", [&] { return settled(slot, from); });
  require_ok(node(to).command("CLUSTER", "SETSLOT", slot, "IMPORTING", id(from)), "IMPORTING");
  require_ok(node(from).command("CLUSTER", "SETSLOT", slot, "MIGRATING", id(to)), "MIGRATING");
}

// Whether all nodes have heard that `owner` has the slot, and by which epoch. A slot that moves on before that can be
// lost to the cluster for good: its next owner may take an epoch that is no newer, and believe the old owner's word.
bool RedisCluster::settled(int slot, size_t owner) {
  const std::string epoch = info_field(node(owner).command("CLUSTER", "INFO").text, "cluster_my_epoch");
  for (size_t i = 0; i < size(); ++i) {
    if (!node(i).running()) continue;
    std::istringstream lines(node(i).command("CLUSTER", "NODES").text);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);  // id, address, flags, master, ping, pong, epoch, ...
      const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
      if (fields[0] == id(owner) && fields[6] != epoch) return false;
    }
    if (owner_seen_by(i, slot) != owner) return false;
  }
  return true;
}

size_t RedisCluster::move_keys(int slot, size_t from, size_t to, size_t limit) {
  size_t moved = 0;
  while (moved < limit) {
    const size_t count = std::min<size_t>(100, limit - moved);
    const auto keys = node(from).command("CLUSTER", "GETKEYSINSLOT", slot, count).strings();
    if (keys.empty()) break;
    Args migrate = {"MIGRATE", "127.0.0.1", std::to_string(node(to).port()), "", "0", "5000", "KEYS"};
    migrate.insert(migrate.end(), keys.begin(), keys.end());
    const Reply reply = node(from).connect().command(migrate);
    if (reply.is_error()) throw std::runtime_error("MIGRATE: " + reply.text);
    moved += keys.size();
  }
  return moved;
}

void RedisCluster::move_key(const std::string& key, size_t from, size_t to) {
  require_ok(node(from).command("MIGRATE", "127.0.0.1", node(to).port(), key, 0, 5000), "MIGRATE");
}

// The new owner first, so that there is no moment in which the old one sends clients to one that refuses them.
void RedisCluster::end_migration(int slot, size_t from, size_t to) {
  require_ok(node(to).command("CLUSTER", "SETSLOT", slot, "NODE", id(to)), "SETSLOT NODE");
  require_ok(node(from).command("CLUSTER", "SETSLOT", slot, "NODE", id(to)), "SETSLOT NODE");
}

// A failover by hand gives up after five seconds, which busy cores may well take.
void RedisCluster::fail_over_to(size_t replica, int slot) {
  const auto done = [&] {
    for (size_t i = 0; i < size(); ++i) {
      if (node(i).running() && owner_seen_by(i, slot) != replica) return false;
    }
    return true;
  };
  Reply reply;
  for (int attempt = 0; attempt < 5; ++attempt) {
    reply = node(replica).command("CLUSTER", "FAILOVER");
    if (eventually(done, milliseconds(6000))) return;
  }
  throw std::runtime_error("the replica does not take over (" + reply.text +
                           "): " + node(replica).command("INFO", "replication").text +
                           node(replica).command("CLUSTER", "NODES").text);
}

void RedisCluster::wait_until_agreed(milliseconds timeout) {
  require_eventually(
      "the cluster agrees", [&] { return agreed(); }, timeout);
}

bool RedisCluster::agreed() {
  std::optional<std::string> common;
  for (size_t i = 0; i < size(); ++i) {
    if (!node(i).running()) continue;
    const std::string view = view_of(i);
    if (view.empty() || (common && *common != view)) return false;
    common = view;
  }
  return true;
}

// Which node has which slots, and how many nodes there are, as one line of text; empty while the node is not content.
std::string RedisCluster::view_of(size_t index) {
  const std::string info = node(index).command("CLUSTER", "INFO").text;
  if (info_field(info, "cluster_state") != "ok") return {};
  if (info_field(info, "cluster_known_nodes") != std::to_string(size())) return {};
  std::ostringstream view;
  for (const Reply& range : node(index).command("CLUSTER", "SLOTS").elements) {
    view << range.elements[0].integer << '-' << range.elements[1].integer;
    for (size_t i = 2; i < range.elements.size(); ++i) view << ' ' << range.elements[i].elements[2].text;
    view << '\n';
  }
  return view.str();
}

void RedisCluster::require_ok(const Reply& reply, const std::string& what) {
  if (reply != Reply::status("OK")) throw std::runtime_error(what + ": " + to_string(reply));
}

}  // namespace corral::test
