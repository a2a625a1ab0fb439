#include "corral.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "cluster.h"
#include "env.h"

namespace corral::test {
namespace {

constexpr size_t kLogShown = 8000;  // bytes of its end

bool answers_ping(uint16_t port) {
  try {
    Client client(port, milliseconds(2000));
    const Reply reply = client.command("PING");
    return reply == Reply::status("PONG") || reply.is_error("NOAUTH") || reply.is_error("NOPERM");
  } catch (const std::runtime_error&) {
    return false;
  }
}

constexpr std::string_view kNearRule = "\n[[rule]]\nname = \"near\"\nmatch = [\"*\"]\nnear_cache = {}\n";

}  // namespace

std::string corral_binary() {
  if (const char* other = std::getenv("CORRAL_BINARY")) return other;
  return CORRAL_BINARY_PATH;
}

Corral::Corral(CorralOptions options) : port_(options.port ? options.port : std::make_shared<Port>()) {
  std::vector<std::string> argv = {corral_binary(), "--listen", address(), "--admin", options.admin};
  argv.insert(argv.end(), {"--workers", std::to_string(options.workers)});
  if (!options.upstream.empty()) argv.insert(argv.end(), {"--upstream", options.upstream});
  // Everything must hold with a near cache, too: its rule comes behind the test's own.
  if (from_environment("CORRAL_TEST_NEAR", 0) > 0) options.settings += kNearRule;
  if (!options.settings.empty()) {
    const auto file = dir_.path() / "corral.toml";
    std::ofstream(file) << options.settings;
    argv.insert(argv.end(), {"--config", file.string()});
  }
  argv.insert(argv.end(), options.flags.begin(), options.flags.end());
  process_ = std::make_unique<Process>(argv, dir_.path() / "log");
  if (!options.wait_until_ready) return;
  const bool ready = eventually([&] { return !running() || answers_ping(port()); });
  if (!ready || !running()) throw std::runtime_error(corral_binary() + " does not start: " + log());
}

Corral::~Corral() {
  if (!::testing::Test::HasFailure()) return;
  std::string text = log();
  if (text.size() > kLogShown) text = "...\n" + text.substr(text.size() - kLogShown);
  std::cout << "---- log of corral (" << (running() ? "running" : "ended") << ")\n" << text << "----\n";
}

int64_t Corral::counter(const std::string& name) const {
  const std::string value = info_field(connect().command("INFO", "corral").text, name);
  return value.empty() ? -1 : std::stoll(value);
}

void Corral::wait_until_serving(milliseconds timeout) const {
  Client client = connect(timeout);
  std::vector<Args> probes;
  for (int slot = 0; slot < kSlots; slot += kSlots / 32) probes.push_back({"EXISTS", tag_of_slot(slot)});
  const auto served = [](const Reply& reply) { return !reply.is_error(); };
  require_eventually(
      "corral serves all slots", [&] { return std::ranges::all_of(client.pipeline(probes), served); }, timeout);
}

}  // namespace corral::test
