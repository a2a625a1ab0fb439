// Tests of config/loader.h: what a settings file may say, and the exact line for everything that it may not.
#include "config/loader.h"

#include <gtest/gtest.h>

#include <string>

namespace corral::config {
namespace {

Settings loaded(std::string_view toml) {
  const auto result = load_text(toml, "test.toml");
  EXPECT_EQ(result.error, "");
  return result ? *result : Settings{};
}

std::string error_of(std::string_view toml, const CommandCheck& is_command = {}) {
  const auto result = load_text(toml, "test.toml", is_command);
  EXPECT_FALSE(result) << toml;
  return result.error;
}

TEST(Load, EmptyTextGivesTheDefaults) {
  const Settings settings = loaded("");
  EXPECT_EQ(settings.server.listen, (std::vector<Address>{{"127.0.0.1", 6380}}));
  EXPECT_EQ(settings.upstream.seeds, (std::vector<Address>{{"127.0.0.1", 7000}}));
  EXPECT_EQ(settings.guard.deny, (std::vector<std::string>{"DEBUG", "SHUTDOWN"}));
}

TEST(Load, ServerSectionIsTakenOver) {
  const Settings settings = loaded(R"([server]
listen = ["0.0.0.0:6380", "[::1]:6380", "unix:/run/corral.sock"]
announce = "proxy.example:6379"
workers = 4
max_clients = 20000
idle_timeout = "5m"
drain_timeout = "30s")");
  EXPECT_EQ(settings.server.listen, (std::vector<Address>{{"0.0.0.0", 6380}, {"::1", 6380}, {"/run/corral.sock", 0}}));
  EXPECT_EQ(settings.server.announce, "proxy.example:6379");
  EXPECT_EQ(settings.server.workers, 4u);
  EXPECT_EQ(settings.server.max_clients, 20000u);
  EXPECT_EQ(settings.server.idle_timeout_ms, 300'000);
  EXPECT_EQ(settings.server.drain_timeout_ms, 30'000);
}

TEST(Load, UpstreamSectionIsTakenOver) {
  const Settings settings = loaded(R"([upstream]
seeds = ["a:7000", "b:7001"]
connect_timeout = "300ms"
request_timeout = "2s"
refresh_interval = "1m"
username = "corral"
password = "p\"w\\")");
  EXPECT_EQ(settings.upstream.mode, "cluster");
  EXPECT_EQ(settings.upstream.seeds, (std::vector<Address>{{"a", 7000}, {"b", 7001}}));
  EXPECT_EQ(settings.upstream.connect_timeout_ms, 300);
  EXPECT_EQ(settings.upstream.request_timeout_ms, 2000);
  EXPECT_EQ(settings.upstream.refresh_interval_ms, 60'000);
  EXPECT_EQ(settings.upstream.username, "corral");
  EXPECT_EQ(settings.upstream.password, "p\"w\\");
}

TEST(Load, UpstreamKindsAreTakenOver) {
  const Settings standalone = loaded("[upstream]\nmode = \"standalone\"\nseeds = \"a:6379\"");
  EXPECT_EQ(standalone.upstream.mode, "standalone");
  EXPECT_TRUE(standalone.upstream.has_one_owner());
  const Settings sentinel = loaded(R"([upstream]
mode = "sentinel"
master = "mymaster"
seeds = ["a:26379", "b:26379"]
sentinel_username = "watcher"
sentinel_password = "pw")");
  EXPECT_EQ(sentinel.upstream.mode, "sentinel");
  EXPECT_TRUE(sentinel.upstream.has_one_owner());
  EXPECT_EQ(sentinel.upstream.master, "mymaster");
  EXPECT_EQ(sentinel.upstream.sentinel_username, "watcher");
  EXPECT_EQ(sentinel.upstream.sentinel_password, "pw");
  EXPECT_FALSE(loaded("[upstream]\nmode = \"cluster\"\nmaster = \"\"").upstream.has_one_owner());
}

TEST(Load, GuardLimitsAndLogAreTakenOver) {
  const Settings settings =
      loaded(R"(guard = { deny = ["keys", "CONFIG set"], keys = "deny", del = "del", max_value = "1MiB" }
limits = { client_output = "1MiB", client_pipeline = 64, inflight = "2GiB", keys_reply = 10 }
[log]
level = "debug")");
  EXPECT_EQ(settings.guard.deny, (std::vector<std::string>{"KEYS", "CONFIG SET"}));
  EXPECT_EQ(settings.guard.keys, "deny");
  EXPECT_EQ(settings.guard.del, "del");
  EXPECT_EQ(settings.guard.max_value_bytes, 1u << 20);
  EXPECT_EQ(settings.limits.client_output_bytes, 1u << 20);
  EXPECT_EQ(settings.limits.client_pipeline, 64u);
  EXPECT_EQ(settings.limits.inflight_bytes, 2ull << 30);
  EXPECT_EQ(settings.limits.keys_reply, 10u);
  EXPECT_EQ(settings.log_level, "debug");
}

TEST(Load, EmptyDenyListDeniesNothing) { EXPECT_TRUE(loaded("[guard]\ndeny = []").guard.deny.empty()); }

TEST(Load, SingleAddressNeedsNoList) {
  EXPECT_EQ(loaded("[upstream]\nseeds = \"a:1\"").upstream.seeds, (std::vector<Address>{{"a", 1}}));
}

TEST(Load, ValuesAtTheEndsOfARangeAreAllowed) {
  EXPECT_EQ(loaded("[server]\nworkers = 1024").server.workers, 1024u);
  EXPECT_EQ(loaded("[upstream]\nconnect_timeout = \"1ms\"").upstream.connect_timeout_ms, 1);
  EXPECT_EQ(loaded("[limits]\ninflight = \"64KiB\"").limits.inflight_bytes, 65536u);
}

TEST(Load, UnservedSettingsThatAskForWhatHappensAnywayAreAllowed) { loaded("[upstream]\nreplica_reads = \"never\""); }

TEST(LoadError, UnknownSettingIsNamedWithWhatThereIs) {
  EXPECT_EQ(error_of("[log]\n\nlevle = \"info\""),
            "test.toml:3: unknown setting log.levle; [log] has level, slow_request");
  EXPECT_EQ(error_of("[server]\nworkers = 1\nWorkers = 1"),
            "test.toml:3: unknown setting server.Workers; [server] has listen, announce, admin, admin_token, workers, "
            "max_clients, idle_timeout, drain_timeout, users, protected_mode, tls");
}

TEST(LoadError, UnknownSectionIsNamedWithWhatThereIs) {
  EXPECT_EQ(error_of("[server]\n[severs]\n"),
            "test.toml:2: unknown section severs; the sections are server, server.tls, upstream, upstream.tls, guard, "
            "near_cache, limits, log, rule");
  EXPECT_EQ(error_of("workers = 1"),
            "test.toml:1: unknown setting workers; the sections are server, server.tls, upstream, upstream.tls, guard, "
            "near_cache, limits, log, rule");
}

TEST(LoadError, SectionThatIsAValueIsRefused) {
  EXPECT_EQ(error_of("server = 3"), "test.toml:1: server is 3; it must be a section, [server]");
}

TEST(LoadError, FirstLineOfSeveralIsReported) {
  EXPECT_EQ(error_of("[upstream]\nseeds = 1\n[guard]\ndeny = 1\n"),
            "test.toml:2: upstream.seeds is 1; it must be \"HOST:PORT\" or \"[v6]:PORT\", or a list of these");
}

TEST(LoadError, BrokenTomlSaysWhere) {
  EXPECT_EQ(error_of("[server]\nworkers = 1\nworkers = 2").substr(0, 31), "test.toml:3: not valid TOML: Er");
  EXPECT_EQ(error_of("[server]\nworkers =\n").find('\n'), std::string::npos);
}

TEST(Load, EmptyFileGivesTheDefaults) {
  const auto loaded = load_file("/dev/null");
  EXPECT_EQ(loaded.error, "");
  EXPECT_TRUE(loaded);
}

TEST(LoadError, DirectoryIsNoFile) { EXPECT_EQ(load_file("/").error, "/: cannot be read: Is a directory"); }

TEST(LoadError, MissingFileIsNamed) {
  EXPECT_EQ(load_file("no/such/file.toml").error, "no/such/file.toml: cannot be read: No such file or directory");
}

TEST(LoadError, WholeNumberOutOfRangeOrOfAnotherType) {
  const std::string allowed = "; it must be a whole number from 0 to 1024";
  EXPECT_EQ(error_of("[server]\nworkers = 1025"), "test.toml:2: server.workers is 1025" + allowed);
  EXPECT_EQ(error_of("[server]\nworkers = -1"), "test.toml:2: server.workers is -1" + allowed);
  EXPECT_EQ(error_of("[server]\nworkers = 4294967296"), "test.toml:2: server.workers is 4294967296" + allowed);
  EXPECT_EQ(error_of("[server]\nworkers = 2.5"), "test.toml:2: server.workers is 2.5" + allowed);
  EXPECT_EQ(error_of("[server]\nworkers = \"4\""), "test.toml:2: server.workers is \"4\"" + allowed);
  EXPECT_EQ(error_of("[server]\nworkers = true"), "test.toml:2: server.workers is true" + allowed);
  EXPECT_EQ(error_of("[server]\nworkers = [4]"), "test.toml:2: server.workers is a list" + allowed);
  EXPECT_EQ(error_of("[server]\nworkers = {}"), "test.toml:2: server.workers is a table" + allowed);
}

TEST(LoadError, DurationOutOfRangeOrWithoutUnit) {
  const std::string allowed = "; it must be a duration from \"1ms\" to \"1h\" (a whole number and a unit: ms s m h d)";
  EXPECT_EQ(error_of("[upstream]\nrequest_timeout = \"5\""),
            "test.toml:2: upstream.request_timeout is \"5\"" + allowed);
  EXPECT_EQ(error_of("[upstream]\nrequest_timeout = 5"), "test.toml:2: upstream.request_timeout is 5" + allowed);
  EXPECT_EQ(error_of("[upstream]\nrequest_timeout = \"0s\""),
            "test.toml:2: upstream.request_timeout is \"0s\"" + allowed);
  EXPECT_EQ(error_of("[upstream]\nrequest_timeout = \"1d\""),
            "test.toml:2: upstream.request_timeout is \"1d\"" + allowed);
}

TEST(LoadError, SizeOutOfRangeOrOfAnotherUnit) {
  const std::string allowed =
      "; it must be a size from \"64KiB\" to \"1024GiB\" (a whole number and a unit: B KiB MiB GiB)";
  EXPECT_EQ(error_of("[limits]\ninflight = \"1MB\""), "test.toml:2: limits.inflight is \"1MB\"" + allowed);
  EXPECT_EQ(error_of("[limits]\ninflight = \"1KiB\""), "test.toml:2: limits.inflight is \"1KiB\"" + allowed);
  EXPECT_EQ(error_of("[limits]\ninflight = 1048576"), "test.toml:2: limits.inflight is 1048576" + allowed);
}

TEST(LoadError, BadListenAddressIsShownAtItsLine) {
  const std::string allowed =
      "; it must be \"HOST:PORT\", \"[v6]:PORT\", either with \"tls://\" before it, or \"unix:/path\", or a list of "
      "these";
  EXPECT_EQ(error_of("[server]\nlisten = \"6380\""), "test.toml:2: server.listen is \"6380\"" + allowed);
  EXPECT_EQ(error_of("[server]\nlisten = [\n  \"a:1\",\n  \"b:0\",\n]"),
            "test.toml:4: server.listen has \"b:0\"" + allowed);
  EXPECT_EQ(error_of("[server]\nlisten = [\"a:1\", 2]"), "test.toml:2: server.listen has 2" + allowed);
  EXPECT_EQ(error_of("[server]\nlisten = []"), "test.toml:2: server.listen is empty" + allowed);
}

TEST(LoadError, ListenAddressGivenTwice) {
  EXPECT_EQ(error_of("[server]\nlisten = [\n\"[::1]:1\",\n\"[0::1]:1\"]"),
            "test.toml:4: server.listen names \"[0::1]:1\" twice; each address may be there once");
}

TEST(LoadError, SeedsMayBeNeitherEmptyNorUnixSockets) {
  const std::string allowed = "; it must be \"HOST:PORT\" or \"[v6]:PORT\", or a list of these";
  EXPECT_EQ(error_of("[upstream]\nseeds = []"), "test.toml:2: upstream.seeds is empty" + allowed);
  EXPECT_EQ(error_of("[upstream]\nseeds = [\"unix:/x\"]"), "test.toml:2: upstream.seeds has \"unix:/x\"" + allowed);
}

TEST(LoadError, AnnounceMustBeAnAddress) {
  const std::string allowed = "; it must be an address \"HOST:PORT\" or \"[v6]:PORT\", or \"\"";
  EXPECT_EQ(error_of("[server]\nannounce = \"me\""), "test.toml:2: server.announce is \"me\"" + allowed);
  EXPECT_EQ(error_of("[server]\nannounce = \"unix:/x\""), "test.toml:2: server.announce is \"unix:/x\"" + allowed);
}

TEST(LoadError, UsernameWithoutPassword) {
  EXPECT_EQ(error_of("[upstream]\n\nusername = \"me\""),
            "test.toml:3: upstream.username is set and upstream.password is not; a login needs both");
}

TEST(LoadError, SentinelUsernameWithoutPassword) {
  EXPECT_EQ(error_of("[upstream]\nmode = \"sentinel\"\nmaster = \"m\"\nsentinel_username = \"me\""),
            "test.toml:4: upstream.sentinel_username is set and upstream.sentinel_password is not; a login needs both");
}

TEST(LoadError, UpstreamModeIsOneOfAList) {
  EXPECT_EQ(error_of("[upstream]\nmode = \"single\""),
            "test.toml:2: upstream.mode is \"single\"; it must be one of \"cluster\" \"standalone\" \"sentinel\"");
}

TEST(LoadError, SentinelWithoutMaster) {
  EXPECT_EQ(error_of("[upstream]\nseeds = [\"a:1\", \"b:1\"]\nmode = \"sentinel\""),
            "test.toml:3: upstream.mode is \"sentinel\" and upstream.master is not set; it must name the master as the "
            "sentinels do");
}

TEST(LoadError, WhatIsForSentinelsOnlyInAnotherMode) {
  const std::string cluster = " is set and upstream.mode is \"cluster\"; it goes with \"sentinel\" only";
  const std::string standalone = " is set and upstream.mode is \"standalone\"; it goes with \"sentinel\" only";
  EXPECT_EQ(error_of("[upstream]\nmaster = \"m\""), "test.toml:2: upstream.master" + cluster);
  EXPECT_EQ(error_of("[upstream]\nmode = \"standalone\"\nmaster = \"m\""), "test.toml:3: upstream.master" + standalone);
  EXPECT_EQ(error_of("[upstream]\nsentinel_password = \"p\""), "test.toml:2: upstream.sentinel_password" + cluster);
  EXPECT_EQ(error_of("[upstream]\nsentinel_username = \"u\"\nsentinel_password = \"p\""),
            "test.toml:2: upstream.sentinel_username" + cluster);
}

TEST(LoadError, StandaloneIsOneServer) {
  EXPECT_EQ(error_of("[upstream]\nmode = \"standalone\"\nseeds = [\"a:1\", \"b:1\"]"),
            "test.toml:3: upstream.seeds has 2 addresses and upstream.mode is \"standalone\"; it must be one server");
}

TEST(LoadError, DenyListHoldsCommandNamesOnly) {
  const std::string allowed = "; it must be a list of commands such as \"DEBUG\", or with a subcommand \"CONFIG SET\"";
  EXPECT_EQ(error_of("[guard]\ndeny = \"DEBUG\""), "test.toml:2: guard.deny is \"DEBUG\"" + allowed);
  for (const std::string name : {"", " ", "A B C", "A  B", "A ", "a*"}) {
    EXPECT_EQ(error_of("[guard]\ndeny = [\"" + name + "\"]"), "test.toml:2: guard.deny has \"" + name + "\"" + allowed);
  }
}

TEST(LoadError, DenyListHoldsKnownCommandsIfACheckIsGiven) {
  const CommandCheck is_command = [](std::string_view name) { return name == "DEBUG"; };
  EXPECT_TRUE(load_text("[guard]\ndeny = [\"debug\"]", "test.toml", is_command));
  EXPECT_EQ(error_of("[guard]\ndeny = [\"DEBUG\", \"DEBGU\"]", is_command),
            "test.toml:2: guard.deny names \"DEBGU\"; no such command is known");
}

TEST(LoadError, LogLevelIsOneOfAList) {
  EXPECT_EQ(error_of("[log]\nlevel = \"INFO\""),
            "test.toml:2: log.level is \"INFO\"; it must be one of \"trace\" \"debug\" \"info\" \"warn\" \"error\" "
            "\"off\"");
}

TEST(Load, NearCache_IsReadAndMayBeTurnedOff) {
  const Settings settings = loaded("[near_cache]\nmemory = \"64MiB\"\nmax_staleness = \"250ms\"");
  EXPECT_EQ(settings.near_cache.memory_bytes, 64u << 20);
  EXPECT_EQ(settings.near_cache.max_staleness_ms, 250);
  EXPECT_EQ(loaded("near_cache.memory = 0").near_cache.memory_bytes, 0u);
  EXPECT_EQ(loaded("near_cache.memory = \"0B\"").near_cache.memory_bytes, 0u);
  EXPECT_EQ(error_of("[near_cache]\nmemory = 1"),
            "test.toml:2: near_cache.memory is 1; it must be a size from \"0B\" to \"1024GiB\" (a whole number and a "
            "unit: B KiB MiB GiB)");
  EXPECT_EQ(error_of("[near_cache]\nmax_staleness = \"1ms\""),
            "test.toml:2: near_cache.max_staleness is \"1ms\"; it must be a duration from \"50ms\" to \"1h\" (a whole "
            "number and a unit: ms s m h d)");
}

TEST(Load, TlsSectionsAreTakenOverAndAreThereOnlyIfTheyAreWritten) {
  const Settings none = loaded("[server]\n[upstream]");
  EXPECT_FALSE(none.server.tls);
  EXPECT_FALSE(none.upstream.tls);
  const Settings both = loaded(R"([server]
listen = ["127.0.0.1:6380", "tls://[::1]:6390"]
[server.tls]
cert = "c.pem"
key = "k.pem"
ca = "ca.pem"
client_certificates = "optional"
min_version = "1.3"
ciphers = "HIGH"
handshake_timeout = "3s"
[upstream.tls]
ca = "u.pem"
verify = false
server_name = "redis.example")");
  EXPECT_EQ(both.server.listen, (std::vector<Address>{{"127.0.0.1", 6380}, {"::1", 6390, true}}));
  EXPECT_EQ(both.server.tls->cert, "c.pem");
  EXPECT_EQ(both.server.tls->client_certificates, "optional");
  EXPECT_EQ(both.server.tls->min_version, "1.3");
  EXPECT_EQ(both.server.tls->handshake_timeout_ms, 3000);
  EXPECT_EQ(both.upstream.tls->ca, "u.pem");
  EXPECT_FALSE(both.upstream.tls->verify);
  EXPECT_EQ(both.upstream.tls->server_name, "redis.example");
  EXPECT_TRUE(loaded("[upstream.tls]").upstream.tls->verify);
  EXPECT_TRUE(loaded("upstream.tls = {}").upstream.tls);
}

TEST(LoadError, TlsSectionsThatDoNotGoTogetherWithTheRestAreRefused) {
  EXPECT_EQ(
      error_of("[server]\n\nlisten = \"tls://a:1\""),
      "test.toml:3: server.listen has \"tls://a:1\" and there is no section [server.tls]; it must say cert and key");
  EXPECT_EQ(error_of("[server]\n[server.tls]\ncert = \"x\""),
            "test.toml:2: server.tls lacks cert or key; it must have both");
  EXPECT_EQ(
      error_of("[server.tls]\ncert = \"x\"\nkey = \"y\"\nclient_certificates = \"required\""),
      "test.toml:4: server.tls.client_certificates is \"required\" and server.tls.ca is not set; it must say whose "
      "certificates are accepted");
  EXPECT_EQ(
      error_of("[server.tls]\ncert = \"x\"\nkey = \"y\"\nca = \"z\""),
      "test.toml:4: server.tls.ca is set and server.tls.client_certificates is \"none\"; it goes with \"optional\" "
      "and \"required\" only");
  EXPECT_EQ(error_of("[upstream.tls]\nkey = \"x\""),
            "test.toml:2: upstream.tls.key is set and upstream.tls.cert is not; a certificate needs both");
  EXPECT_EQ(error_of("[upstream.tls]\nverify = 1"), "test.toml:2: upstream.tls.verify is 1; it must be true or false");
  EXPECT_EQ(error_of("upstream.tls = 3"), "test.toml:1: upstream.tls is 3; it must be a section, [upstream.tls]");
  EXPECT_EQ(error_of("[server]\nlisten = [\"a:1\", \"tls://a:1\"]"),
            "test.toml:2: server.listen names \"tls://a:1\" twice; each address may be there once");
  EXPECT_TRUE(error_of("[upstream]\nseeds = \"tls://a:1\"").starts_with("test.toml:2: upstream.seeds is"));
  EXPECT_TRUE(error_of("[\"server.tls\"]\ncert = \"x\"").starts_with("test.toml:1: unknown section server.tls"));
  EXPECT_TRUE(
      error_of("[upstream.tls]\nca_file = 1").starts_with("test.toml:2: unknown setting upstream.tls.ca_file; "));
}

TEST(LoadError, FilesAreCheckedWithTheLineThatNamesThem) {
  const FileCheck check = [](const Settings& settings) -> std::optional<Conflict> {
    if (settings.upstream.tls->ca == "good") return {};
    return Conflict{"upstream.tls", "ca", "upstream.tls.ca is wrong"};
  };
  EXPECT_TRUE(load_text("[upstream.tls]\nca = \"good\"", "f", {}, check));
  EXPECT_EQ(load_text("[upstream.tls]\n\nca = \"bad\"", "f", {}, check).error, "f:3: upstream.tls.ca is wrong");
}

TEST(LoadError, AdminOnOtherThanLoopbackWantsAToken) {
  for (const char* address : {"127.0.0.1:9380", "127.8.0.1:1", "localhost:9380", "[::1]:9380", ""}) {
    EXPECT_EQ(loaded("[server]\nadmin = \"" + std::string(address) + "\"").server.admin, address);
  }
  for (const std::string address : {"0.0.0.0:9380", "127.evil.example:80", "[::]:9380", "10.0.0.1:9380", "admin:80"}) {
    const std::string setting = "[server]\nworkers = 2\nadmin = \"" + address + "\"\n";
    EXPECT_EQ(error_of(setting),
              "test.toml:3: server.admin is \"" + address +
                  "\", which other machines may reach, and server.admin_token is not set; it must be "
                  "set, or the address one of loopback");
    EXPECT_EQ(loaded(setting + "admin_token = \"secret\"").server.admin, address);
  }
}

TEST(LoadError, SettingsThatAreNotServedYetAreRefused) {
  const std::string leave_it_out = " is not served by this version yet; leave it out";
  EXPECT_EQ(error_of("[upstream]\nreplica_reads = \"prefer\""),
            "test.toml:2: upstream.replica_reads" + leave_it_out + " or say \"never\"");
}

}  // namespace
}  // namespace corral::config
