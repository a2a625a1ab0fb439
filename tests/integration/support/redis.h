// A redis-server of the test's own: a free port of the loopback, no persistence, its own directory, gone with the test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client.h"
#include "process.h"

namespace corral::test {

class RedisServer {
 public:
  // `settings` are redis-server's own, as words of its command line: {"--maxmemory", "10mb"}.
  explicit RedisServer(bool cluster = false, std::vector<std::string> settings = {});

  uint16_t port() const { return port_->number(); }
  uint16_t bus_port() const { return bus_->number(); }
  // Speaks TLS, if the settings name a certificate (--tls-cert-file); the port above is plain all the same.
  uint16_t tls_port() const { return tls_->number(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port()); }
  Client connect() const { return Client(port()); }
  // One command over a connection that is kept, and made anew when it broke.
  template <class... Words>
  Reply command(const Words&... words) {
    return run_command(Args{to_arg(words)...});
  }
  // A number of INFO, such as "connected_clients"; -1 if it has no such field.
  int64_t info_number(const std::string& field);

  void kill();     // SIGKILL, and waits until it is gone
  void pause();    // SIGSTOP: connections stay open, nothing answers
  void resume();   // SIGCONT
  void restart();  // on the same ports and directory
  bool running() { return process_ && process_->running(); }
  Process& process() { return *process_; }

 private:
  void start();
  bool try_to_start();
  bool answers();
  Reply run_command(const Args& args);

  const bool cluster_;
  const std::vector<std::string> settings_;
  TempDir dir_;
  std::unique_ptr<Port> port_, bus_, tls_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Process> process_;  // last: ends before its directory goes
};

// The value of `name` in text of lines "name:value", as INFO and CLUSTER INFO answer; empty if it is not there.
std::string info_field(const std::string& text, const std::string& name);

}  // namespace corral::test
