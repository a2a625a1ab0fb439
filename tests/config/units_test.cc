// Tests of config/units.h: durations, sizes and addresses, there and back.
#include "config/units.h"

#include <gtest/gtest.h>

namespace corral::config {
namespace {

TEST(ParseDuration, AcceptsEveryUnit) {
  EXPECT_EQ(parse_duration_ms("250ms"), 250);
  EXPECT_EQ(parse_duration_ms("5s"), 5000);
  EXPECT_EQ(parse_duration_ms("10m"), 600'000);
  EXPECT_EQ(parse_duration_ms("2h"), 7'200'000);
  EXPECT_EQ(parse_duration_ms("1d"), 86'400'000);
  EXPECT_EQ(parse_duration_ms("0s"), 0);
}

TEST(ParseDuration, RefusesWhatHasTwoMeanings) {
  for (const char* text : {"", "5", "s", "5 s", " 5s", "5s ", "-5s", "+5s", "1.5s", "5S", "5sec", "1m30s", "0x5s"}) {
    EXPECT_EQ(parse_duration_ms(text), std::nullopt) << text;
  }
}

TEST(ParseDuration, RefusesWhatOverflows) {
  EXPECT_EQ(parse_duration_ms("9223372036854775807ms"), INT64_MAX);
  EXPECT_EQ(parse_duration_ms("9223372036854775808ms"), std::nullopt);
  EXPECT_EQ(parse_duration_ms("106751991168d"), std::nullopt);
  EXPECT_EQ(parse_duration_ms("99999999999999999999s"), std::nullopt);
}

TEST(FormatDuration, TakesTheLargestUnitWithoutFraction) {
  EXPECT_EQ(format_duration(0), "0s");
  EXPECT_EQ(format_duration(1), "1ms");
  EXPECT_EQ(format_duration(1500), "1500ms");
  EXPECT_EQ(format_duration(90'000), "90s");
  EXPECT_EQ(format_duration(86'400'000), "1d");
}

TEST(FormatDuration, ReadsBackToTheSame) {
  for (const int64_t ms : {0l, 1l, 999l, 1000l, 60'000l, 61'000l, 3'600'000l, 86'400'001l, 172'800'000l}) {
    EXPECT_EQ(parse_duration_ms(format_duration(ms)), ms);
  }
}

TEST(ParseSize, AcceptsEveryUnit) {
  EXPECT_EQ(parse_size("512B"), 512u);
  EXPECT_EQ(parse_size("64KiB"), 65536u);
  EXPECT_EQ(parse_size("256MiB"), 268'435'456u);
  EXPECT_EQ(parse_size("1GiB"), 1'073'741'824u);
}

TEST(ParseSize, RefusesOtherUnitsAndNone) {
  for (const char* text : {"", "1", "1KB", "1kib", "1K", "1 KiB", "1.5MiB", "-1B", "9999999999999GiB"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(FormatSize, ReadsBackToTheSame) {
  EXPECT_EQ(format_size(0), "0B");
  EXPECT_EQ(format_size(1536), "1536B");
  for (const uint64_t bytes : {0ull, 1ull, 1023ull, 1024ull, 65536ull, 1ull << 30, (1ull << 30) + 1, 1ull << 40}) {
    EXPECT_EQ(parse_size(format_size(bytes)), bytes);
  }
}

TEST(ParseAddress, AcceptsNamesV4V6AndUnixSockets) {
  EXPECT_EQ(parse_address("127.0.0.1:6380"), (Address{"127.0.0.1", 6380}));
  EXPECT_EQ(parse_address("redis-0.redis.svc:65535"), (Address{"redis-0.redis.svc", 65535}));
  EXPECT_EQ(parse_address("[::1]:1"), (Address{"::1", 1}));
  EXPECT_EQ(parse_address("unix:/run/corral.sock"), (Address{"/run/corral.sock", 0}));
}

TEST(ParseAddress, BringsV6ToItsShortestForm) {
  EXPECT_EQ(parse_address("[0:0:0:0:0:0:0:1]:6380"), (Address{"::1", 6380}));
}

TEST(ParseAddress, RefusesWhatIsNoAddress) {
  const std::string long_path = "unix:/" + std::string(120, 'x');
  for (const std::string& text : {std::string(""),
                                  std::string("6380"),
                                  std::string(":6380"),
                                  std::string("host"),
                                  std::string("host:"),
                                  std::string("host:0"),
                                  std::string("host:65536"),
                                  std::string("host:-1"),
                                  std::string("host:6380x"),
                                  std::string("*:6380"),
                                  std::string("1.2.3:6380"),
                                  std::string("1.2.3.256:6380"),
                                  std::string("::1:6380"),
                                  std::string("[::g]:6380"),
                                  std::string("[]:6380"),
                                  std::string("ho st:6380"),
                                  std::string("-h:6380"),
                                  std::string("unix:"),
                                  std::string("unix:relative"),
                                  std::string("unix:/"),
                                  std::string("unix:/dir/"),
                                  long_path}) {
    EXPECT_EQ(parse_address(text), std::nullopt) << text;
  }
}

TEST(FormatAddress, ReadsBackToTheSame) {
  for (const char* text : {"127.0.0.1:6380", "name:1", "[::1]:6380", "[2001:db8::7]:7000", "unix:/tmp/a.sock"}) {
    EXPECT_EQ(format_address(*parse_address(text)), text);
  }
}

}  // namespace
}  // namespace corral::config
