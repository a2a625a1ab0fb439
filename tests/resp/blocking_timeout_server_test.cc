// Holds blocking_timeout against a real redis-server: it takes exactly that argument for the timeout, and in that unit.
#include <gtest/gtest.h>

#include "command_maker.h"
#include "support/redis.h"

namespace corral::test {
namespace {

using namespace resp;

constexpr std::string_view kRequests[] = {
    "BLPOP a 0.001",
    "BRPOP a b c 0.001",
    "BLMOVE a b LEFT RIGHT 0.001",
    "BRPOPLPUSH a b 0.001",
    "BZPOPMIN a 0.001",
    "BZPOPMAX a b 0.001",
    "BLMPOP 0.001 2 a b LEFT COUNT 3",
    "BZMPOP 0.001 1 a MIN",
    "WAIT 1 1",
    "XREAD BLOCK 1 STREAMS a $",
    "XREAD COUNT 2 BLOCK 1 STREAMS a b $ $",
    "XREAD BLOCK 5 COUNT 2 BLOCK 1 STREAMS a $",
    "XREADGROUP GROUP block c NOACK BLOCK 1 STREAMS s >",
    std::string_view("XREAD BLOCK\0x 1 STREAMS a $", 28),
};

TEST(BlockingTimeoutOfServer, IsTheArgumentThatIsTold) {
  RedisServer server;
  Client client = server.connect();
  ASSERT_EQ(client.command("XGROUP", "CREATE", "s", "block", "$", "MKSTREAM").text, "OK");
  CommandMaker maker;
  for (std::string_view line : kRequests) {
    Words words = split_words(line);
    auto timeout = blocking_timeout(*spec_of(words), maker.make(words));
    ASSERT_TRUE(timeout) << line;
    EXPECT_FALSE(client.command(Args(words.begin(), words.end())).is_error()) << line;
    words[timeout->arg].assign(1, 'x');
    std::string unit = timeout->milliseconds ? "an integer" : "a float";
    EXPECT_EQ(client.command(Args(words.begin(), words.end())).text, "ERR timeout is not " + unit + " or out of range")
        << line;
  }
}

}  // namespace
}  // namespace corral::test
