#include "proxy/core/breaker.h"

#include "proxy/core/backoff.h"

namespace corral::core {

void Breaker::open(uint32_t now_ms, uint64_t random) {
  state_ = State::kOpen;
  probe_at_ms_ = now_ms + full_jitter_ms(kFirstProbeMs, kMostProbeMs, probes_++, random);
}

}  // namespace corral::core
