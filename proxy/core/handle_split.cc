// Split and merge: a command whose keys may be in any slots is cut into one part a slot, and the parts' replies are put
// together again (MGET, MSET, DEL, UNLINK, EXISTS, TOUCH). If all keys are in one slot it is simply forwarded.
#include <map>
#include <string>
#include <vector>

#include "proxy/core/handlers.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/rules.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/slot.h"

namespace corral::core {

using resp::Command;
using resp::CommandSpec;
using resp::Merge;
using resp::ReplyView;

namespace {

class SplitTask final : public Task {
 public:
  SplitTask(Worker& worker, const Request& whole, Merge merge, uint32_t keys)
      : worker_(worker), whole_(whole), merge_(merge) {
    if (merge == Merge::kArrayByKey) elements_.resize(keys);
  }

  /// The number of a part that asks for the keys with these places in the request.
  uint32_t add_part(std::vector<uint32_t> places) {
    parts_.push_back(std::move(places));
    ++awaited_;
    return static_cast<uint32_t>(parts_.size() - 1);
  }

  void on_reply(uint32_t part, std::string_view bytes) override {
    const ReplyView reply(bytes);
    if (reply.is_error()) {
      if (error_.empty() || bytes.starts_with("-INDOUBT")) error_ = bytes;
    } else {
      any_executed_ = true;
      sum_ += reply.integer().value_or(0);
      place(part, reply);
    }
    if (--awaited_ == 0) finish();
  }

 private:
  void place(uint32_t part, const ReplyView& reply) {
    if (merge_ != Merge::kArrayByKey) return;
    const auto elements = reply.elements();
    for (size_t i = 0; i < elements.size() && i < parts_[part].size(); ++i) {
      elements_[parts_[part][i]] = elements[i].bytes();
    }
  }

  void finish() {
    std::string reply = error_;
    // A refusal would say that nothing was written.
    if (!error_.empty() && any_executed_ && !(whole_.flags & kReadOnly) && !error_.starts_with("-INDOUBT")) {
      reply = "-INDOUBT a part of the keys was written, others were not: " + error_.substr(1);
    }
    if (reply.empty() && merge_ == Merge::kSum) resp::append_integer(reply, sum_);
    if (reply.empty() && merge_ == Merge::kArrayByKey) {
      resp::append_array(reply, elements_.size());
      for (const std::string& element : elements_) reply += element;
    }
    if (reply.empty()) reply = resp::kOk;
    worker_.answer(whole_, reply);
    delete this;
  }

  Worker& worker_;
  const Request whole_;  // holds a reference to the session
  const Merge merge_;
  std::vector<std::vector<uint32_t>> parts_;
  uint32_t awaited_ = 0;
  bool any_executed_ = false;
  std::string error_;
  int64_t sum_ = 0;
  std::vector<std::string> elements_;
};

// One part for each group of keys (by their place in `keys`), with what follows each key up to the next one (MSET).
std::vector<Part> make_parts(Worker& worker, SplitTask* task, const Request& whole, const Command& command,
                             const CommandSpec& spec, const std::vector<uint32_t>& keys,
                             const std::vector<std::vector<uint32_t>>& groups) {
  const uint32_t stride = keys.size() > 1 ? keys[1] - keys[0] : static_cast<uint32_t>(command.argc()) - keys[0];
  std::vector<Part> parts;
  std::vector<std::string_view> args;
  for (const auto& places : groups) {
    const std::string_view other_name = name_as_sent(worker, spec);
    args.assign(1, other_name.empty() ? command.arg(0) : other_name);
    for (const uint32_t place : places) {
      for (uint32_t i = 0; i < stride; ++i) args.push_back(command.arg(keys[place] + i));
    }
    Part part{whole, {}};
    part.request.task = task;
    part.request.ticket = task->add_part(places);
    part.request.slot = worker.slot_of(command.arg(keys[places[0]]));
    part.request.session->add_reference();
    resp::append_command(part.bytes, args);
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace

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
  std::map<uint16_t, size_t> group_of;
  std::vector<std::vector<uint32_t>> groups;
  for (uint32_t i = 0; i < keys.size(); ++i) {
    const auto [it, is_new] = group_of.try_emplace(worker.slot_of(command.arg(keys[i])), groups.size());
    if (is_new) groups.emplace_back();
    groups[it->second].push_back(i);
  }
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
