// What may come between a command and its handler: CLIENT PAUSE, which makes the clients of the whole process wait, and
// MONITOR, which watches what they send. One for each worker; as long as nobody pauses or watches, a command passes at
// the cost of one branch.
//
// What is in force is kept by the process (ClientPause, WorkerBoard::monitors); whoever changes it has every worker
// look at it (update()).
// Source: https://redis.io/commands/client-pause, https://redis.io/commands/monitor; Redis 7.0, server.c and
// replication.c.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/script_monitor.h"
#include "resp/command.h"
#include "resp/command_table.h"

namespace corral::core {

class Session;
class Worker;

/// What CLIENT PAUSE asked for.
struct ClientPause {
  enum class Kind : uint8_t { kNone, kWrites, kAll };
  Kind kind = Kind::kNone;
  uint64_t end_ms = 0;  // on the workers' clock
  /// Functions that were declared not to write. None can be added while writes are paused.
  std::shared_ptr<const std::set<std::string>> reading_functions;

  bool in_force(uint64_t now_ms) const { return kind != Kind::kNone && now_ms < end_ms; }
};

/// Redis: server.c, processCommand: a client that monitors is a replica of a kind.
inline bool forbidden_to_monitors(const resp::CommandSpec& spec) {
  return spec.may_write || spec.is(resp::kFlagReadOnly);
}

class Gate {
 public:
  explicit Gate(Worker& worker);

  bool busy() const { return state_ != 0; }
  /// False: the command has to wait, and the session is paused. Else it is about to be executed or refused.
  bool pass(Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  /// Clients of this worker that wait.
  uint32_t waiting() const;
  /// Takes over what is in force now.
  void update();

  /// Before the links are written to, so that a command is shown before what the script that it calls does.
  void send_shown();

  /// Has the masters show what scripts do, and calls `ready` when they will.
  void watch_scripts(std::function<void()> ready) { scripts_.watch_masters(std::move(ready)); }
  /// A session of this worker watches from now on.
  void add_monitor(Session& session);
  void remove_monitor(const Session& session);
  /// One that was counted on the process' board, but does not come to watch.
  void give_up_monitor();

 private:
  enum State : uint8_t { kPaused = 1, kWatched = 2 };

  bool must_wait(Session& session, const resp::Command& command, const resp::CommandSpec& spec) const;
  bool may_write(Session& session, const resp::Command& command, const resp::CommandSpec& spec) const;
  void resume_all();
  void show(const Session& session, const resp::Command& command, const resp::CommandSpec& spec);
  void show_transaction(Session& session);
  void keep_watching_scripts();
  void deliver(std::string_view lines);

  Worker& worker_;
  uint8_t state_ = 0;  // of State
  ClientPause pause_;
  uint64_t timer_at_ms_ = 0;        // 0: none is set
  std::vector<uint64_t> waiting_;   // ids of sessions
  std::vector<uint64_t> monitors_;  // likewise
  std::string shown_;               // lines for the monitors
  ScriptMonitor scripts_;
};

/// Every worker looks at what is in force.
void update_all_gates(Worker& home);

/// The line of MONITOR for a command, with its "+" and line end. What is secret in it is not shown.
std::string monitor_line(int64_t wall_us, std::string_view client, int database, const resp::Command& command,
                         const resp::CommandSpec& spec);
/// Whether a script says of itself, in its first line, that it does not write ("#!lua flags=no-writes").
bool declares_no_writes(std::string_view script);

}  // namespace corral::core
