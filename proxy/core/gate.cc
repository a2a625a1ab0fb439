#include "proxy/core/gate.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "proxy/core/handlers.h"
#include "proxy/core/local.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/secret_arguments.h"
#include "proxy/core/session.h"
#include "proxy/core/transaction.h"
#include "proxy/core/worker.h"

namespace corral::core {

using resp::Action;
using resp::Command;
using resp::CommandSpec;
using resp::Handling;

namespace {

constexpr uint32_t kWatchAgainMs = 1000;
constexpr uint64_t kLongestTimerMs = 1u << 31;

// Redis: sds.c, sdscatrepr.
void append_quoted(std::string& out, std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    static constexpr std::string_view kSpecial = "\\\"\n\r\t\a\b", kLetters = "\\\"nrtab";
    const auto byte = static_cast<unsigned char>(c);
    if (const size_t at = kSpecial.find(c); at != std::string_view::npos) {
      out += {'\\', kLetters[at]};
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  out += '"';
}

// Redis shows no administration, and scripts as what they are called with.
bool is_shown(const CommandSpec& spec) {
  if (spec.handling == Handling::kScript) return true;
  return !spec.is(resp::kFlagAdmin) && !spec.is(resp::kFlagSkipMonitor);
}

}  // namespace

std::string monitor_line(int64_t wall_us, std::string_view client, int database, const Command& command,
                         const CommandSpec& spec) {
  std::array<char, 64> head;
  std::snprintf(head.data(), head.size(), "+%lld.%06lld [%d ", static_cast<long long>(wall_us / 1'000'000),
                static_cast<long long>(wall_us % 1'000'000), database);
  std::string line = head.data();
  line += client;
  line += ']';
  const std::set<size_t> secret = secret_arguments(command, spec);
  for (size_t i = 0; i < command.argc(); ++i) {
    line += ' ';
    append_quoted(line, secret.contains(i) ? kRedacted : command.arg(i));
  }
  return line + "\r\n";
}

bool declares_no_writes(std::string_view script) {
  if (!script.starts_with("#!")) return false;
  std::string_view line = script.substr(0, script.find_first_of("\r\n"));
  const size_t flags = line.find(" flags=");
  if (flags == std::string_view::npos) return false;
  line.remove_prefix(flags + 7);
  line = line.substr(0, line.find(' '));
  while (!line.empty()) {
    const std::string_view flag = line.substr(0, line.find(','));
    if (flag == "no-writes") return true;
    line.remove_prefix(std::min(line.size(), flag.size() + 1));
  }
  return false;
}

void update_all_gates(Worker& home) {
  home.gate().update();
  for (uint32_t i = 0; i < home.process().workers(); ++i) {
    if (i != home.index()) home.transport().post(i, [](Worker& worker) { worker.gate().update(); });
  }
}

Gate::Gate(Worker& worker) : worker_(worker), scripts_(worker, [this](std::string_view line) { deliver(line); }) {}

bool Gate::pass(Session& session, const Command& command, const CommandSpec& spec) {
  if (!spec.arity_fits(command.argc()) || worker_.policies().guard.denies(spec)) return true;
  if ((state_ & kPaused) && must_wait(session, command, spec)) {
    waiting_.push_back(session.id());
    session.pause(Session::kByClient);
    return false;
  }
  if (!(state_ & kWatched)) return true;
  if (spec.action == Action::kExec) show_transaction(session);
  const bool queued = (session.modes() & Session::kQueueing) && !Transaction::passes_queue(spec);
  const bool refused = (session.modes() & Session::kMonitoring) && forbidden_to_monitors(spec);
  // Redis shows what ends a client's watching to all others, but not to that client.
  if ((session.modes() & Session::kMonitoring) && spec.action == Action::kReset) send_shown();
  if (!queued && !refused && is_shown(spec)) show(session, command, spec);
  return true;
}

void Gate::update() {
  pause_ = worker_.process().client_pause();
  const uint64_t now_ms = worker_.now64_ms();
  const bool paused = pause_.in_force(now_ms);
  state_ = static_cast<uint8_t>((paused ? kPaused : 0) | (worker_.process().monitors() > 0 ? kWatched : 0));
  if (!(state_ & kWatched)) shown_.clear();  // it would be shown to who comes next
  if (!paused) return resume_all();
  if (worker_.stopping()) return;
  const uint64_t left_ms = std::min(pause_.end_ms - now_ms, kLongestTimerMs);
  // One timer at a time, unless another one has to be earlier.
  const uint64_t at_ms = now_ms + left_ms;
  if (timer_at_ms_ != 0 && timer_at_ms_ <= at_ms) return;
  timer_at_ms_ = at_ms;
  worker_.after(static_cast<uint32_t>(left_ms), [this, at_ms] {
    if (timer_at_ms_ == at_ms) timer_at_ms_ = 0;
    update();
  });
}

uint32_t Gate::waiting() const {
  const auto is_here = [this](uint64_t id) { return worker_.find_session(id) != nullptr; };
  return static_cast<uint32_t>(std::count_if(waiting_.begin(), waiting_.end(), is_here));
}

void Gate::resume_all() {
  for (const uint64_t id : std::exchange(waiting_, {})) {
    if (Session* session = worker_.find_session(id)) session->resume(Session::kByClient);
  }
}

bool Gate::must_wait(Session& session, const Command& command, const CommandSpec& spec) const {
  if (!pause_.in_force(worker_.now64_ms())) return false;
  return pause_.kind == ClientPause::Kind::kAll || may_write(session, command, spec);
}

// A script or function that says of itself whether it writes is believed.
bool Gate::may_write(Session& session, const Command& command, const CommandSpec& spec) const {
  if (spec.action == Action::kExec) {
    for (const auto& item : session.transaction().items()) {
      const ParsedRequest parsed(worker_, item.bytes);
      if (may_write(session, parsed.command(), *item.spec)) return true;
    }
    return false;
  }
  if (spec.handling != Handling::kScript || !spec.may_write) return spec.may_write;
  if (spec.action == Action::kEval) return !declares_no_writes(command.arg(1));
  if (spec.action == Action::kEvalSha) {
    const auto script = script_of(worker_, command);
    return !script || !declares_no_writes(*script);
  }
  return !pause_.reading_functions || !pause_.reading_functions->contains(std::string(command.arg(1)));
}

void Gate::show(const Session& session, const Command& command, const CommandSpec& spec) {
  shown_ +=
      monitor_line(worker_.transport().wall_clock_us(), session.addresses().peer, session.database(), command, spec);
}

// What was queued is shown when it is executed.
void Gate::show_transaction(Session& session) {
  if (!(session.modes() & Session::kQueueing) || session.transaction().aborted()) return;
  for (const auto& item : session.transaction().items()) {
    const ParsedRequest parsed(worker_, item.bytes);
    if (is_shown(*item.spec)) show(session, parsed.command(), *item.spec);
  }
}

void Gate::send_shown() {
  if (shown_.empty()) return;
  const auto lines = std::make_shared<const std::string>(std::exchange(shown_, {}));
  Process& process = worker_.process();
  for (uint32_t i = 0; i < process.workers(); ++i) {
    if (i == worker_.index()) {
      deliver(*lines);
    } else if (process.board(i).monitors.load(std::memory_order_relaxed) > 0) {
      worker_.transport().post(i, [lines](Worker& worker) { worker.gate().deliver(*lines); });
    }
  }
}

void Gate::deliver(std::string_view lines) {
  for (const uint64_t id : std::vector<uint64_t>(monitors_)) {
    if (Session* session = worker_.find_session(id)) session->push(lines);
  }
}

void Gate::add_monitor(Session& session) {
  session.set_mode(Session::kMonitoring, true);
  monitors_.push_back(session.id());
  if (monitors_.size() == 1) keep_watching_scripts();
}

// Masters come and go, and connections are lost.
void Gate::keep_watching_scripts() {
  worker_.after(kWatchAgainMs, [this] {
    if (monitors_.empty() || worker_.stopping()) return;
    scripts_.watch_masters([] {});
    keep_watching_scripts();
  });
}

void Gate::remove_monitor(const Session& session) {
  std::erase(monitors_, session.id());
  send_shown();
  give_up_monitor();
}

void Gate::give_up_monitor() {
  if (monitors_.empty()) scripts_.stop();
  worker_.process().board(worker_.index()).monitors.fetch_sub(1, std::memory_order_relaxed);
  update_all_gates(worker_);
}

}  // namespace corral::core
