// Scripts and functions: forwarded to the owner of the keys that they declare.
//
// A script is remembered when it is seen (script_registry.h); if a node answers NOSCRIPT, the EVALSHA is sent again as
// the EVAL that it stands for, in its place in the order (HoldTable).
//
// A script that declares no key goes to any master. If it then asks for a key that lives elsewhere, it is refused;
// since its very first key decides (Redis 7.0, script.c, scriptVerifyClusterState), it is tried on the other masters in
// turn: all but the one where that key lives refuse it before it has written anything.
#include "proxy/core/handlers.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::Action;
using resp::Command;
using resp::CommandSpec;

namespace {

constexpr std::string_view kNonLocalKey = "attempted to access a non local key in a cluster node";

class KeylessScript final : public Task {
 public:
  static void start(Session& session, std::string_view bytes, uint8_t flags) {
    auto* task = new KeylessScript(session, bytes, flags);
    task->send(any_slot(session));
  }

  void on_reply(uint32_t, std::string_view reply) override {
    if (reply[0] == '-' && reply.find(kNonLocalKey) != reply.npos && try_next()) return;
    if (paused_) session_.resume(Session::kWalk);
    session_.worker().answer(whole_, reply);
    delete this;
  }

 private:
  KeylessScript(Session& session, std::string_view bytes, uint8_t flags)
      : session_(session), whole_(session.request_for_reply(any_slot(session), flags)), bytes_(bytes) {}

  void send(uint16_t slot) {
    Request request = whole_;
    request.task = this;
    request.slot = slot;
    session_.add_reference();
    session_.worker().send(request, bytes_);
  }

  // What the client sends from now on may want what the script does.
  bool try_next() {
    const auto& masters = session_.worker().map().masters;
    if (++tried_ >= masters.size() || !session_.open()) return false;
    session_.pause(Session::kWalk);
    paused_ = true;
    send(masters[(session_.id() + tried_) % masters.size()].first_slot);
    return true;
  }

  Session& session_;
  const Request whole_;  // holds a reference to the session
  const std::string bytes_;
  size_t tried_ = 0;
  bool paused_ = false;
};

bool declares_keys(Session& session, const Command& command, const CommandSpec& spec) {
  std::vector<uint32_t>& indexes = session.worker().scratch_indexes();
  indexes.clear();
  return !resp::find_keys(spec, command, indexes) || !indexes.empty();
}

}  // namespace

void handle_script(Session& session, const Command& command, const CommandSpec& spec) {
  Worker& worker = session.worker();
  if (spec.action == Action::kEval) worker.show_script(command.arg(1));
  if (!declares_keys(session, command, spec) && worker.map().masters.size() > 1) {
    return KeylessScript::start(session, command.bytes(), request_flags(spec));
  }
  handle_forward(session, command, spec);
}

std::shared_ptr<const std::string> script_of(Worker& worker, const Command& command) {
  return command.argc() < 2 ? nullptr : worker.process().scripts().find(command.arg(1));
}

std::string_view evalsha_frame(Worker& worker, std::string_view bytes) {
  for (int frames = 0; frames < 2; ++frames) {
    const ParsedRequest parsed(worker, bytes);
    if (parsed.command().argc() == 0) return {};
    const std::string_view frame = parsed.command().bytes();
    if (parsed.spec() && parsed.spec()->action == Action::kEvalSha) return frame;
    bytes.remove_prefix(frame.size());
  }
  return {};
}

std::string eval_for_evalsha(Worker& worker, std::string_view bytes) {
  const std::string_view frame = evalsha_frame(worker, bytes);
  if (frame.empty()) return {};
  const ParsedRequest parsed(worker, frame);
  const auto body = script_of(worker, parsed.command());
  if (!body) return {};
  std::vector<std::string_view> args = {parsed.spec()->is(resp::kFlagReadOnly) ? "EVAL_RO" : "EVAL", *body};
  for (size_t i = 2; i < parsed.command().argc(); ++i) args.push_back(parsed.command().arg(i));
  const auto at = static_cast<size_t>(frame.data() - bytes.data());
  std::string out(bytes.substr(0, at));
  resp::append_command(out, args);
  out += bytes.substr(at + frame.size());
  return out;
}

}  // namespace corral::core
