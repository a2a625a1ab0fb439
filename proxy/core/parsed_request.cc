#include "proxy/core/parsed_request.h"

#include <algorithm>
#include <unordered_set>

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

namespace {

// The keys of a request, or of all the commands of a transaction; false if those of one cannot be told.
bool all_keys(Worker& worker, std::string_view bytes, std::unordered_set<std::string_view>& keys) {
  while (!bytes.empty()) {
    const ParsedRequest parsed(worker, bytes);
    if (parsed.command().argc() == 0) return false;
    bytes.remove_prefix(parsed.command().bytes().size());
    if (parsed.spec() && parsed.spec()->handling == resp::Handling::kTransaction) continue;
    const auto found = parsed.keys();
    if (found.empty()) return false;
    keys.insert(found.begin(), found.end());
  }
  return !keys.empty();
}

}  // namespace

bool share_key(Worker& worker, std::string_view a, std::string_view b) {
  std::unordered_set<std::string_view> keys, others;
  if (!all_keys(worker, a, keys) || !all_keys(worker, b, others)) return true;
  return std::any_of(keys.begin(), keys.end(), [&](std::string_view key) { return others.contains(key); });
}

}  // namespace corral::core
