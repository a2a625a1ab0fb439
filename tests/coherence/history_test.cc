// The judge of the coherence test, by histories that are made up: what breaks a guarantee is found, what does not is
// not.
#include "history.h"

#include <gtest/gtest.h>

namespace corral::test {
namespace {

using Outcome = KeyHistory::Outcome;

constexpr Nanos ms(Nanos count) { return count * kMillisecond; }
constexpr Seen kNothing{Seen::Type::kNothing, 0};
constexpr Seen kPresent{Seen::Type::kPresent, 0};

// A key and its story; times in milliseconds.
class HistoryTest : public ::testing::Test {
 protected:
  // A write from its sending to its answer; the version is told.
  uint64_t put(Way way, Nanos sent, Nanos answered, Nanos ttl = 0) {
    const uint64_t id = key_.begin_put(way, "SET", ms(sent), ms(ttl));
    EXPECT_EQ(key_.end_write(id, Outcome::kDone, ms(answered)), "");
    return id;
  }
  void remove(Way way, Nanos sent, Nanos answered) {
    key_.end_write(key_.begin_delete(way, "DEL", ms(sent)), Outcome::kDone, ms(answered));
  }
  std::string read(Way way, Nanos sent, Nanos answered, Seen seen) {
    return key_.end_read(key_.begin_read(way, ms(sent)), seen, ms(answered), "GET");
  }
  std::string read(Way way, Nanos sent, Nanos answered, uint64_t version) {
    return read(way, sent, answered, {Seen::Type::kVersion, version});
  }

