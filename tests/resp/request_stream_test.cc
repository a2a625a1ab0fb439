// RequestStream: begun and cut at every byte and at random, it ends where the naive model of a collected request does.
#include "resp/request_stream.h"

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
using resp::RequestStream;
using resp::ScanStatus;

struct Outcome {
  ScanStatus status = ScanStatus::kNeedMore;
  size_t consumed = 0;  // kFrame
  std::string error;    // kError
  bool operator==(const Outcome&) const = default;
};

/// What collecting the request comes to.
Outcome collected(std::string_view bytes, const RequestLimits& limits = {}) {
  const RequestOutcome outcome = model_of_request(bytes, limits);
  return {outcome.status, outcome.consumed, outcome.error};
}

/// A stream begun when `begin` bytes have arrived; none if the request cannot be streamed from there.
std::optional<RequestStream> begin_at(std::string_view bytes, size_t begin, GuardedBytes& memory,
                                      const RequestLimits& limits) {
  RequestScanner scanner;
  const char* const data = memory.hold(bytes.substr(0, begin));
  if (scanner.scan(data, begin, limits) != ScanStatus::kNeedMore || scanner.head(data).declared == 0) return {};
  return RequestStream(scanner, data, begin, limits);
}

/// Feeds the bytes from `begin` on in parts that end at `ends` (rising) and at the end of bytes.
Outcome feed_parts(RequestStream& stream, std::string_view bytes, size_t begin, std::vector<size_t> ends,
                   GuardedBytes& memory) {
  ends.push_back(bytes.size());
  for (const size_t end : ends) {
    const RequestStream::Result result = stream.feed(memory.hold(bytes.substr(begin, end - begin)), end - begin);
    if (result.status == ScanStatus::kFrame) return {ScanStatus::kFrame, begin + result.used, {}};
    if (result.status == ScanStatus::kError) return {ScanStatus::kError, 0, std::string(stream.error())};
    EXPECT_EQ(result.used, end - begin);
    begin = end;
  }
  return {};
}

std::string command(std::initializer_list<std::string_view> args) {
  std::string bytes;
  resp::append_command(bytes, args);
  return bytes;
}

std::vector<std::string> corpus() {
  std::string many = "*20\r\n";
  for (int i = 0; i < 20; ++i) resp::append_bulk(many, std::to_string(i));
  return {
      command({"PING"}),
      command({"SET", "key", std::string(150, 'v'), "EX", "10"}),
      command({"SET", "key", std::string("a\r\nb\0c*$", 8)}),
      command({"", "", ""}),
      many,
      "*2\r\n$3\rxGETxy$1\rzkab",  // what Redis skips unseen need not be a CRLF
      "*2\r\n$3\r\nGET\r\n:1\r\nk\r\n",
      "*2\r\n$3\r\nGET\r\n\r\nk\r\n",
      "*2\r\n$3\r\nGET\r\n$-1\r\n",
      "*2\r\n$3\r\nGET\r\n$01\r\na\r\n",
      "*2\r\n$3\r\nGET\r\n$\r\na\r\n",
      "*2\r\n$3\r\nGET\r\n$536870913\r\n",
      "*2\r\n$3\r\nGET\r\n$11111111111111111111111111111111\r\n",
      "*2\r\n$3\r\nGET\r\n-11111111111111111111111111111111\r\n",
  };
}

/// At every place where it can be begun, then cut at every byte, and byte by byte.
void expect_same_at_every_cut(const std::string& bytes, const RequestLimits& limits, GuardedBytes& memory) {
  SCOPED_TRACE(bytes);
  const Outcome expected = collected(bytes, limits);
  size_t begun = 0;
  for (size_t begin = 0; begin < bytes.size(); ++begin) {
    const auto stream = begin_at(bytes, begin, memory, limits);
    if (!stream) continue;
    ++begun;
    std::vector<size_t> every;
    for (size_t cut = begin; cut <= bytes.size(); ++cut) {
      RequestStream copy = *stream;
      ASSERT_EQ(feed_parts(copy, bytes, begin, {cut}, memory), expected) << begin << ", cut at " << cut;
      RequestStream of_prefix = *stream;
      const std::string_view prefix = std::string_view(bytes).substr(0, cut);
      ASSERT_EQ(feed_parts(of_prefix, prefix, begin, {}, memory), collected(prefix, limits)) << begin << " to " << cut;
      every.push_back(cut);
    }
    RequestStream copy = *stream;
    ASSERT_EQ(feed_parts(copy, bytes, begin, every, memory), expected) << begin << ", byte by byte";
  }
  EXPECT_GT(begun, 0u);
}

TEST(RequestStream, feed_BegunAndCutAnywhere_SameOutcomeAsCollected) {
  GuardedBytes memory(1 << 16);
  for (const std::string& bytes : corpus()) {
    expect_same_at_every_cut(bytes, {}, memory);
    expect_same_at_every_cut(bytes + "*1\r\n$4\r\nPING\r\n", {}, memory);
  }
}

TEST(RequestStream, feed_PastALimitAnywhere_SameOutcomeAsCollected) {
  GuardedBytes memory(1 << 16);
  const std::string request = command({"SET", "key", "value", "EX", "10"});
  for (uint32_t frame = 20; frame < request.size() + 2; ++frame) {
    expect_same_at_every_cut(request, {.max_frame_bytes = frame}, memory);
  }
  for (uint32_t bulk = 3; bulk < 6; ++bulk) expect_same_at_every_cut(request, {.max_bulk_bytes = bulk}, memory);
  for (uint32_t line = 4; line < 40; ++line) {
    expect_same_at_every_cut("*2\r\n$1\r\nX\r\n$00000000000000000000000000000\r\n", {.max_inline_bytes = line}, memory);
  }
  const RequestLimits stranger = RequestLimits::before_auth();
  expect_same_at_every_cut("*2\r\n$4\r\nAUTH\r\n$16385\r\n", stranger, memory);
  expect_same_at_every_cut("*2\r\n$4\r\nAUTH\r\n$536870913\r\n", stranger, memory);
}

