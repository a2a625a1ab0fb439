// Who may ask the admin port for what. Pure.
//
// Loopback keeps other machines out, but not the pages that a browser on this one shows: a page of another site may
// send requests here (CSRF), and by giving its own name this address it may read the replies as well (DNS rebinding).
// So what changes something wants a header that other sites' pages cannot set without being asked for permission, which
// is never given; and without a token nothing is told under a name that is not this machine's. Source:
// https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace corral::admin {

/// The header that POST requests carry, with any value.
inline constexpr const char* kActionHeader = "X-Corral-Action";

/// Of a request; headers that are not there are empty.
struct Asked {
  std::string_view method, path;
  std::string_view host, origin, fetch_site, authorization, action;
};

enum class Verdict : uint8_t { kYes, kWantsToken, kWrongName, kFromElsewhere };

class Access {
 public:
  /// `token`: empty, or what must be shown; `host`: the name or address that is listened on.
  Access(std::string token, std::string host) : token_(std::move(token)), host_(std::move(host)) {}

  Verdict judge(const Asked& asked) const;

 private:
  bool knows_name(std::string_view host) const;

  const std::string token_, host_;
};

}  // namespace corral::admin
