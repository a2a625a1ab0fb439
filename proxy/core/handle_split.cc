// Split and merge: a command whose keys may be in any slots is cut into one part a slot, and the parts' replies are put
// together again (MGET, MSET, DEL, UNLINK, EXISTS, TOUCH). If all keys are in one slot it is simply forwarded.
#include <numeric>
#include <string>
#include <vector>

#include "proxy/core/handlers.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/rules.h"
#include "proxy/core/session.h"
#include "proxy/core/split_task.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/slot.h"

namespace corral::core {

using resp::Command;
using resp::CommandSpec;
using resp::Merge;
using resp::ReplyView;

void handle_split(Session& session, const Command& command, const CommandSpec& spec) {
  Worker& worker = session.worker();
  const bool ruled = may_be_ruled(worker, spec);
  if (worker.one_owner()) {
    if (ruled && apply_rules(session, command, spec, 0)) return;
    return session.forward(as_sent(worker, command.bytes(), spec), 0, request_flags(spec));
  }
  std::vector<uint32_t>& keys = worker.scratch_indexes();
  keys.clear();
  if (!resp::find_keys(spec, command, keys) || keys.empty()) {
    return session.forward(as_sent(worker, command.bytes(), spec), any_slot(session), request_flags(spec));
  }
  const uint16_t slot = worker.slot_of(command.arg(keys[0]));
  size_t same = 1;
  while (same < keys.size() && worker.slot_of(command.arg(keys[same])) == slot) ++same;
  if (same == keys.size()) {
    if (ruled && apply_rules(session, command, spec, slot)) return;
    return session.forward(as_sent(worker, command.bytes(), spec), slot, request_flags(spec));
  }

  if (ruled && refuse_whole(session, command, spec)) return;
  std::vector<uint32_t> places(keys.size());
  std::iota(places.begin(), places.end(), 0);
  const auto groups = group_by_slot(worker, command, keys, places);
  const Request whole = session.request_for_reply(slot, request_flags(spec));
  auto* task = new SplitTask(worker, whole, spec.merge, static_cast<uint32_t>(keys.size()));
  for (Part& part : make_parts(worker, task, whole, command, spec, keys, groups)) {
    ruled ? send_part(worker, part.request, part.bytes) : worker.send(part.request, part.bytes);
  }
}

std::vector<Part> split_by_key(Worker& worker, const Request& whole, std::string_view bytes) {
  const ParsedRequest parsed(worker, bytes);
  const CommandSpec* spec = parsed.spec();
  if (!spec || spec->handling != resp::Handling::kSplit || !(whole.flags & kReadOnly)) return {};
  std::vector<uint32_t> keys;
  if (!resp::find_keys(*spec, parsed.command(), keys) || keys.size() < 2) return {};
  std::vector<std::vector<uint32_t>> groups;
  for (uint32_t i = 0; i < keys.size(); ++i) groups.push_back({i});
  auto* task = new SplitTask(worker, whole, spec->merge, static_cast<uint32_t>(keys.size()));
  return make_parts(worker, task, whole, parsed.command(), *spec, keys, groups);
}

}  // namespace corral::core
