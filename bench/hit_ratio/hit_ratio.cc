// Replays traces through the near cache's eviction policy and through others, and prints how many requests hit, in
// percent. OPT is the most that any policy could. Corral/256 has entries of 256 bytes and pays for what it remembers of
// evicted ones out of the same memory; in the other columns only entries count.
//
//   corral_hit_ratio [--percent P[,P...]] [TRACE...]
//
// P is the size of the cache in percent of the trace's distinct keys; 1 and 10 if not given. TRACE ends in .xz (32 bits
// a request) or in .gz (a number a line); without any it is those of ../shared/traces, beside the repository.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "policies.h"
#include "trace.h"

namespace {

using corral::bench::Trace;

std::vector<double> percents_of(const char* list) {
  std::vector<double> percents;
  char* rest = nullptr;
  do {
    percents.push_back(std::strtod(list, &rest));
    list = rest + 1;
  } while (*rest == ',');
  return percents;
}

std::vector<std::string> default_traces() {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(CORRAL_TRACES, error)) paths.push_back(file.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

void print_line(const std::string& name, const Trace& trace, double percent) {
  const size_t entries = std::max<size_t>(2, static_cast<size_t>(trace.distinct * percent / 100));
  std::printf("%-12s %9zu %9u %6g%% %8zu", name.c_str(), trace.keys.size(), trace.distinct, percent, entries);
  for (const auto hits_of : {corral::bench::hits_of_lru, corral::bench::hits_of_s3_fifo, corral::bench::hits_of_corral,
                             corral::bench::hits_of_corral_256, corral::bench::hits_of_opt}) {
    std::printf(" %8.2f",
                100.0 * static_cast<double>(hits_of(trace, entries)) / static_cast<double>(trace.keys.size()));
    std::fflush(stdout);
  }
  std::puts("");
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<double> percents = {1, 10};
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--percent" && i + 1 < argc) {
      percents = percents_of(argv[++i]);
    } else if (argument.starts_with("-")) {
      std::fprintf(stderr, "usage: corral_hit_ratio [--percent P[,P...]] [TRACE...]\n");
      return 2;
    } else {
      paths.push_back(argument);
    }
  }
  if (paths.empty()) paths = default_traces();
  if (paths.empty()) {
    std::fprintf(stderr, "corral_hit_ratio: no traces in %s\n", CORRAL_TRACES);
    return 1;
  }
  std::printf("%-12s %9s %9s %7s %8s %8s %8s %8s %10s %8s\n", "trace", "requests", "keys", "size", "entries", "LRU",
              "S3-FIFO", "Corral", "Corral/256", "OPT");
  for (const std::string& path : paths) {
    const Trace trace = corral::bench::read_trace(path);
    const std::string file = std::filesystem::path(path).filename();
    for (const double percent : percents) print_line(file.substr(0, file.find('.')), trace, percent);
  }
  return 0;
}
