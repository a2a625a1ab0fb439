// RequestScanner: frames and arguments, cut at every byte and at random, against a naive model; limits and messages.
#include "resp/request_scanner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "request_model.h"
#include "resp/reply_builder.h"
#include "support.h"

namespace corral::test {
namespace {

using resp::RequestLimits;
using resp::RequestScanner;
using resp::ScanStatus;
using Args = std::vector<std::string>;

RequestOutcome scan(std::string_view bytes, const RequestLimits& limits = {}) {
  RequestScanner scanner;
  return outcome_of(scanner, scanner.scan(bytes.data(), bytes.size(), limits), bytes.data());
}

/// Gives the scanner first bytes of each size in `sizes` (rising), in memory that ends there, and all of it at last.
RequestOutcome scan_in_parts(std::string_view bytes, const std::vector<size_t>& sizes, GuardedBytes& memory,
                             const RequestLimits& limits = {}) {
  RequestScanner scanner;
  for (const size_t size : sizes) {
    const char* const data = memory.hold(bytes.substr(0, size));
    const ScanStatus status = scanner.scan(data, size, limits);
    if (status != ScanStatus::kNeedMore) return outcome_of(scanner, status, data);
  }
  const char* const data = memory.hold(bytes);
  return outcome_of(scanner, scanner.scan(data, bytes.size(), limits), data);
}

std::string command(std::initializer_list<std::string_view> args) {
  std::string bytes;
  resp::append_command(bytes, args);
  return bytes;
}

std::string error_of(std::string_view bytes, const RequestLimits& limits = {}) { return scan(bytes, limits).error; }

std::vector<std::string> corpus() {
  std::string many = "*40\r\n";
  for (int i = 0; i < 40; ++i) resp::append_bulk(many, std::to_string(i));
  return {
      command({"PING"}),
      command({"GET", "k"}),
      command({"SET", "key", std::string(64, 'v')}),
      command({"SET", "key", std::string("a\r\nb\0c*$", 8)}),
      command({"SET", "", ""}),
      command({"SET", "k", std::string(1500, 'x'), "EX", "10"}),
      many,
      "*0\r\n",
      "*-1\r\n",
      "*-9223372036854775808\r\n",
      "*1\r\n$4\rxPINGxy",  // what Redis skips unseen need not be a CRLF
      "*1\rx$4\r\nPING\r\n",
      "PING\r\n",
      "PING\n",
      "\r\n",
      "\n",
      "   \t \r\n",
      "set k \"a b\\x41\\n\\\"\" 'it\\'s'\r\n",
      "set a\"b c\" d\r\n",
      "get \r k\r\n",
      "*1\r\nPING\r\n",
      "*1\r\n:4\r\nPING\r\n",
      "*x\r\n",
      "*\r\n",
      "*2147483648\r\n",
      "*1\r\n$-1\r\n",
      "*1\r\n$01\r\na\r\n",
      "*1\r\n$536870913\r\n",
      "set 'k\r\n",
      "set \"k\"x\r\n",
  };
}

TEST(RequestScanner, scan_WholeFrame_GivesArgumentsAndForwardableBytes) {
  const std::string bytes = command({"SET", "key", "value"});
  RequestScanner scanner;
  ASSERT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), ScanStatus::kFrame);
  const resp::Command request = scanner.command(bytes.data());
  ASSERT_EQ(request.argc(), 3u);
  EXPECT_EQ(request.arg(0), "SET");
  EXPECT_EQ(request.arg(1), "key");
  EXPECT_EQ(request.arg(2), "value");
  EXPECT_EQ(request.bytes(), bytes);
}