std::string random_frame(std::mt19937_64& random) {
  std::string bytes;
  const size_t argc = 1 + (below(random, 30) == 0 ? below(random, 300) : below(random, 6));
  resp::append_array(bytes, argc);
  for (size_t i = 0; i < argc; ++i) {
    std::string arg(below(random, 10) == 0 ? below(random, 20000) : below(random, 40), '\0');
    for (char& c : arg) c = static_cast<char>(random());
    resp::append_bulk(bytes, arg);
  }
  return bytes;
}

TEST(RequestStream, feed_RandomFramesSomeDamaged_SameOutcomeAsCollected) {
  auto random = seeded_generator("RequestStream.feed_RandomFramesSomeDamaged_SameOutcomeAsCollected");
  GuardedBytes memory(16 << 20);
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = random_frame(random);
    constexpr std::string_view kDamage = "\r\n$*0919-xx";
    for (size_t wrong = below(random, 3); wrong > 0; --wrong) {
      bytes[below(random, std::min<size_t>(bytes.size(), 200))] = kDamage[below(random, kDamage.size())];
    }
    if (bytes[0] != '*') continue;
    const RequestLimits limits = below(random, 8) == 0 ? RequestLimits{64, 4, 30, 200} : RequestLimits{};
    const size_t begin = below(random, bytes.size());
    auto stream = begin_at(bytes, begin, memory, limits);
    if (!stream) continue;
    std::vector<size_t> ends(below(random, 6));
    for (size_t& end : ends) end = begin + below(random, bytes.size() - begin + 1);
    std::sort(ends.begin(), ends.end());
    ASSERT_EQ(feed_parts(*stream, bytes, begin, ends, memory), collected(bytes, limits)) << "round " << round;
  }
}

RequestStream stream_of(std::string_view begin) {
  GuardedBytes memory(begin.size());
  return begin_at(begin, begin.size(), memory, {}).value();
}

std::string error_of(RequestStream stream, std::string_view bytes) {
  EXPECT_EQ(stream.feed(bytes.data(), bytes.size()).status, ScanStatus::kError);
  return std::string(stream.error());
}

TEST(RequestStream, feed_LaterArgumentWrong_RefusedInRedisWords) {
  const RequestStream stream = stream_of("*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$70000\r\n" + std::string(70000, 'v') + "\r");
  EXPECT_EQ(error_of(stream, "\nEX 10\r\n"), "Protocol error: expected '$', got 'E'");
  EXPECT_EQ(error_of(stream, "\n$-1\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(error_of(stream, "\n$536870913\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(error_of(stream, "\n$" + std::string(1 << 16, '1')), "Protocol error: too big bulk count string");
}

TEST(RequestStream, feed_ManyLargeArguments_EndAtTheFrameLimit) {
  RequestStream stream = stream_of("*5\r\n$4\r\nMSET\r\n$1\r\nk\r\n$536870912\r\n");
  const std::string part(1 << 20, 'v');
  for (int i = 0; i < 512; ++i) ASSERT_EQ(stream.feed(part.data(), part.size()).status, ScanStatus::kNeedMore);
  RequestStream fits = stream;
  EXPECT_EQ(error_of(stream, "\r\n$1\r\nl\r\n$536870912\r\n"),
            "Protocol error: request exceeds the query buffer limit");
  const std::string_view last = "\r\n$1\r\nl\r\n$536870800\r\n";
  EXPECT_EQ(fits.feed(last.data(), last.size()).status, ScanStatus::kNeedMore);
}

TEST(RequestStream, feed_LargeValueAndOptionsBehind_UsesAllUpToTheEnd) {
  const std::string rest = std::string(1000, 'v') + "\r\n$2\r\nEX\r\n$2\r\n10\r\n", next = command({"PING"});
  RequestStream stream = stream_of("*5\r\n$3\r\nSET\r\n$3\r\nkey\r\n$1002\r\nvv");
  const std::string bytes = rest + next;
  const RequestStream::Result result = stream.feed(bytes.data(), bytes.size());
  EXPECT_EQ(result.status, ScanStatus::kFrame);
  EXPECT_EQ(result.used, rest.size());
}

TEST(RequestStream, feed_AfterTheEnd_UsesNothing) {
  RequestStream stream = stream_of("*1\r\n$4\r\nPI");
  ASSERT_EQ(stream.feed("NG\r\n", 4).status, ScanStatus::kFrame);
  const RequestStream::Result again = stream.feed("*1\r\n", 4);
  EXPECT_EQ(again.status, ScanStatus::kFrame);
  EXPECT_EQ(again.used, 0u);
}

TEST(RequestStream, feed_AfterError_StaysError) {
  RequestStream stream = stream_of("*1\r\n");
  ASSERT_EQ(stream.feed("x\r\n", 3).status, ScanStatus::kError);
  EXPECT_EQ(stream.feed("$4\r\nPING\r\n", 10).status, ScanStatus::kError);
  EXPECT_EQ(stream.error(), "Protocol error: expected '$', got 'x'");
}

}  // namespace
}  // namespace corral::test
