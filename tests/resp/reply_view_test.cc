// ReplyView: each type's value and elements; random replies against their trees and against hiredis' reader.
#include "resp/reply_view.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "reply_model.h"
#include "resp/reply_scanner.h"
#include "support.h"

namespace corral::test {
namespace {

using resp::ReplyView;

TEST(ReplyView, text_OfEachScalar_IsItsValue) {
  EXPECT_EQ(ReplyView("+OK\r\n").text(), "OK");
  EXPECT_EQ(ReplyView("-ERR x\r\n").text(), "ERR x");
  EXPECT_EQ(ReplyView(":-5\r\n").text(), "-5");
  EXPECT_EQ(ReplyView("$4\r\na\r\nb\r\n").text(), "a\r\nb");
  EXPECT_EQ(ReplyView("$0\r\n\r\n").text(), "");
  EXPECT_EQ(ReplyView("#t\r\n").text(), "t");
  EXPECT_EQ(ReplyView(",1.5\r\n").text(), "1.5");
  EXPECT_EQ(ReplyView("(123\r\n").text(), "123");
  EXPECT_EQ(ReplyView("!5\r\nERR x\r\n").text(), "ERR x");
  EXPECT_EQ(ReplyView("=8\r\ntxt:abcd\r\n").text(), "abcd");
  EXPECT_EQ(ReplyView("=2\r\nab\r\n").text(), "ab");
}

TEST(ReplyView, text_OfNullAndAggregate_IsEmpty) {
  for (const char* reply : {"$-1\r\n", "*-1\r\n", "_\r\n", "*1\r\n+a\r\n", "%0\r\n"}) {
    EXPECT_EQ(ReplyView(reply).text(), "") << reply;
  }
  EXPECT_EQ(ReplyView().text(), "");
}

TEST(ReplyView, is_null_OfEachForm_IsTrue) {
  for (const char* reply : {"$-1\r\n", "*-1\r\n", "_\r\n", "|1\r\n+a\r\n+b\r\n$-1\r\n"}) {
    EXPECT_TRUE(ReplyView(reply).is_null()) << reply;
    EXPECT_FALSE(ReplyView(reply).is_aggregate()) << reply;
  }
  for (const char* reply : {"$0\r\n\r\n", "*0\r\n", ":-1\r\n", "$2\r\n-1\r\n"}) {
    EXPECT_FALSE(ReplyView(reply).is_null()) << reply;
  }
}

TEST(ReplyView, is_error_OfBothForms_IsTrue) {
  EXPECT_TRUE(ReplyView("-ERR\r\n").is_error());
  EXPECT_TRUE(ReplyView("!3\r\nERR\r\n").is_error());
  EXPECT_FALSE(ReplyView("+ERR\r\n").is_error());
  EXPECT_FALSE(ReplyView().is_error());
}

TEST(ReplyView, integer_OfNumbersAndTextThatIsOne_IsGiven) {
  EXPECT_EQ(ReplyView(":42\r\n").integer(), 42);
  EXPECT_EQ(ReplyView(":-9223372036854775808\r\n").integer(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(ReplyView("$2\r\n17\r\n").integer(), 17);
  EXPECT_EQ(ReplyView("+0\r\n").integer(), 0);
  for (const char* reply :
       {"$-1\r\n", "_\r\n", "$2\r\n1x\r\n", "$0\r\n\r\n", ":9223372036854775808\r\n", "*1\r\n:1\r\n"}) {
    EXPECT_EQ(ReplyView(reply).integer(), std::nullopt) << reply;
  }
}

TEST(ReplyView, elements_OfMap_AreKeysAndValuesInTurn) {
  const auto elements = ReplyView("%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n").elements();
  ASSERT_EQ(elements.size(), 4u);
  EXPECT_EQ(elements[0].text(), "a");
  EXPECT_EQ(elements[1].integer(), 1);
  EXPECT_EQ(elements[2].text(), "b");
  EXPECT_EQ(elements[3].bytes(), "*1\r\n:2\r\n");
}

TEST(ReplyView, elements_WithAttributes_ComeWithoutThem) {
  const ReplyView view("|1\r\n+a\r\n*1\r\n:9\r\n*2\r\n|1\r\n+b\r\n|0\r\n:8\r\n:1\r\n$2\r\nab\r\n");
  EXPECT_EQ(view.type(), '*');
  const auto elements = view.elements();
  ASSERT_EQ(elements.size(), 2u);
  EXPECT_EQ(elements[0].bytes(), ":1\r\n");
  EXPECT_EQ(elements[1].text(), "ab");
}

TEST(ReplyView, elements_OfScalarNullOrEmpty_AreNone) {
  for (const char* reply : {"+a\r\n", "$1\r\na\r\n", "*-1\r\n", "_\r\n", "*0\r\n", "%0\r\n"}) {
    EXPECT_TRUE(ReplyView(reply).elements().empty()) << reply;
  }
  EXPECT_TRUE(ReplyView().elements().empty());
}

TEST(ReplyView, elements_RandomRepliesOfAllTypes_AreTheTreeThatWasWritten) {
  auto random = seeded_generator("ReplyView.elements_RandomRepliesOfAllTypes_AreTheTreeThatWasWritten");
  GuardedBytes memory(64 << 20);
  for (int round = 0; round < 3000; ++round) {
    const ReplyTree tree = random_tree(random, "+-:$*_#,(!=%~>", 4);
    std::string bytes;
    append_tree(bytes, tree, &random);
    ASSERT_EQ(tree_of(ReplyView({memory.hold(bytes), bytes.size()})), tree) << bytes;
  }
}

struct ReaderDeleter {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
};

ReplyTree with_nulls_alike(ReplyTree tree) {
  if (tree.null) tree.type = '$';
  for (ReplyTree& element : tree.elements) element = with_nulls_alike(std::move(element));
  return tree;
}

TEST(ReplyView, scanAndView_RandomResp2Replies_AgreeWithHiredis) {
  auto random = seeded_generator("ReplyView.scanAndView_RandomResp2Replies_AgreeWithHiredis");
  const std::unique_ptr<redisReader, ReaderDeleter> reader(redisReaderCreate());
  for (int round = 0; round < 3000; ++round) {
    std::string bytes;
    append_tree(bytes, random_tree(random, "+-:$$*", 4));
    ASSERT_EQ(redisReaderFeed(reader.get(), bytes.data(), bytes.size()), REDIS_OK);
    void* reply = nullptr;
    ASSERT_EQ(redisReaderGetReply(reader.get(), &reply), REDIS_OK) << reader->errstr << bytes;
    ASSERT_NE(reply, nullptr) << bytes;
    const ReplyTree expected = tree_of(*static_cast<redisReply*>(reply));
    freeReplyObject(reply);
    resp::ReplyScanner scanner;
    ASSERT_EQ(scanner.scan(bytes.data(), bytes.size()), resp::ScanStatus::kFrame);
    ASSERT_EQ(scanner.consumed(), bytes.size());
    ASSERT_EQ(with_nulls_alike(tree_of(ReplyView(bytes))), expected) << bytes;
  }
}

}  // namespace
}  // namespace corral::test
