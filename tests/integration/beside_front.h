// The fixture of tests that hold what clients are connected to (see support/front.h) against a Redis that is given the
// same commands.
#pragma once

#include <algorithm>

#include "support/front.h"

namespace corral::test {

// A reply's bytes with all that has no order (sets, maps) put in one. Arrays keep theirs, unless told.
inline std::string canonical(const Reply& reply, bool sort_arrays = false) {
  using Type = Reply::Type;
  if (reply.raw.empty() || std::string_view("*%~>").find(reply.raw[0]) == std::string_view::npos) return reply.raw;
  const size_t group = reply.type == Type::kMap ? 2 : 1;
  std::vector<std::string> parts;
  for (size_t i = 0; i < reply.elements.size(); ++i) {
    if (i % group == 0) parts.emplace_back();
    parts.back() += canonical(reply.elements[i], sort_arrays);
  }
  const bool ordered = reply.type == Type::kPush || (reply.type == Type::kArray && !sort_arrays);
  if (!ordered) std::sort(parts.begin(), parts.end());
  std::string text = reply.raw.substr(0, reply.raw.find('\n') + 1);
  for (const std::string& part : parts) text += part;
  return text;
}

class BesideFront : public ::testing::Test {
 public:
  static void expect_same(const Args& args, const Reply& expected, const Reply& actual, bool sort_arrays = false) {
    std::string name;
    for (size_t i = 0; i < args.size() && i < 12; ++i) name += printable(args[i], 60) + ' ';
    EXPECT_EQ(printable(canonical(actual, sort_arrays), 2000), printable(canonical(expected, sort_arrays), 2000))
        << name << "\nexpected: " << expected << "\nactual: " << actual;
  }

 protected:
  static void SetUpTestSuite() {
    front_ = std::make_unique<Front>();
    redis_ = std::make_unique<RedisServer>();
  }
  static void TearDownTestSuite() {
    redis_.reset();
    front_.reset();
  }
  void SetUp() override { both("FLUSHALL"); }

  // The same command to both. The replies must be the same bytes, but for the order of sets and maps; Corral's is
  // returned.
  template <class... Words>
  Reply both(const Words&... words) {
    return both(Args{to_arg(words)...});
  }
  Reply both(const Args& args, bool sort_arrays = false) {
    const Reply expected = expected_.command(args);
    Reply actual = actual_.command(args);
    expect_same(args, expected, actual, sort_arrays);
    return actual;
  }
  // The same pipeline to both, in one write.
  void both_pipelined(const std::vector<Args>& commands) {
    const auto expected = expected_.pipeline(commands), actual = actual_.pipeline(commands);
    for (size_t i = 0; i < commands.size(); ++i) expect_same(commands[i], expected[i], actual[i]);
  }
  // New connections of both, as after a RESET that one cannot trust.
  void reconnect() {
    actual_ = front_->connect();
    expected_ = redis_->connect();
  }

  static inline std::unique_ptr<Front> front_;
  static inline std::unique_ptr<RedisServer> redis_;
  Client actual_ = front_->connect();
  Client expected_ = redis_->connect();
};

}  // namespace corral::test
