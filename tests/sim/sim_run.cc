// The simulator from the command line: replays seeds, or does a long run over all scenarios with all cores.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "sim_runs.h"

namespace corral::sim {
namespace {

struct Progress {
  uint64_t seed = 0;  // that a job is at: it may crash
};

constexpr const char* kHelp =
    "run [--scenario NAME] [--trace] SEED...      replays seeds, in all scenarios if none is named\n"
    "run [--scenario NAME] [--from N] [--jobs N] [--first] --seeds N\n"
    "                                             a long run: so many seeds, the scenarios in turns; --first ends it\n"
    "                                             with the first violation of each job\n"
    "run --list                                   the scenarios\n";

struct Options {
  std::string scenario;
  bool trace = false, first = false;
  uint64_t count = 0, from = 1;
  uint64_t jobs = std::max(1u, std::thread::hardware_concurrency());
  std::vector<uint64_t> seeds;
};

std::vector<Scenario> chosen(const Options& options) {
  std::vector<Scenario> found;
  for (const Scenario& each : all_scenarios()) {
    if (options.scenario.empty() || options.scenario == each.name) found.push_back(each);
  }
  if (found.empty()) {
    std::fprintf(stderr, "there is no scenario %s\n", options.scenario.c_str());
    std::exit(2);
  }
  return found;
}

// Tells at once of what has been found since there were `told`.
void report(const Sum& sum, size_t told) {
  for (; told < sum.failures.size(); ++told) std::printf("VIOLATION %s\n", sum.failures[told].c_str());
  std::fflush(stdout);
}

int replay(const Options& options) {
  Sum sum;
  for (const Scenario& scenario : chosen(options)) {
    for (const uint64_t seed : options.seeds) {
      if (options.trace) print_trace(run_traced(scenario, seed), SIZE_MAX);
      run_seed(scenario, seed, true, sum);
    }
  }
  print_sum("replayed", sum);
  report(sum, 0);
  return sum.failures.empty() ? 0 : 1;
}

// Every `jobs`th seed; those that fail do not end it, but are enough after a while.
int run_share(const Options& options, uint64_t job, Progress& progress) {
  const size_t enough = options.first ? 1 : 10;
  constexpr uint64_t kRepeatedEvery = 16;  // so many seeds one is run twice, to compare
  Sum sum;
  const std::vector<Scenario> scenarios = chosen(options);
  for (uint64_t i = job; i < options.count && sum.failures.size() < enough; i += options.jobs) {
    const uint64_t seed = progress.seed = options.from + i;
    const size_t told = sum.failures.size();
    run_seed(scenarios[seed % scenarios.size()], seed, (i / options.jobs) % kRepeatedEvery == 0, sum);
    report(sum, told);
  }
  print_sum("job " + std::to_string(job), sum);
  std::fflush(stdout);
  return sum.failures.empty() ? 0 : 1;
}

int run_long(const Options& options) {
  const auto begun = std::chrono::steady_clock::now();
  void* shared =
      mmap(nullptr, options.jobs * sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 2;
  auto* progress = static_cast<Progress*>(shared);
  std::fflush(stdout);
  std::vector<pid_t> children;
  for (uint64_t job = 0; job < options.jobs; ++job) {
    const pid_t child = fork();
    if (child < 0) return 2;
    if (child == 0) std::exit(run_share(options, job, progress[job]));
    children.push_back(child);
  }
  bool failed = false;
  for (size_t job = 0; job < children.size(); ++job) {
    int status = 0;
    failed = waitpid(children[job], &status, 0) < 0 || status != 0 || failed;
    if (!WIFSIGNALED(status)) continue;
    const auto scenarios = chosen(options);
    std::printf("CRASH %s, seed %llu: signal %d\n", scenarios[progress[job].seed % scenarios.size()].name.c_str(),
                static_cast<unsigned long long>(progress[job].seed), WTERMSIG(status));
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  std::printf("%llu seeds in %.1f s: %s\n", static_cast<unsigned long long>(options.count), took.count(),
              failed ? "VIOLATIONS" : "no violation");
  return failed ? 1 : 0;
}

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (word == "--trace") {
      options.trace = true;
    } else if (word == "--first") {
      options.first = true;
    } else if (word == "--scenario" && i + 1 < argc) {
      options.scenario = argv[++i];
    } else if (word == "--seeds") {
      options.count = number();
    } else if (word == "--from") {
      options.from = number();
    } else if (word == "--jobs") {
      options.jobs = std::max<uint64_t>(1, number());
    } else if (word == "--list") {
      for (const Scenario& each : all_scenarios()) std::printf("%s\n", each.name.c_str());
      return 0;
    } else if (!word.empty() && word.find_first_not_of("0123456789") == std::string::npos) {
      options.seeds.push_back(std::strtoull(word.c_str(), nullptr, 10));
    } else {
      std::fputs(kHelp, word == "--help" ? stdout : stderr);
      return word == "--help" ? 0 : 2;
    }
  }
  if (options.count > 0) return run_long(options);
  if (!options.seeds.empty()) return replay(options);
  std::fputs(kHelp, stderr);
  return 2;
}

}  // namespace
}  // namespace corral::sim

int main(int argc, char** argv) { return corral::sim::run(argc, argv); }