TEST(RequestScanner, scan_CutAnywhere_SameOutcomeAsInOnePiece) {
  GuardedBytes memory(1 << 16);
  for (const std::string& frame : corpus()) {
    SCOPED_TRACE(frame);
    const RequestOutcome whole = scan(frame);
    ASSERT_EQ(whole, model_of_request(frame, {}));
    ASSERT_NE(whole.status, ScanStatus::kNeedMore);
    std::vector<size_t> every;
    for (size_t cut = 0; cut <= frame.size(); ++cut) {
      EXPECT_EQ(scan_in_parts(frame, {cut}, memory), whole) << "cut at " << cut;
      every.push_back(cut);
    }
    EXPECT_EQ(scan_in_parts(frame, every, memory), whole) << "byte by byte";
  }
}

TEST(RequestScanner, scan_UnfinishedFrame_NeedsMoreAtEveryByte) {
  GuardedBytes memory(1 << 16);
  for (const std::string& frame : corpus()) {
    if (scan(frame).status != ScanStatus::kFrame) continue;
    for (size_t size = 0; size < frame.size(); ++size) {
      RequestScanner scanner;
      const char* const data = memory.hold(std::string_view(frame).substr(0, size));
      EXPECT_EQ(scanner.scan(data, size, {}), ScanStatus::kNeedMore) << frame << " of which " << size;
    }
  }
}

TEST(RequestScanner, scan_FramesBehindOneAnother_EachIsFoundWithoutReset) {
  std::string bytes;
  std::vector<RequestOutcome> expected;
  for (const std::string& frame : corpus()) {
    const RequestOutcome whole = scan(frame);
    if (whole.status != ScanStatus::kFrame) continue;
    bytes += frame;
    expected.push_back(whole);
  }
  RequestScanner scanner;
  size_t pos = 0;
  for (const RequestOutcome& frame : expected) {
    const char* const data = bytes.data() + pos;
    ASSERT_EQ(outcome_of(scanner, scanner.scan(data, bytes.size() - pos, {}), data), frame) << "at " << pos;
    pos += scanner.consumed();
  }
  EXPECT_EQ(pos, bytes.size());
}

std::string random_frame(std::mt19937_64& random) {
  std::string bytes;
  if (below(random, 4) == 0) {
    constexpr std::string_view kAlphabet = "ab \t\v\"'\\x4n1\r";
    for (size_t left = below(random, 24); left > 0; --left) bytes += kAlphabet[below(random, kAlphabet.size())];
    return bytes + '\n';
  }
  const size_t argc = below(random, 30) == 0 ? below(random, 3000) : below(random, 6);
  resp::append_array(bytes, argc);
  for (size_t i = 0; i < argc; ++i) {
    std::string arg(below(random, 20) == 0 ? below(random, 20000) : below(random, 40), '\0');
    for (char& c : arg) c = static_cast<char>(random());
    resp::append_bulk(bytes, arg);
  }
  return bytes;
}

/// Redis would not see a '\n' behind a NUL byte, and so would the model.
bool model_knows(std::string_view bytes) { return bytes.empty() || bytes[0] == '*' || bytes.find('\0') == bytes.npos; }

TEST(RequestScanner, scan_RandomFramesSomeDamaged_AgreesWithNaiveModel) {
  auto random = seeded_generator("RequestScanner.scan_RandomFramesSomeDamaged_AgreesWithNaiveModel");
  GuardedBytes memory(128 << 20);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = random_frame(random);
    constexpr std::string_view kDamage = "\r\n$*0919-xx";
    for (size_t wrong = below(random, 3); wrong > 0; --wrong) {
      bytes[below(random, std::min<size_t>(bytes.size(), 40))] = kDamage[below(random, kDamage.size())];
    }
    if (!model_knows(bytes)) continue;
    const RequestLimits limits = below(random, 8) == 0 ? RequestLimits{64, 4, 30, 200} : RequestLimits{};
    const RequestOutcome expected = model_of_request(bytes, limits);
    ASSERT_EQ(scan(bytes, limits), expected) << "round " << round;
    std::vector<size_t> cuts(below(random, 6));
    for (size_t& cut : cuts) cut = below(random, bytes.size() + 1);
    std::sort(cuts.begin(), cuts.end());
    ASSERT_EQ(scan_in_parts(bytes, cuts, memory, limits), expected) << "round " << round;
  }
}

