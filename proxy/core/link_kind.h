// What tells upstream connections to one node apart: the version of RESP that is spoken and the database that is used.
#pragma once

#include <compare>
#include <cstdint>

namespace corral::core {

/// What clients a link can serve: those that speak its RESP version and use its database.
class LinkKind {
 public:
  static constexpr uint16_t kMostDatabases = 1u << 15;

  constexpr LinkKind() = default;
  constexpr LinkKind(int resp, uint16_t database)
      : value_(static_cast<uint16_t>(database * 2u + (resp == 3 ? 1u : 0u))) {}
  constexpr int resp() const { return value_ & 1 ? 3 : 2; }
  constexpr uint16_t database() const { return static_cast<uint16_t>(value_ >> 1); }
  constexpr uint16_t index() const { return value_; }  // dense: RESP2 and RESP3 of database 0, of 1 ...
  constexpr auto operator<=>(const LinkKind&) const = default;

 private:
  uint16_t value_ = 0;
};

}  // namespace corral::core
