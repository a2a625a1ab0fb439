// What can be set, typed, with its defaults. Plain data: the loader fills it, everyone reads it, nobody changes it once
// it is published. Durations are in milliseconds, sizes in bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace corral::config {

struct Address {
  std::string host;   // a name, an IPv4 or (without brackets) an IPv6 address; a path if it is a unix socket
  uint16_t port = 0;  // 0: a unix socket
  bool is_unix() const { return port == 0; }
  /// Only this machine can connect to it.
  bool is_loopback() const {
    const bool numeric = host.find_first_not_of("0123456789.") == std::string::npos;
    return is_unix() || host == "localhost" || host == "::1" || (numeric && host.starts_with("127."));
  }
  bool operator==(const Address&) const = default;
};

struct ServerSettings {
  std::vector<Address> listen = {{"127.0.0.1", 6380}};
  std::string announce;  // HOST:PORT that CLUSTER commands tell; empty: the address that the client used
  std::string admin = "127.0.0.1:9380";  // HTTP; empty: none
  std::string admin_token;               // that who asks there must have; empty: nobody must
  uint32_t workers = 0;                  // 0: one for each core
  uint32_t max_clients = 10000;
  int64_t idle_timeout_ms = 0;  // 0: never
  int64_t drain_timeout_ms = 10'000;
};

struct UpstreamSettings {
  std::string mode = "cluster";  // standalone sentinel
  std::vector<Address> seeds = {{"127.0.0.1", 7000}};
  std::string master;  // of the sentinels: the name that they know it by
  int64_t connect_timeout_ms = 1000;
  int64_t request_timeout_ms = 5000;
  int64_t refresh_interval_ms = 10'000;  // of the topology, when nothing else asks for it
  std::string username, password;
  std::string sentinel_username, sentinel_password;

  /// One server has every key, so that nothing has to be split or refused for the sake of slots.
  bool has_one_owner() const { return mode != "cluster"; }
};

struct GuardSettings {
  std::vector<std::string> deny = {"DEBUG", "SHUTDOWN"};  // "CONFIG SET" names a subcommand
  std::string keys = "scan";                              // deny
  std::string del = "unlink";                             // del
  uint64_t max_value_bytes = 512ull << 20;
};

struct NearCacheSettings {
  uint64_t memory_bytes = 256ull << 20;  // 0: there is none
  int64_t max_staleness_ms = 1000;
};

/// `near_cache` of a rule.
struct NearSettings {
  int64_t ttl_ms = 30'000;
  uint64_t max_value_bytes = 64ull << 10;
  bool operator==(const NearSettings&) const = default;
};

/// `ttl` of a rule.
struct TtlSettings {
  int64_t default_ms = 300'000;
  int64_t max_ms = 0;  // 0: none
  double jitter = 0.1;
  std::string mode = "enforce";  // reject observe
  bool operator==(const TtlSettings&) const = default;
};

/// `stampede` of a rule.
struct StampedeSettings {
  int64_t lease_ms = 10'000;
  int64_t wait_ms = 250;
  int64_t wait_shared_ms = 0;
  int64_t stale_while_revalidate_ms = 0;
  double early_refresh = 0;     // 0: never
  std::string scope = "proxy";  // cluster
  bool operator==(const StampedeSettings&) const = default;
};

constexpr int64_t kStaleIfErrorMs = 300'000;  // where `stale_if_error` is left out

struct RuleSettings {
  std::string name;
  std::vector<std::string> match;
  std::optional<TtlSettings> ttl;
  uint64_t max_value_bytes = 0;  // 0: no limit of its own
  std::optional<NearSettings> near_cache = {};
  std::optional<StampedeSettings> stampede = {};
  std::string on_upstream_error = "error";  // miss stale
  int64_t stale_if_error_ms = 0;            // only with "stale", then never 0
  bool operator==(const RuleSettings&) const = default;
};

struct LimitSettings {
  uint64_t client_output_bytes = 256ull << 20;     // replies waiting for a client that does not read
  uint32_t client_pipeline = 1024;                 // requests of one client that are under way at once
  uint64_t inflight_bytes = 256ull << 20;          // requests under way to the nodes, of one worker
  uint32_t keys_reply = 100'000;                   // elements that KEYS may return
  uint64_t subscriber_output_bytes = 32ull << 20;  // messages waiting for a subscriber that does not read
};

struct Settings {
  ServerSettings server;
  UpstreamSettings upstream;
  GuardSettings guard;
  NearCacheSettings near_cache;
  LimitSettings limits;
  std::vector<RuleSettings> rules;  // the first that matches a key applies
  std::string log_level = "info";   // trace debug info warn error off
};

}  // namespace corral::config
