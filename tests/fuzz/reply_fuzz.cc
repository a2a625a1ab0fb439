// Replies: parts make no difference, kept or passed on; a whole reply can be walked with ReplyView, whose elements lie
// in it one after the other; parse_refusal reads any line; of RESP2 hiredis reads the same.
#include <algorithm>
#include <string>

#include "fuzz_input.h"
#include "reply_model.h"
#include "resp/refusal.h"
#include "resp/reply_scanner.h"
#include "resp/reply_view.h"

namespace corral::fuzz {
namespace {

using resp::ReplyScanner;
using resp::ReplyView;
using resp::ScanStatus;

constexpr int kMostReplies = 8;  // of an input: for each, all that follows is looked at

struct Outcome {
  ScanStatus status;
  size_t consumed;
  std::string error;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(const ReplyScanner& scanner, ScanStatus status) {
  return {status, status == ScanStatus::kFrame ? scanner.consumed() : 0, std::string(scanner.error())};
}

Outcome scan_in_parts(std::string_view bytes, FuzzInput& input) {
  ReplyScanner scanner;
  for (size_t size = 0;;) {
    size = std::min(bytes.size(), size + input.next_part());
    const ExactCopy copy(bytes.substr(0, size));
    const ScanStatus status = scanner.scan(copy.data(), size);
    if (status != ScanStatus::kNeedMore || size == bytes.size()) return outcome_of(scanner, status);
    check(scanner.missing() > 0, "something is missing");
  }
}

Outcome pass_in_parts(std::string_view bytes, FuzzInput& input) {
  ReplyScanner scanner;
  for (size_t size = 0, dropped = 0;;) {
    size = std::min(bytes.size(), size + input.next_part());
    const ExactCopy copy(bytes.substr(dropped, size - dropped));
    const ScanStatus status = scanner.scan(copy.data(), size - dropped);
    if (status != ScanStatus::kNeedMore || size == bytes.size()) {
      Outcome outcome = outcome_of(scanner, status);
      if (status == ScanStatus::kFrame) outcome.consumed += dropped;
      return outcome;
    }
    const size_t passable = scanner.passable(size - dropped);
    check(passable <= size - dropped, "only what has arrived is passable");
    check(size - dropped - passable <= 24, "all but a header is passable");
    const size_t drop = std::min(passable, input.recipe() % 2 == 0 ? passable : input.next_part() - 1);
    scanner.drop(drop);
    dropped += drop;
  }
}

void walk(const ReplyView& view, std::string_view within) {
  check(view.bytes().data() >= within.data(), "an element begins in its aggregate");
  check(view.bytes().data() + view.bytes().size() <= within.data() + within.size(), "an element ends in its aggregate");
  check(!view.bytes().empty() && view.bytes().ends_with("\r\n"), "an element is a whole reply");
  view.integer();
  if (view.is_error()) resp::parse_refusal(view.bytes());
  std::string_view rest = view.bytes();
  for (const ReplyView& element : view.elements()) {
    walk(element, rest);
    rest.remove_prefix(static_cast<size_t>(element.bytes().data() + element.bytes().size() - rest.data()));
  }
  if (view.is_aggregate() && !view.elements().empty()) check(rest.empty(), "the last element ends its aggregate");
}

// What hiredis reads otherwise, or does not read at all: types of RESP3, numbers and lengths that it takes more or less
// literally, replies nested deeper than it goes, and the null that it knows one of only.
bool same_for_hiredis(const ReplyView& view, int depth) {
  if (view.bytes().empty() || std::string_view("+-:$*").find(view.type()) == std::string_view::npos || depth > 7) {
    return false;
  }
  if (view.type() == ':') {
    const auto number = view.integer();
    if (!number || std::to_string(*number) != view.text()) return false;
  }
  const auto elements = view.elements();
  return std::all_of(elements.begin(), elements.end(),
                     [&](const ReplyView& element) { return same_for_hiredis(element, depth + 1); });
}

test::ReplyTree with_one_null(test::ReplyTree tree) {
  if (tree.null) tree.type = '$';
  for (test::ReplyTree& element : tree.elements) element = with_one_null(element);
  return tree;
}

void ask_hiredis(std::string_view bytes) {
  const ReplyView view(bytes);
  const bool attributes = bytes[0] == '|' || bytes.find("\n|") != bytes.npos;
  if (attributes || !same_for_hiredis(view, 0)) return;
  const std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader(redisReaderCreate(), redisReaderFree);
  void* reply = nullptr;
  check(redisReaderFeed(reader.get(), bytes.data(), bytes.size()) == REDIS_OK, "hiredis has memory");
  const int status = redisReaderGetReply(reader.get(), &reply);
  if (status != REDIS_OK) std::fprintf(stderr, "hiredis: %s\n", reader->errstr);
  check(status == REDIS_OK && reply != nullptr, "hiredis reads it");
  const bool same = test::tree_of(*static_cast<redisReply*>(reply)) == with_one_null(test::tree_of(view));
  freeReplyObject(reply);
  check(same, "hiredis reads the same");
  check(reader->pos == reader->len, "and reads all of it");
}

void run(FuzzInput input) {
  std::string_view rest = input.bytes();
  ReplyScanner scanner;
  resp::parse_refusal(rest);
  for (int replies = 0; !rest.empty() && replies < kMostReplies; ++replies) {
    const ExactCopy copy(rest);
    const Outcome whole = outcome_of(scanner, scanner.scan(copy.data(), rest.size()));
    check(scan_in_parts(rest, input) == whole, "parts make no difference");
    check(pass_in_parts(rest, input) == whole, "nor does what is dropped between them");
    if (whole.status != ScanStatus::kFrame) return;
    check(whole.consumed > 0 && whole.consumed <= rest.size(), "a reply takes bytes that are there");
    const ExactCopy reply(rest.substr(0, whole.consumed));
    const std::string_view bytes(reply.data(), whole.consumed);
    walk(ReplyView(bytes), bytes);
    ask_hiredis(bytes);
    rest.remove_prefix(whole.consumed);
  }
}

}  // namespace
}  // namespace corral::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  corral::fuzz::run(corral::fuzz::FuzzInput(data, size));
  return 0;
}
