#include "proxy/core/upload_ttl.h"

#include <algorithm>

#include "policy/ttl.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/rules.h"
#include "proxy/core/session.h"
#include "resp/reply_builder.h"

namespace corral::core {

using resp::TtlEffect;

namespace {

constexpr size_t kValueOfSet = 2, kValueOfOthers = 3;  // places among the arguments

std::string count_header(size_t arguments) { return '*' + std::to_string(arguments) + "\r\n"; }

}  // namespace

std::unique_ptr<UploadTtl> UploadTtl::of(Worker& worker, const PartialInput& input, const resp::CommandSpec& spec) {
  const auto head = input.scanner.head(input.bytes.data());
  const bool behind = spec.ttl == TtlEffect::kSet && head.declared > kValueOfSet + 1;
  const bool before =
      spec.ttl == TtlEffect::kSetEx || spec.ttl == TtlEffect::kPSetEx || spec.ttl == TtlEffect::kRestore;
  if (!(behind && head.command.argc() == kValueOfSet) && !(before && head.command.argc() == kValueOfOthers)) return {};
  const policy::TtlRule* rule = ttl_rule(worker, head.command.arg(spec.only_key));
  if (!rule || rule->stale_ms == 0) return {};
  return std::unique_ptr<UploadTtl>(new UploadTtl(worker, spec, rule->stale_ms));
}

std::string UploadTtl::begin(const PartialInput& input) {
  const auto head = input.scanner.head(input.bytes.data());
  const resp::Command& command = head.command;
  if (spec_.ttl == TtlEffect::kSet) {
    const auto value = input.scanner.partial();
    left_ = uint64_t{value.offset} + value.declared + 2;
    start_ = count_header(head.declared);
    for (const std::string_view arg : {command.arg(0), command.arg(1), std::string_view()}) {
      resp::append_bulk(start_, arg);
    }
    return std::string(pass(input.bytes));
  }
  // What RESTORE says behind its value does not matter here: so much more is as much from now on as since 1970.
  std::string frame;
  resp::append_command(frame, {command.arg(0), command.arg(1), command.arg(2), {}});
  const resp::Slice last = command.slices.back();
  return count_header(head.declared) + judged(frame, 0, kValueOfOthers) +
         input.bytes.substr(last.offset + last.length + 2);
}

std::string_view UploadTtl::pass(std::string_view bytes) {
  const std::string_view now = bytes.substr(0, std::min<uint64_t>(bytes.size(), left_));
  left_ -= now.size();
  kept_ += bytes.substr(now.size());
  return now;
}

std::string UploadTtl::end() const {
  return kept_.empty() ? std::string() : judged(start_ + kept_, kValueOfSet + 1, SIZE_MAX);
}

// Arguments of the request, as its rule wants them; as they came if there would be another number of them.
std::string UploadTtl::judged(const std::string& frame, size_t from, size_t to) const {
  std::string rewritten;
  const ParsedRequest came(worker_, frame);
  const policy::TtlContext context{.wall_ms = worker_.transport().wall_clock_us() / 1000, .random = 0};
  policy::judge_ttl(rule_, spec_.ttl, came.command(), context, rewritten);
  const ParsedRequest changed(worker_, rewritten.empty() ? frame : rewritten);
  const bool fits = changed.command().argc() == came.command().argc();
  const resp::Command& command = fits ? changed.command() : came.command();
  std::string out;
  for (size_t i = from; i < std::min(to, command.argc()); ++i) resp::append_bulk(out, command.arg(i));
  return out;
}

}  // namespace corral::core