TEST(RequestScanner, scan_CountOutOfRange_RefusedInRedisWords) {
  const std::string invalid = "Protocol error: invalid multibulk length";
  for (const char* bytes : {"*2147483648\r\n", "*9223372036854775808\r\n", "*01\r\n", "*+1\r\n", "*-0\r\n", "*-\r\n",
                            "* 1\r\n", "*1 \r\n", "*00\r\n", "*\r\n", "*99999999999999999999999\r\n"}) {
    EXPECT_EQ(error_of(bytes), invalid) << bytes;
  }
  EXPECT_EQ(scan("*2147483647\r\n").status, ScanStatus::kNeedMore);
  EXPECT_EQ(error_of("*11\r\n", RequestLimits::before_auth()), "Protocol error: unauthenticated multibulk length");
  EXPECT_EQ(error_of("*2147483648\r\n", RequestLimits::before_auth()), invalid);
  EXPECT_EQ(scan("*10\r\n", RequestLimits::before_auth()).status, ScanStatus::kNeedMore);
}

TEST(RequestScanner, scan_LengthOutOfRange_RefusedInRedisWords) {
  const std::string invalid = "Protocol error: invalid bulk length";
  for (const char* bytes : {"*1\r\n$536870913\r\n", "*1\r\n$-1\r\n", "*1\r\n$\r\n", "*1\r\n$+1\r\n", "*1\r\n$1x\r\n"}) {
    EXPECT_EQ(error_of(bytes), invalid) << bytes;
  }
  EXPECT_EQ(scan("*1\r\n$536870912\r\n").status, ScanStatus::kNeedMore);
  const RequestLimits stranger = RequestLimits::before_auth();
  EXPECT_EQ(error_of("*1\r\n$16385\r\n", stranger), "Protocol error: unauthenticated bulk length");
  EXPECT_EQ(error_of("*1\r\n$536870913\r\n", stranger), invalid);
  EXPECT_EQ(scan("*1\r\n$16384\r\n", stranger).status, ScanStatus::kNeedMore);
}

TEST(RequestScanner, scan_NoDollarBeforeArgument_SaysWhatItGot) {
  EXPECT_EQ(error_of("*1\r\nPING\r\n"), "Protocol error: expected '$', got 'P'");
  EXPECT_EQ(error_of("*2\r\n$4\r\nINFO\r\n\r\n"), "Protocol error: expected '$', got '\r'");
}

TEST(RequestScanner, scan_LineOverLimit_RefusedAsSoonAsLimitIsPassed) {
  constexpr size_t kLimit = RequestLimits{}.max_inline_bytes;
  const auto longer_by = [](std::string start, size_t extra) { return start + std::string(kLimit + extra, '1'); };
  EXPECT_EQ(scan(longer_by("", 0)).status, ScanStatus::kNeedMore);
  EXPECT_EQ(error_of(longer_by("", 1)), "Protocol error: too big inline request");
  EXPECT_EQ(scan(longer_by("", 0) + "\n").args.size(), 1u);
  EXPECT_EQ(error_of(longer_by("", 1) + "\n"), "Protocol error: too big inline request");
  EXPECT_EQ(error_of(longer_by("*", 0)), "Protocol error: too big mbulk count string");
  EXPECT_EQ(error_of(longer_by("*1\r\n$", 0)), "Protocol error: too big bulk count string");
}

TEST(RequestScanner, scan_FrameOverLimit_RefusedBeforeItsBytesArrive) {
  RequestLimits limits;
  limits.max_frame_bytes = 30;
  const std::string fits = command({"SET", "key", "1234"});
  ASSERT_EQ(fits.size(), 32u);
  EXPECT_EQ(error_of("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$4\r\n", limits),
            "Protocol error: request exceeds the query buffer limit");
  EXPECT_EQ(error_of(fits, limits), "Protocol error: request exceeds the query buffer limit");
  limits.max_frame_bytes = 32;
  EXPECT_EQ(scan(fits, limits).status, ScanStatus::kFrame);
}

