// The whole reply to COMMAND as the server sends it, for tests that read it with ReplyView.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "resp/reply_scanner.h"
#include "support/redis.h"

namespace corral::test {

/// `resp` is the protocol, "2" or "3".
inline std::string command_reply(RedisServer& server, const std::string& protocol) {
  Client client = server.connect();
  for (const Args& command : {Args{"HELLO", protocol}, Args{"COMMAND"}, Args{"QUIT"}}) client.send(encode(command));
  std::string bytes = client.read_until_close();
  resp::ReplyScanner scanner;
  EXPECT_EQ(scanner.scan(bytes.data(), bytes.size()), resp::ScanStatus::kFrame);
  bytes.erase(0, scanner.consumed());
  scanner.reset();
  EXPECT_EQ(scanner.scan(bytes.data(), bytes.size()), resp::ScanStatus::kFrame);
  return bytes.substr(0, scanner.consumed());
}

}  // namespace corral::test
