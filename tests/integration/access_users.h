// The same users for Corral, in its settings, and for a Redis beside it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {

// [server] users of the settings. The lines have no quotes in them.
inline std::string users_setting(const std::vector<std::string>& lines) {
  std::string text = "[server]\nusers = [\n";
  for (const std::string& line : lines) text += "  '" + line + "',\n";
  return text + "]\n";
}

// Over a connection that stays what it is.
inline void give_users(Client& client, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    Args args = {"ACL", "SETUSER"};
    for (size_t at = line.find(' ') + 1; at < line.size();) {
      // What is in parentheses is one argument.
      const size_t end = std::min(line.find(line[at] == '(' ? ')' : ' ', at), line.size());
      const size_t size = end - at + (line[at] == '(' ? 1 : 0);
      args.push_back(line.substr(at, size));
      if (args.size() == 3) args.push_back("reset");
      at += size + 1;
    }
    ASSERT_EQ(client.command(args), Reply::status("OK")) << line;
  }
}

inline Client connect_as(const Corral& corral, const std::string& user, const std::string& password) {
  Client client = corral.connect();
  const Reply reply = client.command("AUTH", user, password);
  EXPECT_EQ(reply, Reply::status("OK")) << user;
  return client;
}

// As Corral::wait_until_serving, where the default user needs a password.
inline void wait_until_serving(Client& client) {
  require_eventually("corral serves", [&] {
    for (int slot = 0; slot < kSlots; slot += kSlots / 16) {
      if (client.command("EXISTS", tag_of_slot(slot)).is_error()) return false;
    }
    return true;
  });
}

}  // namespace corral::test
