// Which clients are of this machine: protected mode lets in no others.
#include "proxy/uv/address.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace corral::uv {
namespace {

bool is_local_host(const char* host) {
  const auto address = to_socket_address({host, 1});
  EXPECT_TRUE(address.has_value()) << host;
  return address && is_local(*address);
}

TEST(Address, LoopbackIsOfThisMachine) {
  for (const char* host : {"127.0.0.1", "127.0.0.2", "127.255.255.255", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(is_local_host(host)) << host;
  }
}

TEST(Address, OthersAreNot) {
  for (const char* host : {"0.0.0.0", "10.0.0.1", "126.255.255.255", "128.0.0.1", "192.168.127.1", "1.0.0.127", "::",
                           "::2", "fe80::1", "2001:db8::1", "::ffff:10.0.0.127", "::127.0.0.1", "7f00::1"}) {
    EXPECT_FALSE(is_local_host(host)) << host;
  }
}

TEST(Address, UnixSocketsAreOfThisMachineAndClosedOnesOfNone) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  EXPECT_TRUE(is_local(ends[0]));
  close(ends[0]);
  close(ends[1]);
  EXPECT_FALSE(is_local(ends[0]));
}

}  // namespace
}  // namespace corral::uv
