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
  if (limit.rule) ++worker.rule_stats().of(*limit.rule).too_big;
  return "TOOBIG a value of " + std::to_string(bytes) + " bytes is over the limit of " + std::to_string(limit.bytes) +
         " bytes of " + (limit.rule ? "rule '" + limit.rule->name + "'" : "this proxy's guard");
}

// MSET: each value has a key of its own.
bool is_pairs(const CommandSpec& spec) { return spec.key_step > 1 && spec.last_key == -1; }

}  // namespace

std::string too_big(Worker& worker, const Command& command, const CommandSpec& spec) {
  const Limit of_guard{worker.policies().max_value_bytes};
  std::vector<uint32_t> keys;
  if (!resp::find_keys(spec, command, keys)) keys.clear();
  const bool ruled = spec.may_write;
  Limit limit = of_guard;
  if (ruled && !is_pairs(spec)) {
    for (const uint32_t key : keys) tighten(limit, worker, command.arg(key));
  }
  auto next_key = keys.begin();
  for (uint32_t i = 1; i < command.argc(); ++i) {
    if (next_key != keys.end() && *next_key == i) {
      while (next_key != keys.end() && *next_key == i) ++next_key;
      if (!ruled || !is_pairs(spec)) continue;
      limit = of_guard;
      tighten(limit, worker, command.arg(i));
      continue;
    }
    const bool is_script = i == 1 && spec.handling == resp::Handling::kScript;
    const Limit& one = is_script ? of_guard : limit;
    if (command.arg(i).size() > one.bytes) return refusal(worker, command.arg(i).size(), one);
  }
  return {};
}

std::string too_big_already(Worker& worker, const resp::RequestScanner::Head& head, const CommandSpec* spec,
                            const resp::RequestScanner::Partial& partial) {
  Limit limit{worker.policies().max_value_bytes};
  const Command& command = head.command;
  if (spec && spec->first_key > 0 && spec->last_key == -1) {
    // Pairs, or nothing but keys.
    const auto place = static_cast<int64_t>(partial.arg) - spec->first_key;
    if (place >= 0 && place % spec->key_step == 0) return {};
    if (place > 0 && spec->may_write) tighten(limit, worker, command.arg(partial.arg - 1));
  } else if (spec && spec->only_key != 0) {
    if (partial.arg == spec->only_key) return {};
    if (spec->only_key < command.argc() && spec->may_write) tighten(limit, worker, command.arg(spec->only_key));
  }
  return partial.declared > limit.bytes ? refusal(worker, partial.declared, limit) : std::string();
}

}  // namespace corral::core
