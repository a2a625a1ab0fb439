// Scripts that a node has forgotten keep their place among the commands of their connection.
#include "support/front.h"

namespace corral::test {
namespace {

class ScriptOrderTest : public FrontTest {
 protected:
  void SetUp() override {
    CORRAL_NEEDS_CLUSTER();
    FrontTest::SetUp();
  }
  // Takes the scripts from the nodes behind Corral's back.
  void nodes_forget() {
    for (size_t i = 0; i < front_->masters(); ++i) {
      ASSERT_EQ(front_->master(i).command("SCRIPT", "FLUSH"), Reply::status("OK"));
    }
  }
};

// Where a command behind a refused script has run already, the script may only be refused, never run late.
TEST_F(ScriptOrderTest, scripts_told_again_between_other_commands_are_never_late) {
  const std::string push = "return redis.call('rpush', KEYS[1], ARGV[1])";
  const std::string sha = client_.command("SCRIPT", "LOAD", push).text;
  for (int round = 0; round < 5; ++round) {
    const std::string key = "mixed:" + std::to_string(round);
    std::vector<Args> commands;
    for (int i = 0; i < 200; ++i) {
      const std::string number = std::to_string(i);
      commands.push_back(i % 3 == 1 ? Args{"EVALSHA", sha, "1", key, number} : Args{"RPUSH", key, number});
    }
    nodes_forget();
    const auto replies = client_.pipeline(commands);
    std::vector<std::string> expected;
    for (size_t i = 0; i < replies.size(); ++i) {
      if (!replies[i].is_error())
        expected.push_back(std::to_string(i));
      else
        EXPECT_TRUE(i % 3 == 1 && replies[i].is_error("TRYAGAIN")) << i << ": " << replies[i];
    }
    EXPECT_EQ(client_.command("LRANGE", key, 0, -1).strings(), expected);
  }
}

TEST_F(ScriptOrderTest, what_follows_a_script_sees_what_it_did) {
  const std::string sha = client_.command("SCRIPT", "LOAD", "return redis.call('rpush', KEYS[1], ARGV[1])").text;
  nodes_forget();
  const auto replies = client_.pipeline(
      {{"RPUSH", "k", "0"}, {"EVALSHA", sha, "1", "k", "1"}, {"RPUSH", "k", "2"}, {"LRANGE", "k", "0", "-1"}});
  std::vector<std::string> expected = {"0", "1", "2"};
  if (replies[1].is_error("TRYAGAIN")) expected = {"0", "2"};
  EXPECT_EQ(replies[3].strings(), expected) << replies[1];
  EXPECT_EQ(client_.command("LRANGE", "k", 0, -1).strings(), expected) << "later, too";
}

}  // namespace
}  // namespace corral::test
