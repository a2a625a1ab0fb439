// One step of a walk over the whole keyspace: what one SCAN of a client does, and what KEYS does until it is at the
// end.
//
// The masters are scanned one after the other. A key whose slot moves meanwhile, from a master that is still to be
// scanned to one that has been, would be missed. So at the end, before the cursor is 0, all slots that changed hands or
// were on their way since the scan began are listed again (CLUSTER GETKEYSINSLOT, on every master). A key that is
// missed is, at the time of the step that should have found it, on another master than the map says or in a slot that
// is on its way: the node that is scanned tells both in its own line of CLUSTER NODES, which each step asks for.
// Where one node has all slots there is nothing to list again.
// Sources: https://redis.io/commands/scan, "Scan guarantees"; Redis Cluster specification, "Cluster live
// reconfiguration".
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/request.h"
#include "proxy/core/scan_cursor.h"

namespace corral::core {

class Session;
class Worker;

struct ScanResult {
  std::string error;  // a whole error reply; then nothing else counts
  uint64_t cursor = 0;
  std::vector<std::string> keys;
};

class ScanStep final : public Task {
 public:
  using Done = std::function<void(ScanResult)>;

  /// `options`: the arguments after the cursor (MATCH, COUNT, TYPE), as the client gave them. `done` is called once,
  /// not from within start(). Keeps a reference to the session.
  static void start(Session& session, uint64_t cursor, std::vector<std::string> options, Done done);

  void on_reply(uint32_t part, std::string_view reply) override;

 private:
  enum class Phase { kScan, kRelist, kRelistAgain, kTypes };

  ScanStep(Session& session, std::vector<std::string> options, Done done);

  void run();
  void scan_only(const ScanStop& stop);
  void retry_later(std::string_view error);
  void scan_node(NodeId node);
  void add_key(std::string_view key);
  void on_scan_reply(std::string_view reply);
  void go_to_next_master();
  void note_own_slots(NodeId node, std::string_view nodes_text);
  void begin_relist();
  void relist(Phase phase);
  void filter();
  void ask_types();
  void finish_relist();
  void finish();
  void send(NodeId node, uint32_t part, std::string_view bytes);
  std::string_view option(std::string_view name) const;

  Session& session_;
  Worker& worker_;
  const std::vector<std::string> options_;
  const Done done_;
  const uint32_t started_ms_;
  ScanCursor cursor_;
  Phase phase_ = Phase::kScan;
  uint32_t awaited_ = 0;
  NodeId scanned_ = kNoNode;
  bool failed_ = false;  // one of the parts: the phase is to be done again
  std::string failure_;
  bool relisted_all_ = false;  // the end of the walk
  uint32_t relisted_to_ = 0;   // the slot to go on with
  ScanResult result_;
};

}  // namespace corral::core
