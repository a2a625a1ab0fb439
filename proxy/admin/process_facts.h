// What the system says of this process.
#pragma once

#include <cstdint>

namespace corral::admin {

struct ProcessFacts {
  double cpu_seconds = 0;
  uint64_t resident_bytes = 0, virtual_bytes = 0;
  uint64_t open_files = 0, most_files = 0;
};

ProcessFacts process_facts();

}  // namespace corral::admin
