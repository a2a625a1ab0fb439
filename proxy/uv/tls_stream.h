// TLS between a socket's bytes and the core's, with OpenSSL; it does no I/O. How bytes flow:
//
//   in    socket -- recv() --> the loop's read buffer -- SSL_read --> TlsBuffers::plain --> Endpoint::on_bytes()
//   out   Transport::write() --> small parts joined in TlsBuffers::record -- SSL_write --> TlsBuffers::cipher
//         -- send() --> socket; what the socket does not take waits in unsent_, the connection's own
//
// OpenSSL takes and gives bytes through a BIO over these buffers. All of what was received is decrypted at once, so
// that nothing but the beginning of one record stays in OpenSSL. write() is refused while anything is unsent, so that a
// connection has at most kMostAtOnce bytes waiting as ciphertext, and the backpressure is the socket's own. Buffers are
// the loop's: a connection that is silent has none (SSL_MODE_RELEASE_BUFFERS).
#pragma once

#include <openssl/ssl.h>
#include <sys/uio.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/uv/tls_context.h"

namespace corral::uv {

/// What the connections of a loop share, for the time of one call.
struct TlsBuffers {
  static constexpr size_t kRecord = 16 * 1024;      // the most that a record holds (RFC 8446, 5.1)
  static constexpr size_t kReceived = 64 * 1024;    // ciphertext that is received at once
  std::array<char, kReceived + 2 * kRecord> plain;  // that, and the record whose beginning came before
  std::array<char, kRecord> record;
  std::string cipher;
};

class TlsStream {
 public:
  static constexpr size_t kMostAtOnce = 4 * TlsBuffers::kRecord;

  /// Of a client that has connected to us. `buffers` outlive it.
  static std::unique_ptr<TlsStream> accept(const TlsContexts& contexts, TlsBuffers& buffers);
  /// To a node; `host`, a name or an address, is what its certificate must be for if the settings say nothing else.
  static std::unique_ptr<TlsStream> connect(const TlsContexts& contexts, const std::string& host, TlsBuffers& buffers);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  bool handshaking() const { return state_ == State::kHandshake; }
  /// Whether encrypt() may be called: the handshake is done and nothing is broken.
  bool writable() const { return state_ == State::kOpen || state_ == State::kEnded; }
  /// The other side has said that it sends no more (close_notify).
  bool ended() const { return state_ == State::kEnded; }
  bool failed() const { return state_ == State::kFailed; }
  /// Why; for people.
  const std::string& failure() const { return failure_; }

  // After each of these, what is outgoing() is to be sent.
  /// The client's first step.
  void start() { shake_hands(); }
  /// At most TlsBuffers::kReceived bytes. The plain ones, valid until the next call to any stream of the loop.
  std::string_view receive(const char* data, size_t size);
  /// Takes of the parts' bytes behind the first `skip`, kMostAtOnce at most; how many. 0: it has failed.
  size_t encrypt(const iovec* parts, int count, size_t skip);
  /// Says that nothing more comes from here (close_notify).
  void finish();

  std::string_view outgoing() const { return unsent_.empty() ? std::string_view(buffers_.cipher) : unsent_; }
  /// The socket has taken so many of the outgoing bytes; the rest is kept.
  void on_sent(size_t size);

 private:
  enum class State : uint8_t { kHandshake, kOpen, kEnded, kFailed };
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  TlsStream(SSL* ssl, TlsBuffers& buffers);
  static const BIO_METHOD* bio_method();
  static int bio_read(BIO* bio, char* data, int size);
  static int bio_write(BIO* bio, const char* data, int size);
  void shake_hands();
  void on_error(int result);
  void fail(std::string why);

  const std::unique_ptr<SSL, FreeSsl> ssl_;
  TlsBuffers& buffers_;
  State state_ = State::kHandshake;
  bool received_ = false;   // anything at all
  std::string_view input_;  // what is being received
  std::string unsent_, failure_;
};

}  // namespace corral::uv
