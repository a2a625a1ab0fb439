// A cold key that a thousand connections ask for at once: one is told that it is missing, the others get what that one
// sets, whatever becomes of it. See stampede_front.h for how to make these fail.
//
// CORRAL_HERD (1000) is how many there are. How soon they are woken is printed, to be judged by hand (within 15 ms).
#include <iostream>

#include "rush.h"
#include "stampede_front.h"

namespace corral::test {
namespace {

constexpr milliseconds kOrigin{200};  // how long it takes to compute a value
constexpr int kBriefWaitMs = 500, kShortLeaseMs = 300;

std::string settings() {
  return stampede_rule("cold", "lease = \"10s\", wait = " + milliseconds_text(wait_ms())) +
         // Nobody is woken by the end of a wait or of a lease ...
         stampede_rule("patient", "lease = \"1m\", wait = \"1m\"") +
         // ... or only by the one, or by the other.
         stampede_rule("brief", "lease = \"1m\", wait = " + milliseconds_text(kBriefWaitMs)) +
         stampede_rule("lapse", "wait = \"1m\", lease = " + milliseconds_text(kShortLeaseMs)) +
         stampede_rule("plain", "", "max_value = \"1MiB\"\n");
}

size_t herd_size() { return from_environment("CORRAL_HERD", 1000); }

class StampedeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    front_ = std::make_unique<Front>(FrontOptions{.settings = settings(), .workers = 2});
    herd_ = std::make_unique<Crowd>(std::vector{front_->port()}, herd_size(), true);
  }
  static void TearDownTestSuite() {
    herd_.reset();
    front_.reset();
  }
  int64_t counter(const std::string& name) { return counter_of(*front_, name); }

  static inline std::unique_ptr<Front> front_;
  static inline std::unique_ptr<Crowd> herd_;
};

TEST_F(StampedeTest, one_computes_and_all_others_get_its_value) {
  Rush rush(*herd_, fresh_key("cold"));
  rush.run([&](size_t nth, size_t client) {
    if (nth == 0) rush.after(kOrigin, [&, client] { rush.fill(client, "value"); });
  });
  std::cout << rush.report() << std::endl;
  EXPECT_EQ(rush.nils(), 1u);
  EXPECT_EQ(rush.filled(), herd_size() - 1);
}

TEST_F(StampedeTest, when_the_one_hangs_up_another_computes) {
  Crowd herd({front_->port()}, herd_size(), true);  // since it loses one
  Rush rush(herd, fresh_key("cold"));
  rush.run([&](size_t nth, size_t client) {
    if (nth == 0) rush.after(milliseconds(50), [&, client] { rush.leave(client); });
    if (nth == 1) rush.after(kOrigin, [&, client] { rush.fill(client, "value"); });
  });
  std::cout << rush.report() << std::endl;
  EXPECT_EQ(rush.nils(), 2u);
  EXPECT_EQ(rush.filled(), herd_size() - 2);
}

TEST_F(StampedeTest, who_waits_may_go) {
  Crowd herd({front_->port()}, 100, true);
  Rush rush(herd, fresh_key("cold"));
  rush.run([&](size_t nth, size_t client) {
    if (nth > 0) return;
    rush.after(milliseconds(50), [&, client] {
      for (size_t i = 0; i < herd.size(); i += 2) {
        if (i != client) rush.leave(i);
      }
    });
    rush.after(kOrigin, [&, client] { rush.fill(client, "value"); });
  });
  EXPECT_EQ(rush.nils(), 1u);
  EXPECT_GE(rush.filled(), 49u);
}

TEST_F(StampedeTest, when_the_one_deletes_the_key_another_computes) {
  Rush rush(*herd_, fresh_key("cold"));
  rush.run([&](size_t nth, size_t client) {
    if (nth == 0) rush.after(milliseconds(50), [&, client] { rush.del(client); });
    if (nth == 1) rush.after(kOrigin, [&, client] { rush.fill(client, "value"); });
  });
  std::cout << rush.report() << std::endl;
  EXPECT_EQ(rush.nils(), 2u);
  EXPECT_EQ(rush.filled(), herd_size() - 2);
}

TEST_F(StampedeTest, when_somebody_else_deletes_the_key_another_computes) {
  Crowd herd({front_->port()}, 100, true);
  Client other = front_->connect();
  const std::string key = fresh_key("patient");
  Rush rush(herd, key);
  rush.run([&](size_t nth, size_t client) {
    if (nth == 0) rush.after(milliseconds(50), [&] { other.command("DEL", key); });
    if (nth == 1) rush.after(kOrigin, [&, client] { rush.fill(client, "value"); });
  });
  std::cout << rush.report() << std::endl;
  EXPECT_EQ(rush.nils(), 2u);
  EXPECT_EQ(rush.filled(), herd.size() - 2);
}

