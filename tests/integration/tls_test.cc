// TLS on both sides, with certificates made here: to clients beside a plain address, to a cluster that speaks nothing
// else among its nodes; who is refused and why; certificates that are replaced while clients are served.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "support/certificates.h"
#include "support/cluster.h"
#include "support/corral.h"
#include "support/tls_client.h"

namespace corral::test {
namespace {

constexpr size_t kMiB = 1 << 20;
const std::string kStandalone =
    "[upstream]\nmode = \"standalone\"\nconnect_timeout = \"300ms\"\nrequest_timeout = \"900ms\"\n";

class TlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = std::make_unique<TempDir>();
    ours_ = std::make_unique<Authority>(*dir_, "ours");
    theirs_ = std::make_unique<Authority>(*dir_, "theirs");
    ours_->sign("server", "DNS:localhost,IP:127.0.0.1");
    ours_->sign("renewed", "DNS:localhost,IP:127.0.0.1");
    ours_->sign("expired", "DNS:localhost,IP:127.0.0.1", -1);
    ours_->sign("elsewhere", "DNS:redis.example");
    ours_->sign("client", "DNS:client");
    theirs_->sign("stranger", "DNS:stranger");
    cluster_ = std::make_unique<RedisCluster>(ClusterOptions{.settings = redis_settings("server")});
  }
  static void TearDownTestSuite() {
    cluster_.reset();
    theirs_.reset();
    ours_.reset();
    dir_.reset();
  }

  static std::string pem(const std::string& name) { return ours_->path(name); }
  static std::string key(const std::string& name) { return ours_->path(name, ".key"); }
  static std::vector<std::string> redis_settings(const std::string& cert) {
    return {"--tls-cert-file",    pem(cert),  "--tls-key-file",    key(cert), "--tls-ca-cert-file", ours_->file(),
            "--tls-auth-clients", "optional", "--tls-replication", "yes",     "--tls-cluster",      "yes"};
  }
  static std::string server_section(const std::string& cert, const std::string& more = "") {
    return "[server.tls]\ncert = \"" + pem(cert) + "\"\nkey = \"" + key(cert) + "\"\n" + more;
  }
  static std::string upstream_section(const std::string& more = "") {
    return "[upstream.tls]\nca = \"" + ours_->file() + "\"\n" + more;
  }
  static std::string client_ca(const std::string& how) {
    return "ca = \"" + ours_->file() + "\"\nclient_certificates = \"" + how + "\"\n";
  }
  static std::string tls_seeds() {
    std::string text;
    for (size_t i = 0; i < cluster_->size(); ++i) {
      text += (text.empty() ? "127.0.0.1:" : ",127.0.0.1:") + std::to_string(cluster_->node(i).tls_port());
    }
    return text;
  }
  // With a plain address, and TLS at tls_port_; in front of the plain ports unless `settings` have the upstream's
  // section.
  std::unique_ptr<Corral> start(const std::string& settings, bool serving = true) {
    const bool upstream = settings.find("[upstream.tls]") != settings.npos;
    auto corral = std::make_unique<Corral>(CorralOptions{.upstream = upstream ? tls_seeds() : cluster_->seeds(),
                                                         .settings = settings,
                                                         .flags = {"--listen", tls_address()}});
    if (serving) corral->wait_until_serving();
    return corral;
  }
  std::string tls_address() const { return "tls://127.0.0.1:" + std::to_string(port()); }
  uint16_t port() const { return tls_port_.number(); }
  TlsOptions trusting() const { return {.ca = ours_->file()}; }
  static void expect_logged(Corral& corral, const std::string& text) {
    EXPECT_TRUE(eventually([&] { return corral.log().find(text) != std::string::npos; })) << text;
  }

  static inline std::unique_ptr<TempDir> dir_;
  static inline std::unique_ptr<Authority> ours_, theirs_;
  static inline std::unique_ptr<RedisCluster> cluster_;
  Port tls_port_;
};

TEST_F(TlsTest, both_sides_speak_it_and_a_plain_address_is_served_beside) {
  const auto corral = start(server_section("server") + upstream_section());
  TlsClient client(port(), trusting());
  EXPECT_EQ(client.version(), "TLSv1.3");
  Client plain = corral->connect();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(client.command("SET", "key:" + std::to_string(i), i), Reply::status("OK"));
    ASSERT_EQ(plain.command("GET", "key:" + std::to_string(i)), Reply::string(std::to_string(i)));
  }
  for (size_t i = 0; i < cluster_->size(); ++i) {
    const std::string port = std::to_string(cluster_->node(i).tls_port());
    EXPECT_NE(plain.command("CORRAL", "TOPOLOGY").text.find(port), std::string::npos);
  }
  const std::string cli = run({"redis-cli", "-h", "127.0.0.1", "-p", std::to_string(port()), "--tls", "--cacert",
                               ours_->file(), "GET", "key:7"})
                              .output;
  EXPECT_EQ(cli, "7\n");
}

