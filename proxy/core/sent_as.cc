// Commands that go to the nodes under another name, so that they do the same in a better way: the client sees no
// difference, and what Corral tells of itself (MONITOR, CLIENT LIST, commandstats) calls them what the client did.
#include <string>

#include "proxy/core/handlers.h"
#include "proxy/core/worker.h"

namespace corral::core {

std::string_view name_as_sent(Worker& worker, const resp::CommandSpec& spec) {
  const std::string_view name = worker.policies().sent_as(spec);
  if (!name.empty()) worker.process().server_stats().count_call(worker.index(), spec, false);
  return name;
}

// The name is the first argument: behind the line that says how many there are, and the one that says how long it is.
std::string_view as_sent(Worker& worker, std::string_view bytes, const resp::CommandSpec& spec) {
  const std::string_view name = name_as_sent(worker, spec);
  if (name.empty()) [[likely]]
    return bytes;
  const size_t count_end = bytes.find('\n') + 1;
  const size_t name_at = bytes.find('\n', count_end) + 1;
  std::string& text = worker.scratch_text();
  text.assign(bytes.substr(0, count_end));
  text += '$';
  text += std::to_string(name.size());
  text += "\r\n";
  text += name;
  text += bytes.substr(name_at + spec.name.size());
  return text;
}

}  // namespace corral::core
