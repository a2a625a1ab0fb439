// Fan out: one request to each master, as it came; the replies merged into one. Walks over the keyspace are in scan.cc.
#include <algorithm>
#include <string>
#include <vector>

#include "proxy/core/handlers.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Command;
using resp::CommandSpec;
using resp::Merge;
using resp::ReplyView;

namespace {

constexpr uint32_t kNoMastersPauseMs = 50;

class FanOutTask final : public Task {
 public:
  FanOutTask(const Request& whole, Merge merge, std::string_view bytes)
      : worker_(whole.session->worker()), whole_(whole), merge_(merge), bytes_(bytes) {
    // What comes behind a write must not run before it, which may be held for one node only.
    if (pauses()) whole_.session->pause(Session::kWalk);
  }

  // Each part is routed by a slot of the master that it is for, so that a failover on the way is followed.
  void start() {
    const auto masters = worker_.map().masters;
    if (masters.empty()) return wait_for_masters();
    awaited_ = static_cast<uint32_t>(masters.size());
    for (const auto& master : masters) ask(master.first_slot);
  }

  // The owner of `slot` has given its reply already.
  void start_others(uint16_t slot, std::string_view reply) {
    const NodeId owner = worker_.map().owner[slot];
    const auto masters = worker_.map().masters;
    awaited_ = 1;
    for (const auto& master : masters) awaited_ += master.id != owner;
    for (const auto& master : masters) {
      if (master.id != owner) ask(master.first_slot);
    }
    on_reply(0, reply);
  }

  void on_reply(uint32_t, std::string_view bytes) override {
    const ReplyView reply(bytes);
    if (reply.is_error()) {
      if (error_.empty() || error_.starts_with("-NOTBUSY") || bytes.starts_with("-INDOUBT")) error_ = bytes;
    } else {
      any_executed_ = true;
      merge(reply);
    }
    if (--awaited_ == 0) finish();
  }

 private:
  void ask(uint16_t slot) {
    Request part = whole_;
    part.task = this;
    part.slot = slot;
    part.session->add_reference();
    if (!gets_through()) return worker_.send(part, bytes_);
    worker_.send_to_node(part, worker_.map().owner[slot], bytes_, true);
  }

  // Past the script that keeps a node busy, and which this is about.
  bool gets_through() const { return merge_ == Merge::kAnyOk || merge_ == Merge::kBusiest; }

  void wait_for_masters() {
    if (worker_.stopping() || worker_.now_ms() - whole_.since_ms > worker_.settings().upstream.request_timeout_ms) {
      return answer("-CLUSTERDOWN no master of the cluster is known\r\n");
    }
    worker_.refresh_topology();
    worker_.after(kNoMastersPauseMs, [this] { start(); });
  }

  void merge(const ReplyView& reply) {
    if (first_.empty() || (merge_ == Merge::kBusiest && runs_something(reply))) first_ = reply.bytes();
    sum_ += reply.integer().value_or(0);
    if (merge_ != Merge::kMinimums) return;
    const auto elements = reply.elements();
    least_.resize(std::max(least_.size(), elements.size()), INT64_MAX);
    for (size_t i = 0; i < elements.size(); ++i) least_[i] = std::min(least_[i], elements[i].integer().value_or(0));
  }

  // FUNCTION STATS: "running_script", its value, ...
  static bool runs_something(const ReplyView& reply) {
    const auto elements = reply.elements();
    return elements.size() >= 2 && !elements[1].is_null();
  }

  void finish() {
    std::string reply = error_;
    if (gets_through() && !first_.empty()) reply = first_;
    if (reply.empty()) reply = merged();
    // A refusal would say that nothing was done.
    if ((whole_.flags & kWrites) && any_executed_ && reply[0] == '-' && !reply.starts_with("-INDOUBT")) {
      reply = "-INDOUBT some nodes have executed it, others have not: " + reply.substr(1);
    }
    answer(reply);
  }

  bool pauses() const { return (whole_.flags & kWrites) && !whole_.task; }

  void answer(std::string_view reply) {
    if (pauses()) whole_.session->resume(Session::kWalk);
    worker_.answer(whole_, reply);
    delete this;
  }

  std::string merged() const {
    std::string reply;
    if (merge_ == Merge::kSum || merge_ == Merge::kKeyCount) {
      const size_t own =
          merge_ == Merge::kKeyCount ? worker_.process().leases().at_nodes(whole_.session->database()) : 0;
      resp::append_integer(reply, std::max<int64_t>(0, sum_ - static_cast<int64_t>(own)));
    } else if (merge_ == Merge::kMinimums) {
      // SCRIPT EXISTS: what clients have shown is there wherever it is wanted.
      const ParsedRequest parsed(worker_, bytes_);
      resp::append_array(reply, least_.size());
      for (size_t i = 0; i < least_.size(); ++i) {
        const bool seen =
            i + 2 < parsed.command().argc() && worker_.process().scripts().find(parsed.command().arg(i + 2));
        resp::append_integer(reply, seen ? 1 : least_[i]);
      }
    } else {
      reply = first_;
    }
    return reply;
  }

  Worker& worker_;
  const Request whole_;  // holds a reference to the session
  const Merge merge_;
  const std::string bytes_;
  uint32_t awaited_ = 0;
  bool any_executed_ = false;
  std::string error_, first_;
  int64_t sum_ = 0;
  std::vector<int64_t> least_;
};

// What Corral has to know of what it passes on.
void note(Worker& worker, const Command& command, const CommandSpec& spec) {
  note_configuration(worker, command, spec);
  if (spec.action == resp::Action::kScriptLoad) worker.show_script(command.arg(2));
  if (spec.action == resp::Action::kScriptFlush) worker.process().scripts().clear();
}

}  // namespace

void handle_fan_out(Session& session, const Command& command, const CommandSpec& spec) {
  note(session.worker(), command, spec);
  switch (spec.merge) {
    case Merge::kScan:
      return handle_scan(session, command);
    case Merge::kKeys:
      return handle_keys(session, command);
    case Merge::kRandomKey:
      return handle_random_key(session, command);
    default:
      (new FanOutTask(session.request_for_reply(0, request_flags(spec)), spec.merge, command.bytes()))->start();
  }
}

void fan_out_to_others(Session& session, const Command& command, const CommandSpec& spec, uint16_t slot,
                       std::string_view reply) {
  note(session.worker(), command, spec);
  const Request whole = session.request_for_reply(slot, request_flags(spec));
  (new FanOutTask(whole, spec.merge, command.bytes()))->start_others(slot, reply);
}

}  // namespace corral::core
