#include "proxy/core/parsed_request.h"

#include <algorithm>

#include "resp/ascii.h"

namespace corral::core {

ParsedRequest::ParsedRequest(Worker& worker, std::string_view bytes) {
  if (scanner_.scan(bytes.data(), bytes.size(), resp::RequestLimits{}) != resp::ScanStatus::kFrame) return;
  command_ = scanner_.command(bytes.data());
  if (command_.argc() > 0) spec_ = find_spec(worker, command_);
}

std::vector<std::string_view> ParsedRequest::keys() const {
  std::vector<uint32_t> indexes;
  std::vector<std::string_view> keys;
  if (!spec_ || !resp::find_keys(*spec_, command_, indexes)) return keys;
  for (const uint32_t index : indexes) keys.push_back(command_.arg(index));
  return keys;
}

const resp::CommandSpec* find_spec(Worker& worker, const resp::Command& command) {
  const resp::CommandSpec* spec = resp::find_command(command.arg(0));
  if (!spec) {
    bool known;
    const std::string name = resp::lower_case(command.arg(0));
    spec = worker.process().unlisted(name, worker.transport().wall_clock_us(), known);
  }
  if (!spec || spec->subcommands.empty() || command.argc() < 2) return spec;
  return resp::find_subcommand(*spec, command.arg(1));
}

bool share_key(Worker& worker, std::string_view a, std::string_view b) {
  const ParsedRequest first(worker, a), second(worker, b);
  const auto keys = first.keys(), others = second.keys();
  if (keys.empty() || others.empty()) return true;
  return std::any_of(keys.begin(), keys.end(), [&](std::string_view key) {
    return std::find(others.begin(), others.end(), key) != others.end();
  });
}

}  // namespace corral::core
