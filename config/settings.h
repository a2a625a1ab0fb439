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
  bool tls = false;   // of a listening address: what is spoken there
  bool is_unix() const { return port == 0; }
  /// Only this machine can connect to it.
  bool is_loopback() const {
    const bool numeric = host.find_first_not_of("0123456789.") == std::string::npos;
    return is_unix() || host == "localhost" || host == "::1" || (numeric && host.starts_with("127."));
  }
  bool operator==(const Address&) const = default;
};

/// `[server.tls]`. Files are in PEM form.
struct ServerTlsSettings {
  std::string cert, key;                     // with the chain
  std::string ca;                            // of clients' certificates
  std::string client_certificates = "none";  // optional required
  std::string min_version = "1.2";           // 1.3
  std::string ciphers;                       // of TLS 1.2; empty: as OpenSSL has them
  int64_t handshake_timeout_ms = 10'000;
};

/// `[upstream.tls]`. Files are in PEM form.
struct UpstreamTlsSettings {
  std::string ca;         // of the nodes' certificates; empty: the system's
  std::string cert, key;  // Corral's own; empty: none
  bool verify = true;
  std::string server_name;          // that the nodes' certificates are for; empty: the host that is connected to
  std::string min_version = "1.2";  // 1.3
  std::string ciphers;              // of TLS 1.2; empty: as OpenSSL has them
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
  std::vector<std::string> users;  // lines in Redis' ACL syntax, with hashes for passwords
  bool protected_mode = true;
  std::optional<ServerTlsSettings> tls = {};  // for the listening addresses that speak it
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
  std::optional<UpstreamTlsSettings> tls = {};  // spoken with nodes and sentinels

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
  uint64_t inflight_bytes = 256ull << 20;          // requests under way to the nodes or held for them, of one worker
  uint32_t keys_reply = 100'000;                   // elements that KEYS may return
  uint64_t subscriber_output_bytes = 32ull << 20;  // messages waiting for a subscriber that does not read
  // Of clients that have not authenticated yet:
  int64_t auth_timeout_ms = 10'000;                     // how long one may stay so
  uint64_t unauthenticated_input_bytes = 64ull << 10;   // of one request
  uint64_t unauthenticated_output_bytes = 16ull << 10;  // replies waiting
  uint32_t clients_per_address = 0;                     // 0: no limit but max_clients
  int64_t command_time_ms = 300'000;                    // for one command to arrive whole; 0: any
  uint64_t query_buffer_bytes = 1ull << 30;             // of one command
  uint32_t arguments = 1024 * 1024;                     // of one command
  uint32_t subscriptions = 100'000;                     // of one client
  uint64_t transaction_bytes = 512ull << 20;            // queued behind MULTI
  uint64_t reply_bytes = 1ull << 30;                    // of a node, where it has to be collected
  uint64_t memory_bytes = 0;                            // of the process, as far as clients make it grow; 0: any
};

struct Settings {
  ServerSettings server;
  UpstreamSettings upstream;
  GuardSettings guard;
  NearCacheSettings near_cache;
  LimitSettings limits;
  std::vector<RuleSettings> rules;  // the first that matches a key applies
  std::string log_level = "info";   // trace debug info warn error off
  int64_t slow_request_ms = 10;     // of CORRAL SLOWLOG; 0: none are logged
};

}  // namespace corral::config
