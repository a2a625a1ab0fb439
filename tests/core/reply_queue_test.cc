// Replies in the order of the requests, in whatever order they come.
#include "proxy/core/reply_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "fake_transport.h"
#include "support.h"

namespace corral::core {
namespace {

constexpr uint16_t kId = 3;  // of any command

/// Takes all bytes out of the queue.
std::string drain(ByteQueue& queue) {
  std::vector<iovec> parts(4096);
  const int count = queue.gather(parts.data(), static_cast<int>(parts.size()));
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  queue.mark_sent(bytes.size());
  queue.release(bytes.size());
  return bytes;
}

struct Fixture : testing::Test {
  ReplyQueue::Ticket push(bool muted) { return replies.push(muted, ReplyTimes::who(now_us, CommandGroup::kRead, kId)); }
  void complete(ReplyQueue::Ticket ticket, std::string_view reply) { replies.complete(ticket, reply, output, times); }

  BufferPool pool;
  ByteQueue output{pool, 1024};
  ReplyQueue replies{pool};
  uint32_t now_us = 0;
  FakeTransport transport;
  TimesByGroup by_group;
  CommandTimes by_command;
  ReplyTimes times{transport, by_group, by_command};
};

using ReplyQueueTest = Fixture;

TEST_F(ReplyQueueTest, ReplyThatIsNextGoesOutAtOnce) {
  const auto ticket = push(false);
  EXPECT_TRUE(replies.is_next(ticket));
  complete(ticket, "one");
  EXPECT_EQ(drain(output), "one");
  EXPECT_TRUE(replies.empty());
}

TEST_F(ReplyQueueTest, EarlyReplyWaitsForTheOnesBeforeIt) {
  const auto first = push(false), second = push(false), third = push(false);
  complete(third, "three");
  complete(second, "two");
  EXPECT_EQ(drain(output), "");
  EXPECT_EQ(replies.kept_bytes(), 8u);
  complete(first, "one");
  EXPECT_EQ(drain(output), "onetwothree");
  EXPECT_EQ(replies.kept_bytes(), 0u);
}

TEST_F(ReplyQueueTest, MutedReplyIsAwaitedButNotShown) {
  const auto first = push(true), second = push(false), third = push(true);
  complete(third, "three");
  complete(second, "two");
  EXPECT_EQ(drain(output), "");
  EXPECT_EQ(replies.kept_bytes(), 3u);
  complete(first, "one");
  EXPECT_EQ(drain(output), "two");
  EXPECT_TRUE(replies.empty());
}

TEST_F(ReplyQueueTest, EmptyReplyTakesItsPlaceAndShowsNothing) {
  const auto first = push(false), second = push(false);
  complete(second, "");
  complete(first, "");
  EXPECT_EQ(drain(output), "");
  EXPECT_TRUE(replies.empty());
}

TEST_F(ReplyQueueTest, DestructionWithKeptRepliesGivesTheirMemoryBack) {
  ReplyQueue other(pool);
  other.push(false, 0);
  other.complete(other.push(false, 0), std::string(100'000, 'x'), output, times);
}

TEST_F(ReplyQueueTest, TellsHowLongEachWaitedUntilItsTurnHadCome) {
  const auto first = push(false);
  now_us = 3000;
  const auto second = replies.push(false, ReplyTimes::who(now_us, CommandGroup::kWrite, kId)), third = push(false);
  complete(third, "three");
  complete(second, "two");
  EXPECT_FALSE(times.any()) << "they wait for the first";
  complete(first, "one");
  transport.clock = 10;
  times.settle();
  LatencyCounts reads, writes;
  reads.add(by_group[static_cast<size_t>(CommandGroup::kRead)]);
  writes.add(by_group[static_cast<size_t>(CommandGroup::kWrite)]);
  EXPECT_EQ(reads.count(), 2u);
  EXPECT_EQ(reads.sum_us, 10'000u + 7'000u);
  EXPECT_EQ(writes.count(), 1u);
  EXPECT_EQ(writes.sum_us, 7'000u);
}

TEST_F(ReplyQueueTest, WhatIsAnsweredAtOnceTakesATicketAndItsTimeAndNoMemory) {
  const auto answer = [&](std::string_view reply, uint64_t who) {
    const auto fill = [&](char* out) { reply.copy(out, reply.size()); };
    replies.answer_at_once(reply.size(), fill, who, output, times);
  };
  const ReplyQueue::Ticket first = replies.next();
  now_us = 4000;
  answer("one", ReplyTimes::who(now_us, CommandGroup::kRead, kId));
  answer("", ReplyTimes::who(now_us, CommandGroup::kRead, kId));
  EXPECT_EQ(replies.next(), first + 2);
  EXPECT_TRUE(replies.has_passed(first + 1));
  EXPECT_TRUE(replies.empty());
  EXPECT_EQ(drain(output), "one");
  EXPECT_EQ(pool.used_bytes(), 0u);
  complete(push(false), "three");
  EXPECT_EQ(drain(output), "three");
  transport.clock = 10;
  times.settle();
  LatencyCounts reads;
  reads.add(by_group[static_cast<size_t>(CommandGroup::kRead)]);
  EXPECT_EQ(reads.count(), 3u);
  EXPECT_EQ(reads.sum_us, 3 * 6'000u);
}

TEST_F(ReplyQueueTest, BehavesLikeAListOfRepliesInRandomCompletionOrders) {
  auto random = test::seeded_generator("ReplyQueue");
  struct Due {
    bool muted;
    std::optional<std::string> reply;
  };
  std::vector<Due> model;  // by ticket
  size_t next = 0;         // the first whose reply is not out
  std::vector<ReplyQueue::Ticket> open;
  std::string expected, got;
  for (int step = 0; step < 50'000; ++step) {
    // Phases in which the queue grows and phases in which it empties.
    const bool add = open.empty() || test::below(random, 100) < (step / 1000 % 2 == 0 ? 60u : 40u);
    if (add) {
      const bool muted = test::below(random, 10) == 0;
      const auto ticket = push(muted);
      ASSERT_EQ(ticket, model.size());
      model.push_back({muted, {}});
      open.push_back(ticket);
    } else {
      const size_t at = test::below(random, 2) == 0 ? 0 : test::below(random, open.size());
      const auto ticket = open[at];
      open.erase(open.begin() + static_cast<ptrdiff_t>(at));
      const std::string reply(test::below(random, 300), static_cast<char>('a' + ticket % 26));
      model[ticket].reply = reply;
      complete(ticket, reply);
      for (; next < model.size() && model[next].reply; ++next) {
        if (!model[next].muted) expected += *model[next].reply;
      }
    }
    ASSERT_EQ(replies.size(), model.size() - next);
    if (test::below(random, 20) == 0) got += drain(output);
    if (got.size() + output.size() != expected.size()) FAIL() << "step " << step;
  }
  got += drain(output);
  EXPECT_EQ(got, expected);
}

}  // namespace
}  // namespace corral::core
