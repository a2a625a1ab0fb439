#include "proxy/core/script_registry.h"

#include <openssl/evp.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>

#include "resp/ascii.h"

namespace corral::core {

namespace {

constexpr size_t kMostBytes = 64u << 20;
constexpr size_t kOverhead = 300;  // bytes, that a script takes besides its text
constexpr size_t kShaDigits = 40;

std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) return {};
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

}  // namespace

void ScriptRegistry::learn(std::string_view body) {
  if (body.size() > kMostBytes / 4) return;
  std::string sha = sha1_hex(body);
  const std::lock_guard lock(mutex_);
  const auto [it, is_new] = bodies_.try_emplace(std::move(sha));
  if (!is_new) return;
  it->second = std::make_shared<const std::string>(body);
  order_.push_back(it->first);
  bytes_ += body.size() + kOverhead;
  while (bytes_ > kMostBytes) forget_oldest();
}

void ScriptRegistry::forget_oldest() {
  const auto it = bodies_.find(order_.front());
  bytes_ -= it->second->size() + kOverhead;
  bodies_.erase(it);
  order_.pop_front();
  generation_.fetch_add(1, std::memory_order_relaxed);
}

std::shared_ptr<const std::string> ScriptRegistry::find(std::string_view sha) const {
  if (sha.size() != kShaDigits) return nullptr;
  const std::string wanted = resp::lower_case(sha);
  const std::lock_guard lock(mutex_);
  const auto it = bodies_.find(wanted);
  return it == bodies_.end() ? nullptr : it->second;
}

void ScriptRegistry::clear() {
  const std::lock_guard lock(mutex_);
  bodies_.clear();
  order_.clear();
  bytes_ = 0;
  generation_.fetch_add(1, std::memory_order_relaxed);
}

void SeenScripts::show(ScriptRegistry& registry, std::string_view body) {
  if (const uint64_t now = registry.generation(); now != generation_) {
    seen_.clear();
    generation_ = now;
  }
  if (seen_.insert(XXH3_64bits(body.data(), body.size())).second) registry.learn(body);
}

}  // namespace corral::core
