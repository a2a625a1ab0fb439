// Tests of [server] users and protected_mode: lines in Redis' ACL syntax, whose passwords no setting, text or error
// shows. (What the lines mean is tested in tests/policy/acl_test.cc.)
#include <gtest/gtest.h>

#include "config/flags.h"
#include "config/loader.h"
#include "config/printer.h"

namespace corral::config {
namespace {

constexpr std::string_view kHash = "30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4";  // of "pw"

std::string error_of(std::string_view toml) {
  const auto result = load_text(toml, "test.toml");
  EXPECT_FALSE(result) << toml;
  return result.error;
}

TEST(Users, PasswordsAreKnownByTheirHashes) {
  const auto settings = load_text(
      "[server]\nusers = [\n'user alice on >pw <pw >pw ~cache:* +@read (~a +get)',\n\"user default off\",\n]", "t");
  ASSERT_TRUE(settings) << settings.error;
  const std::string hash(kHash);
  EXPECT_EQ(settings->server.users, (std::vector<std::string>{"user alice on #" + hash + " !" + hash + " #" + hash +
                                                                  " ~cache:* +@read (~a +get)",
                                                              "user default off"}));
  const std::string printed = print_settings(*settings);
  EXPECT_NE(printed.find(hash), std::string::npos);
  EXPECT_EQ(printed.find(">pw"), std::string::npos);
  const auto again = load_text(printed, "printed");
  ASSERT_TRUE(again) << again.error;
  EXPECT_EQ(again->server.users, settings->server.users);
}

TEST(Users, NoneIsTheDefault) {
  const auto settings = load_text("", "t");
  EXPECT_TRUE(settings->server.users.empty());
  EXPECT_TRUE(settings->server.protected_mode);
  EXPECT_FALSE(load_text("server.protected_mode = false", "t")->server.protected_mode);
  EXPECT_EQ(error_of("server.protected_mode = \"no\""),
            "test.toml:1: server.protected_mode is \"no\"; it must be true or false");
}

TEST(Users, WrongLineIsToldWithItsPlaceInTheFile) {
  const std::string wrong = ": server.users has a line that is wrong: ";
  EXPECT_EQ(error_of("[server]\nusers = [\n\"user a on\",\n\"user b +nosuch\"]"),
            "test.toml:4" + wrong + "user 'b': '+nosuch': Unknown command or category name in ACL");
  EXPECT_EQ(error_of("[server]\nusers = [\n\"user a on\",\n\"user a off\"]"),
            "test.toml:4" + wrong + "user 'a': Duplicate user found. A user can only be defined once in config files");
  EXPECT_EQ(error_of("[server]\nusers = [\"alice on\"]"),
            "test.toml:2" + wrong + "it should start with user keyword followed by the username");
}

TEST(Users, NoErrorShowsASecret) {
  const char* const kWrong[] = {"users = [\"user a on hush\"]",
                                "users = [\"user a on >hush ~* ~b\"]",
                                "users = [\"user a on \\\">hush\"]",
                                "users = [\"user a on (>hush)\"]",
                                "users = \"user a on >hush\"",
                                "users = { hush = \"hush\" }",
                                "users = [[\"hush\"]]",
                                "users = [4711]"};
  for (const char* line : kWrong) {
    const std::string error = error_of("[server]\n" + std::string(line));
    EXPECT_TRUE(error.starts_with("test.toml:2: server.users ")) << error;
    EXPECT_EQ(error.find("hush"), std::string::npos) << error;
    EXPECT_EQ(error.find("4711"), std::string::npos) << error;
  }
  EXPECT_EQ(error_of("[upstream]\npassword = 4711"),
            "test.toml:2: upstream.password is something else; it must be a string");
}

}  // namespace
}  // namespace corral::config
