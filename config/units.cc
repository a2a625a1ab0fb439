// See units.h.
#include "config/units.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>

namespace corral::config {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr std::array<Unit, 5> kDurationUnits = {
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 4> kSizeUnits = {{{"B", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}}};

template <size_t N>
std::optional<uint64_t> parse_quantity(std::string_view text, const std::array<Unit, N>& units) {
  uint64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit_name(rest, static_cast<size_t>(text.data() + text.size() - rest));
  for (const Unit& unit : units) {
    if (unit.name != unit_name) continue;
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

// `zero_unit` is the place in `units` of the unit that zero is written in.
template <size_t N>
std::string format_quantity(uint64_t value, const std::array<Unit, N>& units, size_t zero_unit) {
  if (value == 0) return fmt::format("0{}", units[zero_unit].name);
  for (size_t i = N; i-- > 1;) {
    if (value % units[i].factor == 0) return fmt::format("{}{}", value / units[i].factor, units[i].name);
  }
  return fmt::format("{}{}", value, units[0].name);
}

std::optional<Address> parse_unix_path(std::string_view path) {
  const bool fits = path.size() < sizeof(sockaddr_un::sun_path);
  const bool plain = std::none_of(path.begin(), path.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (path.size() < 2 || path.front() != '/' || path.back() == '/' || !fits || !plain) return std::nullopt;
  return Address{std::string(path), 0};
}

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || rest != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::optional<std::string> parse_v6(const std::string& text) {
  in6_addr binary{};
  if (inet_pton(AF_INET6, text.c_str(), &binary) != 1) return std::nullopt;
  char shortest[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, &binary, shortest, sizeof shortest);
  return shortest;
}

// A name, or an IPv4 address: what is made of digits and dots only must be an address.
bool is_host(const std::string& host) {
  if (host.empty() || host.size() > 253) return false;
  if (host.find_first_not_of("0123456789.") == std::string::npos) {
    in_addr binary{};
    return inet_pton(AF_INET, host.c_str(), &binary) == 1;
  }
  const auto allowed = [](unsigned char c) { return isalnum(c) || c == '-' || c == '.' || c == '_'; };
  return std::all_of(host.begin(), host.end(), allowed) && isalnum(static_cast<unsigned char>(host.front()));
}

}  // namespace

std::optional<int64_t> parse_duration_ms(std::string_view text) {
  const auto value = parse_quantity(text, kDurationUnits);
  if (!value) return std::nullopt;
  return static_cast<int64_t>(*value);
}

std::string format_duration(int64_t ms) { return format_quantity(static_cast<uint64_t>(ms), kDurationUnits, 1); }

std::optional<uint64_t> parse_size(std::string_view text) { return parse_quantity(text, kSizeUnits); }

std::string format_size(uint64_t bytes) { return format_quantity(bytes, kSizeUnits, 0); }

constexpr std::string_view kTlsPrefix = "tls://";

std::optional<Address> parse_address(std::string_view text) {
  constexpr std::string_view kUnixPrefix = "unix:";
  if (text.starts_with(kUnixPrefix)) return parse_unix_path(text.substr(kUnixPrefix.size()));
  if (text.starts_with(kTlsPrefix)) {
    auto address = parse_address(text.substr(kTlsPrefix.size()));
    if (!address || address->is_unix() || address->tls) return std::nullopt;
    address->tls = true;
    return address;
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  const std::string host(text.substr(0, colon));
  if (!port) return std::nullopt;
  if (host.starts_with('[') && host.ends_with(']')) {
    const auto v6 = parse_v6(host.substr(1, host.size() - 2));
    if (!v6) return std::nullopt;
    return Address{*v6, *port};
  }
  if (!is_host(host)) return std::nullopt;
  return Address{host, *port};
}

std::string format_address(const Address& address) {
  if (address.is_unix()) return fmt::format("unix:{}", address.host);
  const bool is_v6 = address.host.find(':') != std::string::npos;
  return fmt::format(fmt::runtime(is_v6 ? "{}[{}]:{}" : "{}{}:{}"), address.tls ? kTlsPrefix : "", address.host,
                     address.port);
}

}  // namespace corral::config
