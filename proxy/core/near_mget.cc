// Near, the part for MGET: each element that is in the near cache comes from there, what may fill it is read by a fill
// of its own, as GET would read it, and the rest goes the way of a split command.
#include <utility>

#include "proxy/core/near.h"
#include "proxy/core/near_asker.h"
#include "proxy/core/near_fill.h"
#include "proxy/core/session.h"
#include "proxy/core/split_task.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using policy::KeyReply;
using policy::NearCache;
using policy::NearRead;
using resp::Command;
using resp::CommandSpec;

namespace {

const CommandSpec& spec_of_get() {
  static const CommandSpec& get = *resp::find_command("get");
  return get;
}

void copy_to(std::string& element, const KeyReply& reply) {
  element.resize(reply.size());
  reply.copy_to(element.data());
}

}  // namespace

// An element of the whole command's reply. What is read over an ordinary connection is asked for together with others
// of its slot, unless it is to be judged.
struct Near::ElementTarget {
  static constexpr bool kIsCommand = false;
  Near& near;
  SplitTask& task;
  const Request& whole;
  const uint32_t place;
  NearTouch& touch;
  const std::string_view key;
  bool with_others = false;

  Session& session() { return *whole.session; }
  bool is_alone() const { return whole.session->due() == 1; }
  Request request() {
    session().add_reference();
    Request part = whole;
    part.task = &task;
    part.ticket = task.add_single(place);
    part.touch = {};
    part.slot = near.worker_.slot_of(key);
    return part;
  }
  void serve(const KeyReply& reply) {
    std::string element;
    copy_to(element, reply);
    task.set_element(place, std::move(element));
  }
  void read_plainly(policy::NearTouched touched, std::unique_ptr<LeaseRead> read, std::string_view frame) {
    with_others = !read;
    if (read) return near.send_plainly(request(), touched, std::move(read), frame);
    touch.add(touched, session());
  }
};

Near::Way Near::read_many(Session& session, const Command& command, const CommandSpec& spec) {
  std::vector<std::string> elements(command.argc() - 1);
  const uint32_t era = cache_.era();  // it is one read, which began in one
  const Way way = glance_at_all(session, command, era, elements);
  if (way != Way::kOrdinary || !any_near(command)) return way;
  NearTouch* touch = touches_.begin_read(session);
  session.set_touch(Touch(touch));
  const Request whole = session.request_for_reply(kNoSlot, kReadOnly);
  std::vector<uint32_t> keys, plain;
  for (uint32_t i = 1; i < command.argc(); ++i) keys.push_back(i);
  auto* task = new SplitTask(worker_, whole, spec.merge, static_cast<uint32_t>(keys.size()));
  const uint32_t guard = task->add_part({});  // so that it does not end before all are asked for
  for (uint32_t place = 0; place < keys.size(); ++place) {
    if (!elements[place].empty()) {
      task->set_element(place, std::move(elements[place]));
    } else if (!ask_for_one(whole, *task, place, command.arg(keys[place]), era, *touch)) {
      plain.push_back(place);
    }
  }
  const auto groups = group_by_slot(worker_, command, keys, plain);
  for (Part& part : make_parts(worker_, task, whole, command, spec, keys, groups))
    worker_.send(part.request, part.bytes);
  task->on_reply(guard, "*0\r\n");
  return Way::kAnswered;
}

bool Near::any_near(const Command& command) const {
  for (uint32_t i = 1; i < command.argc(); ++i) {
    if (rule_of(command.arg(i))) return true;
  }
  return false;
}

// If all elements can be served the command is answered; if some, they are in `elements`.
Near::Way Near::glance_at_all(Session& session, const Command& command, uint32_t era,
                              std::vector<std::string>& elements) {
  const auto right_now = [this] { return worker_.transport().clock_ms(); };
  size_t served = 0;
  for (uint32_t place = 0; place < elements.size(); ++place) {
    const std::string_view key = command.arg(place + 1);
    const policy::Rule* rule = rule_of(key);
    if (!rule) continue;
    const auto serve = [&](const KeyReply& reply, uint64_t deadline_ms) {
      if (rule->stampede && worker_.leases().is_to_be_judged(*rule->stampede, reply.size(), deadline_ms)) return false;
      copy_to(elements[place], reply);
      return true;
    };
    const NearRead read = read_of(session, spec_of_get(), key, {}, may_pass(*rule) ? era : 0);
    if (read.is_passed() && !read.own_fills) continue;
    const auto glance = cache_.glance(read, worker_.now64_ms(), right_now, serve);
    if (glance == NearCache::Glance::kWait) return Way::kWait;
    if (glance != NearCache::Glance::kServed) continue;
    count_hit(*rule, nullptr);
    ++served;
  }
  if (served < elements.size()) return Way::kOrdinary;
  std::string out;
  resp::append_array(out, elements.size());
  for (const std::string& element : elements) out += element;
  session.reply(out);
  worker_.process().server_stats().count_call(worker_.index(), *resp::find_command("mget"), false);
  return Way::kAnswered;
}

// False: the key is to be read plainly together with others, and `touch` says so.
bool Near::ask_for_one(const Request& whole, SplitTask& task, uint32_t place, std::string_view key, uint32_t era,
                       NearTouch& touch) {
  const policy::Rule* rule = rule_of(key);
  if (!rule || !concerns(*rule, spec_of_get())) return false;
  NearRead read = read_of(*whole.session, spec_of_get(), key, {}, may_pass(*rule) ? era : 0);
  if (read.is_passed()) {
    count_passed(*rule, read.hash);
    touches_.pass(touch, read.hash, read.era, *whole.session);
    return false;
  }
  read.own_fills = read.own_touches = false;  // but for what this very command has asked for there are none of this key
  std::string frame;
  resp::append_command(frame, {"GET", key});
  ElementTarget target{*this, task, whole, place, touch, key};
  ask(target, *rule, spec_of_get(), read, frame);
  return !target.with_others;
}

}  // namespace corral::core
