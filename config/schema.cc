// See schema.h.
#include "config/schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "config/units.h"

namespace corral::config {
namespace {

constexpr int64_t kSecond = 1000, kHour = 3600 * kSecond, kDay = 24 * kHour;
constexpr int64_t kLongestTtl = 36'500 * kDay;
constexpr uint64_t kKiB = 1ull << 10, kMiB = 1ull << 20, kGiB = 1ull << 30;

constexpr std::array<std::string_view, 6> kLogLevels = {"trace", "debug", "info", "warn", "error", "off"};
constexpr std::array<std::string_view, 3> kUpstreamModes = {"cluster", "standalone", "sentinel"};
constexpr std::array<std::string_view, 3> kClientCertificates = {"none", "optional", "required"};
constexpr std::array<std::string_view, 2> kTlsVersions = {"1.2", "1.3"};
constexpr std::array<std::string_view, 2> kKeysChoices = {"scan", "deny"};
constexpr std::array<std::string_view, 2> kDelChoices = {"unlink", "del"};
constexpr std::array<std::string_view, 3> kTtlModes = {"enforce", "reject", "observe"};
constexpr std::array<std::string_view, 2> kScopes = {"proxy", "cluster"};
constexpr std::array<std::string_view, 3> kOnUpstreamError = {"error", "miss", "stale"};

// Finds a member of a section of the settings.
template <auto section, auto member>
auto& at(Settings& settings) {
  return settings.*section.*member;
}
template <auto member>
auto& server(Settings& settings) {
  return at<&Settings::server, member>(settings);
}
template <auto member>
auto& upstream(Settings& settings) {
  return at<&Settings::upstream, member>(settings);
}
// A section that is left out is there from when one of its members is asked for.
template <auto member>
auto& server_tls(Settings& settings) {
  auto& tls = settings.server.tls;
  return (tls ? *tls : tls.emplace()).*member;
}
template <auto member>
auto& upstream_tls(Settings& settings) {
  auto& tls = settings.upstream.tls;
  return (tls ? *tls : tls.emplace()).*member;
}
template <auto member>
auto& guard(Settings& settings) {
  return at<&Settings::guard, member>(settings);
}
template <auto member>
auto& near_cache(Settings& settings) {
  return at<&Settings::near_cache, member>(settings);
}
template <auto member>
auto& limits(Settings& settings) {
  return at<&Settings::limits, member>(settings);
}
template <auto member>
auto& rule(Settings& settings) {
  return settings.rules.back().*member;
}
template <auto member>
auto& ttl(Settings& settings) {
  return *settings.rules.back().ttl.*member;
}
template <auto member>
auto& near(Settings& settings) {
  return *settings.rules.back().near_cache.*member;
}
template <auto member>
auto& stampede(Settings& settings) {
  return *settings.rules.back().stampede.*member;
}
std::string& log_level(Settings& settings) { return settings.log_level; }
int64_t& slow_request(Settings& settings) { return settings.slow_request_ms; }

using Server = ServerSettings;
using Upstream = UpstreamSettings;
using ServerTls = ServerTlsSettings;
using UpstreamTls = UpstreamTlsSettings;
using Guard = GuardSettings;
using Limits = LimitSettings;
using Rule = RuleSettings;
using Ttl = TtlSettings;
using NearCache = NearCacheSettings;
using Near = NearSettings;
using Stampede = StampedeSettings;

const Field kFields[] = {
    {"server", "listen", "Where clients connect: one address, or a list of them.",
     AddressList{server<&Server::listen>, true}},
    {"server", "announce",
     "The address that CLUSTER commands tell, for NAT and containers; empty: the one that the client used.",
     OptionalAddress{server<&Server::announce>}},
    {"server", "admin", "Where the live page, metrics and health are, over HTTP; empty: nowhere.",
     OptionalAddress{server<&Server::admin>}},
    {"server", "admin_token",
     "What a request there must carry (Authorization: Bearer ...); empty: nothing, for loopback addresses only.",
     Text{server<&Server::admin_token>, true}},
    {"server", "workers", "Threads that serve clients; 0: one for each core.",
     WholeNumber{server<&Server::workers>, 0, 1024}},
    {"server", "max_clients", "Clients that may be connected at once.",
     WholeNumber{server<&Server::max_clients>, 1, 1'000'000}},
    {"server", "idle_timeout", "A client that is silent for so long is closed; \"0s\": never.",
     Duration{server<&Server::idle_timeout_ms>, 0, 365 * kDay}},
    {"server", "drain_timeout", "At a stop or a takeover: how long requests under way may still take.",
     Duration{server<&Server::drain_timeout_ms>, 0, kDay}},
    {"server", "users", "Who clients may be and what they may do then; without a line, \"default\" may do everything.",
     UserList{server<&Server::users>}, true},
    {"server", "protected_mode",
     "As long as the user \"default\" needs no password, and no line tells of it, clients must be of this machine.",
     Flag{server<&Server::protected_mode>}, true},

    {kServerTls, "cert", "The file with the certificate and those that it was signed with, its own first (PEM).",
     Text{server_tls<&ServerTls::cert>}, true},
    {kServerTls, "key", "The file with the certificate's private key (PEM, not encrypted).",
     Text{server_tls<&ServerTls::key>}, true},
    {kServerTls, "ca", "The file with the authorities that clients' certificates must be from (PEM).",
     Text{server_tls<&ServerTls::ca>}, true},
    {kServerTls, "client_certificates", "Whether clients must show a certificate, or are asked for one.",
     Choice{server_tls<&ServerTls::client_certificates>, kClientCertificates}, true},
    {kServerTls, "min_version", "The oldest version of TLS that is spoken.",
     Choice{server_tls<&ServerTls::min_version>, kTlsVersions}, true},
    {kServerTls, "ciphers", "Ciphers of TLS 1.2 in OpenSSL's words (openssl-ciphers(1)); empty: OpenSSL's choice.",
     Text{server_tls<&ServerTls::ciphers>}, true},
    {kServerTls, "handshake_timeout", "A client that has not finished its handshake after so long is closed.",
     Duration{server_tls<&ServerTls::handshake_timeout_ms>, 1, kHour}, true},

    {"upstream", "mode", "What is upstream: a Redis Cluster, one server, or a master that sentinels watch.",
     Choice{upstream<&Upstream::mode>, kUpstreamModes}},
    {"upstream", "seeds",
     "Nodes of the cluster to ask first for all the others; standalone: the server; sentinel: sentinels to ask first.",
     AddressList{upstream<&Upstream::seeds>, false}},
    {"upstream", "master", "The name under which the sentinels watch the master; only for mode \"sentinel\".",
     Text{upstream<&Upstream::master>}},
    {"upstream", "connect_timeout", "How long connecting to a node may take.",
     Duration{upstream<&Upstream::connect_timeout_ms>, 1, kHour}},
    {"upstream", "request_timeout", "How long a request may take, with all its retries.",
     Duration{upstream<&Upstream::request_timeout_ms>, 1, kHour}},
    {"upstream", "refresh_interval",
     "How often to ask for the topology when nothing else gives a reason to; sentinels are asked every second.",
     Duration{upstream<&Upstream::refresh_interval_ms>, 100, kDay}},
    {"upstream", "username", "The user to log in to the nodes as; empty: the default user.",
     Text{upstream<&Upstream::username>}},
    {"upstream", "password", "The password to log in to the nodes with; empty: no login.",
     Text{upstream<&Upstream::password>, true}},
    {"upstream", "sentinel_username", "The user to log in to the sentinels as; empty: the default user.",
     Text{upstream<&Upstream::sentinel_username>}},
    {"upstream", "sentinel_password", "The password to log in to the sentinels with; empty: no login.",
     Text{upstream<&Upstream::sentinel_password>, true}},

    {kUpstreamTls, "ca",
     "The file with the authorities that nodes' certificates must be from (PEM); empty: the system's.",
     Text{upstream_tls<&UpstreamTls::ca>}, true},
    {kUpstreamTls, "cert", "The file with the certificate to show to the nodes (PEM); empty: none.",
     Text{upstream_tls<&UpstreamTls::cert>}, true},
    {kUpstreamTls, "key", "The file with that certificate's private key (PEM, not encrypted).",
     Text{upstream_tls<&UpstreamTls::key>}, true},
    {kUpstreamTls, "verify", "Whether a node's certificate must be valid, and for the host that was connected to.",
     Flag{upstream_tls<&UpstreamTls::verify>}, true},
    {kUpstreamTls, "server_name", "The name that all nodes' certificates must be for; empty: each for its own host.",
     Text{upstream_tls<&UpstreamTls::server_name>}, true},
    {kUpstreamTls, "min_version", "The oldest version of TLS that is spoken.",
     Choice{upstream_tls<&UpstreamTls::min_version>, kTlsVersions}, true},
    {kUpstreamTls, "ciphers", "Ciphers of TLS 1.2 in OpenSSL's words (openssl-ciphers(1)); empty: OpenSSL's choice.",
     Text{upstream_tls<&UpstreamTls::ciphers>}, true},

    {"guard", "deny", "Commands that no client may send (they are answered -NOPERM).", CommandList{guard<&Guard::deny>},
     true},
    {"guard", "keys", "KEYS is a bounded walk over all masters, or denied.", Choice{guard<&Guard::keys>, kKeysChoices},
     true},
    {"guard", "del", "What DEL is sent as: UNLINK frees the memory of large values in the background.",
     Choice{guard<&Guard::del>, kDelChoices}, true},
    {"guard", "max_value", "How long one argument of a command may be; a longer one is answered -TOOBIG.",
     Size{guard<&Guard::max_value_bytes>, 1, 1 * kGiB}, true},

    {"near_cache", "memory",
     "For replies that Corral answers from its own memory, all that it takes to keep them counted; \"0B\": none.",
     Size{near_cache<&NearCache::memory_bytes>, 0, 1024 * kGiB}},
    {"near_cache", "max_staleness",
     "How long a reply may still be served after its node was last heard from; writes past Corral are seen sooner.",
     Duration{near_cache<&NearCache::max_staleness_ms>, 50, kHour}},

    {"limits", "client_output", "Replies that may wait for one client that does not read them.",
     Size{limits<&Limits::client_output_bytes>, 64 * kKiB, 1024 * kGiB}},
    {"limits", "client_pipeline", "Requests of one client that may be under way at once.",
     WholeNumber{limits<&Limits::client_pipeline>, 1, 1'000'000}},
    {"limits", "inflight", "Requests that may be under way to the nodes, or held for them, together, of one worker.",
     Size{limits<&Limits::inflight_bytes>, 64 * kKiB, 1024 * kGiB}},
    {"limits", "keys_reply", "Elements that a reply to KEYS may have.",
     WholeNumber{limits<&Limits::keys_reply>, 1, 100'000'000}},
    {"limits", "subscriber_output", "Messages that may wait for one subscriber that does not read them.",
     Size{limits<&Limits::subscriber_output_bytes>, 64 * kKiB, 1024 * kGiB}},
    {"limits", "auth_timeout", "A client that has not authenticated for so long is closed, if it has to.",
     Duration{limits<&Limits::auth_timeout_ms>, 100, kDay}},
    {"limits", "unauthenticated_input", "How long one request of a client may be that has not authenticated.",
     Size{limits<&Limits::unauthenticated_input_bytes>, 1 * kKiB, 1 * kMiB}},
    {"limits", "unauthenticated_output", "Replies that may wait for a client that has not authenticated.",
     Size{limits<&Limits::unauthenticated_output_bytes>, 1 * kKiB, 64 * kMiB}},
    {"limits", "clients_per_address", "Clients that may be connected at once from one address; 0: no limit of its own.",
     WholeNumber{limits<&Limits::clients_per_address>, 0, 1'000'000}},
    {"limits", "command_time", "How long one command may take to arrive whole; \"0s\": as long as it likes.",
     Duration{limits<&Limits::command_time_ms>, 0, kDay}},
    {"limits", "query_buffer", "How large one command may be, all its arguments together.",
     Size{limits<&Limits::query_buffer_bytes>, 64 * kKiB, 1 * kGiB}},
    {"limits", "arguments", "How many arguments one command may have.",
     WholeNumber{limits<&Limits::arguments>, 16, 0x7FFFFFFF}},
    {"limits", "subscriptions", "Channels and patterns that one client may be subscribed to.",
     WholeNumber{limits<&Limits::subscriptions>, 1, 100'000'000}},
    {"limits", "transaction", "Commands that one client may queue behind MULTI.",
     Size{limits<&Limits::transaction_bytes>, 1 * kKiB, 1024 * kGiB}},
    {"limits", "reply", "How large a node's reply may be that cannot be passed on as it comes.",
     Size{limits<&Limits::reply_bytes>, 1 * kMiB, 4095 * kMiB}},
    {"limits", "memory",
     "For what clients and the near cache hold: beyond it the cache gives way, then the largest client; \"0B\": any.",
     Size{limits<&Limits::memory_bytes>, 0, 1024 * kGiB}},

    {"log", "level", "What is logged: this level and all above it.", Choice{log_level, kLogLevels}, true},
    {"log", "slow_request", "Requests that take so long are told by CORRAL SLOWLOG; \"0s\": none are.",
     Duration{slow_request, 0, kHour}, true},
};

const Field kRuleFields[] = {
    {kRule, "name", "What the rule is called; left out: rule-1, rule-2 ... by its place. Each has its own.",
     Name{rule<&Rule::name>}, true},
    {kRule, "match", "The keys that it is for.", GlobList{rule<&Rule::match>}, true},
    {kRule, "max_value", "How long one argument of a write may be; left out: what the guard allows.",
     Size{rule<&Rule::max_value_bytes>, 1, 1 * kGiB}, true},
    {kRule, "on_upstream_error",
     "What a read gets when its node cannot be asked: the error, nil as of an absent key, or what the near cache knew.",
     Choice{rule<&Rule::on_upstream_error>, kOnUpstreamError}, true},
    {kRule, "stale_if_error", "How long the near cache's last is good for then; only with on_upstream_error \"stale\".",
     Duration{rule<&Rule::stale_if_error_ms>, 1, 365 * kDay}, true},

    {kRuleTtl, "default", "The time to live of a key that is written without one; not more than max.",
     Duration{ttl<&Ttl::default_ms>, 1, kLongestTtl}, true},
    {kRuleTtl, "max", "No key lives longer; left out: there is no limit.", Duration{ttl<&Ttl::max_ms>, 1, kLongestTtl},
     true},
    {kRuleTtl, "jitter", "A TTL t becomes one between t * (1 - jitter) and t, so that not all keys expire at once.",
     Fraction{ttl<&Ttl::jitter>, 0, 1}, true},
    {kRuleTtl, "mode", "A write that leaves its key without a TTL gets the default, is refused, or is only counted.",
     Choice{ttl<&Ttl::mode>, kTtlModes}, true},

    {kRuleNear, "ttl", "How long a reply is kept in the near cache at most; never longer than its key lives.",
     Duration{near<&Near::ttl_ms>, 1, kDay}, true},
    {kRuleNear, "max_value", "How large a reply may be to be kept.", Size{near<&Near::max_value_bytes>, 1, 64 * kMiB},
     true},

    {kRuleStampede, "lease", "Who is told that a key is absent has so long to set it; only one is told so meanwhile.",
     Duration{stampede<&Stampede::lease_ms>, 1, kDay}, true},
    {kRuleStampede, "wait", "How long others wait for that; \"0s\": they are told at once that the key is absent.",
     Duration{stampede<&Stampede::wait_ms>, 0, kHour}, true},
    {kRuleStampede, "wait_shared",
     "How long, where more commands have come on the connection behind the one that waits; not more than wait.",
     Duration{stampede<&Stampede::wait_shared_ms>, 0, kHour}, true},
    {kRuleStampede, "stale_while_revalidate",
     "A key stays for so long after its TTL: one reader is told that it is absent, all others get what it was.",
     Duration{stampede<&Stampede::stale_while_revalidate_ms>, 0, kLongestTtl}, true},
    {kRuleStampede, "early_refresh",
     "How eagerly one reader is told that a key is absent shortly before its TTL ends; 1 is usual, 0: never.",
     Fraction{stampede<&Stampede::early_refresh>, 0, 10}, true},
    {kRuleStampede, "scope", "Whether a lease is this proxy's, or holds for all proxies in front of the cluster.",
     Choice{stampede<&Stampede::scope>, kScopes}, true},
};

constexpr Unserved kUnserved[] = {
    {"upstream", "replica_reads", "never"},
};

struct Describe {
  std::string operator()(const WholeNumber& k) const {
    return fmt::format("a whole number from {} to {}", k.min, k.max);
  }
  std::string operator()(const Flag&) const { return "true or false"; }
  std::string operator()(const Fraction& k) const { return fmt::format("a number from {} to {}", k.min, k.max); }
  std::string operator()(const Duration& k) const {
    return fmt::format(R"(a duration from "{}" to "{}" (a whole number and a unit: ms s m h d))",
                       format_duration(k.min_ms), format_duration(k.max_ms));
  }
  std::string operator()(const Size& k) const {
    return fmt::format(R"(a size from "{}" to "{}" (a whole number and a unit: B KiB MiB GiB))", format_size(k.min),
                       format_size(k.max));
  }
  std::string operator()(const Text&) const { return "a string"; }
  std::string operator()(const Name&) const { return "a string that is not empty, without control characters"; }
  std::string operator()(const Choice& k) const { return fmt::format("one of \"{}\"", fmt::join(k.choices, "\" \"")); }
  std::string operator()(const OptionalAddress&) const { return R"(an address "HOST:PORT" or "[v6]:PORT", or "")"; }
  std::string operator()(const AddressList& k) const {
    return k.for_listening
               ? R"("HOST:PORT", "[v6]:PORT", either with "tls://" before it, or "unix:/path", or a list of these)"
               : R"("HOST:PORT" or "[v6]:PORT", or a list of these)";
  }
  std::string operator()(const CommandList&) const {
    return R"(a list of commands such as "DEBUG", or with a subcommand "CONFIG SET")";
  }
  std::string operator()(const UserList&) const {
    return R"(a list of lines in Redis' ACL syntax such as "user alice on >secret ~cache:* +@read")";
  }
  std::string operator()(const GlobList&) const { return R"(a Redis glob such as "cache:*", or a list of these)"; }
};

}  // namespace

bool is_left_out(const Settings& settings, std::string_view section) {
  return (section == kServerTls && !settings.server.tls) || (section == kUpstreamTls && !settings.upstream.tls);
}

std::span<const Field> fields() { return kFields; }
std::span<const Field> rule_fields() { return kRuleFields; }

const Field* find_field(std::string_view section, std::string_view key) {
  for (const std::span<const Field> table : {fields(), rule_fields()}) {
    for (const Field& field : table) {
      if (field.section == section && field.key == key) return &field;
    }
  }
  return nullptr;
}

const Unserved* find_unserved(std::string_view section, std::string_view key) {
  const auto it =
      std::ranges::find_if(kUnserved, [&](const Unserved& u) { return u.section == section && u.key == key; });
  return it == std::end(kUnserved) ? nullptr : it;
}

std::vector<std::string_view> section_names() {
  std::vector<std::string_view> names;
  for (const Field& field : kFields) {
    if (names.empty() || names.back() != field.section) names.push_back(field.section);
  }
  return names;
}

std::string describe_allowed(const Field& field) { return std::visit(Describe{}, field.kind); }

}  // namespace corral::config
