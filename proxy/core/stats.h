// Counters of one worker. Only its own thread adds; any thread may read.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace corral::core {

class Counter {
 public:
  void add(uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void subtract(uint64_t n = 1) { add(~n + 1); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// What is counted: X(name, what it is, whether it only grows). INFO, CORRAL STATS and the metrics show all of them
// under these names, summed over the workers.
// clang-format off
#define CORRAL_COUNTERS(X) \
  X(requests, "Commands received from clients.", true) \
  X(upstream_commands, "Replies received from nodes, also to what Corral asked for itself.", true) \
  X(upstream_writes, "Writes to connections to nodes; one may hold many commands.", true) \
  X(upstream_errors, "Connections to nodes that failed or could not be made.", true) \
  X(redirects_moved, "MOVED replies of nodes.", true) \
  X(redirects_ask, "ASK replies of nodes.", true) \
  X(retries, "Requests that were sent to a node again.", true) \
  X(indoubt, "Requests answered -INDOUBT: sent to a node whose connection was lost before the reply.", true) \
  X(near_cache_hits, "Reads answered from the near cache.", true) \
  X(near_cache_misses, "Reads of keys that the near cache is for and did not have.", true) \
  X(near_cache_keys, "Keys that the near cache holds.", false) \
  X(near_cache_bytes, "Memory that the near cache uses, keys and overhead counted.", false) \
  X(near_cache_evictions, "Keys dropped from the near cache to make room.", true) \
  X(near_cache_invalidations, "Keys that nodes said have changed.", true) \
  X(near_cache_flushes, "Times that all that a connection, a slot or everything vouched for was dropped.", true) \
  X(near_cache_passed_by, "Reads, of the misses, that were not looked for while the near cache is narrowed.", true) \
  X(near_cache_narrowed, "Whether the near cache is narrowed, since it found hardly anything.", false) \
  X(near_cache_narrowings, "Times that the near cache was narrowed.", true) \
  X(reads_shared, "Reads that joined an identical one under way.", true) \
  X(leases_granted, "Leases given to the first reader of a missing key, who is to compute it.", true) \
  X(leases_filled, "Leases whose holder has set the key.", true) \
  X(leases_lapsed, "Leases that ended without their key being set.", true) \
  X(waits, "Reads that waited for the holder of a lease.", true) \
  X(waits_filled, "Reads that waited and were answered by what the holder set.", true) \
  X(waits_timed_out, "Reads that waited for as long as they may and were answered without a value.", true) \
  X(stale_served, "Reads answered with a value past its soft TTL, while one client computes the next.", true) \
  X(early_refreshes, "Times that one client was made to compute a key before its TTL was over.", true) \
  X(ttl_defaulted, "Writes without a TTL that were given the default of their rule.", true) \
  X(ttl_clamped, "Writes whose TTL was over the maximum of their rule.", true) \
  X(ttl_rejected, "Writes refused with -TTLREQUIRED.", true) \
  X(ttl_observed, "Writes without a TTL that a rule of mode observe has seen.", true) \
  X(ttl_missing, "Keys of a rule that were found without a TTL: written past Corral.", true) \
  X(guard_denied, "Commands refused with -NOPERM by the guard.", true) \
  X(too_big, "Commands refused with -TOOBIG.", true) \
  X(connections, "Connections of clients accepted.", true) \
  X(clients_rejected, "Connections closed at once since there were max_clients.", true) \
  X(clients_overrun, "Clients closed since they did not read their replies or messages.", true) \
  X(clients_denied, "Clients of other machines refused in protected mode.", true) \
  X(clients_unauthenticated, "Clients closed since they did not authenticate.", true) \
  X(acl_denied, "Commands refused with -NOPERM since the user may not do that.", true) \
  X(auth_failed, "Passwords that were wrong.", true) \
  X(auth_refused, "Passwords that were not looked at, since too many had been wrong.", true) \
  X(protocol_errors, "Clients closed since what they sent is not RESP.", true) \
  X(net_input_bytes, "Bytes received from clients.", true) \
  X(net_output_bytes, "Bytes sent to clients.", true) \
  X(breakers_opened, "Times that a node was given up, until it answers again.", true) \
  X(failed_fast, "Requests for nodes that are given up, answered with an error at once.", true) \
  X(probes, "Requests sent to find out whether nodes answer.", true) \
  X(links_half_open, "Connections to nodes given up since the node answered over another one.", true) \
  X(requests_expired, "Requests answered before a node that answers had come to them.", true) \
  X(clients_rejected_by_address, "Connections closed at once: over limits.clients_per_address.", true) \
  X(clients_idle, "Clients closed after server.idle_timeout.", true) \
  X(clients_slow, "Clients closed after limits.command_time.", true) \
  X(clients_evicted, "Clients closed since limits.memory was exceeded.", true) \
  X(pipelines_full, "Times that a client was not read from until replies had come.", true) \
  X(query_buffers_full, "Clients closed for a request over limits.query_buffer.", true) \
  X(too_many_arguments, "Clients closed for a request over limits.arguments.", true) \
  X(too_many_subscriptions, "Subscriptions refused: over limits.subscriptions.", true) \
  X(transactions_too_large, "Transactions refused: over limits.transaction.", true) \
  X(replies_too_large, "Connections to nodes given up for a reply over limits.reply.", true) \
  X(near_cache_shrunk, "Times that the near cache gave way to limits.memory.", true) \
  X(slow_requests, "Requests that took longer than log.slow_request.", true)
// clang-format on

struct Stats {
#define CORRAL_DECLARE_COUNTER(name, about, grows) Counter name;
  CORRAL_COUNTERS(CORRAL_DECLARE_COUNTER)
#undef CORRAL_DECLARE_COUNTER
};

struct CounterInfo {
  std::string_view name, about;
  bool grows;  // or it tells what there is
};
inline constexpr CounterInfo kCounterInfos[] = {
#define CORRAL_COUNTER_INFO(name, about, grows) {#name, about, grows},
    CORRAL_COUNTERS(CORRAL_COUNTER_INFO)
#undef CORRAL_COUNTER_INFO
};

}  // namespace corral::core
