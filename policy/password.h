// Passwords of users. They are known by their SHA-256 only, as Redis stores them, so that nothing that tells of a user
// tells a password.
// Source: Redis 7.0, acl.c, ACLHashPassword; https://redis.io/docs/management/security/acl.
#pragma once

#include <string>
#include <string_view>

namespace corral::policy {

/// 64 lower-case hex digits.
std::string hash_password(std::string_view password);

/// Whether it is of the form that hash_password() gives.
bool is_password_hash(std::string_view text);

/// In a time that does not tell where they differ.
bool same_hash(std::string_view a, std::string_view b);

}  // namespace corral::policy
