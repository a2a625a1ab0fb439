// SLOWLOG of several masters as one list.
#include "proxy/core/slow_log.h"

#include <gtest/gtest.h>

#include "resp/reply_builder.h"

namespace corral::core {
namespace {

using Lists = std::vector<std::vector<SlowEntry>>;

SlowEntry entry(int64_t time_s, std::string word, bool at_all_masters = false, int64_t duration_us = 1) {
  SlowEntry made;
  made.time_s = time_s;
  made.duration_us = duration_us;
  made.args = {std::move(word)};
  made.at_all_masters = at_all_masters;
  return made;
}

std::string words(const std::vector<SlowEntry>& entries) {
  std::string text;
  for (const SlowEntry& one : entries) text += (text.empty() ? "" : " ") + one.args[0];
  return text;
}

TEST(SlowLog, NewestFirst) {
  const Lists lists = {{entry(9, "a"), entry(5, "b")}, {entry(7, "c"), entry(4, "d")}, {}};
  EXPECT_EQ(words(merge_slow_logs(lists)), "a c b d");
  EXPECT_TRUE(merge_slow_logs({}).empty());
}

TEST(SlowLog, WhatWentToAllMastersIsThereOnceAndBehindWhatCameLater) {
  const Lists lists = {{entry(9, "flush", true, 5), entry(9, "old")},
                       {entry(9, "later"), entry(9, "flush", true, 8)},
                       {entry(8, "flush", true, 6)}};
  const auto merged = merge_slow_logs(lists);
  EXPECT_EQ(words(merged), "later flush old");
  EXPECT_EQ(merged[1].duration_us, 8) << "the slowest master's";
}

TEST(SlowLog, RepeatedCommandsOfAllMastersAreKeptApart) {
  const Lists lists = {{entry(9, "flush", true), entry(8, "flush", true)},
                       {entry(9, "flush", true), entry(9, "x"), entry(8, "flush", true)}};
  EXPECT_EQ(words(merge_slow_logs(lists)), "flush x flush");
}

TEST(SlowLog, OrdersThatContradictEachOtherDoNotHangIt) {
  const Lists lists = {{entry(9, "a", true), entry(9, "b", true)}, {entry(9, "b", true), entry(9, "a", true)}};
  EXPECT_GE(merge_slow_logs(lists).size(), 2u);
}

std::string reply_of(std::initializer_list<std::pair<std::vector<std::string_view>, std::string_view>> entries) {
  std::string out;
  resp::append_array(out, entries.size());
  for (const auto& [args, name] : entries) {
    out += "*6\r\n:3\r\n:100\r\n:7\r\n";
    resp::append_array(out, args.size());
    for (const std::string_view arg : args) resp::append_bulk(out, arg);
    resp::append_bulk(out, "1.2.3.4:5");
    resp::append_bulk(out, name);
  }
  return out;
}

TEST(SlowLog, WhatCorralDidForItselfIsLeftOut) {
  const std::string reply = reply_of({{{"GET", "k"}, "corral"},
                                      {{"CLUSTER", "SHARDS"}, "corral"},
                                      {{"CLUSTER", "SHARDS"}, "other"},
                                      {{"FLUSHALL"}, "corral"}});
  const auto entries = read_slow_log(resp::ReplyView(reply));
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].args, (std::vector<std::string>{"GET", "k"}));
  EXPECT_EQ(entries[0].id, 3);
  EXPECT_EQ(entries[0].time_s, 100);
  EXPECT_EQ(entries[0].duration_us, 7);
  EXPECT_EQ(entries[1].client_name, "other");
  EXPECT_TRUE(entries[2].at_all_masters);
}

TEST(SlowLog, OwnLogIsOnlyKeptIfEverythingIsToBeLogged) {
  SlowLog log;
  EXPECT_FALSE(log.wants(1));
  log.set_slower_than_us(10'000);
  EXPECT_FALSE(log.wants(1));
  log.set_slower_than_us(0);
  EXPECT_TRUE(log.wants(1));
  log.set_slower_than_us(-1);
  EXPECT_FALSE(log.wants(1));
}

TEST(SlowLog, OwnLogIsBounded) {
  SlowLog log;
  const std::string frame = "PING";
  const resp::Slice slices[] = {{0, 4}};
  const resp::Command command{frame.data(), 4, slices};
  for (int i = 0; i < 1000; ++i) log.add(i * 1'000'000, 1, command, *resp::find_command("PING"), "c", "n");
  EXPECT_LE(log.entries().size(), 128u);
  EXPECT_EQ(log.entries().front().time_s, 999);
  log.set_max_entries(3);
  EXPECT_EQ(log.entries().size(), 3u);
  EXPECT_EQ(log.entries().front().time_s, 999);
  log.clear();
  EXPECT_TRUE(log.entries().empty());
}

}  // namespace
}  // namespace corral::core
