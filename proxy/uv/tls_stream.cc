#include "proxy/uv/tls_stream.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace corral::uv {

namespace {

constexpr char kHandshakeRecord = 0x16;  // the first byte of every connection (RFC 8446, 5.1)
constexpr char kAlertRecord = 0x15;

template <class T>
T* check(T* made) {
  if (!made) throw std::bad_alloc();
  return made;
}

// Where a place in a list of parts is.
struct Cursor {
  const iovec* parts;
  int count;
  size_t offset;  // in the first

  void advance(size_t size) {
    offset += size;
    while (count > 0 && offset >= parts->iov_len) {
      offset -= parts->iov_len;
      ++parts;
      --count;
    }
  }
  std::string_view piece() const {
    if (count == 0) return {};
    return {static_cast<const char*>(parts->iov_base) + offset, parts->iov_len - offset};
  }
};

// A name is told to the node (SNI) and looked for in its certificate, an address is only looked for.
void expect_host(SSL* ssl, const std::string& host) {
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1) return;
  SSL_set1_host(ssl, host.c_str());
  SSL_set_tlsext_host_name(ssl, host.c_str());
}

}  // namespace

const BIO_METHOD* TlsStream::bio_method() {
  static const BIO_METHOD* method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "loop buffers");
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, [](BIO*, int command, long, void*) -> long { return command == BIO_CTRL_FLUSH; });
    return made;
  }();
  return method;
}

TlsStream::TlsStream(SSL* ssl, TlsBuffers& buffers) : ssl_(ssl), buffers_(buffers) {
  BIO* bio = check(BIO_new(bio_method()));
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
}

std::unique_ptr<TlsStream> TlsStream::accept(const TlsContexts& contexts, TlsBuffers& buffers) {
  SSL* ssl = check(SSL_new(contexts.server.get()));
  SSL_set_accept_state(ssl);
  return std::unique_ptr<TlsStream>(new TlsStream(ssl, buffers));
}

std::unique_ptr<TlsStream> TlsStream::connect(const TlsContexts& contexts, const std::string& host,
                                              TlsBuffers& buffers) {
  SSL* ssl = check(SSL_new(contexts.upstream.get()));
  SSL_set_connect_state(ssl);
  expect_host(ssl, contexts.server_name.empty() ? host : contexts.server_name);
  return std::unique_ptr<TlsStream>(new TlsStream(ssl, buffers));
}

int TlsStream::bio_read(BIO* bio, char* data, int size) {
  auto& input = static_cast<TlsStream*>(BIO_get_data(bio))->input_;
  BIO_clear_retry_flags(bio);
  if (input.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const size_t taken = std::min(static_cast<size_t>(size), input.size());
  std::memcpy(data, input.data(), taken);
  input.remove_prefix(taken);
  return static_cast<int>(taken);
}

// Behind what is unsent already (an alert, an answer to a key update), else into the loop's buffer.
int TlsStream::bio_write(BIO* bio, const char* data, int size) {
  auto* stream = static_cast<TlsStream*>(BIO_get_data(bio));
  std::string& to = stream->unsent_.empty() ? stream->buffers_.cipher : stream->unsent_;
  to.append(data, static_cast<size_t>(size));
  return size;
}

void TlsStream::on_sent(size_t size) {
  if (!unsent_.empty()) {
    unsent_.erase(0, size);
    if (unsent_.empty()) unsent_ = {};
    return;
  }
  unsent_.assign(buffers_.cipher, size);
  buffers_.cipher.clear();
}

void TlsStream::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    state_ = State::kOpen;
  } else {
    on_error(result);
  }
}

// Called right after the call that gave `result`.
void TlsStream::on_error(int result) {
  const int error = SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ) return;
  if (error == SSL_ERROR_ZERO_RETURN) {
    state_ = State::kEnded;
    return;
  }
  const long verdict = SSL_get_verify_result(ssl_.get());
  if (handshaking() && verdict != X509_V_OK && SSL_get_verify_mode(ssl_.get()) != SSL_VERIFY_NONE) {
    return fail(std::string("the certificate is refused: ") + X509_verify_cert_error_string(verdict));
  }
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  fail(std::string("TLS: ") + (reason ? reason : "the connection is broken"));
}

void TlsStream::fail(std::string why) {
  state_ = State::kFailed;
  failure_ = std::move(why);
}

std::string_view TlsStream::receive(const char* data, size_t size) {
  if (!std::exchange(received_, true) && *data != kHandshakeRecord && *data != kAlertRecord) {
    fail("what was received is not TLS");
    return {};
  }
  input_ = {data, size};
  if (handshaking()) shake_hands();
  size_t filled = 0;
  if (state_ == State::kOpen) ERR_clear_error();
  while (state_ == State::kOpen && filled < buffers_.plain.size()) {
    const int read =
        SSL_read(ssl_.get(), buffers_.plain.data() + filled, static_cast<int>(buffers_.plain.size() - filled));
    if (read <= 0) {
      on_error(read);
      break;
    }
    filled += static_cast<size_t>(read);
  }
  input_ = {};
  return {buffers_.plain.data(), filled};
}

size_t TlsStream::encrypt(const iovec* parts, int count, size_t skip) {
  ERR_clear_error();
  Cursor cursor{parts, count, 0};
  cursor.advance(skip);
  size_t taken = 0;
  while (taken < kMostAtOnce && cursor.count > 0) {
    std::string_view next = cursor.piece();
    if (next.size() >= TlsBuffers::kRecord) {
      next = next.substr(0, std::min(next.size() - next.size() % TlsBuffers::kRecord, kMostAtOnce - taken));
      cursor.advance(next.size());
    } else {
      const size_t room = std::min(TlsBuffers::kRecord, kMostAtOnce - taken);
      size_t joined = 0;
      while (joined < room && cursor.count > 0) {
        const std::string_view part = cursor.piece().substr(0, room - joined);
        std::memcpy(buffers_.record.data() + joined, part.data(), part.size());
        joined += part.size();
        cursor.advance(part.size());
      }
      next = {buffers_.record.data(), joined};
    }
    const int written = SSL_write(ssl_.get(), next.data(), static_cast<int>(next.size()));
    if (written != static_cast<int>(next.size())) {
      on_error(written);
      if (!failed()) fail("TLS: the connection takes nothing");  // the BIO takes all, so this cannot be
      return 0;
    }
    taken += next.size();
  }
  return taken;
}

void TlsStream::finish() {
  if (!writable()) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

}  // namespace corral::uv
