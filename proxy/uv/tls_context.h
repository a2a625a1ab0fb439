// What TLS takes beside the bytes: certificates, keys, and what is asked of the other side, as the settings and the
// files that they name say it. What came of one reading is immutable; a reload puts another in its place, which new
// connections get, while those that are open keep what they began with.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "config/conflict.h"
#include "config/settings.h"

namespace corral::uv {

using SslContext = std::shared_ptr<SSL_CTX>;

struct TlsContexts {
  SslContext server, upstream;  // null: TLS is not spoken there
  int64_t handshake_timeout_ms = 0;
  bool verify = true;       // of the upstream's certificates
  std::string server_name;  // that they must be for; empty: the host's
};

/// What is wrong with the TLS sections or the files that they name, if anything is; never part of a key.
std::optional<config::Conflict> find_tls_problem(const config::Settings& settings);

/// The contexts of the process. From any thread.
class Tls {
 public:
  /// Reads the files. An error changes nothing. Whether TLS is spoken at all stays as it was at the first time.
  std::optional<std::string> load(const config::Settings& settings);
  std::shared_ptr<const TlsContexts> current() const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsContexts> current_;
};

}  // namespace corral::uv
