// See conflict.h.
#include "config/conflict.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/schema.h"
#include "config/units.h"

namespace corral::config {
namespace {

std::optional<Conflict> find_admin_conflict(const ServerSettings& server) {
  const auto address = parse_address(server.admin);
  if (!address || address->is_loopback() || !server.admin_token.empty()) return {};
  return Conflict{
      "server", "admin",
      fmt::format("server.admin is \"{}\", which other machines may reach, and server.admin_token is not set; "
                  "it must be set, or the address one of loopback",
                  server.admin)};
}

std::optional<Conflict> in_upstream(std::string_view key, std::string what) {
  return Conflict{"upstream", key, fmt::format("upstream.{} {}", key, what)};
}

std::string only_for_sentinel(const UpstreamSettings& upstream) {
  return fmt::format("is set and upstream.mode is \"{}\"; it goes with \"sentinel\" only", upstream.mode);
}

std::optional<Conflict> find_login_conflict(const UpstreamSettings& upstream) {
  if (!upstream.username.empty() && upstream.password.empty()) {
    return in_upstream("username", "is set and upstream.password is not; a login needs both");
  }
  if (!upstream.sentinel_username.empty() && upstream.sentinel_password.empty()) {
    return in_upstream("sentinel_username", "is set and upstream.sentinel_password is not; a login needs both");
  }
  return {};
}

std::optional<Conflict> find_sentinel_conflict(const UpstreamSettings& upstream) {
  if (upstream.mode == "sentinel") {
    if (!upstream.master.empty()) return {};
    return in_upstream("mode",
                       "is \"sentinel\" and upstream.master is not set; it must name the master as the sentinels do");
  }
  if (!upstream.master.empty()) return in_upstream("master", only_for_sentinel(upstream));
  if (!upstream.sentinel_username.empty()) return in_upstream("sentinel_username", only_for_sentinel(upstream));
  if (!upstream.sentinel_password.empty()) return in_upstream("sentinel_password", only_for_sentinel(upstream));
  return {};
}

std::optional<Conflict> find_server_tls_conflict(const ServerSettings& server) {
  const auto tls_address = std::ranges::find_if(server.listen, [](const Address& address) { return address.tls; });
  if (tls_address != server.listen.end() && !server.tls) {
    return Conflict{
        "server", "listen",
        fmt::format("server.listen has \"{}\" and there is no section [server.tls]; it must say cert and key",
                    format_address(*tls_address))};
  }
  if (!server.tls) return {};
  if (server.tls->cert.empty() || server.tls->key.empty()) {
    return Conflict{"server", "tls", "server.tls lacks cert or key; it must have both"};
  }
  if (server.tls->client_certificates != "none" && server.tls->ca.empty()) {
    return Conflict{
        kServerTls, "client_certificates",
        fmt::format("server.tls.client_certificates is \"{}\" and server.tls.ca is not set; it must say whose "
                    "certificates are accepted",
                    server.tls->client_certificates)};
  }
  if (server.tls->client_certificates == "none" && !server.tls->ca.empty()) {
    return Conflict{
        kServerTls, "ca",
        "server.tls.ca is set and server.tls.client_certificates is \"none\"; it goes with \"optional\" and "
        "\"required\" only"};
  }
  return {};
}

std::optional<Conflict> find_upstream_tls_conflict(const UpstreamSettings& upstream) {
  if (!upstream.tls || upstream.tls->cert.empty() == upstream.tls->key.empty()) return {};
  const bool lone_cert = upstream.tls->key.empty();
  return Conflict{kUpstreamTls, lone_cert ? "cert" : "key",
                  fmt::format("upstream.tls.{} is set and upstream.tls.{} is not; a certificate needs both",
                              lone_cert ? "cert" : "key", lone_cert ? "key" : "cert")};
}

}  // namespace

std::optional<Conflict> find_conflict(const Settings& settings) {
  const UpstreamSettings& upstream = settings.upstream;
  if (auto conflict = find_admin_conflict(settings.server)) return conflict;
  if (auto conflict = find_login_conflict(upstream)) return conflict;
  if (auto conflict = find_sentinel_conflict(upstream)) return conflict;
  if (auto conflict = find_server_tls_conflict(settings.server)) return conflict;
  if (auto conflict = find_upstream_tls_conflict(upstream)) return conflict;
  if (upstream.mode == "standalone" && upstream.seeds.size() > 1) {
    return in_upstream("seeds",
                       fmt::format("has {} addresses and upstream.mode is \"standalone\"; it must be one server",
                                   upstream.seeds.size()));
  }
  return {};
}

}  // namespace corral::config
