// What tells upstream connections to one node apart: the version of RESP that is spoken, the database that is used, and
// whether the node tracks what is read over it (https://redis.io/docs/manual/client-side-caching).
#pragma once

#include <compare>
#include <cstdint>

namespace corral::core {

/// Of which of the keys that are read over a connection its node tells when they change.
enum class Tracking : uint8_t {
  kNone,
  kAll,        // for clients that asked for it (CLIENT TRACKING)
  kOptIn,      // of those that are read right behind a CLIENT CACHING YES: for the near cache
  kNoLoop,     // likewise for clients, but not when the connection's own commands change them (NOLOOP)
  kBroadcast,  // of all with certain prefixes, read or not (BCAST), but for the connection's own changes
};

/// For clients, that is: what the node tells is for tracking_clients.h.
constexpr bool is_for_clients(Tracking tracking) { return tracking != Tracking::kNone && tracking != Tracking::kOptIn; }

/// What clients a link can serve: those that speak its RESP version, use its database and want its tracking.
class LinkKind {
 public:
  static constexpr uint16_t kMostDatabases = 1u << 15;

  constexpr LinkKind() = default;
  constexpr LinkKind(int resp, uint16_t database, Tracking tracking = Tracking::kNone)
      : value_(database * 16u + static_cast<uint32_t>(tracking) * 2u + (resp == 3 ? 1u : 0u)) {}
  constexpr int resp() const { return value_ & 1 ? 3 : 2; }
  constexpr uint16_t database() const { return static_cast<uint16_t>(value_ >> 4); }
  constexpr Tracking tracking() const { return static_cast<Tracking>(value_ >> 1 & 7); }
  constexpr uint32_t index() const { return value_; }  // small: sixteen for each database
  /// RESP2 knows no pushes: what the node tells goes to another connection (tracking_targets.h).
  constexpr bool redirects() const { return resp() == 2 && is_for_clients(tracking()); }
  constexpr auto operator<=>(const LinkKind&) const = default;

 private:
  uint32_t value_ = 0;
};

}  // namespace corral::core
