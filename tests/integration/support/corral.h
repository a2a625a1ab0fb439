// The program under test: started on a free port, watched through /proc, its log shown when the test failed.
//
// The binary is the build's own; CORRAL_BINARY in the environment names another one that takes the same flags.
#pragma once

#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client.h"
#include "process.h"

namespace corral::test {

struct CorralOptions {
  std::string upstream;  // HOST:PORT,HOST:PORT...
  int workers = 2;
  std::string settings = {};            // TOML of the settings file; the listen address and the above are flags
  std::vector<std::string> flags = {};  // more of them
  std::shared_ptr<Port> port = {};      // to share the address of another one; empty: a free port
  std::string admin = {};               // HOST:PORT; empty: no admin port
  bool wait_until_ready = true;         // until it answers PING
};

class Corral {
 public:
  explicit Corral(CorralOptions options);
  ~Corral();

  uint16_t port() const { return port_->number(); }
  std::shared_ptr<Port> shared_port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port()); }
  Client connect(milliseconds timeout = kPatience) const { return Client(port(), timeout); }

  void terminate() { process_->signal(SIGTERM); }
  void signal(int number) { process_->signal(number); }
  // The exit status once it has ended, as Process::wait.
  std::optional<int> wait_for_exit(milliseconds timeout = kPatience) { return process_->wait(timeout); }
  bool running() { return process_->running(); }
  pid_t pid() const { return process_->pid(); }
  uint64_t rss_bytes() const { return process_->rss_bytes(); }
  double cpu_seconds() const { return process_->cpu_seconds(); }
  std::string log() const { return process_->output(); }
  // A field of `# Corral` in INFO; -1 if it is not there.
  int64_t counter(const std::string& name) const;
  // Until keyed commands are served in every slot, which takes a moment after a start or a failure.
  void wait_until_serving(milliseconds timeout = kPatience) const;

 private:
  TempDir dir_;
  std::shared_ptr<Port> port_;
  std::unique_ptr<Process> process_;
};

// The program's path.
std::string corral_binary();

}  // namespace corral::test
