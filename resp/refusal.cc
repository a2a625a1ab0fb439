// Told apart by their first letters, so that an ordinary error costs one switch.
#include "resp/refusal.h"

#include "resp/decimal.h"

namespace corral::resp {
namespace {

/// Whether the error's code, its first word, is `code`.
bool has_code(std::string_view error, std::string_view code) {
  return error.starts_with(code) && (error.size() == code.size() || error[code.size()] == ' ');
}

Refusal plain(std::string_view error, std::string_view code, RefusalKind kind) {
  Refusal refusal;
  if (has_code(error, code)) refusal.kind = kind;
  return refusal;
}

/// "MOVED 3999 host:port". The last ':' divides, for an IPv6 address has more. A node that does not know its name says
/// "?" (cluster-preferred-endpoint-type unknown-endpoint says nothing): then it is the host that was asked.
Refusal redirect(std::string_view error, std::string_view code, RefusalKind kind) {
  if (!has_code(error, code) || error.size() <= code.size()) return {};
  error.remove_prefix(code.size() + 1);
  const size_t space = error.find(' ');
  const size_t colon = error.rfind(':');
  if (space == std::string_view::npos || colon == std::string_view::npos || colon < space) return {};
  const auto slot = parse_decimal(error.substr(0, space));
  const auto port = parse_decimal(error.substr(colon + 1));
  if (!slot || *slot < 0 || *slot > 16383 || !port || *port < 1 || *port > 65535) return {};
  std::string_view host = error.substr(space + 1, colon - space - 1);
  if (host == "?") host = {};
  if (host.find(' ') != std::string_view::npos) return {};
  return {kind, static_cast<uint16_t>(*slot), host, static_cast<uint16_t>(*port)};
}

}  // namespace

Refusal parse_refusal(std::string_view reply) {
  if (reply.size() < 4 || reply[0] != '-') return {};
  std::string_view error = reply.substr(1);
  if (error.ends_with("\r\n")) error.remove_suffix(2);
  switch (reply[1]) {
    case 'M':
      return reply[2] == 'O' ? redirect(error, "MOVED", RefusalKind::kMoved)
                             : plain(error, "MASTERDOWN", RefusalKind::kMasterDown);
    case 'A':
      return redirect(error, "ASK", RefusalKind::kAsk);
    case 'T':
      return plain(error, "TRYAGAIN", RefusalKind::kTryAgain);
    case 'C':
      return plain(error, "CLUSTERDOWN", RefusalKind::kClusterDown);
    case 'L':
      return plain(error, "LOADING", RefusalKind::kLoading);
    case 'R':
      return plain(error, "READONLY", RefusalKind::kReadOnly);
    default:
      return {};
  }
}

}  // namespace corral::resp