TEST(RequestScanner, scan_AfterError_StaysErrorUntilReset) {
  RequestScanner scanner;
  const std::string good = command({"PING"});
  ASSERT_EQ(scanner.scan("*x\r\n", 4, {}), ScanStatus::kError);
  EXPECT_EQ(scanner.scan(good.data(), good.size(), {}), ScanStatus::kError);
  scanner.reset();
  EXPECT_EQ(scanner.error(), "");
  EXPECT_EQ(scanner.scan(good.data(), good.size(), {}), ScanStatus::kFrame);
}

TEST(RequestScanner, scan_LineThatComesSlowly_IsNotSearchedAgain) {
  for (const std::string start : {"", "*", "*1\r\n$"}) {
    std::string bytes = start + std::string(1000, '1');
    RequestScanner scanner;
    ASSERT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), ScanStatus::kNeedMore);
    std::fill(bytes.begin() + static_cast<ptrdiff_t>(start.size()), bytes.end(), '\n');
    if (!start.empty()) std::fill(bytes.begin() + static_cast<ptrdiff_t>(start.size()), bytes.end(), '\r');
    bytes += '1';
    EXPECT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), ScanStatus::kNeedMore) << "looked at old bytes: " << start;
  }
}

TEST(RequestScanner, command_OfInline_IsInMultibulkForm) {
  const std::string bytes = "set k \"a b\"\r\nPING\r\n";
  RequestScanner scanner;
  ASSERT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), ScanStatus::kFrame);
  EXPECT_EQ(scanner.consumed(), 13u);
  const resp::Command request = scanner.command(bytes.data());
  EXPECT_EQ(request.bytes(), command({"set", "k", "a b"}));
  EXPECT_EQ(request.arg(2), "a b");
}

TEST(RequestScanner, scan_InlineWithNulByte_TakesItAsAnyOther) {
  const std::string bytes("set k a\0b\r\n", 11);
  EXPECT_EQ(scan(bytes).args, (Args{"set", "k", std::string("a\0b", 3)}));
}

TEST(RequestScanner, scan_RandomInlineLines_SplitAsSdssplitargsDoes) {
  auto random = seeded_generator("RequestScanner.scan_RandomInlineLines_SplitAsSdssplitargsDoes");
  constexpr std::string_view kAlphabet = "aF0 \t\v\f\r\"\"''\\\\xnrtb\x80";
  for (int round = 0; round < 100000; ++round) {
    std::string line(below(random, 12), ' ');
    for (char& c : line) c = kAlphabet[below(random, kAlphabet.size())];
    line += '\n';
    ASSERT_EQ(scan(line), model_of_request(line, {})) << "round " << round << ": " << line;
  }
}

TEST(RequestScanner, partial_InsideArgument_TellsIndexOffsetAndLength) {
  RequestScanner scanner;
  const std::string bytes = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$70000\r\nabc";
  EXPECT_EQ(scanner.partial().declared, 0u);
  ASSERT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), ScanStatus::kNeedMore);
  const RequestScanner::Partial partial = scanner.partial();
  EXPECT_EQ(partial.arg, 2u);
  EXPECT_EQ(partial.offset, bytes.size() - 3);
  EXPECT_EQ(partial.declared, 70000u);
  EXPECT_TRUE(partial.length_known);
}

TEST(RequestScanner, partial_InsideHeader_DeclaresNothing) {
  RequestScanner scanner;
  const std::string bytes = "*2\r\n$3\r\nGET\r\n$70";
  ASSERT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), ScanStatus::kNeedMore);
  EXPECT_EQ(scanner.partial().declared, 0u);
  EXPECT_FALSE(scanner.partial().length_known);
  EXPECT_EQ(scanner.partial().arg, 1u);
}

