// A master, its replicas and the sentinels that watch it, all of the test's own, on free ports of the loopback.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "redis.h"

namespace corral::test {

class RedisSentinel {
 public:
  // `lines` are of its configuration file: {"sentinel monitor mymaster 127.0.0.1 6379 2"}.
  explicit RedisSentinel(std::vector<std::string> lines);

  uint16_t port() const { return port_->number(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port()); }
  Client connect() const { return Client(port()); }
  // One command over a connection of its own.
  template <class... Words>
  Reply command(const Words&... words) {
    return connect().command(words...);
  }
  void kill();  // SIGKILL, and waits until it is gone
  bool running() { return process_ && process_->running(); }

 private:
  bool try_to_start(const std::vector<std::string>& lines);
  bool answers();

  TempDir dir_;
  std::unique_ptr<Port> port_;
  std::unique_ptr<Process> process_;
};

struct WatchedOptions {
  int replicas = 2;
  int sentinels = 3;
  int down_after_ms = 1000;
  std::vector<std::string> settings = {};        // of the servers, as for RedisServer
  std::vector<std::string> sentinel_lines = {};  // of the sentinels
};

// Under the name "mymaster".
class WatchedMaster {
 public:
  explicit WatchedMaster(WatchedOptions options = {});

  RedisServer& server(size_t index) { return *servers_[index]; }  // 0 is the first master, then come the replicas
  size_t servers() const { return servers_.size(); }
  RedisSentinel& sentinel(size_t index) { return *sentinels_[index]; }
  std::string seeds() const;  // the sentinels' addresses, HOST:PORT,HOST:PORT...

  // The server that `sentinel` names as the master.
  size_t master(size_t sentinel = 0);
  RedisServer& master_server() { return server(master()); }
  // Until every running sentinel knows the others and the replicas that follow the master, and these do.
  void wait_until_settled(milliseconds timeout = milliseconds(60'000));
  // SENTINEL FAILOVER, and waits until all sentinels name the same other master.
  void fail_over();

 private:
  bool settled();
  bool has_seen_all(RedisSentinel& sentinel);

  const WatchedOptions options_;
  std::vector<std::unique_ptr<RedisServer>> servers_;
  std::vector<std::unique_ptr<RedisSentinel>> sentinels_;
};

}  // namespace corral::test
