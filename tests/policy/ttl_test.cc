// What a rule makes of commands that say a TTL: what they are rewritten to, and what is left for Redis to refuse.
#include "policy/ttl.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "resp/reply_builder.h"
#include "resp/request_scanner.h"

namespace corral::policy {
namespace {

using Form = TtlVerdict::Form;

constexpr int64_t kNow = 1'700'000'000'000;
constexpr uint64_t kHalf = uint64_t{1} << 63;  // the middle of the jitter

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    found.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return found;
}

std::string frame(std::string_view text) {
  std::string bytes;
  resp::append_command(bytes, words(text));
  return bytes;
}

struct Judged {
  TtlVerdict verdict;
  std::string text;  // what it was rewritten to; "=" as it came, "+" with PEXPIREs

  bool operator==(std::string_view expected) const { return text == expected; }
};

std::ostream& operator<<(std::ostream& out, const Judged& judged) { return out << judged.text; }

Judged judge(const TtlRule& rule, std::string_view text, uint64_t random = 0, bool drop_nx = false) {
  const std::string bytes = frame(text);
  resp::RequestScanner scanner;
  EXPECT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), resp::ScanStatus::kFrame);
  const resp::Command command = scanner.command(bytes.data());
  const resp::CommandSpec* spec = resp::find_command(command.arg(0));
  std::string out = "left from before";
  Judged judged{judge_ttl(rule, spec->ttl, command, {kNow, random, drop_nx}, out), {}};
  if (judged.verdict.form == Form::kAsItCame) {
    judged.text = "=";
  } else if (judged.verdict.form == Form::kAddPExpire) {
    judged.text = "+";
  } else {
    resp::RequestScanner again;
    EXPECT_EQ(again.scan(out.data(), out.size(), {}), resp::ScanStatus::kFrame) << out;
    EXPECT_EQ(again.consumed(), out.size());
    const resp::Command rewritten = again.command(out.data());
    for (size_t i = 0; i < rewritten.argc(); ++i) {
      if (i > 0) judged.text += ' ';
      judged.text += rewritten.arg(i);
    }
  }
  return judged;
}

