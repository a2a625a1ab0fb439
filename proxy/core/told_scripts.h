// Which scripts the node at the other end of a connection has been given, so that an EVALSHA of one that clients have
// shown (script_registry.h) never finds it missing: it is loaded in front of its first use on each connection. A script
// that is missing all the same (SCRIPT FLUSH behind our back) is seen only when what was sent behind it has run; and
// not at all in the reply of EXEC, whose elements may be anything: in front of a transaction scripts are always loaded.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "resp/request_scanner.h"

namespace corral::core {

class Worker;

class ToldScripts {
 public:
  /// The bodies of the scripts that the commands in `bytes` (whole frames) call and the node has not been given. The
  /// caller gives them to it now. `again`: also those that it has been given.
  std::vector<std::shared_ptr<const std::string>> missing(Worker& worker, std::string_view bytes, bool again);
  /// The node may have lost them, or another one is at the other end.
  void forget() { told_.clear(); }

 private:
  std::unordered_set<uint64_t> told_;  // XXH3 of their SHA-1 as clients write it
  uint64_t generation_ = 0;            // of the registry
  resp::RequestScanner scanner_;
};

}  // namespace corral::core
