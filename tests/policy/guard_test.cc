// The guard: what a name in its list denies and what it does not.
#include "policy/guard.h"

#include <gtest/gtest.h>

#include "resp/reply_builder.h"
#include "resp/reply_view.h"

namespace corral::policy {
namespace {

using resp::CommandSpec;
using resp::find_command;

const CommandSpec& command(std::string_view name) { return *find_command(name); }
const CommandSpec& subcommand(std::string_view container, std::string_view name) {
  return *resp::find_subcommand(command(container), name);
}

Guard guard(std::vector<std::string> denied) { return Guard(denied); }

TEST(Guard, EmptyListDeniesNothing) {
  const Guard open = guard({});
  for (const CommandSpec& spec : resp::all_commands()) {
    EXPECT_FALSE(open.denies(spec)) << spec.name;
    for (const CommandSpec& sub : spec.subcommands) EXPECT_FALSE(open.denies(sub)) << sub.name;
  }
}

TEST(Guard, NameOfACommandDeniesItAndNothingElse) {
  const Guard strict = guard({"FLUSHALL"});
  for (const CommandSpec& spec : resp::all_commands()) EXPECT_EQ(strict.denies(spec), spec.name == "flushall");
}

TEST(Guard, CaseOfTheNameDoesNotMatter) {
  EXPECT_TRUE(guard({"fLuShAlL"}).denies(command("flushall")));
  EXPECT_TRUE(guard({"Config Set"}).denies(subcommand("config", "set")));
}

TEST(Guard, NameOfASubcommandDeniesOnlyIt) {
  for (const char* written : {"CONFIG SET", "config|set", "CONFIG  SET"}) {
    const Guard strict = guard({written});
    EXPECT_TRUE(strict.denies(subcommand("config", "set"))) << written;
    EXPECT_FALSE(strict.denies(subcommand("config", "get"))) << written;
    EXPECT_FALSE(strict.denies(command("set"))) << written;
  }
}

TEST(Guard, NameOfAContainerDeniesAllOfIt) {
  const Guard strict = guard({"SCRIPT"});
  for (const CommandSpec& sub : command("script").subcommands) EXPECT_TRUE(strict.denies(sub)) << sub.name;
  EXPECT_FALSE(strict.denies(subcommand("config", "get")));
}

TEST(Guard, PrefixOfANameIsNotTheName) {
  const Guard strict = guard({"FLUSH", "GE"});
  EXPECT_FALSE(strict.denies(command("flushall")));
  EXPECT_FALSE(strict.denies(command("get")));
  EXPECT_FALSE(guard({"GET"}).denies(command("getex")));
}

TEST(Guard, EmptyNameDeniesNothing) {
  const Guard open = guard({""});
  for (const CommandSpec& spec : resp::all_commands()) EXPECT_FALSE(open.denies(spec)) << spec.name;
}

// What COMMAND INFO tells of a module's command.
std::unique_ptr<resp::UnlistedCommand> unlisted(std::string_view name) {
  std::string info;
  resp::append_array(info, 6);
  resp::append_bulk(info, name);
  resp::append_integer(info, -2);
  resp::append_array(info, 0);
  for (int i = 0; i < 3; ++i) resp::append_integer(info, 1);
  return resp::UnlistedCommand::from_command_info(resp::ReplyView(info));
}

TEST(Guard, CommandThatTheTableLacksIsDeniedByItsName) {
  const auto denied = unlisted("json.set"), other = unlisted("json.get");
  ASSERT_TRUE(denied && other);
  const Guard strict = guard({"JSON.SET"});
  EXPECT_TRUE(strict.denies(denied->spec()));
  EXPECT_FALSE(strict.denies(other->spec()));
  EXPECT_FALSE(guard({"SET"}).denies(denied->spec()));
  EXPECT_FALSE(guard({}).denies(denied->spec()));
}

}  // namespace
}  // namespace corral::policy
