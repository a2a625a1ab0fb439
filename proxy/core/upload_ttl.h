// The TTL that a large request says, where a rule keeps the key for longer. The request goes to its node as it comes,
// so this is changed on the way: SETEX, PSETEX and RESTORE say it before the value; SET behind it, so what stands there
// is kept back until it is whole. The number of arguments has been sent by then and stays.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "policy/rule_book.h"
#include "resp/command_table.h"

namespace corral::core {

struct PartialInput;
class Worker;

class UploadTtl {
 public:
  /// `input`: the request's beginning. Null if its key is not kept for longer, or it says no TTL.
  static std::unique_ptr<UploadTtl> of(Worker& worker, const PartialInput& input, const resp::CommandSpec& spec);

  /// What of the beginning is to be sent now, as it is to be sent.
  std::string begin(const PartialInput& input);
  /// Likewise of the next bytes.
  std::string_view pass(std::string_view bytes);
  /// Behind the last: what was kept back, as it is to be sent.
  std::string end() const;

 private:
  UploadTtl(Worker& worker, const resp::CommandSpec& spec, int64_t stale_ms)
      : worker_(worker), spec_(spec), rule_{.mode = policy::TtlRule::Mode::kOff, .stale_ms = stale_ms} {}
  std::string judged(const std::string& frame, size_t from, size_t to) const;

  Worker& worker_;
  const resp::CommandSpec& spec_;
  const policy::TtlRule rule_;  // says nothing else: what else the key lacks is sent behind the request
  uint64_t left_ = UINT64_MAX;  // bytes of the request that are still to come before what is kept back
  std::string start_;           // of the request, with an empty value
  std::string kept_;
};

}  // namespace corral::core
