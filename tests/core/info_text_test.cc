// What servers tell in text, and one INFO of several; the slow logs of several masters; counters.
#include "proxy/core/info_text.h"

#include <gtest/gtest.h>

#include "proxy/core/command_names.h"
#include "proxy/core/server_stats.h"

namespace corral::core {
namespace {

TEST(InfoText, FieldBeginsAtABoundaryAndEndsAtABlankCommaOrLineEnd) {
  constexpr std::string_view kClient = "id=7 addr=1.2.3.4:5 laddr=6.7.8.9:10 name= age=3\n";
  EXPECT_EQ(text_field(kClient, "id="), "7");
  EXPECT_EQ(text_field(kClient, "addr="), "1.2.3.4:5");
  EXPECT_EQ(text_field(kClient, "laddr="), "6.7.8.9:10");
  EXPECT_EQ(text_field(kClient, "name="), "");
  EXPECT_EQ(text_number(kClient, "age="), 3);
  EXPECT_EQ(text_field("# Server\r\nredis_version:7.0.15\r\n", "redis_version:"), "7.0.15");
  EXPECT_EQ(text_field("redis_version:7.0.15", "redis_version:"), "7.0.15");
  EXPECT_EQ(text_number("keys=10,expires=2,avg_ttl=5", "expires="), 2);
  EXPECT_EQ(text_field("", "x="), "");
}

TEST(InfoText, SectionIsFoundByItsTitle) {
  constexpr std::string_view kInfo = "# Memory\r\na:1\r\nb:two words\r\n\r\n# Stats\r\na:2\r\n";
  EXPECT_EQ(info_section(kInfo, "Memory"), (InfoLines{{"a", "1"}, {"b", "two words"}}));
  EXPECT_EQ(info_section(kInfo, "Stats"), (InfoLines{{"a", "2"}}));
  EXPECT_EQ(info_section(kInfo, "CPU"), InfoLines());
}

TEST(InfoText, MergedSectionAddsCountsAndTakesTheWorstOfTheRest) {
  const std::vector<std::string> infos = {
      "# Memory\r\nused_memory:1024\r\nused_memory_human:1.00K\r\nmem_fragmentation_ratio:1.50\r\nmaxmemory_policy:"
      "noeviction\r\nrdb_last_bgsave_status:ok\r\nrdb_last_save_time:20\r\naof_last_rewrite_time_sec:-1\r\n",
      "# Memory\r\nused_memory:512\r\nused_memory_human:512B\r\nmem_fragmentation_ratio:2.25\r\nmaxmemory_policy:"
      "noeviction\r\nrdb_last_bgsave_status:err\r\nrdb_last_save_time:10\r\naof_last_rewrite_time_sec:-1\r\nonly:"
      "3\r\n"};
  EXPECT_EQ(merge_info_section(infos, "Memory"), (InfoLines{{"used_memory", "1536"},
                                                            {"used_memory_human", "1.50K"},
                                                            {"mem_fragmentation_ratio", "2.25"},
                                                            {"maxmemory_policy", "noeviction"},
                                                            {"rdb_last_bgsave_status", "err"},
                                                            {"rdb_last_save_time", "10"},
                                                            {"aof_last_rewrite_time_sec", "-1"},
                                                            {"only", "3"}}));
  EXPECT_EQ(merge_info_section({}, "Memory"), InfoLines());
}

TEST(InfoText, BytesForPeopleAreRedisOwn) {
  EXPECT_EQ(human_bytes(0), "0B");
  EXPECT_EQ(human_bytes(1023), "1023B");
  EXPECT_EQ(human_bytes(1536), "1.50K");
  EXPECT_EQ(human_bytes(int64_t{3} << 30), "3.00G");
}

TEST(InfoText, ValuesWithinALine) {
  EXPECT_EQ(info_values("calls=1,usec=20"), (InfoValues{{"calls", "1"}, {"usec", "20"}}));
  EXPECT_EQ(info_values("odd"), (InfoValues{{"odd", ""}}));
  EXPECT_EQ(info_values(""), InfoValues());
}

TEST(CommandNames, TellHowWhatMastersCountAddsUp) {
  EXPECT_EQ(accounting_of("get"), Accounting::kSum);
  EXPECT_EQ(accounting_of("scan"), Accounting::kSum);
  EXPECT_EQ(accounting_of("config|resetstat"), Accounting::kMost);
  EXPECT_EQ(accounting_of("client|info"), Accounting::kByCorral);
  EXPECT_EQ(accounting_of("of.a.module"), Accounting::kSum);
}

TEST(ServerStats, CountsByCommandUntilReset) {
  ServerStats stats(2);
  const resp::CommandSpec& ping = *resp::find_command("ping");
  const resp::CommandSpec& list = *find_by_full_name("client|list");
  stats.count_call(0, ping, false);
  stats.count_call(1, ping, true);
  stats.count_rejected(1, list);
  const auto counts = stats.counts();
  ASSERT_EQ(counts.size(), 2u);
  EXPECT_EQ(counts[0].first, "client|list");
  EXPECT_EQ(counts[0].second.rejected, 1u);
  EXPECT_EQ(counts[1].second.calls, 2u);
  EXPECT_EQ(counts[1].second.failed, 1u);
  stats.reset_worker(0);
  stats.reset_worker(1);
  EXPECT_TRUE(stats.counts().empty());
}

TEST(ServerStats, ErrorsAreCountedByCodeOfWhichThereAreNotTooMany) {
  ServerStats stats(1);
  stats.count_error("ERR one");
  stats.count_error("ERR two");
  stats.count_error("NOPERM no");
  stats.count_error("nocode");
  EXPECT_EQ(stats.errors_by_code(), (std::map<std::string, uint64_t>{{"ERR", 3}, {"NOPERM", 1}}));
  for (int i = 0; i < 1000; ++i) stats.count_error("E" + std::to_string(i) + " text");
  EXPECT_LE(stats.errors_by_code().size(), 128u);
  stats.reset_errors();
  EXPECT_EQ(stats.errors(), 0u);
}

TEST(ServerStats, RatesAreAnAverageOfTheLastSamples) {
  ServerStats stats(1);
  EXPECT_EQ(stats.rates().requests, 0u);
  for (uint64_t i = 0; i < 40; ++i) stats.sample(i * 100, {{"requests", i * 50}, {"net_input_bytes", i * 10}});
  EXPECT_EQ(stats.rates().requests, 500u);
  EXPECT_EQ(stats.rates().input_bytes, 100u);
  EXPECT_EQ(stats.rates().output_bytes, 0u);
}

}  // namespace
}  // namespace corral::core
