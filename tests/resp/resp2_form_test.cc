// append_resp2_form: what a reply in RESP3 is in RESP2, form by form. That a server gives just that is seen by the
// integration tests of the near cache, which compare with one.
#include "resp/resp2_form.h"

#include <gtest/gtest.h>

#include <string>

namespace corral::test {
namespace {

std::string resp2_of(std::string_view reply) {
  std::string out;
  resp::append_resp2_form(out, reply);
  return out;
}

TEST(Resp2Form, scalar_ThatBothHave_IsTheSame) {
  for (const char* reply : {"+OK\r\n", "-ERR x\r\n", ":-5\r\n", "$0\r\n\r\n", "$4\r\na\r\nb\r\n"}) {
    EXPECT_EQ(resp2_of(reply), reply);
  }
}

TEST(Resp2Form, scalar_OfResp3_HasItsOlderForm) {
  EXPECT_EQ(resp2_of("_\r\n"), "$-1\r\n");
  EXPECT_EQ(resp2_of(",1.5\r\n"), "$3\r\n1.5\r\n");
  EXPECT_EQ(resp2_of(",-inf\r\n"), "$4\r\n-inf\r\n");
  EXPECT_EQ(resp2_of("#t\r\n"), ":1\r\n");
  EXPECT_EQ(resp2_of("#f\r\n"), ":0\r\n");
  EXPECT_EQ(resp2_of("=7\r\ntxt:abc\r\n"), "$3\r\nabc\r\n");
}

TEST(Resp2Form, aggregate_IsAnArray) {
  EXPECT_EQ(resp2_of("%1\r\n$1\r\na\r\n_\r\n"), "*2\r\n$1\r\na\r\n$-1\r\n");
  EXPECT_EQ(resp2_of("~2\r\n:1\r\n:2\r\n"), "*2\r\n:1\r\n:2\r\n");
  EXPECT_EQ(resp2_of("*2\r\n,1\r\n_\r\n"), "*2\r\n$1\r\n1\r\n$-1\r\n");
  EXPECT_EQ(resp2_of("*0\r\n"), "*0\r\n");
  EXPECT_EQ(resp2_of("%0\r\n"), "*0\r\n");
}

TEST(Resp2Form, membersWithScores_FollowEachOther) {
  EXPECT_EQ(resp2_of("*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2\r\n"),
            "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n");
}

}  // namespace
}  // namespace corral::test
