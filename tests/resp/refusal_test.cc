// parse_refusal: each kind as a server words it, addresses of all forms, and errors that only look similar.
#include "resp/refusal.h"

#include <gtest/gtest.h>

#include <string>

#include "support.h"

namespace corral::test {
namespace {

using resp::parse_refusal;
using resp::RefusalKind;

TEST(Refusal, parse_refusal_Moved_GivesSlotAndAddress) {
  const resp::Refusal refusal = parse_refusal("-MOVED 3999 127.0.0.1:6381\r\n");
  EXPECT_EQ(refusal.kind, RefusalKind::kMoved);
  EXPECT_EQ(refusal.slot, 3999);
  EXPECT_EQ(refusal.host, "127.0.0.1");
  EXPECT_EQ(refusal.port, 6381);
}

TEST(Refusal, parse_refusal_AskWithIpv6_LastColonDivides) {
  const resp::Refusal refusal = parse_refusal("-ASK 16383 ::1:7000\r\n");
  EXPECT_EQ(refusal.kind, RefusalKind::kAsk);
  EXPECT_EQ(refusal.slot, 16383);
  EXPECT_EQ(refusal.host, "::1");
  EXPECT_EQ(refusal.port, 7000);
}

TEST(Refusal, parse_refusal_HostUnknown_IsEmpty) {
  for (const char* reply : {"-MOVED 0 :6379\r\n", "-MOVED 0 ?:6379\r\n"}) {
    const resp::Refusal refusal = parse_refusal(reply);
    EXPECT_EQ(refusal.kind, RefusalKind::kMoved) << reply;
    EXPECT_EQ(refusal.host, "") << reply;
    EXPECT_EQ(refusal.port, 6379) << reply;
  }
}

TEST(Refusal, parse_refusal_HostName_IsKept) {
  EXPECT_EQ(parse_refusal("-MOVED 1 node-1.redis.internal:6379\r\n").host, "node-1.redis.internal");
}

TEST(Refusal, parse_refusal_CodesWithoutAddress_AreTold) {
  EXPECT_EQ(parse_refusal("-TRYAGAIN Multiple keys request during rehashing of slot\r\n").kind, RefusalKind::kTryAgain);
  EXPECT_EQ(parse_refusal("-CLUSTERDOWN Hash slot not served\r\n").kind, RefusalKind::kClusterDown);
  EXPECT_EQ(parse_refusal("-LOADING Redis is loading the dataset in memory\r\n").kind, RefusalKind::kLoading);
  EXPECT_EQ(parse_refusal("-READONLY You can't write against a read only replica.\r\n").kind, RefusalKind::kReadOnly);
  EXPECT_EQ(parse_refusal("-MASTERDOWN Link with MASTER is down\r\n").kind, RefusalKind::kMasterDown);
  EXPECT_EQ(parse_refusal("-TRYAGAIN\r\n").kind, RefusalKind::kTryAgain);
}

TEST(Refusal, parse_refusal_OtherOrMalformed_IsNone) {
  for (const char* reply : {"",
                            "-",
                            "-M\r\n",
                            "-ERR x\r\n",
                            "-MOVED\r\n",
                            "-MOVED \r\n",
                            "-MOVED 1\r\n",
                            "-MOVED 16384 h:1\r\n",
                            "-MOVED -1 h:1\r\n",
                            "-MOVED 1 h\r\n",
                            "-MOVED 1 h:\r\n",
                            "-MOVED 1 h:0\r\n",
                            "-MOVED 1 h:65536\r\n",
                            "-MOVED x h:1\r\n",
                            "-MOVED 1 h:1 2\r\n",
                            "-MOVED 1 a b:1\r\n",
                            "-MOVEDX 1 h:1\r\n",
                            "-ASKING 1 h:1\r\n",
                            "-TRYAGAINX\r\n",
                            "-READONLYX y\r\n",
                            "-MISCONF x\r\n",
                            "-LOADINGS\r\n",
                            "-CROSSSLOT Keys\r\n",
                            "+MOVED 1 h:1\r\n",
                            "$5\r\nMOVED\r\n",
                            "-moved 1 h:1\r\n",
                            "-MOVED:1 1\r\n",
                            "-ASK :\r\n"}) {
    EXPECT_EQ(parse_refusal(reply).kind, RefusalKind::kNone) << reply;
  }
}

TEST(Refusal, parse_refusal_CutAnywhere_ReadsNothingBeyondTheEnd) {
  GuardedBytes memory(4096);
  const std::string whole = "-MOVED 3999 127.0.0.1:6381\r\n";
  for (size_t size = 0; size <= whole.size(); ++size) {
    parse_refusal({memory.hold(std::string_view(whole).substr(0, size)), size});
  }
}

}  // namespace
}  // namespace corral::test
