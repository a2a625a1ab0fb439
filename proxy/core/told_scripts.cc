#include "proxy/core/told_scripts.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proxy/core/handlers.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr size_t kMostTold = 10'000;  // forgetting costs one more SCRIPT LOAD each

}  // namespace

std::vector<std::shared_ptr<const std::string>> ToldScripts::missing(Worker& worker, std::string_view bytes,
                                                                     bool again) {
  std::vector<std::shared_ptr<const std::string>> bodies;
  const uint64_t generation = worker.process().scripts().generation();
  if (generation != generation_ || told_.size() > kMostTold) told_.clear();
  generation_ = generation;
  while (scanner_.scan(bytes.data(), bytes.size(), {}) == resp::ScanStatus::kFrame) {
    const resp::Command command = scanner_.command(bytes.data());
    bytes.remove_prefix(scanner_.consumed());
    const resp::CommandSpec* spec = command.argc() < 2 ? nullptr : find_spec(worker, command);
    if (!spec || spec->action != resp::Action::kEvalSha) continue;
    const uint64_t hash = XXH3_64bits(command.arg(1).data(), command.arg(1).size());
    if (told_.contains(hash) && !again) continue;
    auto body = script_of(worker, command);
    if (!body) continue;
    told_.insert(hash);
    bodies.push_back(std::move(body));
  }
  scanner_.reset();
  return bodies;
}

}  // namespace corral::core