TEST_F(StampedeTest, nobody_waits_longer_than_wait) {
  const int64_t timed_out = counter("waits_timed_out");
  const std::string key = fresh_key("brief");
  Rush rush(*herd_, key);
  rush.run([](size_t, size_t) {});
  std::cout << rush.report() << std::endl;
  front_->connect().command("SET", key, "late");  // who has a lease would wait for nothing else
  EXPECT_EQ(rush.nils(), herd_size());
  EXPECT_GE(rush.second_nil(), milliseconds(kBriefWaitMs - 50)) << "who was to wait did not";
  EXPECT_EQ(counter("waits_timed_out") - timed_out, static_cast<int64_t>(herd_size()) - 1);
}

TEST_F(StampedeTest, a_key_whose_lease_lapses_twice_is_not_waited_for) {
  const std::string key = fresh_key("lapse");
  const int64_t lapsed = counter("leases_lapsed");
  Rush rush(*herd_, key);
  rush.run([](size_t, size_t) {});
  std::cout << rush.report() << std::endl;
  EXPECT_EQ(rush.nils(), herd_size());
  EXPECT_GE(rush.second_nil(), milliseconds(kShortLeaseMs - 50)) << "who was to wait did not";
  EXPECT_EQ(counter("leases_lapsed") - lapsed, 2);

  const int64_t waits = counter("waits"), granted = counter("leases_granted");
  Rush again(*herd_, key);
  again.run([](size_t, size_t) {});
  std::cout << again.report() << std::endl;
  EXPECT_EQ(again.nils(), herd_size());
  EXPECT_EQ(counter("waits"), waits);
  EXPECT_EQ(counter("leases_granted"), granted);
}

TEST_F(StampedeTest, a_lease_that_lapses_is_another_ones) {
  Crowd herd({front_->port()}, 20, true);
  const std::string key = fresh_key("lapse");
  size_t first = 0;
  Rush rush(herd, key);
  rush.run([&](size_t nth, size_t client) {
    if (nth == 0) first = client;
    if (nth == 1) rush.fill(first, "late");  // who was too slow: it passes, as without leases
  });
  std::cout << rush.report() << std::endl;
  EXPECT_EQ(rush.nils(), 2u);
  EXPECT_EQ(rush.filled(), herd.size() - 2);
  EXPECT_EQ(front_->connect().command("GET", key).text, "late");
}

TEST_F(StampedeTest, keys_without_it_are_as_ever) {
  const int64_t granted = counter("leases_granted"), waits = counter("waits");
  for (const std::string& key : {fresh_key("plain"), fresh_key("ruled by none")}) {
    Rush rush(*herd_, key);
    rush.run([](size_t, size_t) {});
    EXPECT_EQ(rush.nils(), herd_size());
  }
  EXPECT_EQ(counter("leases_granted"), granted);
  EXPECT_EQ(counter("waits"), waits);
}

TEST_F(StampedeTest, of_keys_read_together_each_is_computed_once) {
  Crowd herd({front_->port()}, 200, true);
  const std::string tag = "{" + fresh_key("tag") + "}", first = "patient:" + tag + "1", second = "patient:" + tag + "2";
  Rush rush(herd, first);
  const auto on_nil = [&](size_t nth, size_t client) {
    if (nth == 0) rush.after(kOrigin, [&, client] { rush.fill(client, {"MSET", first, "a", second, "b"}, "a"); });
  };
  rush.run(on_nil, {"MGET", first, second});
  std::cout << rush.report() << std::endl;
  EXPECT_LE(rush.nils(), 2u);  // one a key: of two on different workers each may be the first for one of them
  EXPECT_EQ(rush.filled(), herd.size() - rush.nils());
}

// Two MGETs may each be the first at one of the nodes. Who has a lease does not wait for another one, so at most one
// for each key is told that something is missing.
TEST_F(StampedeTest, keys_of_all_nodes_read_together_do_not_lock_each_other_out) {
  Crowd herd({front_->port()}, 200, true);
  Args read = {"MGET"}, write = {"MSET"};
  for (int i = 0; i < 8; ++i) {
    read.push_back(fresh_key("patient"));
    write.insert(write.end(), {read.back(), "value"});
  }
  Rush rush(herd, read[1]);
  rush.run([&](size_t, size_t client) { rush.after(kOrigin, [&, client] { rush.fill(client, write, "value"); }); },
           read);
  std::cout << rush.report() << std::endl;
  EXPECT_LE(rush.nils(), 8u);
  EXPECT_EQ(rush.filled(), herd.size() - rush.nils());
}

}  // namespace
}  // namespace corral::test
