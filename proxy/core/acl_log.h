// ACL LOG: what clients were refused, and attempts to authenticate that failed; of the process, the latest only.
// Source: https://redis.io/commands/acl-log; Redis 7.0, acl.c, addACLLogEntry.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace corral::core {

struct AclLogEntry {
  enum class Reason : uint8_t { kCommand, kKey, kChannel, kAuth };
  uint64_t count = 1;  // of the same within a minute
  Reason reason;
  bool in_transaction = false;
  std::string object;  // the command, key or channel; of kAuth the command
  std::string user;
  std::string client;  // its line in CLIENT LIST, of the last one
  int64_t at_us = 0;   // wall clock, of the last one
};

class AclLog {
 public:
  static constexpr size_t kMostKept = 128;    // as a server by default
  static constexpr size_t kMostBytes = 1024;  // of an object or a user's name

  void add(AclLogEntry entry);
  /// Newest first.
  std::vector<AclLogEntry> entries(size_t most) const;
  void clear();

 private:
  mutable std::mutex mutex_;
  std::list<AclLogEntry> entries_;  // newest first
};

/// As ACL LOG answers.
std::string describe_acl_log(const std::vector<AclLogEntry>& entries, int64_t now_us, int resp);

}  // namespace corral::core
