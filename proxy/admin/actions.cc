#include "proxy/admin/actions.h"

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "proxy/admin/json.h"
#include "proxy/core/purge.h"
#include "proxy/core/worker.h"

namespace corral::admin {

namespace {

constexpr std::chrono::seconds kPatience{5};
constexpr size_t kMostGlobBytes = 1024;

Outcome error(int status, const std::string& why) {
  JsonWriter json;
  return {status, json.begin_object().field("error", why).end_object().take()};
}

// Runs `start` on a worker with what it is to tell its result to, and waits for that.
template <class Result, class Start>
std::optional<Result> ask_worker(const Post& post, Start start) {
  // Who is late tells it to nobody.
  const auto promise = std::make_shared<std::promise<Result>>();
  std::future<Result> future = promise->get_future();
  post(0, [promise, start = std::move(start)](core::Worker& worker) {
    start(worker, [promise](Result result) { promise->set_value(std::move(result)); });
  });
  if (future.wait_for(kPatience) != std::future_status::ready) return {};
  return future.get();
}

}  // namespace

Outcome purge(const Post& post, const std::string& glob) {
  if (glob.empty() || glob.size() > kMostGlobBytes) return error(400, "the body must be a glob, as user:*");
  const auto purged = ask_worker<uint64_t>(
      post, [glob](core::Worker& worker, auto done) { core::purge_near_cache(worker, glob, std::move(done)); });
  if (!purged) return error(504, "it is still under way");
  JsonWriter json;
  return {200, json.begin_object().field("purged", *purged).end_object().take()};
}

Outcome reload(const Post& post) {
  const auto why_not = ask_worker<std::string>(
      post, [](core::Worker& worker, auto done) { worker.transport().reload(std::move(done)); });
  if (!why_not) return error(504, "it is still under way");
  if (!why_not->empty()) return error(422, *why_not);
  JsonWriter json;
  return {200, json.begin_object().field("reloaded", true).end_object().take()};
}

}  // namespace corral::admin