TEST(RequestScanner, partial_InsideEmptyArgument_ItsLengthIsKnown) {
  RequestScanner scanner;
  ASSERT_EQ(scanner.scan("*1\r\n$0\r\n\r", 9, {}), ScanStatus::kNeedMore);
  EXPECT_EQ(scanner.partial().declared, 0u);
  EXPECT_TRUE(scanner.partial().length_known);
}

TEST(RequestScanner, head_CutAnywhere_HasTheArgumentsThatHaveArrived) {
  GuardedBytes memory(1 << 16);
  const Args args = {"SET", "key", std::string(2000, 'v'), "EX", "10"};
  const std::string bytes = command({args[0], args[1], args[2], args[3], args[4]});
  RequestScanner byte_by_byte;
  for (size_t size = 0; size < bytes.size(); ++size) {
    const char* const data = memory.hold(std::string_view(bytes).substr(0, size));
    RequestScanner at_once;
    for (RequestScanner* scanner : {&at_once, &byte_by_byte}) {
      ASSERT_EQ(scanner->scan(data, size, {}), ScanStatus::kNeedMore);
      const RequestScanner::Head head = scanner->head(data);
      ASSERT_EQ(head.declared, size < 4 ? 0u : 5u) << size;
      size_t arrived = 0;  // a naive count
      for (size_t end = 4; arrived < args.size(); ++arrived) {
        end += 1 + std::to_string(args[arrived].size()).size() + 2 + args[arrived].size() + 2;
        if (end > size) break;
      }
      ASSERT_EQ(head.command.argc(), arrived) << size;
      for (size_t i = 0; i < arrived; ++i) ASSERT_EQ(head.command.arg(i), args[i]);
    }
  }
}

TEST(RequestScanner, head_OfInlineRequest_SaysNothing) {
  const std::string bytes = "GET key";
  RequestScanner scanner;
  ASSERT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), ScanStatus::kNeedMore);
  EXPECT_EQ(scanner.head(bytes.data()).declared, 0u);
  EXPECT_EQ(scanner.head(bytes.data()).command.argc(), 0u);
}

TEST(RequestScanner, swap_AmidFrame_TheOtherGoesOn) {
  const std::string first = command({"SET", "k", "value"});
  const std::string second = "GET 'a b'\r\n";
  for (size_t cut = 1; cut < first.size(); ++cut) {
    RequestScanner a, b;
    ASSERT_EQ(a.scan(first.data(), cut, {}), ScanStatus::kNeedMore);
    ASSERT_EQ(b.scan(second.data(), 3, {}), ScanStatus::kNeedMore);
    swap(a, b);
    ASSERT_EQ(outcome_of(b, b.scan(first.data(), first.size(), {}), first.data()).args, (Args{"SET", "k", "value"}));
    ASSERT_EQ(outcome_of(a, a.scan(second.data(), second.size(), {}), second.data()).args, (Args{"GET", "a b"}));
  }
}

TEST(RequestScanner, move_AmidFrame_LeavesNewScannerBehind) {
  const std::string bytes = command({"SET", "k", "value"});
  RequestScanner from;
  ASSERT_EQ(from.scan(bytes.data(), 20, {}), ScanStatus::kNeedMore);
  RequestScanner to;
  to = std::move(from);
  EXPECT_EQ(to.scan(bytes.data(), bytes.size(), {}), ScanStatus::kFrame);
  EXPECT_EQ(from.scan(bytes.data(), bytes.size(), {}), ScanStatus::kFrame);
}

TEST(RequestScanner, move_AfterComposedError_TakesTheMessageAlong) {
  RequestScanner from;
  ASSERT_EQ(from.scan("*1\r\nPING\r\n", 10, {}), ScanStatus::kError);
  const RequestScanner to = std::move(from);
  EXPECT_EQ(to.error(), "Protocol error: expected '$', got 'P'");
}

static_assert(sizeof(RequestScanner) < 128, "every session holds one while a frame is unfinished");

}  // namespace
}  // namespace corral::test
