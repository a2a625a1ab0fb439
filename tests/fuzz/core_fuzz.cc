// The whole core, fed with what clients send and what nodes say. Whatever that is: clients get whole replies, and no
// more than they have asked for; what is held stays within the limits; and when all clients have gone nothing is left.
//
// The input is a recipe (its first two bytes) and steps. A step is the byte FF, which no other byte of it may be, what
// is done, by whom, and the bytes that go with it:
//   c client sends          n node says these bytes         t time passes
//   e client ends           a node answers, with flavours   x connection to a node ends
//   r client reads so much  w node reads so much
// So a mutation in one step leaves the others as they are.
#include <string_view>

#include "core_world.h"
#include "fuzz_input.h"

namespace corral::fuzz {
namespace {

constexpr size_t kMostSteps = 48;
constexpr uint32_t kMostMs = 20'000;  // of virtual time, in all
constexpr char kStep = '\xFF';

/// Bits of the recipe.
enum Recipe : uint8_t {
  kAnswering = 1,  // nodes answer by themselves
  kRules = 2,
  kFleet = 4,    // of the rules: leases for all proxies
  kUsers = 8,    // who has not authenticated may do nothing, and bob not much
  kTwo = 16,     // workers
  kReject = 32,  // of the rules: writes without a TTL
};

/// The recipe's upper two bits.
enum class Upstream : uint8_t { kCluster, kTellingCluster, kStandalone, kSentinel };

Upstream upstream_of(uint8_t recipe) { return static_cast<Upstream>(recipe >> 6); }

config::LimitSettings small_limits() {
  config::LimitSettings limits;
  limits.client_output_bytes = limits.subscriber_output_bytes = 64 << 10;
  limits.inflight_bytes = limits.query_buffer_bytes = limits.transaction_bytes = 64 << 10;
  limits.reply_bytes = 128 << 10;
  limits.client_pipeline = 32;
  limits.keys_reply = 100;
  limits.subscriptions = 16;
  limits.arguments = 64;
  limits.command_time_ms = 3000;
  limits.auth_timeout_ms = 2000;
  return limits;
}

std::vector<config::RuleSettings> rules_of(uint8_t recipe) {
  config::RuleSettings all{.name = "all", .match = {"b*", "{bar}*", "f*"}, .ttl = {}};
  all.ttl = config::TtlSettings{.max_ms = 60'000, .mode = (recipe & kReject) ? "reject" : "enforce"};
  all.near_cache = config::NearSettings{};
  all.stampede = config::StampedeSettings{.lease_ms = 1000,
                                          .wait_shared_ms = 20,
                                          .stale_while_revalidate_ms = 2000,
                                          .early_refresh = 1.0,
                                          .scope = (recipe & kFleet) ? "cluster" : "proxy"};
  all.on_upstream_error = "stale";
  all.stale_if_error_ms = config::kStaleIfErrorMs;
  config::RuleSettings near{.name = "near", .match = {"h*"}, .ttl = {}, .near_cache = config::NearSettings{}};
  return {all, near};
}

config::Settings settings_of(uint8_t recipe) {
  config::Settings settings;
  settings.limits = small_limits();
  settings.near_cache.memory_bytes = 1 << 20;
  settings.upstream.seeds = {kNodeA, kNodeB};
  settings.upstream.request_timeout_ms = settings.upstream.connect_timeout_ms = 500;
  if (upstream_of(recipe) == Upstream::kStandalone) settings.upstream.mode = "standalone";
  if (upstream_of(recipe) == Upstream::kSentinel) {
    settings.upstream.mode = "sentinel";
    settings.upstream.master = "mymaster";
  }
  if (recipe & kUsers) {
    settings.server.users = {"user default off", "user bob on nopass +@read +@connection +subscribe ~b* ~f* &a*",
                             "user root on nopass +@all ~* &*"};
  }
  if (recipe & kRules) settings.rules = rules_of(recipe);
  return settings;
}

uint32_t time_of(std::string_view bytes) {
  const uint32_t first = bytes.empty() ? 10 : static_cast<uint8_t>(bytes[0]);
  return first < 128 ? first : (first - 127) * 50;
}

void step(World& world, std::string_view step, uint32_t& passed_ms) {
  if (step.size() < 2) return;
  const auto who = static_cast<uint8_t>(step[1]);
  const std::string_view bytes = step.substr(2);
  const World::End how = bytes.empty() ? World::End::kFinish : World::End::kReset;
  const size_t room = bytes.empty() ? SIZE_MAX : static_cast<uint8_t>(bytes[0]) * 16u;
  switch (step[0]) {
    case 'c':
      return world.client_sends(who, bytes);
    case 'n':
      return world.node_says(who, bytes);
    case 'a':
      return world.node_answers(who, bytes);
    case 'e':
      return world.client_ends(who, how);
    case 'x':
      return world.node_ends(who, how);
    case 'r':
      return world.client_reads(who, room);
    case 'w':
      return world.node_reads(who, room);
    case 't':
      break;
    default:
      return;
  }
  const uint32_t ms = std::min(time_of(step.substr(1)), kMostMs - passed_ms);
  passed_ms += ms;
  world.pass(ms);
}

void run(const uint8_t* data, size_t size) {
  const uint8_t recipe = size > 0 ? data[0] : 0;
  const FuzzInput input(data, size);
  std::string_view rest = input.bytes();
  World world(settings_of(recipe), {.workers = (recipe & kTwo) ? 2u : 1u,
                                    .seed = size > 1 ? data[1] : 0u,
                                    .answering = (recipe & kAnswering) != 0,
                                    .tells_topology = upstream_of(recipe) == Upstream::kTellingCluster});
  uint32_t passed_ms = 0;
  for (size_t steps = 0; steps < kMostSteps && !rest.empty(); ++steps) {
    const size_t begin = rest.find(kStep);
    if (begin == rest.npos) break;
    rest.remove_prefix(begin + 1);
    step(world, rest.substr(0, rest.find(kStep)), passed_ms);
    world.check_bounds();
  }
  world.end_all();
}

}  // namespace
}  // namespace corral::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  corral::fuzz::run(data, size);
  return 0;
}
