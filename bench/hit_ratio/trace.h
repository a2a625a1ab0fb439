// A recorded sequence of requests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace corral::bench {

struct Trace {
  std::vector<uint32_t> keys;  // one a request, numbered from 0 on in the order they first come
  uint32_t distinct = 0;
};

/// Reads NAME.xz (32 bits a request, in any byte order, since only equality counts) or NAME.gz (a number a line)
/// through xz or gzip. Ends the program if that fails.
Trace read_trace(const std::string& path);

}  // namespace corral::bench
