#include "tls_client.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <utility>

namespace corral::test {
namespace {

constexpr size_t kReadSize = 64 * 1024;

int connect_to(uint16_t port) {
  signal(SIGPIPE, SIG_IGN);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{std::chrono::duration_cast<std::chrono::seconds>(kPatience).count(), 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  throw Disconnected("connect");
}

std::string last_error() {
  const char* reason = ERR_reason_error_string(ERR_get_error());
  return reason ? reason : "connection closed";
}

}  // namespace

TlsClient::TlsClient(uint16_t port, const TlsOptions& options)
    : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), ssl_(nullptr, SSL_free) {
  SSL_CTX* context = context_.get();
  SSL_CTX_set_min_proto_version(context, options.min_version);
  SSL_CTX_set_max_proto_version(context, options.max_version);
  if (!options.ciphers.empty()) SSL_CTX_set_cipher_list(context, options.ciphers.c_str());
  if (!options.ca.empty()) {
    SSL_CTX_load_verify_file(context, options.ca.c_str());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  if (!options.cert.empty()) {
    SSL_CTX_use_certificate_chain_file(context, options.cert.c_str());
    SSL_CTX_use_PrivateKey_file(context, options.key.c_str(), SSL_FILETYPE_PEM);
  }
  fd_ = connect_to(port);
  ssl_.reset(SSL_new(context));
  SSL_set_fd(ssl_.get(), fd_);
  ERR_clear_error();
  if (SSL_connect(ssl_.get()) == 1) return;
  close(std::exchange(fd_, -1));
  throw Disconnected("TLS handshake: " + last_error());
}

TlsClient::~TlsClient() { close(fd_); }

void TlsClient::send(std::string_view bytes) {
  ERR_clear_error();
  if (bytes.empty() || SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0) return;
  throw Disconnected("SSL_write: " + last_error());
}

Reply TlsClient::read_reply() {
  for (;;) {
    Reply reply;
    if (const auto end = parse_reply(inbox_, 0, reply)) {
      inbox_.erase(0, *end);
      return reply;
    }
    // A large reply is parsed again only when there is twice as much of it.
    const size_t wanted = inbox_.size() < kReadSize ? 1 : inbox_.size();
    for (const size_t before = inbox_.size(); inbox_.size() < before + wanted;) {
      char bytes[kReadSize];
      ERR_clear_error();
      const int count = SSL_read(ssl_.get(), bytes, sizeof bytes);
      if (count <= 0) throw Disconnected("SSL_read: " + last_error());
      inbox_.append(bytes, static_cast<size_t>(count));
      if (SSL_pending(ssl_.get()) == 0 && parse_reply(inbox_, 0, reply)) break;
    }
  }
}

bool TlsClient::ends_cleanly() {
  char byte;
  ERR_clear_error();
  const int count = SSL_read(ssl_.get(), &byte, 1);
  return inbox_.empty() && count <= 0 && SSL_get_error(ssl_.get(), count) == SSL_ERROR_ZERO_RETURN;
}

std::string TlsClient::subject() const {
  char text[256] = "";
  X509_NAME_oneline(X509_get_subject_name(SSL_get0_peer_certificate(ssl_.get())), text, sizeof text);
  return text;
}

int TlsClient::renegotiate() {
  SSL_renegotiate(ssl_.get());
  return SSL_do_handshake(ssl_.get());
}

}  // namespace corral::test