  Bounds bounds_;
  KeyHistory key_{"key", false, bounds_};
};

bool breaks(const std::string& verdict, const std::string& guarantee) { return verdict.starts_with(guarantee); }

TEST_F(HistoryTest, a_stale_read_after_an_own_write_breaks_g1) {
  const uint64_t first = put(kProxyA, 0, 1), second = put(kProxyA, 2, 3);
  EXPECT_TRUE(breaks(read(kProxyA, 4, 5, first), "G1"));
  EXPECT_EQ(read(kProxyA, 4, 5, second), "");
}

TEST_F(HistoryTest, a_read_that_was_sent_before_the_answer_may_miss_the_write) {
  const uint64_t first = put(kProxyA, 0, 1);
  const uint64_t second = key_.begin_put(kProxyA, "SET", ms(2));
  const ReadMark mark = key_.begin_read(kProxyA, ms(3));
  key_.end_write(second, Outcome::kDone, ms(4));
  EXPECT_EQ(key_.end_read(mark, {Seen::Type::kVersion, first}, ms(5), "GET"), "");
}

TEST_F(HistoryTest, writes_that_overlap_have_no_order) {
  const uint64_t first = key_.begin_put(kProxyA, "SET", ms(0));
  const uint64_t second = put(kProxyA, 1, 2);
  key_.end_write(first, Outcome::kDone, ms(3));
  EXPECT_EQ(read(kProxyA, 4, 5, first), "");
  EXPECT_EQ(read(kProxyA, 6, 7, second), "");
}

TEST_F(HistoryTest, a_write_past_the_proxy_may_be_missed_until_the_bound) {
  const uint64_t first = put(kProxyA, 0, 1);
  put(kProxyB, 10, 11);
  EXPECT_EQ(read(kProxyA, 1500, 1501, first), "");
  EXPECT_TRUE(breaks(read(kProxyA, 1512, 1513, first), "G3"));
  EXPECT_TRUE(breaks(read(kDirect, 12, 13, first), "G1")) << "Redis itself knows at once";
}

TEST_F(HistoryTest, a_direct_read_may_be_stale_where_there_may_be_two_masters) {
  const uint64_t first = put(kProxyA, 0, 1);
  put(kProxyB, 10, 11);
  bounds_.direct_sees_all = false;
  EXPECT_EQ(read(kDirect, 12, 13, first), "");
  EXPECT_TRUE(breaks(read(kDirect, 1512, 1513, first), "G3"));
}

TEST_F(HistoryTest, going_back_breaks_g2) {
  const uint64_t first = put(kDirect, 0, 1), second = put(kDirect, 2, 3);
  EXPECT_EQ(read(kProxyA, 4, 5, first), "");
  EXPECT_EQ(read(kProxyA, 6, 7, second), "");
  EXPECT_TRUE(breaks(read(kProxyA, 8, 9, first), "G2"));
  EXPECT_EQ(read(kProxyB, 8, 9, first), "") << "through another proxy";
}

TEST_F(HistoryTest, reads_that_overlap_have_no_order) {
  const uint64_t first = put(kDirect, 0, 1), second = put(kDirect, 2, 3);
  const ReadMark mark = key_.begin_read(kProxyA, ms(4));
  EXPECT_EQ(read(kProxyA, 5, 6, second), "");
  EXPECT_EQ(key_.end_read(mark, {Seen::Type::kVersion, first}, ms(7), "GET"), "");
}

TEST_F(HistoryTest, a_value_that_outlives_its_ttl_is_found) {
  const uint64_t first = put(kProxyA, 0, 1, 50);
  EXPECT_EQ(read(kProxyA, 53, 60, first), "");
  EXPECT_TRUE(breaks(read(kProxyA, 55, 60, first), "TTL"));
  EXPECT_EQ(read(kProxyA, 55, 60, kNothing), "");
}

TEST_F(HistoryTest, a_value_that_outlives_a_ttl_given_later_is_found) {
  const uint64_t first = put(kProxyA, 0, 1);
  const auto expire = key_.begin_expire(kProxyB, "PEXPIRE", ms(10), ms(50));
  ASSERT_TRUE(expire);
  EXPECT_EQ(key_.begin_expire(kProxyB, "PEXPIRE", ms(11), ms(500)), std::nullopt) << "which one would count?";
  key_.end_write(*expire, Outcome::kDone, ms(12));
  EXPECT_EQ(read(kProxyB, 64, 65, first), "");
  EXPECT_TRUE(breaks(read(kProxyB, 66, 67, first), "TTL"));
  EXPECT_TRUE(breaks(read(kDirect, 66, 67, first), "TTL"));
  EXPECT_EQ(read(kProxyA, 66, 67, first), "") << "given past this proxy, as any other write";
  EXPECT_TRUE(breaks(read(kProxyA, 1513, 1514, first), "TTL"));
  EXPECT_EQ(read(kProxyA, 1513, 1514, kNothing), "");
  EXPECT_EQ(read(kProxyB, 1513, 1514, put(kProxyA, 1500, 1501)), "") << "a write after it is not concerned";
}

TEST_F(HistoryTest, a_ttl_given_later_may_be_the_longer_one) {
  const uint64_t first = put(kProxyA, 0, 1, 50);
  key_.end_write(*key_.begin_expire(kProxyB, "PEXPIRE", ms(10), ms(500)), Outcome::kDone, ms(12));
  EXPECT_EQ(read(kProxyA, 300, 301, first), "");
  EXPECT_TRUE(breaks(read(kProxyB, 520, 521, first), "TTL"));
}

TEST_F(HistoryTest, nothing_needs_a_reason) {
  const uint64_t first = put(kProxyA, 1, 1);
  EXPECT_TRUE(breaks(read(kProxyA, 2, 3, kNothing), "G1"));
  remove(kProxyA, 4, 5);
  EXPECT_EQ(read(kProxyA, 6, 7, kNothing), "");
  EXPECT_TRUE(breaks(read(kProxyA, 6, 7, first), "G1"));
  EXPECT_TRUE(breaks(read(kProxyA, 6, 7, kPresent), "G1"));
  put(kProxyA, 8, 9);
  EXPECT_TRUE(breaks(read(kProxyA, 10, 11, kNothing), "G1"));
  EXPECT_EQ(read(kProxyA, 10, 11, kPresent), "");
}

TEST_F(HistoryTest, that_a_key_was_gone_is_not_forgotten) {
  const uint64_t first = put(kDirect, 0, 1);
  remove(kDirect, 2, 3);
  EXPECT_EQ(read(kProxyA, 4, 5, kNothing), "");
  EXPECT_TRUE(breaks(read(kProxyA, 6, 7, first), "G2"));
}

TEST_F(HistoryTest, a_ttl_that_cannot_have_ended_explains_nothing) {
  put(kDirect, 0, 1, 1000);
  EXPECT_FALSE(read(kProxyA, 4, 5, kNothing).empty());
  put(kDirect, 10, 11);  // replaces it, and with it the TTL
  EXPECT_FALSE(read(kProxyA, 3000, 3001, kNothing).empty());
}

TEST_F(HistoryTest, a_write_in_doubt_may_happen_late_and_obliges_to_nothing) {
  const uint64_t first = put(kProxyA, 0, 1);
  const uint64_t doubtful = key_.begin_put(kProxyA, "SET", ms(2));
  key_.end_write(doubtful, Outcome::kInDoubt, ms(3));
  EXPECT_EQ(read(kProxyA, 2000, 2001, first), "");
  const uint64_t third = put(kProxyA, 2002, 2003);
  EXPECT_EQ(read(kProxyA, 2004, 2005, third), "");
  EXPECT_EQ(read(kProxyA, 2006, 2007, doubtful), "");
  EXPECT_TRUE(breaks(read(kProxyA, 2008, 2009, first), "G1"));
}

TEST_F(HistoryTest, a_write_in_doubt_obliges_once_it_was_seen) {
  const uint64_t first = put(kProxyA, 0, 1);
  const uint64_t doubtful = key_.begin_put(kProxyA, "SET", ms(2));
  key_.end_write(doubtful, Outcome::kInDoubt, ms(3));
  EXPECT_EQ(read(kProxyA, 4, 5, doubtful), "");
  EXPECT_TRUE(breaks(read(kProxyA, 6, 7, first), "G2"));
}

TEST_F(HistoryTest, a_refused_write_must_not_be_seen) {
  put(kProxyA, 0, 1);
  const uint64_t early = key_.begin_put(kProxyA, "SET", ms(2)), late = key_.begin_put(kProxyA, "SET", ms(2));
  EXPECT_EQ(read(kProxyA, 3, 4, early), "");
  EXPECT_NE(key_.end_write(early, Outcome::kRefused, ms(5)), "");
  EXPECT_EQ(key_.end_write(late, Outcome::kRefused, ms(5)), "");
  EXPECT_FALSE(read(kProxyA, 6, 7, late).empty());
  EXPECT_FALSE(read(kProxyA, 6, 7, 99).empty()) << "nobody wrote it";
}

TEST_F(HistoryTest, a_read_sees_the_write_that_its_connection_sent_before_it) {
  const uint64_t first = put(kProxyA, 0, 1);
  const uint64_t second = key_.begin_put(kProxyA, "SET", ms(2));
  ReadMark mark = key_.begin_read(kProxyA, ms(2));
  mark.after = second;
  key_.end_write(second, Outcome::kDone, ms(3));
  EXPECT_TRUE(breaks(key_.end_read(mark, {Seen::Type::kVersion, first}, ms(3), "GET"), "order"));
  EXPECT_EQ(key_.end_read(mark, {Seen::Type::kVersion, second}, ms(3), "GET"), "");
}

TEST_F(HistoryTest, a_length_stands_for_the_newest_version_that_has_it) {
  const uint64_t first = put(kProxyA, 0, 1), second = put(kProxyA, 2, 3);
  EXPECT_EQ(read(kProxyA, 4, 5, {Seen::Type::kLength, second}), "");
  EXPECT_TRUE(breaks(read(kProxyA, 4, 5, {Seen::Type::kLength, first}), "G1"));
  for (uint64_t i = 0; i < kLengths; ++i) put(kProxyA, 10, 11);
  EXPECT_EQ(read(kProxyA, 12, 13, {Seen::Type::kLength, second}), "");
}

TEST_F(HistoryTest, a_length_may_be_of_a_write_in_doubt) {
  const uint64_t doubtful = key_.begin_put(kProxyA, "SET", ms(1));
  key_.end_write(doubtful, Outcome::kInDoubt, ms(2));
  for (uint64_t i = 0; i < kLengths + 10; ++i) put(kProxyA, 10, 11);
  EXPECT_EQ(read(kProxyA, 12, 13, {Seen::Type::kLength, doubtful}), "");
}

TEST_F(HistoryTest, a_length_obliges_to_nothing) {
  const uint64_t first = put(kDirect, 1, 2);
  for (uint64_t i = 0; i < kLengths - 1; ++i) put(kDirect, 1, 2);
  const uint64_t same_length = key_.begin_put(kProxyA, "SET", ms(3));
  EXPECT_EQ(read(kProxyA, 4, 5, {Seen::Type::kLength, first}), "");
  EXPECT_EQ(read(kProxyA, 6, 7, first), "");
  EXPECT_EQ(key_.end_write(same_length, Outcome::kRefused, ms(8)), "");
}

TEST_F(HistoryTest, a_read_that_takes_very_long_is_not_held_against_what_is_forgotten) {
  const uint64_t first = put(kProxyA, 1, 2);
  const ReadMark mark = key_.begin_read(kProxyA, ms(3)), gone = key_.begin_read(kProxyA, ms(4));
  remove(kProxyA, 4, 5);
  for (int i = 0; i < 10'000; ++i) put(kProxyA, 6, 7), remove(kProxyA, 6, 7);
  EXPECT_EQ(key_.end_read(mark, {Seen::Type::kVersion, first}, ms(8), "GET"), "");
  EXPECT_EQ(key_.end_read(gone, kNothing, ms(8), "GET"), "");
  EXPECT_TRUE(breaks(read(kProxyA, 9, 10, first), "G1"));
}

TEST_F(HistoryTest, what_was_lost_obliges_to_nothing) {
  const uint64_t first = put(kProxyA, 0, 1), lost = put(kProxyA, 2, 3);
  EXPECT_EQ(read(kProxyA, 4, 5, lost), "");
  const ReadMark mark = key_.begin_read(kProxyA, ms(6));
  key_.begin_loss(ms(7));
  EXPECT_EQ(read(kProxyA, 8, 9, first), "");
  key_.end_loss(ms(10));
  EXPECT_EQ(key_.end_read(mark, {Seen::Type::kVersion, first}, ms(11), "GET"), "") << "it saw both";
  EXPECT_EQ(read(kProxyA, 12, 13, lost), "") << "cached before";
  EXPECT_EQ(read(kProxyA, 14, 15, first), "");
  EXPECT_EQ(read(kProxyA, 16, 17, kNothing), "");
  const uint64_t settled = put(kDirect, 20, 21);
  EXPECT_EQ(read(kProxyA, 22, 23, lost), "");
  EXPECT_EQ(read(kProxyA, 24, 25, settled), "");
  EXPECT_TRUE(breaks(read(kProxyA, 26, 27, lost), "G2"));
  EXPECT_TRUE(breaks(read(kProxyB, 1600, 1601, kNothing), "G3"));
}

TEST_F(HistoryTest, a_report_tells_the_read_and_the_last_writes) {
  const uint64_t first = put(kProxyA, 0, 1);
  put(kProxyA, 2, 3);
  const std::string text = read(kProxyA, 4, 5, first);
  for (const char* part : {"G1", "GET of key by proxy A", "sent 4.000, answered 5.000", "returned version 1",
                           "held against it: version 2: SET by proxy A, sent 2.000, answered 3.000"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in: " << text;
  }
}

class CounterTest : public ::testing::Test {
 protected:
  void count(Way way, Nanos sent, Nanos answered, uint64_t number) {
    key_.end_write(key_.begin_put(way, "INCR", ms(sent)), Outcome::kDone, ms(answered), number);
  }
  std::string read(Way way, Nanos sent, Nanos answered, uint64_t number) {
    return key_.end_read(key_.begin_read(way, ms(sent)), {Seen::Type::kVersion, number}, ms(answered), "GET");
  }

  Bounds bounds_;
  KeyHistory key_{"key", true, bounds_};
};

TEST_F(CounterTest, the_order_of_writes_that_overlap_is_known) {
  const uint64_t slow = key_.begin_put(kProxyA, "INCR", ms(0));
  count(kProxyA, 1, 2, 11);
  key_.end_write(slow, Outcome::kDone, ms(3), 10);
  EXPECT_TRUE(breaks(read(kProxyA, 4, 5, 10), "G1"));
  EXPECT_EQ(read(kProxyA, 4, 5, 11), "");
  EXPECT_EQ(read(kProxyA, 6, 7, 12), "") << "by a write that is in doubt";
  EXPECT_TRUE(breaks(read(kProxyA, 8, 9, 11), "G2"));
}

TEST_F(CounterTest, a_count_past_the_proxy_is_seen_within_the_bound) {
  count(kProxyA, 0, 1, 1);
  count(kDirect, 2, 3, 2);
  EXPECT_EQ(read(kProxyA, 1500, 1501, 1), "");
  EXPECT_TRUE(breaks(read(kProxyA, 1504, 1505, 1), "G3"));
}

TEST_F(CounterTest, nothing_has_no_reason_but_a_loss) {
  count(kProxyA, 0, 1, 1);
  const auto gone = [&](Nanos sent) {
    return key_.end_read(key_.begin_read(kProxyA, ms(sent)), kNothing, ms(sent + 1), "GET");
  };
  EXPECT_NE(gone(2), "");
  key_.begin_loss(ms(3));
  key_.end_loss(ms(5));
  EXPECT_EQ(gone(6), "");
  EXPECT_NE(gone(2000), "");
}

}  // namespace
}  // namespace corral::test
