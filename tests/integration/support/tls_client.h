// A client of the tests that speaks TLS, with OpenSSL's own sockets (SSL_set_fd) rather than what is under test.
// Whatever takes longer than kPatience or fails throws; a refused handshake throws Disconnected.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "client.h"

namespace corral::test {

struct TlsOptions {
  std::string ca = {};              // empty: anything is accepted
  std::string cert = {}, key = {};  // shown if asked for
  int max_version = 0;              // TLS1_2_VERSION ...; 0: the newest
  int min_version = 0;
  std::string ciphers = {};
};

class TlsClient {
 public:
  explicit TlsClient(uint16_t port, const TlsOptions& options = {});
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  template <class... Words>
  Reply command(const Words&... words) {
    send(encode(Args{to_arg(words)...}));
    return read_reply();
  }
  void send(std::string_view bytes);
  Reply read_reply();
  void finish_sending() { SSL_shutdown(ssl_.get()); }  // close_notify
  // Whether the end comes by close_notify, with nothing before it.
  bool ends_cleanly();
  std::string version() const { return SSL_get_version(ssl_.get()); }
  std::string subject() const;  // of the server's certificate
  int renegotiate();            // what SSL_do_handshake says

 private:
  int fd_ = -1;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  std::string inbox_;
};

}  // namespace corral::test
