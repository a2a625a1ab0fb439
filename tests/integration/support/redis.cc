#include "redis.h"

#include <signal.h>

#include <algorithm>

namespace corral::test {

RedisServer::RedisServer(bool cluster, std::vector<std::string> settings)
    : cluster_(cluster), settings_(std::move(settings)) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    port_ = std::make_unique<Port>();
    bus_ = std::make_unique<Port>();
    tls_ = std::make_unique<Port>();
    if (try_to_start()) return;
  }
  throw std::runtime_error("redis-server does not start: " + process_->output());
}

int64_t RedisServer::info_number(const std::string& field) {
  const std::string value = info_field(command("INFO", "everything").text, field);
  return value.empty() ? -1 : std::stoll(value);
}

void RedisServer::kill() {
  client_.reset();
  process_->signal(SIGKILL);
  require_eventually("a killed redis-server is gone", [&] { return !process_->running(); });
}

void RedisServer::pause() { process_->signal(SIGSTOP); }

void RedisServer::resume() { process_->signal(SIGCONT); }

void RedisServer::restart() {
  if (running()) kill();
  require_eventually("redis-server is back on its port", [&] { return try_to_start(); });
}

bool RedisServer::try_to_start() {
  std::vector<std::string> argv = {"redis-server", "--port", std::to_string(port()), "--bind", "127.0.0.1"};
  argv.insert(argv.end(), {"--save", "", "--appendonly", "no", "--dir", dir_.path().string(), "--daemonize", "no"});
  argv.insert(argv.end(), {"--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"});
  if (cluster_) {
    argv.insert(argv.end(), {"--cluster-enabled", "yes", "--cluster-port", std::to_string(bus_port())});
  }
  argv.insert(argv.end(), settings_.begin(), settings_.end());
  if (std::ranges::find(settings_, "--tls-cert-file") != settings_.end()) {
    argv.insert(argv.end(), {"--tls-port", std::to_string(tls_port())});
  }
  client_.reset();
  process_.reset();
  process_ = std::make_unique<Process>(argv, dir_.path() / "log");
  return eventually([&] { return !process_->running() || answers(); }) && process_->running();
}

bool RedisServer::answers() {
  try {
    Client client(port(), milliseconds(1000));
    return client.command("PING") == Reply::status("PONG");
  } catch (const std::runtime_error&) {
    return false;
  }
}

Reply RedisServer::run_command(const Args& args) {
  if (client_) {
    try {
      return client_->command(args);
    } catch (const Disconnected&) {
      client_.reset();
    }
  }
  client_ = std::make_unique<Client>(port());
  return client_->command(args);
}

std::string info_field(const std::string& text, const std::string& name) {
  const size_t line = ("\n" + text).find("\n" + name + ":");
  if (line == std::string::npos) return {};
  const size_t value = line + name.size() + 1;
  return text.substr(value, text.find_first_of("\r\n", value) - value);
}

}  // namespace corral::test
