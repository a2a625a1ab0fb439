#include "sentinel.h"

#include <signal.h>

#include <algorithm>
#include <fstream>

namespace corral::test {

RedisSentinel::RedisSentinel(std::vector<std::string> lines) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    port_ = std::make_unique<Port>();
    if (try_to_start(lines)) return;
  }
  throw std::runtime_error("a sentinel does not start: " + process_->output());
}

bool RedisSentinel::try_to_start(const std::vector<std::string>& lines) {
  const auto file = dir_.path() / "sentinel.conf";  // the sentinel itself writes to it
  std::ofstream out(file);
  out << "port " << port() << "\nbind 127.0.0.1\ndir " << dir_.path().string() << "\n";
  for (const std::string& line : lines) out << line << "\n";
  out.close();
  process_ = std::make_unique<Process>(std::vector<std::string>{"redis-server", file.string(), "--sentinel"},
                                       dir_.path() / "log");
  return eventually([&] { return !process_->running() || answers(); }) && process_->running();
}

bool RedisSentinel::answers() {
  try {
    const Reply reply = Client(port(), milliseconds(1000)).command("PING");
    return reply == Reply::status("PONG") || reply.is_error("NOAUTH");
  } catch (const std::runtime_error&) {
    return false;
  }
}

void RedisSentinel::kill() {
  process_->signal(SIGKILL);
  require_eventually("a killed sentinel is gone", [&] { return !process_->running(); });
  process_.reset();
}

WatchedMaster::WatchedMaster(WatchedOptions options) : options_(std::move(options)) {
  servers_.push_back(std::make_unique<RedisServer>(false, options_.settings));
  const std::string port = std::to_string(servers_[0]->port());
  for (int i = 0; i < options_.replicas; ++i) {
    auto settings = options_.settings;
    settings.insert(settings.end(), {"--replicaof", "127.0.0.1", port});
    servers_.push_back(std::make_unique<RedisServer>(false, settings));
  }
  // Before the sentinels, which ask for replicas at their start and then every ten seconds.
  require_eventually("the replicas follow", [&] {
    const std::string info = servers_[0]->command("INFO", "replication").text;
    size_t online = 0;
    for (size_t at = 0; (at = info.find("state=online", at)) != std::string::npos; ++at) ++online;
    return online == static_cast<size_t>(options_.replicas);
  });
  const std::string quorum = std::to_string(options_.sentinels / 2 + 1);
  for (int i = 0; i < options_.sentinels; ++i) {
    std::vector<std::string> lines = {
        "sentinel monitor mymaster 127.0.0.1 " + port + ' ' + quorum,
        "sentinel down-after-milliseconds mymaster " + std::to_string(options_.down_after_ms),
        "sentinel failover-timeout mymaster 10000", "sentinel parallel-syncs mymaster 2"};
    lines.insert(lines.end(), options_.sentinel_lines.begin(), options_.sentinel_lines.end());
    sentinels_.push_back(std::make_unique<RedisSentinel>(lines));
  }
  wait_until_settled();
}

std::string WatchedMaster::seeds() const {
  std::string text;
  for (const auto& sentinel : sentinels_) text += (text.empty() ? "" : ",") + sentinel->address();
  return text;
}

size_t WatchedMaster::master(size_t sentinel) {
  const Reply reply = sentinels_[sentinel]->command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster");
  for (size_t i = 0; reply.elements.size() == 2 && i < servers_.size(); ++i) {
    if (std::to_string(servers_[i]->port()) == reply.elements[1].text) return i;
  }
  throw std::runtime_error("sentinel " + std::to_string(sentinel) + " names " + to_string(reply));
}

void WatchedMaster::wait_until_settled(milliseconds timeout) {
  require_eventually(
      "the sentinels have seen all", [&] { return settled(); }, timeout);
}

bool WatchedMaster::settled() {
  return std::ranges::all_of(sentinels_,
                             [&](auto& sentinel) { return !sentinel->running() || has_seen_all(*sentinel); });
}

bool WatchedMaster::has_seen_all(RedisSentinel& sentinel) {
  const auto field = [](const Reply& pairs, std::string_view name) {
    const auto texts = pairs.strings();
    for (size_t i = 0; i + 1 < texts.size(); i += 2) {
      if (texts[i] == name) return texts[i + 1];
    }
    return std::string();
  };
  Client client = sentinel.connect();
  const Reply master = client.command("SENTINEL", "MASTER", "mymaster");
  const Reply replicas = client.command("SENTINEL", "REPLICAS", "mymaster");
  const auto follows = [&](const Reply& replica) {
    return field(replica, "flags") == "slave" && field(replica, "master-link-status") == "ok";
  };
  return field(master, "flags") == "master" &&
         field(master, "num-other-sentinels") == std::to_string(options_.sentinels - 1) &&
         field(master, "num-slaves") == std::to_string(servers_.size() - 1) &&
         std::ranges::count_if(replicas.elements, follows) == static_cast<long>(servers_.size() - 1);
}

void WatchedMaster::fail_over() {
  size_t asked = 0;
  while (!sentinels_[asked]->running()) ++asked;
  const size_t before = master(asked);
  require_eventually("a sentinel fails over", [&] {
    return sentinels_[asked]->command("SENTINEL", "FAILOVER", "mymaster") == Reply::status("OK");
  });
  require_eventually("all sentinels name another master", [&] {
    const size_t now = master(asked);
    for (size_t i = 0; i < sentinels_.size(); ++i) {
      if (sentinels_[i]->running() && master(i) != now) return false;
    }
    return now != before;
  });
}

}  // namespace corral::test
