#include "proxy/core/split_task.h"

#include <map>

#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

using resp::Command;
using resp::CommandSpec;
using resp::Merge;
using resp::ReplyView;

SplitTask::SplitTask(Worker& worker, const Request& whole, Merge merge, uint32_t keys)
    : worker_(worker), whole_(whole), merge_(merge), collected_(*whole.session) {
  if (merge == Merge::kArrayByKey) elements_.resize(keys);
}

uint32_t SplitTask::add_part(std::vector<uint32_t> places) {
  parts_.push_back({std::move(places), false});
  ++awaited_;
  return static_cast<uint32_t>(parts_.size() - 1);
}

uint32_t SplitTask::add_single(uint32_t place) {
  parts_.push_back({{place}, true});
  ++awaited_;
  return static_cast<uint32_t>(parts_.size() - 1);
}

void SplitTask::on_reply(uint32_t part, std::string_view bytes) {
  take(parts_[part], bytes);
  if (--awaited_ == 0) finish();
}

// What is no string is no error to MGET, but a value that is not there.
void SplitTask::take(const Asked& part, std::string_view bytes) {
  std::string null;
  if (part.single && bytes.starts_with("-WRONGTYPE ")) {
    resp::append_null(null, whole_.session->resp());
    bytes = null;
  }
  const ReplyView reply(bytes);
  if (reply.is_error()) {
    if (error_.empty() || bytes.starts_with("-INDOUBT")) error_ = bytes;
    return;
  }
  any_executed_ = true;
  if (merge_ == Merge::kArrayByKey && !collected_.add(bytes.size())) {
    error_ = kClientGone;  // the elements are not all there
    return;
  }
  sum_ += reply.integer().value_or(0);
  place(part, reply);
}

void SplitTask::place(const Asked& part, const ReplyView& reply) {
  if (merge_ != Merge::kArrayByKey) return;
  if (part.single) {
    elements_[part.places[0]] = reply.bytes();
    return;
  }
  const auto elements = reply.elements();
  for (size_t i = 0; i < elements.size() && i < part.places.size(); ++i) {
    elements_[part.places[i]] = elements[i].bytes();
  }
}

void SplitTask::finish() {
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
  collected_.forget();
  worker_.answer(whole_, reply);
  delete this;
}

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

std::vector<std::vector<uint32_t>> group_by_slot(Worker& worker, const Command& command,
                                                 const std::vector<uint32_t>& keys,
                                                 const std::vector<uint32_t>& places) {
  std::map<uint16_t, size_t> group_of;
  std::vector<std::vector<uint32_t>> groups;
  for (const uint32_t place : places) {
    const auto [it, is_new] = group_of.try_emplace(worker.slot_of(command.arg(keys[place])), groups.size());
    if (is_new) groups.emplace_back();
    groups[it->second].push_back(place);
  }
  return groups;
}

}  // namespace corral::core
