// Caches that replay a trace: the near cache's own policy class, and what it is measured by. Each holds `entries` keys
// of one size, admits every miss, and tells how many requests hit.
#pragma once

#include <cstddef>

#include "trace.h"

namespace corral::bench {

/// policy::Eviction, the class that runs in production.
size_t hits_of_corral(const Trace& trace, size_t entries);
/// The same with no more memory than that many entries of 256 bytes: its ghosts come out of it, so fewer entries fit.
size_t hits_of_corral_256(const Trace& trace, size_t entries);
size_t hits_of_lru(const Trace& trace, size_t entries);
/// As the paper has it: a small queue of a tenth, as many ghosts as the main queue has entries.
size_t hits_of_s3_fifo(const Trace& trace, size_t entries);
/// Evicts what is needed last (Belady 1966): no policy can hit more often.
size_t hits_of_opt(const Trace& trace, size_t entries);

}  // namespace corral::bench
