#include "proxy/admin/actions.h"

#include <chrono>
#include <future>
#include <memory>

#include "proxy/core/near_purge.h"
#include "proxy/core/worker.h"

namespace corral::admin {

namespace {

constexpr std::chrono::seconds kPatience{10};

}  // namespace

std::string Actions::reload() const {
  const auto done = std::make_shared<std::promise<std::string>>();
  auto outcome = done->get_future();
  post_(0, [done](core::Worker& worker) {
    worker.transport().reload([done](const std::string& error) { done->set_value(error); });
  });
  if (outcome.wait_for(kPatience) != std::future_status::ready) return "it takes too long";
  return outcome.get();
}

std::optional<size_t> Actions::purge(const std::string& glob) const {
  const auto done = std::make_shared<std::promise<size_t>>();
  auto outcome = done->get_future();
  post_(0, [done, glob](core::Worker& worker) {
    core::purge_near_cache(worker, glob, [done](size_t purged) { done->set_value(purged); });
  });
  if (outcome.wait_for(kPatience) != std::future_status::ready) return std::nullopt;
  return outcome.get();
}

}  // namespace corral::admin
