// The exact bytes of each append function, in RESP2 and RESP3.
#include "resp/reply_builder.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace corral::test {
namespace {

using namespace resp;

template <typename Append>
std::string appended(Append append) {
  std::string out = "before";
  append(out);
  EXPECT_EQ(out.substr(0, 6), "before");
  return out.substr(6);
}

TEST(ReplyBuilder, append_simple_Text_BecomesLine) {
  EXPECT_EQ(appended([](auto& out) { append_simple(out, "OK"); }), kOk);
}

TEST(ReplyBuilder, append_error_LineBreaks_BecomeSpaces) {
  EXPECT_EQ(appended([](auto& out) { append_error(out, "ERR a\r\nb\nc"); }), "-ERR a  b c\r\n");
}

TEST(ReplyBuilder, append_integer_Extremes_ArePrintedWhole) {
  EXPECT_EQ(appended([](auto& out) { append_integer(out, 0); }), ":0\r\n");
  EXPECT_EQ(appended([](auto& out) { append_integer(out, std::numeric_limits<int64_t>::min()); }),
            ":-9223372036854775808\r\n");
  EXPECT_EQ(appended([](auto& out) { append_integer(out, std::numeric_limits<int64_t>::max()); }),
            ":9223372036854775807\r\n");
}

TEST(ReplyBuilder, append_bulk_AnyBytes_AreKept) {
  EXPECT_EQ(appended([](auto& out) { append_bulk(out, {"a\r\n\0b", 5}); }), std::string("$5\r\na\r\n\0b\r\n", 11));
  EXPECT_EQ(appended([](auto& out) { append_bulk(out, ""); }), "$0\r\n\r\n");
}

TEST(ReplyBuilder, append_null_ByVersion_HasItsForm) {
  EXPECT_EQ(appended([](auto& out) { append_null(out, 2); }), "$-1\r\n");
  EXPECT_EQ(appended([](auto& out) { append_null(out, 3); }), "_\r\n");
}

TEST(ReplyBuilder, append_aggregates_ByVersion_HaveTheirForms) {
  EXPECT_EQ(appended([](auto& out) { append_array(out, 3); }), "*3\r\n");
  EXPECT_EQ(appended([](auto& out) { append_map(out, 3, 2); }), "*6\r\n");
  EXPECT_EQ(appended([](auto& out) { append_map(out, 3, 3); }), "%3\r\n");
  EXPECT_EQ(appended([](auto& out) { append_set(out, 3, 2); }), "*3\r\n");
  EXPECT_EQ(appended([](auto& out) { append_set(out, 3, 3); }), "~3\r\n");
}

TEST(ReplyBuilder, append_verbatim_ByVersion_HasItsForm) {
  EXPECT_EQ(appended([](auto& out) { append_verbatim(out, "ab", 2); }), "$2\r\nab\r\n");
  EXPECT_EQ(appended([](auto& out) { append_verbatim(out, "ab", 3); }), "=6\r\ntxt:ab\r\n");
}

TEST(ReplyBuilder, append_command_Args_BecomeMultibulk) {
  EXPECT_EQ(appended([](auto& out) { append_command(out, {"GET", "k"}); }), "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
}

}  // namespace
}  // namespace corral::test
