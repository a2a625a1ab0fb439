#include "proxy/core/value_limit.h"

#include <algorithm>

#include "proxy/core/parsed_request.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"

namespace corral::core {

using resp::Command;
using resp::CommandSpec;

namespace {

struct Limit {
  uint64_t bytes;
  const policy::Rule* rule = nullptr;  // null: the guard's
};

void tighten(Limit& limit, const Worker& worker, std::string_view key) {
  const policy::Rule* rule = worker.policies().rules.find(key);
  if (rule && rule->max_value_bytes > 0 && rule->max_value_bytes < limit.bytes) limit = {rule->max_value_bytes, rule};
}

std::string refusal(Worker& worker, size_t bytes, const Limit& limit) {
  worker.stats().too_big.add();
  return "TOOBIG a value of " + std::to_string(bytes) + " bytes is over the limit of " + std::to_string(limit.bytes) +
         " bytes of " + (limit.rule ? "rule '" + limit.rule->name + "'" : "this proxy's guard");
}

// MSET: each value has a key of its own.
bool is_pairs(const CommandSpec& spec) { return spec.key_step > 1 && spec.last_key == -1; }

}  // namespace

std::string too_big(Worker& worker, const Command& command, const CommandSpec& spec) {
  const Limit of_guard{worker.policies().max_value_bytes};
  std::vector<uint32_t> keys;
  if (!spec.may_write || !resp::find_keys(spec, command, keys)) keys.clear();
  Limit limit = of_guard;
  if (!is_pairs(spec)) {
    for (const uint32_t key : keys) tighten(limit, worker, command.arg(key));
  }
  for (uint32_t i = 1; i < command.argc(); ++i) {
    if (std::find(keys.begin(), keys.end(), i) != keys.end()) {
      if (!is_pairs(spec)) continue;
      limit = of_guard;
      tighten(limit, worker, command.arg(i));
    } else if (command.arg(i).size() > limit.bytes) {
      return refusal(worker, command.arg(i).size(), limit);
    }
  }
  return {};
}

std::string too_big_already(Worker& worker, const PartialInput& input) {
  const auto partial = input.scanner.partial();
  if (partial.declared <= worker.policies().least_max_value_bytes) return {};
  Limit limit{worker.policies().max_value_bytes};
  const auto head = input.scanner.head(input.bytes.data());
  const Command& command = head.command;
  const CommandSpec* spec = command.argc() > 0 ? find_spec(worker, command) : nullptr;
  if (spec && spec->may_write) {
    const uint32_t key = is_pairs(*spec) ? partial.arg - 1 : spec->only_key;
    if (key > 0 && key < command.argc() && key != partial.arg) tighten(limit, worker, command.arg(key));
  }
  return partial.declared > limit.bytes ? refusal(worker, partial.declared, limit) : std::string();
}

}  // namespace corral::core