TEST_F(TlsTest, redirects_and_a_moved_slot_are_followed_over_tls) {
  const auto corral = start(server_section("server") + upstream_section());
  TlsClient client(port());
  const int slot = slot_of("moving");
  const size_t from = cluster_->owner(slot), to = (from + 1) % cluster_->size();
  EXPECT_EQ(client.command("SET", "moving", "1"), Reply::status("OK"));
  cluster_->begin_migration(slot, from, to);
  EXPECT_EQ(client.command("SET", tag_of_slot(slot), "asked"), Reply::status("OK"));  // by ASK
  EXPECT_EQ(cluster_->node(from).command("DEL", "moving"), Reply::number(1));
  cluster_->end_migration(slot, from, to);
  EXPECT_EQ(client.command("SET", "moving", "2"), Reply::status("OK"));  // by MOVED
  EXPECT_EQ(client.command("GET", tag_of_slot(slot)), Reply::string("asked"));
  EXPECT_EQ(client.command("DEL", "moving", tag_of_slot(slot)), Reply::number(2));
  cluster_->migrate_slot(slot, to, from);
  EXPECT_EQ(client.command("SET", "moving", "3"), Reply::status("OK"));
  EXPECT_GE(corral->counter("redirects_ask"), 1);
  EXPECT_GE(corral->counter("redirects_moved"), 1);
}