const TtlRule kRule{.default_ms = 300'000, .max_ms = 3'600'000, .jitter = 0};
const TtlRule kNoMax{.default_ms = 300'000, .max_ms = 0, .jitter = 0};
const TtlRule kOff{.mode = TtlRule::Mode::kOff};
const TtlRule kObserve{.default_ms = 1000, .max_ms = 2000, .mode = TtlRule::Mode::kObserve};
const TtlRule kJitter{.default_ms = 300'000, .max_ms = 3'600'000, .jitter = 0.1};

TEST(JudgeTtl, SetWithoutATtlGetsTheDefault) {
  EXPECT_EQ(judge(kRule, "SET k v"), "SET k v PX 300000");
  EXPECT_EQ(judge(kRule, "set k v NX GET"), "set k v NX GET PX 300000");
  EXPECT_EQ(judge(kRule, "SET k v xx"), "SET k v xx PX 300000");
  EXPECT_TRUE(judge(kRule, "SET k v").verdict.without);
  EXPECT_EQ(judge({.default_ms = 300'000, .max_ms = 1000, .jitter = 0}, "SET k v"), "SET k v PX 1000");
}

TEST(JudgeTtl, SetThatSaysOneIsCappedAndElseLeftAlone) {
  EXPECT_EQ(judge(kRule, "SET k v EX 3600"), "=");
  EXPECT_EQ(judge(kRule, "SET k v EX 3601"), "SET k v PX 3600000");
  EXPECT_EQ(judge(kRule, "SET k v NX PX 3600001 GET"), "SET k v NX PX 3600000 GET");
  EXPECT_EQ(judge(kRule, "SET k v EXAT 1700003600"), "=");
  EXPECT_EQ(judge(kRule, "SET k v EXAT 1700003601 XX"), "SET k v PXAT 1700003600000 XX");
  EXPECT_EQ(judge(kRule, "SET k v PXAT 1700009999999"), "SET k v PXAT 1700003600000");
  EXPECT_TRUE(judge(kRule, "SET k v EX 3601").verdict.clamped);
  EXPECT_FALSE(judge(kRule, "SET k v EX 3601").verdict.without);
  EXPECT_EQ(judge(kNoMax, "SET k v EX 999999999"), "=");
  EXPECT_EQ(judge(kRule, "SET k v EX 9 EX 7200"), "SET k v PX 3600000") << "the last counts";
}

TEST(JudgeTtl, WhatRedisRefusesIsLeftToIt) {
  for (const char* text : {"SET k v EX",
                           "SET k v EX 0",
                           "SET k v EX -1",
                           "SET k v EX 1x",
                           "SET k v EX 01",
                           "SET k v EX 9223372036854775807",
                           "SET k v EX 9999999999999999999",
                           "SET k v NX XX",
                           "SET k v KEEPTTL EX 7200",
                           "SET k v EX 7200 PX 7200000",
                           "SET k v EX 7200 KEEPTTL",
                           "SET k v FOO",
                           "SET k v PERSIST",
                           "SETEX k 0 v",
                           "SETEX k x v",
                           "PSETEX k -5 v",
                           "GETEX k EX 7200 PERSIST",
                           "GETEX k FOO",
                           "GETEX k NX",
                           "RESTORE k -1 p",
                           "RESTORE k 0 p FOO",
                           "RESTORE k x p",
                           "EXPIRE k x",
                           "EXPIRE k 9223372036854775807",
                           "PEXPIRE k 9223372036854775807"}) {
    EXPECT_EQ(judge(kRule, text), "=") << text;
    EXPECT_FALSE(judge(kRule, text).verdict.without) << text;
  }
}

TEST(JudgeTtl, TimesThatHavePassedAreLeftAlone) {
  for (const char* text :
       {"SET k v PXAT 1699999999999", "SET k v EXAT 1", "EXPIRE k -1", "EXPIRE k 0", "EXPIREAT k 5"}) {
    EXPECT_EQ(judge(kRule, text), "=") << text;
  }
}

TEST(JudgeTtl, KeepTtlIsDoneByPExpire) {
  EXPECT_EQ(judge(kRule, "SET k v KEEPTTL"), "+");
  EXPECT_EQ(judge(kRule, "SET k v keepttl XX GET"), "+");
}

TEST(JudgeTtl, OldFormsOfSet) {
  EXPECT_EQ(judge(kRule, "SETNX k v"), "SET k v NX PX 300000");
  EXPECT_TRUE(judge(kRule, "SETNX k v").verdict.integer_reply);
  EXPECT_EQ(judge(kRule, "GETSET k v"), "SET k v GET PX 300000");
  EXPECT_FALSE(judge(kRule, "GETSET k v").verdict.integer_reply);
  EXPECT_EQ(judge(kRule, "SETEX k 10 v"), "=");
  EXPECT_EQ(judge(kRule, "SETEX k 3601 v"), "PSETEX k 3600000 v");
  EXPECT_EQ(judge(kRule, "PSETEX k 3600001 v"), "PSETEX k 3600000 v");
}

TEST(JudgeTtl, GetEx) {
  EXPECT_EQ(judge(kRule, "GETEX k"), "=");
  EXPECT_EQ(judge(kRule, "GETEX k EX 10"), "=");
  EXPECT_EQ(judge(kRule, "GETEX k EX 3601"), "GETEX k PX 3600000");
  EXPECT_EQ(judge(kRule, "GETEX k PERSIST"), "GETEX k PX 300000");
  EXPECT_TRUE(judge(kRule, "GETEX k PERSIST").verdict.without);
  EXPECT_EQ(judge(kJitter, "GETEX k EX 10", kHalf), "=") << "taken at its word";
}

TEST(JudgeTtl, Restore) {
  EXPECT_EQ(judge(kRule, "RESTORE k 0 p"), "RESTORE k 300000 p");
  EXPECT_TRUE(judge(kRule, "RESTORE k 0 p").verdict.without);
  EXPECT_EQ(judge(kRule, "RESTORE k 0 p REPLACE ABSTTL"), "RESTORE k 1700000300000 p REPLACE ABSTTL");
  EXPECT_EQ(judge(kRule, "RESTORE k 5000 p IDLETIME 0"), "=");
  EXPECT_EQ(judge(kRule, "RESTORE k 3600001 p FREQ 1"), "RESTORE k 3600000 p FREQ 1");
  EXPECT_EQ(judge(kRule, "RESTORE k 1700003600001 p ABSTTL"), "RESTORE k 1700003600000 p ABSTTL");
  EXPECT_EQ(judge(kNoMax, "RESTORE k 9999999999 p"), "=");
}

TEST(JudgeTtl, ExpireAndKinAreCapped) {
  EXPECT_EQ(judge(kRule, "EXPIRE k 3600 NX"), "=");
  EXPECT_EQ(judge(kRule, "EXPIRE k 3601 GT"), "PEXPIRE k 3600000 GT");
  EXPECT_EQ(judge(kRule, "PEXPIRE k 3600001"), "PEXPIRE k 3600000");
  EXPECT_EQ(judge(kRule, "EXPIREAT k 1700003601 NX"), "PEXPIRE k 3600000 NX");
  EXPECT_EQ(judge(kRule, "PEXPIREAT k 1700003600001"), "PEXPIRE k 3600000");
  EXPECT_EQ(judge(kJitter, "EXPIRE k 100", kHalf), "=") << "taken at its word";
  EXPECT_EQ(judge(kNoMax, "EXPIRE k 99999999"), "=");
}

TEST(JudgeTtl, JitterOnlyShortens) {
  EXPECT_EQ(judge(kJitter, "SET k v", 0), "SET k v PX 300000");
  EXPECT_EQ(judge(kJitter, "SET k v", kHalf), "SET k v PX 285000");
  EXPECT_EQ(judge(kJitter, "SET k v EX 100", kHalf), "SET k v PX 95000");
  EXPECT_EQ(judge(kJitter, "SET k v EX 7200", kHalf), "SET k v PX 3420000") << "of the maximum";
  EXPECT_EQ(judge(kJitter, "SET k v EXAT 1700000100", kHalf), "SET k v PXAT 1700000095000");
  EXPECT_EQ(judge(kJitter, "SETEX k 100 v", kHalf), "PSETEX k 95000 v");
  const TtlRule all{.default_ms = 300'000, .max_ms = 0, .jitter = 1};
  EXPECT_EQ(judge(all, "SET k v PX 1", ~uint64_t{0}), "=") << "never 0";
  for (uint64_t i = 0; i < 1000; ++i) {
    const int64_t ttl_ms = default_ttl_ms(kJitter, i * (~uint64_t{0} / 999));
    EXPECT_LE(ttl_ms, 300'000);
    EXPECT_GE(ttl_ms, 270'000);
  }
}

TEST(JudgeTtl, BinaryValuesStayWhole) {
  std::string bytes, out;
  const std::string value("\r\n\0$5\r\n", 7);
  resp::append_command(bytes, {"SET", "k", value});
  resp::RequestScanner scanner;
  ASSERT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), resp::ScanStatus::kFrame);
  judge_ttl(kRule, resp::TtlEffect::kSet, scanner.command(bytes.data()), {kNow, 0}, out);
  std::string expected;
  resp::append_command(expected, {"SET", "k", value, "PX", "300000"});
  EXPECT_EQ(out, expected);
}

// --- what only observes, or is off ---

TEST(JudgeTtl, WhatOnlyObservesChangesNothing) {
  for (const TtlRule& rule : {kObserve, kOff}) {
    for (const char* text : {"SET k v", "SET k v NX", "SETNX k v", "GETSET k v", "GETEX k PERSIST", "RESTORE k 0 p"}) {
      EXPECT_EQ(judge(rule, text), "=") << text;
      EXPECT_TRUE(judge(rule, text).verdict.without) << text;
    }
    for (const char* text : {"SET k v EX 9", "SETEX k 9 v", "GETEX k PX 9999", "RESTORE k 9999 p", "EXPIRE k 9"}) {
      EXPECT_EQ(judge(rule, text, kHalf), "=") << text;
      EXPECT_FALSE(judge(rule, text).verdict.without) << text;
      EXPECT_FALSE(judge(rule, text).verdict.clamped) << text;
    }
    EXPECT_EQ(judge(rule, "SET k v KEEPTTL"), "+");
  }
}

// --- stale_ms ---

TtlRule with_stale(TtlRule rule) {
  rule.stale_ms = 30'000;
  return rule;
}

TEST(SoftTtl, WhatIsSaidIsStoredForLonger) {
  for (const TtlRule& rule : {with_stale(kOff), with_stale(kObserve)}) {
    EXPECT_EQ(judge(rule, "SET k v EX 10", kHalf), "SET k v PX 40000");
    EXPECT_EQ(judge(rule, "SET k v NX PX 5 GET"), "SET k v NX PX 30005 GET");
    EXPECT_EQ(judge(rule, "SET k v EX 9 EX 10"), "SET k v PX 40000") << "the last counts";
    EXPECT_EQ(judge(rule, "SET k v EXAT 1700000010 XX"), "SET k v PXAT 1700000040000 XX");
    EXPECT_EQ(judge(rule, "SET k v PXAT 1700000000001"), "SET k v PXAT 1700000030001");
    EXPECT_EQ(judge(rule, "SETEX k 10 v"), "PSETEX k 40000 v");
    EXPECT_EQ(judge(rule, "PSETEX k 1 v"), "PSETEX k 30001 v");
    EXPECT_EQ(judge(rule, "GETEX k EX 10"), "GETEX k PX 40000");
    EXPECT_EQ(judge(rule, "GETEX k PXAT 1700000000005"), "GETEX k PXAT 1700000030005");
    EXPECT_EQ(judge(rule, "RESTORE k 5 p REPLACE"), "RESTORE k 30005 p REPLACE");
    EXPECT_EQ(judge(rule, "RESTORE k 1700000000005 p ABSTTL"), "RESTORE k 1700000030005 p ABSTTL");
    EXPECT_EQ(judge(rule, "EXPIRE k 10 GT"), "PEXPIRE k 40000 GT");
    EXPECT_EQ(judge(rule, "PEXPIRE k 1"), "PEXPIRE k 30001");
    EXPECT_EQ(judge(rule, "EXPIREAT k 1700000010 NX"), "PEXPIREAT k 1700000040000 NX");
    EXPECT_EQ(judge(rule, "PEXPIREAT k 1700000000001 LT"), "PEXPIREAT k 1700000030001 LT");
    EXPECT_FALSE(judge(rule, "SET k v EX 10").verdict.clamped);
    EXPECT_FALSE(judge(rule, "SET k v EX 10").verdict.without);
  }
}

TEST(SoftTtl, WhatHasNoneIsLeftAlone) {
  for (const char* text : {"SET k v", "SET k v XX GET", "SETNX k v", "GETSET k v", "GETEX k", "GETEX k PERSIST",
                           "RESTORE k 0 p", "RESTORE k 0 p ABSTTL"}) {
    EXPECT_EQ(judge(with_stale(kOff), text), "=") << text;
  }
  EXPECT_EQ(judge(with_stale(kOff), "SET k v KEEPTTL"), "+");
}

TEST(SoftTtl, WhatDeletesAtOnceStaysWhatItIs) {
  for (const char* text :
       {"EXPIRE k 0", "EXPIRE k -1", "PEXPIRE k -9223372036854775807", "EXPIREAT k 5", "EXPIREAT k 1700000000",
        "PEXPIREAT k 1700000000000", "PEXPIREAT k -5", "SET k v PXAT 1700000000000", "SET k v EXAT 1",
        "GETEX k PXAT 1699999999999", "RESTORE k 1700000000000 p ABSTTL", "SET k v EX 0", "SETEX k -1 v"}) {
    EXPECT_EQ(judge(with_stale(kOff), text), "=") << text;
    EXPECT_EQ(judge(with_stale(kRule), text), "=") << text;
  }
}

TEST(SoftTtl, WhatWouldOverflowIsLeftToRedis) {
  const int64_t most = INT64_MAX - kNow - 30'000;
  EXPECT_EQ(judge(with_stale(kOff), "SET k v PX " + std::to_string(most)),
            "SET k v PX " + std::to_string(most + 30'000));
  for (const std::string& text :
       {"SET k v PX " + std::to_string(most + 1), "PEXPIRE k " + std::to_string(most + 1),
        "RESTORE k " + std::to_string(most + 1) + " p", std::string("PEXPIREAT k 9223372036854775807"),
        std::string("SET k v PXAT 9223372036854775800"), std::string("SET k v EX 9223372036854775"),
        std::string("EXPIRE k 9223372036854775807"), std::string("EXPIRE k -9223372036854775807")}) {
    EXPECT_EQ(judge(with_stale(kOff), text), "=") << text;
  }
}

TEST(SoftTtl, DefaultMaximumAndJitterAreOfWhatClientsSee) {
  const TtlRule rule = with_stale(kRule), jitter = with_stale(kJitter);
  EXPECT_EQ(default_ttl_ms(rule, 0), 300'000);
  EXPECT_EQ(judge(rule, "SET k v"), "SET k v PX 330000");
  EXPECT_EQ(judge(rule, "SET k v XX"), "SET k v XX PX 330000");
  EXPECT_EQ(judge(rule, "SETNX k v"), "SET k v NX PX 330000");
  EXPECT_EQ(judge(rule, "GETSET k v"), "SET k v GET PX 330000");
  EXPECT_EQ(judge(rule, "GETEX k PERSIST"), "GETEX k PX 330000");
  EXPECT_EQ(judge(rule, "RESTORE k 0 p"), "RESTORE k 330000 p");
  EXPECT_EQ(judge(rule, "RESTORE k 0 p ABSTTL"), "RESTORE k 1700000330000 p ABSTTL");
  EXPECT_EQ(judge(rule, "SET k v EX 3600"), "SET k v PX 3630000");
  EXPECT_FALSE(judge(rule, "SET k v EX 3600").verdict.clamped);
  EXPECT_EQ(judge(rule, "SET k v EX 3601"), "SET k v PX 3630000");
  EXPECT_TRUE(judge(rule, "SET k v EX 3601").verdict.clamped);
  EXPECT_EQ(judge(rule, "EXPIREAT k 1700003601 NX"), "PEXPIRE k 3630000 NX");
  EXPECT_EQ(judge(rule, "RESTORE k 1700003600001 p ABSTTL"), "RESTORE k 1700003630000 p ABSTTL");
  EXPECT_EQ(judge(jitter, "SET k v", kHalf), "SET k v PX 315000");
  EXPECT_EQ(judge(jitter, "SET k v EX 100", kHalf), "SET k v PX 125000");
  EXPECT_EQ(judge(jitter, "EXPIRE k 100", kHalf), "PEXPIRE k 130000") << "taken at its word";
  EXPECT_EQ(judge(rule, "SET k v EX 3630"), "=") << "cut to what it says with what is added";
  EXPECT_TRUE(judge(rule, "SET k v EX 3630").verdict.clamped);
}

TEST(SoftTtl, IsToldAsRedisRoundsIt) {
  using resp::TtlEffect;
  for (const TtlEffect effect : {TtlEffect::kTtl, TtlEffect::kPTtl, TtlEffect::kExpireTime, TtlEffect::kPExpireTime}) {
    EXPECT_EQ(visible_ttl(effect, 30'000, -2), -2);
    EXPECT_EQ(visible_ttl(effect, 30'000, -1), -1);
    for (const int64_t stored : {0, 1, 29'999, 30'000}) EXPECT_EQ(visible_ttl(effect, 30'000, stored), 0);
  }
  EXPECT_EQ(visible_ttl(TtlEffect::kPTtl, 30'000, 30'001), 1);
  EXPECT_EQ(visible_ttl(TtlEffect::kTtl, 30'000, 30'499), 0);
  EXPECT_EQ(visible_ttl(TtlEffect::kTtl, 30'000, 30'500), 1);
  EXPECT_EQ(visible_ttl(TtlEffect::kTtl, 30'000, 39'499), 9);
  EXPECT_EQ(visible_ttl(TtlEffect::kPExpireTime, 30'000, kNow + 30'007), kNow + 7);
  EXPECT_EQ(visible_ttl(TtlEffect::kExpireTime, 30'000, kNow + 30'500), kNow / 1000 + 1);
  EXPECT_EQ(told_by(TtlEffect::kTtl), "PTTL");
  EXPECT_EQ(told_by(TtlEffect::kPTtl), "PTTL");
  EXPECT_EQ(told_by(TtlEffect::kExpireTime), "PEXPIRETIME");
  EXPECT_EQ(told_by(TtlEffect::kPExpireTime), "PEXPIRETIME");
}

TEST(SoftTtl, KeepTtlIsTakenOut) {
  const std::string bytes = frame("SET keepttl keepttl KEEPTTL xx KeepTTL GET");
  resp::RequestScanner scanner;
  ASSERT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), resp::ScanStatus::kFrame);
  EXPECT_EQ(without_keepttl(scanner.command(bytes.data())), frame("SET keepttl keepttl xx GET"));
}

// --- drop_nx ---

Judged dropped(const TtlRule& rule, std::string_view text) { return judge(rule, text, 0, true); }

TEST(DropNx, SetIsSentWithoutIt) {
  EXPECT_EQ(dropped(kOff, "SET k v NX"), "SET k v");
  EXPECT_EQ(dropped(kOff, "SET nx nx nx"), "SET nx nx");
  EXPECT_EQ(dropped(kOff, "SET k v NX PX 10 nx"), "SET k v PX 10");
  EXPECT_EQ(dropped(kOff, "SET k v EXAT 1700000010 NX"), "SET k v PXAT 1700000010000");
  EXPECT_EQ(dropped(with_stale(kOff), "SET k v NX EX 10"), "SET k v PX 40000");
  EXPECT_EQ(dropped(kRule, "SET k v NX"), "SET k v PX 300000");
  EXPECT_EQ(dropped(kRule, "SET k v NX EX 10"), "SET k v PX 10000");
  EXPECT_EQ(dropped(with_stale(kRule), "SET k v NX EX 7200"), "SET k v PX 3630000");
  EXPECT_TRUE(dropped(kRule, "SET k v NX").verdict.without);
  EXPECT_FALSE(dropped(kRule, "SET k v NX").verdict.integer_reply);
}

TEST(DropNx, KeepTtlGoesToo) {
  EXPECT_EQ(dropped(kOff, "SET k v NX KEEPTTL"), "SET k v");
  EXPECT_EQ(dropped(kOff, "SET k v KEEPTTL"), "SET k v");
  EXPECT_EQ(dropped(with_stale(kRule), "SET k v KEEPTTL XX"), "SET k v XX PX 330000");
}

TEST(DropNx, SetNxIsSentAsSet) {
  EXPECT_EQ(dropped(kOff, "SETNX k v"), "SET k v");
  EXPECT_EQ(dropped(kObserve, "SETNX k v"), "SET k v");
  EXPECT_EQ(dropped(with_stale(kRule), "SETNX k v"), "SET k v PX 330000");
  EXPECT_TRUE(dropped(kOff, "SETNX k v").verdict.integer_reply);
}

TEST(DropNx, NothingElseChanges) {
  for (const char* text : {"SET k v", "SET k v EX 10", "SET k v XX", "SET k v NX GET", "SET k v NX GET EX 10",
                           "SET k v NX EX nx", "SET k v NX EX 0", "SET k v NX FOO", "SETEX k 10 v", "GETSET k v"}) {
    EXPECT_EQ(dropped(kOff, text), "=") << text;
  }
  EXPECT_EQ(dropped(kOff, "SET k v GET KEEPTTL"), "+");
  EXPECT_EQ(dropped(kRule, "SET k v NX GET"), "SET k v NX GET PX 300000");
}

}  // namespace
}  // namespace corral::policy
