#include "proxy/uv/tls_context.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "config/schema.h"

namespace corral::uv {

using config::Conflict;
using Problem = std::optional<Conflict>;

namespace {

// What both sections say.
struct Section {
  std::string_view name;
  const std::string &ca, &cert, &key, &min_version, &ciphers;
};

Problem wrong(const Section& section, std::string_view key, const std::string& value, const std::string& what) {
  return Conflict{section.name, key,
                  std::string(section.name) + '.' + std::string(key) + " is \"" + value + "\"; " + what};
}

// Why a file cannot be read; empty if it can.
std::string why_unreadable(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  char byte;
  const bool readable = fd >= 0 && read(fd, &byte, 1) >= 0;
  const std::string why = readable ? "" : std::strerror(errno);
  if (fd >= 0) close(fd);
  return why;
}

// Nobody is asked for a passphrase.
int no_passphrase(char*, int, int, void*) { return 0; }

Problem load_certificate(SSL_CTX* context, const Section& section) {
  if (section.cert.empty()) return {};
  if (const auto why = why_unreadable(section.cert); !why.empty()) {
    return wrong(section, "cert", section.cert, "it cannot be read: " + why);
  }
  if (const auto why = why_unreadable(section.key); !why.empty()) {
    return wrong(section, "key", section.key, "it cannot be read: " + why);
  }
  if (SSL_CTX_use_certificate_chain_file(context, section.cert.c_str()) != 1) {
    return wrong(section, "cert", section.cert, "it must hold a certificate in PEM form");
  }
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  if (SSL_CTX_use_PrivateKey_file(context, section.key.c_str(), SSL_FILETYPE_PEM) == 1) return {};
  if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
      ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH) {
    return wrong(section, "key", section.key,
                 "it must be the key of the certificate in " + std::string(section.name) + ".cert");
  }
  return wrong(section, "key", section.key, "it must hold a private key in PEM form that is not encrypted");
}

Problem load_authorities(SSL_CTX* context, const Section& section) {
  if (section.ca.empty()) return {};
  if (const auto why = why_unreadable(section.ca); !why.empty()) {
    return wrong(section, "ca", section.ca, "it cannot be read: " + why);
  }
  if (SSL_CTX_load_verify_file(context, section.ca.c_str()) == 1) return {};
  return wrong(section, "ca", section.ca, "it must hold certificates in PEM form");
}

Problem load_section(SSL_CTX* context, const Section& section) {
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context, section.min_version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION);
  // A connection that is silent keeps no buffers. What write() is given again need not be at the same place.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (!section.ciphers.empty() && SSL_CTX_set_cipher_list(context, section.ciphers.c_str()) != 1) {
    return wrong(section, "ciphers", section.ciphers, "it must name ciphers that OpenSSL knows");
  }
  if (auto problem = load_authorities(context, section)) return problem;
  return load_certificate(context, section);
}

SslContext new_context(const SSL_METHOD* method) { return {SSL_CTX_new(method), SSL_CTX_free}; }

// Sessions are resumed by tickets alone, so that nothing is kept for clients that are gone.
Problem load_server(const config::ServerTlsSettings& tls, TlsContexts& contexts) {
  contexts.server = new_context(TLS_server_method());
  contexts.handshake_timeout_ms = tls.handshake_timeout_ms;
  SSL_CTX* context = contexts.server.get();
  if (auto problem =
          load_section(context, {config::kServerTls, tls.ca, tls.cert, tls.key, tls.min_version, tls.ciphers}))
    return problem;
  static constexpr unsigned char kSessionsOf[] = "corral";
  SSL_CTX_set_session_id_context(context, kSessionsOf, sizeof(kSessionsOf) - 1);
  SSL_CTX_set_num_tickets(context, 1);
  if (tls.client_certificates == "none") return {};
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(tls.ca.c_str()));
  const bool required = tls.client_certificates == "required";
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  return {};
}

Problem load_upstream(const config::UpstreamTlsSettings& tls, TlsContexts& contexts) {
  contexts.upstream = new_context(TLS_client_method());
  contexts.verify = tls.verify;
  contexts.server_name = tls.server_name;
  SSL_CTX* context = contexts.upstream.get();
  SSL_CTX_set_verify(context, tls.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (tls.ca.empty()) SSL_CTX_set_default_verify_paths(context);
  return load_section(context, {config::kUpstreamTls, tls.ca, tls.cert, tls.key, tls.min_version, tls.ciphers});
}

Problem load_contexts(const config::Settings& settings, TlsContexts& contexts) {
  const auto& server = settings.server.tls;
  const auto& upstream = settings.upstream.tls;
  Problem problem;
  if (server) problem = load_server(*server, contexts);
  if (!problem && upstream) problem = load_upstream(*upstream, contexts);
  ERR_clear_error();
  return problem;
}

// It may be meant so, and a clock may be wrong; but whoever wonders should find it in the log.
void warn_if_expired(const SslContext& context, std::string_view section) {
  const X509* own = context ? SSL_CTX_get0_certificate(context.get()) : nullptr;
  if (own && X509_cmp_current_time(X509_get0_notAfter(own)) < 0)
    spdlog::warn("the certificate in {}.cert has expired", section);
}

}  // namespace

std::optional<Conflict> find_tls_problem(const config::Settings& settings) {
  TlsContexts unused;
  return load_contexts(settings, unused);
}

std::optional<std::string> Tls::load(const config::Settings& settings) {
  auto next = std::make_shared<TlsContexts>();
  if (auto problem = load_contexts(settings, *next)) return problem->what;
  warn_if_expired(next->server, config::kServerTls);
  warn_if_expired(next->upstream, config::kUpstreamTls);
  const std::lock_guard lock(mutex_);
  if (current_ && !next->server) {
    next->server = current_->server;
    next->handshake_timeout_ms = current_->handshake_timeout_ms;
  }
  if (current_ && !next->upstream != !current_->upstream) {
    next->upstream = current_->upstream;
    next->verify = current_->verify;
    next->server_name = current_->server_name;
  }
  current_ = std::move(next);
  return {};
}

std::shared_ptr<const TlsContexts> Tls::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

}  // namespace corral::uv