TEST_F(TlsTest, large_values_pipelines_and_messages_pass) {
  const auto corral = start(server_section("server") + upstream_section());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(port(), {.max_version = version});
    std::string value(16 * kMiB, 'x');
    for (size_t i = 0; i < value.size(); i += 1021) value[i] = static_cast<char>('a' + i % 26);
    ASSERT_EQ(client.command("SET", "large", value), Reply::status("OK"));
    ASSERT_EQ(client.command("GET", "large"), Reply::string(value));
    std::string pipeline;
    for (int i = 0; i < 20'000; ++i) pipeline += encode({"SET", "p:" + std::to_string(i % 500), std::to_string(i)});
    client.send(pipeline);
    for (int i = 0; i < 20'000; ++i) ASSERT_EQ(client.read_reply(), Reply::status("OK"));
    TlsClient subscriber(port(), {.max_version = version});
    ASSERT_TRUE(subscriber.command("SUBSCRIBE", "news").is_array());
    ASSERT_EQ(client.command("PUBLISH", "news", "hello"), Reply::number(1));
    ASSERT_EQ(subscriber.read_reply(),
              Reply::array({Reply::string("message"), Reply::string("news"), Reply::string("hello")}));
  }
}

TEST_F(TlsTest, client_that_does_not_read_holds_no_more_than_its_limit_and_gets_all_in_the_end) {
  const auto corral = start(server_section("server"));
  TlsClient client(port());
  const std::string value(kMiB, 'v');
  ASSERT_EQ(client.command("SET", "v", value), Reply::status("OK"));
  std::string requests;
  for (int i = 0; i < 40; ++i) requests += encode({"GET", "v"});
  client.send(requests);
  client.finish_sending();  // half-closed, the replies come all the same
  require_eventually("requests are in", [&] { return corral->counter("requests") > 40; });
  for (int i = 0; i < 40; ++i) ASSERT_EQ(client.read_reply(), Reply::string(value));
  EXPECT_TRUE(client.ends_cleanly());
}

TEST_F(TlsTest, quit_is_answered_and_closed_with_a_close_notify) {
  const auto corral = start(server_section("server"));
  TlsClient client(port());
  EXPECT_EQ(client.command("QUIT"), Reply::status("OK"));
  EXPECT_TRUE(client.ends_cleanly());
}

TEST_F(TlsTest, old_versions_and_renegotiation_are_refused) {
  const auto corral = start(server_section("server"));
  const std::string all = "ALL:@SECLEVEL=0";
  EXPECT_THROW(TlsClient(port(), {.max_version = TLS1_1_VERSION, .min_version = TLS1_1_VERSION, .ciphers = all}),
               Disconnected);
  expect_logged(*corral, "unsupported protocol");
  TlsClient client(port(), {.max_version = TLS1_2_VERSION});
  EXPECT_EQ(client.version(), "TLSv1.2");
  EXPECT_NE(client.renegotiate(), 1);
}

TEST_F(TlsTest, who_does_not_speak_tls_or_never_finishes_its_handshake_is_closed) {
  const auto corral = start(server_section("server", "handshake_timeout = \"300ms\"\n"));
  Client plain(port());
  plain.send("*1\r\n$4\r\nPING\r\n");
  EXPECT_TRUE(plain.closes());
  expect_logged(*corral, "what was received is not TLS");
  Client silent(port()), stopped(port());
  // The beginning of a ClientHello.
  stopped.send(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
  EXPECT_TRUE(silent.closes());
  EXPECT_TRUE(stopped.closes());
  Client nonsense(port());
  nonsense.send(std::string("\x16\x03\x01\x40\x00", 5) + std::string(20'000, '\xff'));
  EXPECT_NO_THROW(nonsense.read_until_close());  // an alert, perhaps
  TlsClient client(port());
  EXPECT_EQ(client.command("PING"), Reply::status("PONG"));
  require_eventually("they are gone",
                     [&] { return info_field(client.command("INFO", "clients").text, "connected_clients") == "1"; });
  usleep(500'000);  // past the time for a handshake: it concerns who has not finished
  EXPECT_EQ(client.command("PING"), Reply::status("PONG"));
}

TEST_F(TlsTest, client_certificates_are_asked_for_as_the_settings_say) {
  const TlsOptions known{.cert = pem("client"), .key = key("client")};
  const TlsOptions stranger{.cert = pem("stranger"), .key = key("stranger")};
  const auto answer = [&](TlsOptions options, int version) -> std::string {
    options.max_version = version;
    try {
      return TlsClient(port(), options).command("PING").text;
    } catch (const Disconnected&) {
      return "refused";  // of TLS 1.3 a client hears this only after its own handshake
    }
  };
  for (const std::string how : {"required", "optional"}) {
    const auto corral = start(server_section("server", client_ca(how)));
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      EXPECT_EQ(answer(known, version), "PONG");
      EXPECT_EQ(answer({}, version), how == "required" ? "refused" : "PONG");
      EXPECT_EQ(answer(stranger, version), "refused");
    }
    expect_logged(*corral, how == "required" ? "peer did not return a certificate" : "the certificate is refused");
  }
}

TEST_F(TlsTest, certificates_are_replaced_while_clients_are_served) {
  const std::string cert = ours_->path("current"), secret = ours_->path("current", ".key");
  const auto use = [&](const std::string& name) {
    const auto options = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(pem(name), cert, options);
    std::filesystem::copy_file(key(name), secret, options);
  };
  use("server");
  const auto corral = start(server_section("current") + upstream_section());
  TlsClient before(port(), trusting());
  EXPECT_NE(before.subject().find("CN=server"), std::string::npos);
  use("renewed");
  EXPECT_NE(TlsClient(port()).subject().find("CN=server"), std::string::npos);
  EXPECT_EQ(before.command("CORRAL", "RELOAD"), Reply::status("OK"));
  EXPECT_NE(TlsClient(port(), trusting()).subject().find("CN=renewed"), std::string::npos);
  EXPECT_EQ(before.command("SET", "after", "reload"), Reply::status("OK"));

  std::filesystem::copy_file(key("server"), secret, std::filesystem::copy_options::overwrite_existing);
  const Reply refusal = before.command("CORRAL", "RELOAD");
  EXPECT_NE(refusal.text.find(":3: server.tls.key is \"" + secret + "\"; it must be the key of the certificate"),
            std::string::npos)
      << refusal;
  EXPECT_NE(TlsClient(port(), trusting()).subject().find("CN=renewed"), std::string::npos);
  use("server");
  corral->signal(SIGHUP);
  require_eventually("the old one is back",
                     [&] { return TlsClient(port()).subject().find("CN=server") != std::string::npos; });
  EXPECT_EQ(before.command("GET", "after"), Reply::string("reload"));
}

TEST_F(TlsTest, a_node_is_not_trusted_without_a_reason) {
  struct Case {
    std::string section, cert, why;  // why: nothing, it is trusted
  };
  const std::string others = "[upstream.tls]\nca = \"" + theirs_->file() + "\"\n";
  const std::vector<Case> cases = {
      {upstream_section(), "server", ""},
      {others, "server", "self-signed certificate in certificate chain"},
      {upstream_section(), "elsewhere", "IP address mismatch"},
      {upstream_section("server_name = \"redis.example\"\n"), "elsewhere", ""},
      {upstream_section("server_name = \"other.example\"\n"), "server", "hostname mismatch"},
      {upstream_section(), "expired", "certificate has expired"},
      {"[upstream.tls]\nverify = false\n", "expired", ""},
  };
  for (const Case& one : cases) {
    RedisServer node(false, redis_settings(one.cert));
    Corral corral({.upstream = "127.0.0.1:" + std::to_string(node.tls_port()), .settings = kStandalone + one.section});
    Client client = corral.connect();
    if (one.why.empty()) {
      EXPECT_TRUE(eventually([&] { return client.command("SET", "k", "v") == Reply::status("OK"); })) << one.section;
    } else {
      EXPECT_TRUE(client.command("SET", "k", "v").is_error()) << one.why;
      expect_logged(corral, one.why);
      EXPECT_EQ(node.command("EXISTS", "k"), Reply::number(0));
    }
  }
}

TEST_F(TlsTest, corral_shows_its_certificate_to_nodes_that_want_one) {
  auto settings = redis_settings("server");
  *std::ranges::find(settings, "optional") = "yes";
  RedisServer node(false, settings);
  const std::string address = "127.0.0.1:" + std::to_string(node.tls_port()), mode = kStandalone;
  Corral known(
      {.upstream = address,
       .settings = mode + upstream_section("cert = \"" + pem("client") + "\"\nkey = \"" + key("client") + "\"\n")});
  EXPECT_TRUE(eventually([&] { return known.connect().command("SET", "k", "v") == Reply::status("OK"); }));
  Corral unknown({.upstream = address, .settings = mode + upstream_section()});
  EXPECT_TRUE(unknown.connect().command("GET", "k").is_error());
}

TEST_F(TlsTest, a_node_that_speaks_no_tls_is_said_to) {
  RedisServer node;
  Corral corral({.upstream = node.address(), .settings = kStandalone + upstream_section()});
  EXPECT_TRUE(corral.connect().command("GET", "k").is_error());
}

TEST_F(TlsTest, a_new_process_takes_over_the_tls_address) {
  const std::string file = (dir_->path() / "takeover.toml").string();
  std::ofstream(file) << server_section("server");
  const CorralOptions options{.upstream = cluster_->seeds(), .flags = {"--config", file, "--listen", tls_address()}};
  Corral old(options);
  TlsClient client(port());
  EXPECT_EQ(client.command("PING"), Reply::status("PONG"));
  CorralOptions next = options;
  next.port = old.shared_port();
  next.flags.push_back("--takeover");
  Corral successor(next);
  EXPECT_EQ(old.wait_for_exit(), 0);
  EXPECT_EQ(TlsClient(port(), trusting()).command("PING"), Reply::status("PONG"));
}

TEST_F(TlsTest, files_that_are_wrong_are_told_with_their_line) {
  const std::string file = (dir_->path() / "wrong.toml").string();
  const auto expect_refusal = [&](const std::string& toml, const std::string& line) {
    std::ofstream(file) << toml;
    const Finished finished = run({corral_binary(), "--config", file, "--check"});
    EXPECT_EQ(finished.status, 2);
    EXPECT_EQ(finished.output, file + line + "\n");
  };
  const auto section = [&](const std::string& cert, const std::string& secret) {
    return "[server.tls]\ncert = \"" + cert + "\"\nkey = \"" + secret + "\"\n";
  };
  expect_refusal(section("/none.pem", key("server")),
                 ":2: server.tls.cert is \"/none.pem\"; it cannot be read: No such file or directory");
  expect_refusal(section(pem("server"), "/"), ":3: server.tls.key is \"/\"; it cannot be read: Is a directory");
  expect_refusal(
      section(pem("server"), key("client")),
      ":3: server.tls.key is \"" + key("client") + "\"; it must be the key of the certificate in server.tls.cert");
  expect_refusal(section(key("server"), key("server")),
                 ":2: server.tls.cert is \"" + key("server") + "\"; it must hold a certificate in PEM form");
  expect_refusal(
      section(pem("server"), pem("server")),
      ":3: server.tls.key is \"" + pem("server") + "\"; it must hold a private key in PEM form that is not encrypted");
  expect_refusal(upstream_section("ciphers = \"NONESUCH\"\n"),
                 ":3: upstream.tls.ciphers is \"NONESUCH\"; it must name ciphers that OpenSSL knows");
  expect_refusal("[upstream.tls]\nca = \"" + key("server") + "\"\n",
                 ":2: upstream.tls.ca is \"" + key("server") + "\"; it must hold certificates in PEM form");
  std::ofstream(file) << section(pem("server"), key("server"));
  EXPECT_EQ(run({corral_binary(), "--config", file, "--check"}).status, 0);
}

}  // namespace
}  // namespace corral::test
