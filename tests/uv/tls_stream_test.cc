// TLS without sockets: two streams whose bytes are handed over in pieces of any size, and what breaks it.
#include "proxy/uv/tls_stream.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <string>

namespace corral::uv {
namespace {

// A certificate of its own name, made anew.
void certify(SSL_CTX* context) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  ASSERT_EQ(SSL_CTX_use_certificate(context, certificate.get()), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey(context, key.get()), 1);
}

TlsContexts make_contexts() {
  TlsContexts contexts;
  contexts.server = SslContext(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  contexts.upstream = SslContext(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  contexts.verify = false;
  certify(contexts.server.get());
  return contexts;
}

// One end: what it is to send, and what it has been told.
struct End {
  std::unique_ptr<TlsBuffers> buffers = std::make_unique<TlsBuffers>();
  std::unique_ptr<TlsStream> stream;
  std::string plain;

  // Hands what is outgoing to the other end, `piece` bytes at a time; the socket takes only `takes` at once.
  void pass_to(End& other, size_t piece, size_t takes = SIZE_MAX) {
    std::string cipher;
    while (!stream->outgoing().empty()) {
      const size_t taken = std::min(takes, stream->outgoing().size());
      cipher += stream->outgoing().substr(0, taken);
      stream->on_sent(taken);
    }
    for (size_t at = 0; at < cipher.size(); at += piece) other.receive(cipher.substr(at, piece));
  }
  // Also keeps what is to be sent, as a socket that takes nothing does: `cipher` is the loop's, for one call.
  void receive(std::string_view bytes) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), TlsBuffers::kReceived))) {
      plain += stream->receive(bytes.data(), std::min(bytes.size(), TlsBuffers::kReceived));
      stream->on_sent(0);
    }
  }
  // Encrypts all of it; how many bytes were taken at once.
  size_t say(std::string_view text, size_t skip = 0) {
    const iovec part{const_cast<char*>(text.data()), text.size()};
    return stream->encrypt(&part, 1, skip);
  }
};

class TlsStreamTest : public ::testing::Test {
 protected:
  void begin() {
    server_.stream = TlsStream::accept(contexts_, *server_.buffers);
    client_.stream = TlsStream::connect(contexts_, "localhost", *client_.buffers);
    client_.stream->start();
  }
  void shake_hands(size_t piece = SIZE_MAX, size_t takes = SIZE_MAX) {
    begin();
    for (int turn = 0; turn < 4; ++turn) {
      client_.pass_to(server_, piece, takes);
      server_.pass_to(client_, piece, takes);
    }
    ASSERT_TRUE(client_.stream->writable()) << client_.stream->failure();
    ASSERT_TRUE(server_.stream->writable()) << server_.stream->failure();
  }

  const TlsContexts contexts_ = make_contexts();
  End server_, client_;
};

TEST_F(TlsStreamTest, everything_may_come_in_pieces_of_any_size) {
  for (const size_t piece : {1, 2, 3, 5, 7, 16, 100, 1000, 20'000}) {
    SCOPED_TRACE(piece);
    shake_hands(piece, piece);
    for (const size_t size : {1, 100, 16'384, 16'385, 50'000}) {
      const std::string text(size, static_cast<char>('a' + size % 26));
      client_.plain.clear();
      server_.plain.clear();
      ASSERT_EQ(client_.say(text), size);
      client_.pass_to(server_, piece, piece);
      EXPECT_EQ(server_.plain, text);
      ASSERT_EQ(server_.say(text), size);
      server_.pass_to(client_, piece, piece);
      EXPECT_EQ(client_.plain, text);
    }
  }
}

TEST_F(TlsStreamTest, two_records_may_be_split_anywhere) {
  shake_hands();
  size_t split = 0, size = 1;
  for (; split < size; ++split) {
    server_.plain.clear();
    ASSERT_EQ(client_.say("first"), 5u);
    std::string cipher(client_.stream->outgoing());
    client_.stream->on_sent(cipher.size());
    ASSERT_EQ(client_.say("second"), 6u);
    cipher += client_.stream->outgoing();
    client_.stream->on_sent(client_.stream->outgoing().size());
    size = cipher.size();
    server_.receive(cipher.substr(0, split));
    EXPECT_EQ(server_.plain, std::string("firstsecond").substr(0, server_.plain.size()));
    server_.receive(cipher.substr(split));
    ASSERT_EQ(server_.plain, "firstsecond") << "split at " << split;
  }
  EXPECT_GT(split, 50u);
}

TEST_F(TlsStreamTest, no_more_is_taken_at_once_than_may_wait) {
  shake_hands();
  const std::string text(3 * TlsStream::kMostAtOnce + 5, 'x');
  size_t taken = 0;
  while (taken < text.size()) {
    const size_t now = client_.say(text, taken);
    ASSERT_GT(now, 0u);
    ASSERT_LE(now, TlsStream::kMostAtOnce);
    taken += now;
    client_.pass_to(server_, 1400);
  }
  EXPECT_EQ(server_.plain, text);
}

TEST_F(TlsStreamTest, parts_are_taken_behind_what_was_taken_before) {
  shake_hands();
  std::string a = "one ", b = "two ", c = "three";
  const iovec parts[] = {{a.data(), a.size()}, {b.data(), b.size()}, {c.data(), c.size()}};
  EXPECT_EQ(client_.stream->encrypt(parts, 3, 6), 7u);
  client_.pass_to(server_, SIZE_MAX);
  EXPECT_EQ(server_.plain, "o three");
}

TEST_F(TlsStreamTest, the_end_is_told_and_what_came_before_is_there) {
  shake_hands();
  client_.say("bye");
  client_.pass_to(server_, SIZE_MAX);
  client_.stream->finish();
  client_.pass_to(server_, 1);
  EXPECT_EQ(server_.plain, "bye");
  EXPECT_TRUE(server_.stream->ended());
  EXPECT_TRUE(server_.stream->writable()) << "it may still answer";
}

TEST_F(TlsStreamTest, who_speaks_no_tls_is_refused) {
  begin();
  server_.receive("*1\r\n$4\r\nPING\r\n");
  EXPECT_TRUE(server_.stream->failed());
  EXPECT_NE(server_.stream->failure(), "");
  EXPECT_EQ(server_.plain, "");
}

// Every byte of a record is vouched for.
TEST_F(TlsStreamTest, a_byte_that_is_changed_breaks_it) {
  size_t at = 0, size = 1;
  for (; at < size; ++at) {
    server_ = {};
    client_ = {};
    shake_hands();
    client_.say("secret");
    std::string cipher(client_.stream->outgoing());
    size = cipher.size();
    cipher[at] = static_cast<char>(cipher[at] ^ 0x40);
    server_.receive(cipher);
    ASSERT_EQ(server_.plain, "") << "byte " << at;
    // A length that is greater has it wait for the rest.
    ASSERT_TRUE(server_.stream->failed() || at == 3 || at == 4) << "byte " << at;
    ASSERT_FALSE(server_.stream->ended());
  }
}

}  // namespace
}  // namespace corral::uv
