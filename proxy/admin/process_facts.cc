#include "proxy/admin/process_facts.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

namespace corral::admin {

namespace {

uint64_t count_open_files() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), closedir);
  uint64_t count = 0;
  while (folder && readdir(folder.get())) ++count;
  return count > 3 ? count - 3 : 0;  // ".", ".." and the folder itself
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

ProcessFacts process_facts() {
  ProcessFacts facts;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  facts.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  facts.most_files = limit.rlim_cur;
  facts.open_files = count_open_files();
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fopen("/proc/self/statm", "re"), fclose);
  unsigned long size = 0, resident = 0;
  if (file && fscanf(file.get(), "%lu %lu", &size, &resident) == 2) {
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    facts.virtual_bytes = size * page;
    facts.resident_bytes = resident * page;
  }
  return facts;
}

}  // namespace corral::admin
