// ReplyScanner: every type, cut at every byte and at random, kept and passed on; damaged replies; limits.
#include "resp/reply_scanner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "reply_model.h"
#include "support.h"

namespace corral::test {
namespace {

using resp::ReplyScanner;
using resp::ScanStatus;

struct Outcome {
  ScanStatus status;
  size_t consumed = 0;
  std::string error;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(const ReplyScanner& scanner, ScanStatus status) {
  if (status == ScanStatus::kFrame) return {status, scanner.consumed(), {}};
  return {status, 0, std::string(scanner.error())};
}

Outcome scan(std::string_view bytes) {
  ReplyScanner scanner;
  return outcome_of(scanner, scanner.scan(bytes.data(), bytes.size()));
}

Outcome scan_in_parts(std::string_view bytes, const std::vector<size_t>& sizes, GuardedBytes& memory) {
  ReplyScanner scanner;
  for (const size_t size : sizes) {
    const ScanStatus status = scanner.scan(memory.hold(bytes.substr(0, size)), size);
    if (status != ScanStatus::kNeedMore) return outcome_of(scanner, status);
    EXPECT_GE(scanner.missing(), 1u);
  }
  return outcome_of(scanner, scanner.scan(memory.hold(bytes), bytes.size()));
}

/// As scan_in_parts, but after each part the first bytes are dropped: as many as may be, or as many of them as
/// `how_many` says. `consumed` still counts from the very start.
template <typename HowMany>
Outcome pass_in_parts(std::string_view bytes, std::vector<size_t> sizes, GuardedBytes& memory, HowMany how_many) {
  constexpr size_t kMostOfHeader = 24;  // what is looked at before a header is called too long
  ReplyScanner scanner;
  size_t dropped = 0;
  sizes.push_back(bytes.size());
  for (const size_t end : sizes) {
    const size_t size = end - dropped;
    const ScanStatus status = scanner.scan(memory.hold(bytes.substr(dropped, size)), size);
    if (status == ScanStatus::kFrame) return {status, dropped + scanner.consumed(), {}};
    if (status == ScanStatus::kError) return outcome_of(scanner, status);
    const size_t passable = scanner.passable(size);
    EXPECT_LE(passable, size);
    EXPECT_LE(size, passable + kMostOfHeader);
    const size_t missing = scanner.missing();
    const size_t drop = how_many(passable);
    scanner.drop(drop);
    dropped += drop;
    EXPECT_EQ(scanner.missing(), missing);
    EXPECT_EQ(scanner.passable(size - drop), passable - drop);
  }
  return outcome_of(scanner, ScanStatus::kNeedMore);
}

size_t all_of_it(size_t passable) { return passable; }

std::vector<std::string> whole_replies() {
  return {"+OK\r\n",
          "+\r\n",
          "+a line of more than thirty-two bytes, which goes another way\r\n",
          "-ERR x\r\n",
          "-MOVED 3999 127.0.0.1:6381\r\n",
          ":0\r\n",
          ":1\r\n",
          ":-9223372036854775808\r\n",
          "$0\r\n\r\n",
          "$-1\r\n",
          "$5\r\nhello\r\n",
          "$2\r\n\r\n\r\n",
          "$12\r\n$5\r\nhello\r\nx\r\n",
          "$100\r\n" + std::string(100, 'v') + "\r\n",
          "$5000\r\n" + std::string(5000, 'v') + "\r\n",
          "*0\r\n",
          "*-1\r\n",
          "*1\r\n*0\r\n",
          "*2\r\n$3\r\nfoo\r\n$-1\r\n",
          "*3\r\n:1\r\n*2\r\n+a\r\n*-1\r\n$1\r\nx\r\n",
          "*2\r\n*1\r\n*1\r\n*1\r\n:1\r\n:2\r\n",
          "_\r\n",
          "#t\r\n",
          "#f\r\n",
          ",1.5\r\n",
          ",inf\r\n",
          ",nan\r\n",
          "(3492890328409238509324850943850943825024385\r\n",
          "!5\r\nERR x\r\n",
          "=8\r\ntxt:abcd\r\n",
          "%0\r\n",
          "%2\r\n+a\r\n:1\r\n+b\r\n%1\r\n+c\r\n_\r\n",
          "~2\r\n+a\r\n#t\r\n",
          ">3\r\n+message\r\n$2\r\nch\r\n$2\r\nhi\r\n",
          ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
          "|1\r\n+ttl\r\n:3600\r\n$1\r\nv\r\n",
          "|0\r\n|1\r\n+a\r\n+b\r\n:1\r\n",
          "*2\r\n|1\r\n+a\r\n%1\r\n+x\r\n+y\r\n:1\r\n:2\r\n",
          "%1\r\n|0\r\n+k\r\n|0\r\n+v\r\n"};
}

std::vector<std::string> wrong_replies() {
  return {"x\r\n",
          "\r\n",
          "$?\r\n",
          "*?\r\n",
          "%?\r\n",
          "~?\r\n",
          ";4\r\nabcd\r\n",
          ".\r\n",
          "*1\r\n;1\r\na\r\n",
          "$-2\r\n",
          "*-2\r\n",
          "%-1\r\n",
          "~-1\r\n",
          ">-1\r\n",
          "|-1\r\n",
          "!-1\r\n",
          "=-1\r\n",
          "$4294967297\r\n",
          "*2147483648\r\n",
          "*2\r\n:1\r\nx",
          "$+1\r\na\r\n",
          "$01\r\na\r\n",
          "$\r\n",
          "* 1\r\n",
          "$1a\r\n",
          "$3\r\nabcd\r\n",
          "$3\r\nabc\n\r",
          "$3\rxabc\r\n",
          "+a\rb\r\n",
          ":\r\r\n",
          ":1\r\r\n",
          "$99999999999999999999\r\n",
          "$1111111111111111111111111",
          "$9223372036854775807\r\n",
          "*1\r\n$2\rx"};
}

TEST(ReplyScanner, scan_WholeReply_TakesAllOfItAndNoMore) {
  for (const std::string& reply : whole_replies()) {
    EXPECT_EQ(scan(reply), (Outcome{ScanStatus::kFrame, reply.size(), {}})) << reply;
    EXPECT_EQ(scan(reply + "+next\r\n"), (Outcome{ScanStatus::kFrame, reply.size(), {}})) << reply;
  }
}

TEST(ReplyScanner, scan_CutAnywhere_SameOutcomeAsInOnePiece) {
  GuardedBytes memory(1 << 16);
  std::vector<std::string> replies = whole_replies();
  for (const std::string& wrong : wrong_replies()) replies.push_back(wrong);
  for (const std::string& reply : replies) {
    SCOPED_TRACE(reply);
    const Outcome whole = scan(reply);
    std::vector<size_t> every;
    for (size_t cut = 0; cut <= reply.size(); ++cut) {
      EXPECT_EQ(scan_in_parts(reply, {cut}, memory), whole) << "cut at " << cut;
      every.push_back(cut);
    }
    EXPECT_EQ(scan_in_parts(reply, every, memory), whole) << "byte by byte";
  }
}

TEST(ReplyScanner, scan_UnfinishedReply_NeedsMoreAtEveryByte) {
  GuardedBytes memory(1 << 16);
  for (const std::string& reply : whole_replies()) {
    for (size_t size = 0; size < reply.size(); ++size) {
      ReplyScanner scanner;
      const char* const data = memory.hold(std::string_view(reply).substr(0, size));
      EXPECT_EQ(scanner.scan(data, size), ScanStatus::kNeedMore) << reply << " of which " << size;
      EXPECT_LE(scanner.missing(), reply.size() - size) << reply << " of which " << size;
    }
  }
}

TEST(ReplyScanner, scan_WrongReply_IsRefused) {
  for (const std::string& reply : wrong_replies()) {
    const Outcome outcome = scan(reply);
    EXPECT_EQ(outcome.status, ScanStatus::kError) << reply;
    EXPECT_NE(outcome.error, "") << reply;
  }
}

TEST(ReplyScanner, scan_RepliesBehindOneAnother_EachIsFoundWithoutReset) {
  std::string bytes;
  for (const std::string& reply : whole_replies()) bytes += reply;
  ReplyScanner scanner;
  size_t pos = 0;
  for (const std::string& reply : whole_replies()) {
    ASSERT_EQ(scanner.scan(bytes.data() + pos, bytes.size() - pos), ScanStatus::kFrame);
    ASSERT_EQ(scanner.consumed(), reply.size()) << reply;
    pos += scanner.consumed();
  }
}

TEST(ReplyScanner, scan_RandomRepliesInRandomParts_FindsTheEnd) {
  auto random = seeded_generator("ReplyScanner.scan_RandomRepliesInRandomParts_FindsTheEnd");
  GuardedBytes memory(64 << 20);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes;
    append_tree(bytes, random_tree(random, "+-:$*_#,(!=%~>", 4), &random);
    const Outcome expected{ScanStatus::kFrame, bytes.size(), {}};
    ASSERT_EQ(scan(bytes + "x"), expected) << bytes;
    std::vector<size_t> cuts(below(random, 8));
    for (size_t& cut : cuts) cut = below(random, bytes.size());
    std::sort(cuts.begin(), cuts.end());
    ASSERT_EQ(scan_in_parts(bytes, cuts, memory), expected) << bytes;
  }
}

TEST(ReplyScanner, scan_DamagedReplies_OutcomeDoesNotDependOnParts) {
  auto random = seeded_generator("ReplyScanner.scan_DamagedReplies_OutcomeDoesNotDependOnParts");
  GuardedBytes memory(64 << 20);
  constexpr std::string_view kDamage = "\r\n$*%|0919-?;_";
  for (int round = 0; round < 5000; ++round) {
    std::string bytes;
    append_tree(bytes, random_tree(random, "+:$*$*_%|>", 3), &random);
    for (size_t wrong = 1 + below(random, 3); wrong > 0; --wrong) {
      bytes[below(random, std::min<size_t>(bytes.size(), 60))] = kDamage[below(random, kDamage.size())];
    }
    std::vector<size_t> cuts(below(random, 8));
    for (size_t& cut : cuts) cut = below(random, bytes.size());
    std::sort(cuts.begin(), cuts.end());
    ASSERT_EQ(scan_in_parts(bytes, cuts, memory), scan(bytes)) << bytes;
  }
}

std::string nested(const std::string& header, int depth) {
  std::string bytes;
  for (int i = 0; i < depth; ++i) bytes += header;
  return bytes + ":1\r\n";
}

TEST(ReplyScanner, scan_NestedVeryDeep_IsTaken) {
  EXPECT_EQ(scan(nested("*1\r\n", 10'000)).status, ScanStatus::kFrame);
}

TEST(ReplyScanner, scan_AttributesInARow_AreNoNesting) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += "|1\r\n+a\r\n+b\r\n";
  bytes += ":1\r\n";
  EXPECT_EQ(scan(bytes), (Outcome{ScanStatus::kFrame, bytes.size(), {}}));
}

TEST(ReplyScanner, scan_LargestCounts_DoNotOverflow) {
  for (const std::string header : {"*2147483647\r\n", "%2147483647\r\n", "|2147483647\r\n"}) {
    EXPECT_EQ(scan(header).status, ScanStatus::kNeedMore) << header;
    EXPECT_EQ(scan(header + ":1\r\n:2\r\n").status, ScanStatus::kNeedMore) << header;
    EXPECT_EQ(scan(header + "|0\r\n" + header + ":1\r\n").status, ScanStatus::kNeedMore) << header;
  }
}

TEST(ReplyScanner, missing_InLargeBulk_IsTheRestWithItsCrlf) {
  ReplyScanner scanner;
  const std::string bytes = "*2\r\n:1\r\n$4294967296\r\nabc";
  ASSERT_EQ(scanner.scan(bytes.data(), bytes.size()), ScanStatus::kNeedMore);
  EXPECT_EQ(scanner.missing(), (size_t{1} << 32) - 3 + 2);
}

TEST(ReplyScanner, scan_LineThatComesSlowly_IsNotSearchedAgain) {
  std::string bytes = "+" + std::string(1000, 'a');
  ReplyScanner scanner;
  ASSERT_EQ(scanner.scan(bytes.data(), bytes.size()), ScanStatus::kNeedMore);
  std::fill(bytes.begin() + 1, bytes.end(), '\r');
  bytes += 'a';
  EXPECT_EQ(scanner.scan(bytes.data(), bytes.size()), ScanStatus::kNeedMore);
}

TEST(ReplyScanner, drop_CutAnywhere_SameOutcomeAsInOnePiece) {
  GuardedBytes memory(1 << 16);
  std::vector<std::string> replies = whole_replies();
  for (const std::string& wrong : wrong_replies()) replies.push_back(wrong);
  for (const std::string& reply : replies) {
    SCOPED_TRACE(reply);
    const Outcome whole = scan(reply);
    const std::string followed = reply + "+next\r\n";
    std::vector<size_t> every;
    for (size_t cut = 0; cut <= reply.size(); ++cut) {
      EXPECT_EQ(pass_in_parts(reply, {cut}, memory, all_of_it), whole) << "cut at " << cut;
      EXPECT_EQ(pass_in_parts(followed, {cut}, memory, all_of_it), whole) << "cut at " << cut;
      every.push_back(cut);
    }
    EXPECT_EQ(pass_in_parts(reply, every, memory, all_of_it), whole) << "byte by byte";
  }
}

TEST(ReplyScanner, drop_AnyPartOfWhatIsPassable_OutcomeDoesNotDependOnIt) {
  auto random = seeded_generator("ReplyScanner.drop_AnyPartOfWhatIsPassable_OutcomeDoesNotDependOnIt");
  GuardedBytes memory(64 << 20);
  constexpr std::string_view kDamage = "\r\n$*%|0919-?;_";
  for (int round = 0; round < 5000; ++round) {
    std::string bytes;
    append_tree(bytes, random_tree(random, "+-:$*_#,(!=%~>", 4), &random);
    if (below(random, 4) == 0) bytes[below(random, bytes.size())] = kDamage[below(random, kDamage.size())];
    std::vector<size_t> cuts(below(random, 12));
    for (size_t& cut : cuts) cut = below(random, bytes.size());
    std::sort(cuts.begin(), cuts.end());
    const bool all = below(random, 2) == 0;
    const auto how_many = [&](size_t passable) { return all ? passable : below(random, passable + 1); };
    ASSERT_EQ(pass_in_parts(bytes, cuts, memory, how_many), scan(bytes)) << bytes;
  }
}

size_t passable_of(std::string_view bytes) {
  ReplyScanner scanner;
  EXPECT_EQ(scanner.scan(bytes.data(), bytes.size()), ScanStatus::kNeedMore) << bytes;
  return scanner.passable(bytes.size());
}

TEST(ReplyScanner, passable_AmidReply_AllButWhatMustBeSeenAgain) {
  EXPECT_EQ(passable_of(""), 0u);
  EXPECT_EQ(passable_of("$10"), 0u);
  EXPECT_EQ(passable_of("$10\r\n"), 5u);
  EXPECT_EQ(passable_of("$10\r\n12345"), 10u);
  EXPECT_EQ(passable_of("$10\r\n0123456789"), 15u);
  EXPECT_EQ(passable_of("$10\r\n0123456789\r"), 15u);
  EXPECT_EQ(passable_of("*3\r\n:1\r\n:2\r\n"), 12u);
  EXPECT_EQ(passable_of("*3\r\n:1\r\n:2"), 10u);
  EXPECT_EQ(passable_of("*3\r\n:1\r\n$"), 8u);
  EXPECT_EQ(passable_of("*3\r\n:1\r\n$1000\r\nab"), 17u);
  EXPECT_EQ(passable_of("+a line\r"), 7u);
}

TEST(ReplyScanner, drop_BulkOf4GiB_NeverKeepsMoreThanAPart) {
  constexpr size_t kPart = 1 << 20;
  const size_t length = ReplyScanner::kMaxBulkBytes;
  const std::string part(kPart, 'v'), header = "*1\r\n$" + std::to_string(length) + "\r\n";
  ReplyScanner scanner;
  ASSERT_EQ(scanner.scan(header.data(), header.size()), ScanStatus::kNeedMore);
  scanner.drop(scanner.passable(header.size()));
  for (size_t arrived = 0; arrived < length; arrived += kPart) {
    ASSERT_EQ(scanner.scan(part.data(), kPart), ScanStatus::kNeedMore);
    ASSERT_EQ(scanner.missing(), length - arrived - kPart + 2);
    ASSERT_EQ(scanner.passable(kPart), kPart);
    scanner.drop(kPart);
  }
  ASSERT_EQ(scanner.scan("\r\n+OK", 5), ScanStatus::kFrame);
  EXPECT_EQ(scanner.consumed(), 2u);
}

TEST(ReplyScanner, scan_AfterError_StaysErrorUntilReset) {
  ReplyScanner scanner;
  ASSERT_EQ(scanner.scan("x", 1), ScanStatus::kError);
  EXPECT_EQ(scanner.scan("+OK\r\n", 5), ScanStatus::kError);
  scanner.reset();
  EXPECT_EQ(scanner.scan("+OK\r\n", 5), ScanStatus::kFrame);
}

}  // namespace
}  // namespace corral::test
