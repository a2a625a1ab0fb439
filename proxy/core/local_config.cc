// CONFIG GET asks a master, and does not tell its passwords. CONFIG SET and SLOWLOG go to all masters; what they mean
// for what Corral keeps itself is seen to here.
#include <algorithm>

#include "proxy/core/handlers.h"
#include "proxy/core/local.h"
#include "proxy/core/secret_arguments.h"
#include "resp/decimal.h"
#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::core {

using resp::Action;
using resp::Command;
using resp::CommandSpec;

namespace {

void reset_stats(Worker& home) {
  Process& process = home.process();
  process.server_stats().reset_errors();
  process.server_stats().reset_totals(process.totals());
  const auto reset = [](Worker& worker) {
    worker.process().server_stats().reset_worker(worker.index());
    worker.process().board(worker.index()).command_times.reset();
  };
  reset(home);
  for (uint32_t i = 0; i < process.workers(); ++i) {
    if (i != home.index()) home.transport().post(i, reset);
  }
}

void note_setting(SlowLog& slow_log, std::string_view name, std::string_view value) {
  const auto number = resp::parse_decimal(value);
  if (!number) return;
  if (same_word(name, "slowlog-log-slower-than")) slow_log.set_slower_than_us(*number);
  if (same_word(name, "slowlog-max-len") && *number >= 0) slow_log.set_max_entries(static_cast<size_t>(*number));
}

class ConfigGet final : public Task {
 public:
  static void start(Session& session, std::string_view bytes) {
    auto* task = new ConfigGet(session.request_for_reply(any_slot(session), kReadOnly));
    Request part = task->whole_;
    part.task = task;
    session.add_reference();
    session.worker().send(part, bytes);
  }

  void on_reply(uint32_t, std::string_view reply) override {
    Worker& worker = whole_.session->worker();
    const resp::ReplyView view(reply);
    worker.answer(whole_, view.is_error() ? std::string(reply) : without_secrets(view, whole_.session->resp()));
    delete this;
  }

 private:
  explicit ConfigGet(const Request& whole) : whole_(whole) {}

  static std::string without_secrets(const resp::ReplyView& reply, int resp) {
    const auto elements = reply.elements();
    std::string out;
    resp::append_map(out, elements.size() / 2, resp);
    for (size_t i = 0; i + 1 < elements.size(); i += 2) {
      out += elements[i].bytes();
      const bool hidden = is_secret_setting(elements[i].text()) && !elements[i + 1].text().empty();
      hidden ? resp::append_bulk(out, kRedacted) : void(out += elements[i + 1].bytes());
    }
    return out;
  }

  const Request whole_;  // holds a reference to the session
};

}  // namespace

void local_config_get(Session& session, const Command& command) { ConfigGet::start(session, command.bytes()); }

void note_configuration(Worker& worker, const Command& command, const CommandSpec& spec) {
  if (spec.action == Action::kConfigResetStat) reset_stats(worker);
  if (spec.action == Action::kSlowLogReset) worker.process().slow_log().clear();
  if (spec.action != Action::kConfigSet) return;
  for (size_t i = 2; i + 1 < command.argc(); i += 2) {
    note_setting(worker.process().slow_log(), command.arg(i), command.arg(i + 1));
  }
}

}  // namespace corral::core
