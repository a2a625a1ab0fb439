#include "stage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <numeric>
#include <random>
#include <set>
#include <sstream>

#include "support/background.h"
#include "support/env.h"

namespace corral::test {
namespace {

constexpr uint64_t kReads = 400'000;  // by default
constexpr int kCallersByProxy = 11, kCallersDirect = 4;
constexpr milliseconds kTurnEvery{20};  // what is passed by, or filled, is often under way then
constexpr size_t kPipelines[] = {1, 16, 4, 16, 1, 8};

std::string settings() {
  std::string text =
      "[upstream]\nconnect_timeout = \"300ms\"\nrequest_timeout = \"1s\"\nrefresh_interval = \"500ms\"\n";
  if (!Stage::near()) return text;
  text += "[near_cache]\nmemory = \"64MiB\"\nmax_staleness = \"" + std::to_string(kMaxStalenessMs) + "ms\"\n";
  text += "[[rule]]\nname = \"near\"\nmatch = \"*\"\nnear_cache = { ttl = \"30s\", max_value = \"64KiB\" }\n";
  return text;
}

uint64_t reads_of_a_phase() { return from_environment("CORRAL_READS", kReads) / kPhases; }

}  // namespace

Stage::Stage() : cluster_({.replicas_per_master = 1, .node_timeout_ms = kNodeTimeoutMs}) {
  for (int i = 0; i < 2; ++i) {
    proxies_.push_back(std::make_unique<Corral>(CorralOptions{.upstream = cluster_.seeds(), .settings = settings()}));
  }
  for (const auto& proxy : proxies_) proxy->wait_until_serving();
  const auto slack = [](const char* name, uint64_t otherwise) {
    return static_cast<Nanos>(from_environment(name, otherwise)) * kMillisecond;
  };
  field_.bounds().staleness = kMaxStalenessMs * kMillisecond + slack("CORRAL_SLACK_MS", 500);
  field_.bounds().ttl_slack = slack("CORRAL_TTL_SLACK_MS", 3);
  make_callers();
}

Stage::~Stage() {
  std::cout << "judged " << total_reads_ << " reads in all, " << violations_ << " violations";
  if (near()) std::cout << ", " << hits() << " hits of the near caches";
  std::cout << std::endl;
}

void Stage::make_callers() {
  uint64_t seed = from_environment("CORRAL_SEED", std::random_device()());
  std::cout << "CORRAL_SEED=" << seed << std::endl;
  int number = 0;
  const auto add = [&](Way way, uint16_t port, int index) {
    callers_.push_back(std::make_unique<Caller>(
        field_, CallerOptions{.way = way,
                              .port = port,
                              .resp3 = index % 2 == 1,
                              .pipeline = kPipelines[static_cast<size_t>(index / 2) % std::size(kPipelines)],
                              .group = index % 4 == 3 ? -1 : index % 4,
                              .seed = seed++,
                              .number = number++}));
  };
  for (int i = 0; i < kCallersByProxy; ++i) {
    add(kProxyA, proxies_[0]->port(), i);
    add(kProxyB, proxies_[1]->port(), i);
  }
  for (int i = 0; i < kCallersDirect; ++i) add(kDirect, 0, i);
  settler_ = std::make_unique<Caller>(field_, CallerOptions{.seed = seed, .number = number});
}

void Stage::set_node_timeout(int ms) {
  for (size_t node = 0; node < cluster_.size(); ++node) {
    cluster_.node(node).command("CONFIG", "SET", "cluster-node-timeout", ms);
  }
}

// --- phases ---

void Stage::phase(const std::string& name, int rounds, const std::function<void(int)>& fault) {
  field_.set_phase(name);
  field_.forget_complaints();
  cluster_.wait_until_agreed();
  find_keys();
  settle(all_keys());
  field_.let_writers_go();
  Tally& tally = field_.tally();
  tally.reads = tally.unanswered = tally.writes = tally.refused = tally.in_doubt = 0;
  const Nanos began = field_.now();
  {
    std::vector<std::unique_ptr<Background>> clients;
    for (const auto& caller : callers_) {
      clients.push_back(std::make_unique<Background>([&](Background::Stop stop) {
        while (!stop) caller->batch();
      }));
    }
    if (near() && from_environment("CORRAL_NARROW", 0) != 0) {
      clients.push_back(std::make_unique<Background>([&](Background::Stop stop) {
        for (int turn = 0; !stop; go_on(kTurnEvery)) turn_near_caches(++turn);
        turn_near_caches(0);
      }));
    }
    const uint64_t goal = reads_of_a_phase();
    for (int round = 0; round < rounds || tally.reads < goal; ++round) {
      if (field_.complaints() > 100) break;  // enough to see
      fault(round);
    }
  }
  print(name, began);
  if (field_.replays) return;  // complaints are what is wanted
  violations_ += field_.complaints();
  EXPECT_EQ(field_.complaints(), 0u) << field_.first_complaints();
}

void Stage::print(const std::string& name, Nanos began) {
  const Tally& tally = field_.tally();
  const double seconds = static_cast<double>(field_.now() - began) / 1e9;
  total_reads_ += tally.reads;
  std::cout << name << ": " << tally.reads << " reads judged in " << seconds << " s ("
            << static_cast<uint64_t>(static_cast<double>(tally.reads) / seconds) << "/s), " << tally.unanswered
            << " unanswered; " << tally.writes << " writes, " << tally.refused << " refused, " << tally.in_doubt
            << " in doubt";
  if (near()) std::cout << "; " << hits() << " hits so far";
  std::cout << std::endl;
}

int64_t Stage::hits() { return proxy(0).counter("near_cache_hits") + proxy(1).counter("near_cache_hits"); }

void Stage::turn_near_caches(int turn) {
  for (const auto& proxy : proxies_) {
    const Reply reply = proxy->connect().command("CORRAL", "CACHE", turn % 2 != 0 ? "NARROW" : "WIDEN");
    EXPECT_EQ(reply, Reply::status("OK"));
  }
}

void Stage::go_on(milliseconds time) { std::this_thread::sleep_for(time); }

void Stage::go_on_for_reads(uint64_t reads) {
  const uint64_t goal = field_.tally().reads + reads;
  require_eventually("reads go on", [&] { return field_.tally().reads >= goal; });
}

// --- keys and where they are ---

std::vector<size_t> Stage::all_keys() const {
  std::vector<size_t> keys(field_.keys().size());
  std::iota(keys.begin(), keys.end(), 0);
  return keys;
}

std::vector<size_t> Stage::counters() const {
  std::vector<size_t> keys = all_keys();
  std::erase_if(keys, [&](size_t key) { return !field_.keys()[key].counts(); });
  return keys;
}

// By the nodes' names, since a node may announce another port than its own.
void Stage::find_keys() {
  for (size_t viewer = 0; viewer < cluster_.size(); ++viewer) {
    if (!cluster_.node(viewer).running()) continue;
    const Reply slots = cluster_.node(viewer).command("CLUSTER", "SLOTS");
    for (const Key& key : field_.keys()) {
      for (const Reply& range : slots.elements) {
        if (key.slot < range.elements[0].integer || key.slot > range.elements[1].integer) continue;
        for (size_t node = 0; node < cluster_.size(); ++node) {
          if (cluster_.id(node) != range.elements[2].elements[2].text) continue;
          field_.set_port_of(key.index, cluster_.node(node).port());
          owners_[key.index] = node;
        }
      }
    }
    return;
  }
}

std::vector<size_t> Stage::keys_of(size_t node) {
  std::vector<size_t> keys = all_keys();
  std::erase_if(keys, [&](size_t key) { return owners_[key] != node; });
  return keys;
}

std::vector<size_t> Stage::masters() {
  std::vector<size_t> nodes;
  for (size_t node = 0; node < cluster_.size(); ++node) {
    if (!keys_of(node).empty()) nodes.push_back(node);
  }
  return nodes;
}

void Stage::settle(const std::vector<size_t>& keys) {
  field_.hold_writers();
  for (const size_t key : keys) {
    const bool counts = field_.keys()[key].counts();
    if (counts) field_.history(key).end_loss(field_.now());
    settler_->settle(key);
  }
}

void Stage::begin_loss(const std::vector<size_t>& keys) {
  for (const size_t key : keys) field_.history(key).begin_loss(field_.now());
}

void Stage::end_loss(const std::vector<size_t>& keys) {
  field_.hold_writers();
  for (const size_t key : keys) field_.history(key).end_loss(field_.now());
  settle(keys);
  field_.let_writers_go();
}

std::vector<Stage::Connection> Stage::connections(size_t node) {
  std::vector<Connection> found;
  std::istringstream lines(cluster_.node(node).command("CLIENT", "LIST").text);
  for (std::string line; std::getline(lines, line);) {
    const auto field = [&](const std::string& name) {
      const size_t begin = line.find(name + "=");
      if (begin == std::string::npos) return std::string();
      const size_t value = begin + name.size() + 1;
      return line.substr(value, line.find(' ', value) - value);
    };
    if (!field(" name").starts_with("corral")) continue;
    const std::string address = field(" addr");
    const auto port = static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    found.push_back({field("id"), port, field(" flags").find('t') != std::string::npos});
  }
  return found;
}

}  // namespace corral::test
