#include "proxy/admin/access.h"

namespace corral::admin {

namespace {

// Without a token: what tells nothing but how the process is, and the page, which has no data in it.
bool is_open(std::string_view path) {
  return path == "/" || path.starts_with("/page/") || path == "/healthz" || path == "/readyz";
}

// Takes as long whatever of it is right.
bool is_same(std::string_view a, std::string_view b) {
  unsigned differences = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    differences |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return differences == 0;
}

// "127.0.0.1:9380" or "[::1]:9380" without the port.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.rfind(':'));
}

// A name of the DNS has a letter in its last label, an address has none or has colons.
bool is_address(std::string_view host) {
  if (host.find(':') != std::string_view::npos) return true;
  return !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool is_of_origin(std::string_view origin, std::string_view host) {
  const size_t at = origin.find("://");
  return at != std::string_view::npos && origin.substr(at + 3) == host;
}

}  // namespace

bool Access::knows_name(std::string_view host) const {
  const std::string_view name = without_port(host);
  return is_address(name) || name == "localhost" || name == host_;
}

Verdict Access::judge(const Asked& asked) const {
  if (!token_.empty()) {
    constexpr std::string_view kScheme = "Bearer ";
    const bool open = asked.method == "GET" && is_open(asked.path);
    const bool shown =
        asked.authorization.starts_with(kScheme) && is_same(asked.authorization.substr(kScheme.size()), token_);
    if (!open && !shown) return Verdict::kWantsToken;
  } else if (!knows_name(asked.host)) {
    return Verdict::kWrongName;
  }
  if (asked.method == "GET" || asked.method == "HEAD") return Verdict::kYes;
  if (asked.action.empty()) return Verdict::kFromElsewhere;
  if (!asked.origin.empty() && !is_of_origin(asked.origin, asked.host)) return Verdict::kFromElsewhere;
  const bool elsewhere = !asked.fetch_site.empty() && asked.fetch_site != "same-origin" && asked.fetch_site != "none";
  return elsewhere ? Verdict::kFromElsewhere : Verdict::kYes;
}

}  // namespace corral::admin
