// Commands by what is done for them: how long they take is told by group.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "resp/command_table.h"

namespace corral::core {

enum class CommandGroup : uint8_t {
  kRead,         // of keys
  kWrite,        // likewise
  kScript,       // EVAL, FCALL and their kin
  kTransaction,  // what is queued, and EXEC
  kBlocking,     // may wait for others: the time includes that
  kPubSub,       // SUBSCRIBE and its kin
  kAllNodes,     // asked of all masters, or a walk over them
  kLocal,        // answered by Corral itself, errors included
};
inline constexpr std::array<std::string_view, 8> kCommandGroupNames = {"read",     "write",  "script",    "transaction",
                                                                       "blocking", "pubsub", "all_nodes", "local"};

/// By Handling; of reads first, then of what writes.
inline constexpr std::array<std::array<CommandGroup, 2>, 8> kGroupByHandling = [] {
  std::array<std::array<CommandGroup, 2>, 8> groups{};
  const auto set = [&](resp::Handling handling, CommandGroup reads, CommandGroup writes) {
    groups[static_cast<size_t>(handling)] = {reads, writes};
  };
  using enum resp::Handling;
  set(kForward, CommandGroup::kRead, CommandGroup::kWrite);
  set(kSplit, CommandGroup::kRead, CommandGroup::kWrite);
  set(kFanOut, CommandGroup::kAllNodes, CommandGroup::kAllNodes);
  set(kLocal, CommandGroup::kLocal, CommandGroup::kLocal);
  set(kTransaction, CommandGroup::kTransaction, CommandGroup::kTransaction);
  set(kSubscription, CommandGroup::kPubSub, CommandGroup::kPubSub);
  set(kBlocking, CommandGroup::kBlocking, CommandGroup::kBlocking);
  set(kScript, CommandGroup::kScript, CommandGroup::kScript);
  return groups;
}();

/// `spec` is null for what is no command.
inline CommandGroup group_of(const resp::CommandSpec* spec) {
  if (!spec) [[unlikely]]
    return CommandGroup::kLocal;
  static_assert(resp::kFlagWrite == 1);
  return kGroupByHandling[static_cast<size_t>(spec->handling)][spec->flags & resp::kFlagWrite];
}

}  // namespace corral::core
