// Requests: what the naive model finds, the scanner finds, in one piece and in parts, moved in memory between the parts
// and taken over by another scanner; and a stream finds the same that takes over in the middle.
#include <optional>

#include "fuzz_input.h"
#include "request_model.h"
#include "resp/request_scanner.h"
#include "resp/request_stream.h"

namespace corral::fuzz {
namespace {

using resp::RequestScanner;
using resp::ScanStatus;
using test::RequestOutcome;

constexpr int kMostFrames = 8;  // of an input: for each, all that follows is looked at

resp::RequestLimits limits_of(uint8_t recipe) {
  switch (recipe % 4) {
    case 0:
      return resp::RequestLimits::before_auth();
    case 1:
      return {32, 3, 40, 100};
    default:
      return {};
  }
}

RequestOutcome scan_in_parts(std::string_view bytes, const resp::RequestLimits& limits, FuzzInput& input) {
  RequestScanner scanner;
  for (size_t size = 0;;) {
    size = std::min(bytes.size(), size + input.next_part());
    const ExactCopy copy(bytes.substr(0, size));
    const ScanStatus status = scanner.scan(copy.data(), size, limits);
    if (status != ScanStatus::kNeedMore || size == bytes.size()) {
      return test::outcome_of(scanner, status, copy.data());
    }
    const RequestScanner::Partial partial = scanner.partial();
    check(partial.declared <= limits.max_bulk_bytes, "partial.declared is within the limits");
    check(partial.declared == 0 || partial.offset <= size, "partial.offset has arrived");
    RequestScanner other;
    swap(scanner, other);
    scanner = std::move(other);
  }
}

/// Scans the first `begin` bytes and streams the others; the arguments are not told. None: not to be streamed from
/// there.
std::optional<RequestOutcome> stream_from(size_t begin, std::string_view bytes, const resp::RequestLimits& limits,
                                          FuzzInput& input) {
  const ExactCopy first(bytes.substr(0, begin));
  RequestScanner scanner;
  if (scanner.scan(first.data(), begin, limits) != ScanStatus::kNeedMore) return std::nullopt;
  const RequestScanner::Head head = scanner.head(first.data());
  if (head.declared == 0) return std::nullopt;
  check(head.command.argc() < head.declared, "arguments are missing");
  for (size_t i = 0; i < head.command.argc(); ++i) {
    check(head.command.arg(i).end() <= first.data() + begin, "an argument of the head has arrived");
  }
  resp::RequestStream stream(scanner, first.data(), begin, limits);
  while (begin < bytes.size()) {
    const size_t size = std::min(bytes.size() - begin, input.next_part());
    const ExactCopy part(bytes.substr(begin, size));
    const resp::RequestStream::Result result = stream.feed(part.data(), size);
    if (result.status == ScanStatus::kError)
      return RequestOutcome{ScanStatus::kError, 0, {}, std::string(stream.error())};
    begin += result.used;
    if (result.status == ScanStatus::kFrame) return RequestOutcome{ScanStatus::kFrame, begin, {}, {}};
    check(result.used == size, "all bytes of an unfinished request belong to it");
  }
  return RequestOutcome{};
}

bool model_knows(std::string_view bytes) {
  return bytes[0] == '*' || bytes.substr(0, bytes.find('\n')).find('\0') == std::string_view::npos;
}

void run(FuzzInput input) {
  const resp::RequestLimits limits = limits_of(input.recipe());
  std::string_view rest = input.bytes();
  RequestScanner scanner;
  for (int frames = 0; !rest.empty() && frames < kMostFrames; ++frames) {
    const ExactCopy copy(rest);
    const RequestOutcome whole = test::outcome_of(scanner, scanner.scan(copy.data(), rest.size(), limits), copy.data());
    check(scan_in_parts(rest, limits, input) == whole, "parts make no difference");
    const auto streamed = stream_from(input.next_part() % rest.size(), rest, limits, input);
    if (streamed) {
      check(*streamed == RequestOutcome{whole.status, whole.consumed, {}, whole.error},
            "a stream ends where it should");
    }
    if (model_knows(rest)) check(test::model_of_request(rest, limits) == whole, "the model says the same");
    if (whole.status != ScanStatus::kFrame) return;
    check(whole.consumed > 0 && whole.consumed <= rest.size(), "a frame takes bytes that are there");
    rest.remove_prefix(whole.consumed);
  }
}

}  // namespace
}  // namespace corral::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  corral::fuzz::run(corral::fuzz::FuzzInput(data, size));
  return 0;
}
