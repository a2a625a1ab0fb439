// Forward: one request to the owner of its keys' slot, as it came.
#include "proxy/core/handlers.h"
#include "proxy/core/rules.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/slot.h"

namespace corral::core {

using resp::Command;
using resp::CommandSpec;

namespace {

// The number of a slot as an argument gives it; any slot's owner may refuse another argument.
uint16_t slot_argument(const Session& session, std::string_view text) {
  uint32_t slot = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || slot >= resp::kSlots) return any_slot(session);
    slot = slot * 10 + static_cast<uint32_t>(c - '0');
  }
  return text.empty() || slot >= resp::kSlots ? any_slot(session) : static_cast<uint16_t>(slot);
}

}  // namespace

bool find_slot(Session& session, const Command& command, const CommandSpec& spec, uint16_t& slot) {
  const Worker& worker = session.worker();
  if (worker.one_owner()) {
    slot = 0;
    return true;
  }
  if (spec.slot_arg != 0) {
    slot = slot_argument(session, command.arg(spec.slot_arg));
    return true;
  }
  std::vector<uint32_t>& indexes = session.worker().scratch_indexes();
  indexes.clear();
  if (!resp::find_keys(spec, command, indexes) || indexes.empty()) {
    slot = any_slot(session);
    return true;
  }
  slot = worker.slot_of(command.arg(indexes[0]));
  for (const uint32_t index : indexes) {
    if (worker.slot_of(command.arg(index)) != slot) return false;
  }
  return true;
}

uint16_t any_slot(const Session& session) {
  const auto& masters = session.worker().map().masters;
  return masters.empty() ? 0 : masters[session.id() % masters.size()].first_slot;
}

uint8_t request_flags(const CommandSpec& spec) {
  const bool reads = spec.is(resp::kFlagReadOnly) && !spec.is(resp::kFlagWrite);
  const bool script = spec.handling == resp::Handling::kScript;
  const bool writes = spec.is(resp::kFlagWrite) || (script && !reads);
  return static_cast<uint8_t>((reads ? kReadOnly : 0) | (script ? kScript : 0) | (writes ? kWrites : 0));
}

void handle_forward(Session& session, const Command& command, const CommandSpec& spec) {
  uint16_t slot;
  if (spec.only_key != 0) [[likely]] {
    slot = session.worker().slot_of(command.arg(spec.only_key));
  } else if (!find_slot(session, command, spec, slot)) {
    return session.reply_error(kCrossSlot);
  }
  if (may_be_ruled(session.worker(), spec) && apply_rules(session, command, spec, slot)) [[unlikely]]
    return;
  session.forward(command.bytes(), slot, request_flags(spec));
}

}  // namespace corral::core
