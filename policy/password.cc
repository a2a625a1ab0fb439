#include "policy/password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace corral::policy {

namespace {

constexpr size_t kHashBytes = 32;
constexpr std::string_view kHex = "0123456789abcdef";

}  // namespace

std::string hash_password(std::string_view password) {
  std::array<unsigned char, kHashBytes> hash{};
  // Without a hash any password would be as good as any other.
  if (EVP_Digest(password.data(), password.size(), hash.data(), nullptr, EVP_sha256(), nullptr) != 1) std::abort();
  std::string text;
  for (const unsigned char byte : hash) text += {kHex[byte >> 4], kHex[byte & 15]};
  return text;
}

bool is_password_hash(std::string_view text) {
  return text.size() == 2 * kHashBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return kHex.find(c) != std::string_view::npos; });
}

bool same_hash(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace corral::policy
