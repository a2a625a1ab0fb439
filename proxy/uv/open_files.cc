#include "proxy/uv/open_files.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>

namespace corral::uv {

namespace {

constexpr rlim_t kSpareFiles = 256;  // beside the clients': nodes, listeners, the log

// Allows as many open files as max_clients needs, as far as the system lets us. A client that is blocked has an
// upstream connection of its own.
rlim_t raise_file_limit(rlim_t wanted) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;
  rlimit raised{wanted, std::max(limit.rlim_max, wanted)};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
  raised = {std::min(wanted, limit.rlim_max), limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &raised);
  return raised.rlim_cur;
}

}  // namespace

// No more clients than there are files for, or there would be none for the nodes. (Redis: server.c,
// adjustOpenFilesLimit.)
config::Settings with_files(config::Settings settings) {
  uint32_t& clients = settings.server.max_clients;
  const rlim_t wanted = rlim_t{clients} * 2 + kSpareFiles, allowed = raise_file_limit(wanted);
  if (allowed >= wanted) return settings;
  spdlog::warn("{} open files are allowed; max_clients = {} may need {}, two for each client that is blocked", allowed,
               clients, wanted);
  if (allowed >= clients + kSpareFiles) return settings;
  clients = static_cast<uint32_t>(allowed > kSpareFiles ? allowed - kSpareFiles : 1);
  spdlog::warn("max_clients is {} until more open files are allowed", clients);
  return settings;
}

}  // namespace corral::uv
