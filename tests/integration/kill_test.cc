// A master dies by SIGKILL while fifty clients write to it in pipelines; its replica takes over. All that Redis itself
// kept is there, nothing has been done twice, every request has got its one answer, and the errors end with the
// election.
//
// What Redis kept is seen by positions: the clients push to one list of each master, and the answer to an RPUSH is the
// length of the list, thus the place of what was pushed. A replica has a beginning of what its master did, so the list
// of the new master is a beginning of the old one's, and then what was pushed since. An answer of the old master whose
// place is beyond that beginning tells of a push that Redis lost.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <map>
#include <memory>
#include <set>

#include "support/background.h"
#include "support/cluster.h"
#include "support/corral.h"

namespace corral::test {
namespace {

constexpr int kWriters = 50, kMasters = 3, kPairs = 8;  // of a push and an INCR, in a pipeline
constexpr int kNodeTimeoutMs = 1500;
constexpr const char* kSettings =
    "[upstream]\nconnect_timeout = \"300ms\"\nrequest_timeout = \"1s\"\nrefresh_interval = \"500ms\"\n";

std::string list_of(int master) { return tag_of_slot(master * 5462 + 10) + "list"; }
std::string counter_of(int master) { return tag_of_slot(master * 5462 + 10) + "counter"; }

// What one client was told. Every second one writes to the master that dies, the others to the two that live.
class Writer {
 public:
  struct Push {
    std::string value;
    int64_t place;  // as answered
    Clock::time_point told;
  };

  explicit Writer(int number) : number_(number), master(number % 2 == 0 ? 0 : 1 + number / 2 % (kMasters - 1)) {}

  void run(Client client, Background::Stop stop) {
    while (!stop) {
      std::vector<Args> commands;
      for (int i = 0; i < kPairs; ++i) {
        commands.push_back({"RPUSH", list_of(master), value(sent_ + i)});
        commands.push_back({"INCR", counter_of(master)});
      }
      const auto replies = client.pipeline(commands);  // throws unless there is one reply for each, in time
      const auto now = Clock::now();
      for (size_t i = 0; i < replies.size(); ++i) judge(replies[i], i % 2 == 0, now);
      rounds = rounds + 1;
    }
  }

 private:
  std::string value(int64_t i) const { return std::to_string(number_) + ":" + std::to_string(i); }

  void judge(const Reply& reply, bool is_push, Clock::time_point now) {
    const std::string pushed = is_push ? value(sent_++) : "";
    if (reply.type == Reply::Type::kInteger) {
      is_push ? pushes.push_back({pushed, reply.integer, now}) : counts.push_back({reply.integer, now});
      return;
    }
    last_error = now;
    if (reply.is_error("INDOUBT")) {
      if (is_push) pushes_in_doubt.insert(pushed);
      counts_in_doubt += !is_push;
    } else if (!reply.is_error("CLUSTERDOWN") && !reply.is_error("TRYAGAIN")) {
      unexpected = to_string(reply);
    }
  }

  const int number_;
  int64_t sent_ = 0;

 public:
  const int master;
  std::vector<Push> pushes;
  std::set<std::string> pushes_in_doubt;
  std::vector<std::pair<int64_t, Clock::time_point>> counts;
  int counts_in_doubt = 0;
  Clock::time_point last_error{};
  std::string unexpected;
  std::atomic<int> rounds = 0;
};

// The parameter: whether the replica is behind when its master dies, so that Redis loses what it has acknowledged.
class KillTest : public ::testing::TestWithParam<bool> {
 protected:
  KillTest() { corral_.wait_until_serving(); }

  void start_writers() {
    for (int i = 0; i < kWriters; ++i) writers_.push_back(std::make_unique<Writer>(i));
    for (const auto& writer : writers_) {
      threads_.push_back(std::make_unique<Background>(
          [this, &writer = *writer](Background::Stop stop) { writer.run(corral_.connect(), stop); }));
    }
    ASSERT_TRUE(all_have_done(20));
  }
  bool all_have_done(int rounds) {
    std::vector<int> goals;
    for (const auto& writer : writers_) goals.push_back(writer->rounds + rounds);
    return eventually([&] {
      for (size_t i = 0; i < writers_.size(); ++i) {
        if (writers_[i]->rounds < goals[i]) return false;
      }
      return true;
    });
  }
  // Until a master that lives knows that the replica has been elected. When that was.
  Clock::time_point wait_for_election() {
    EXPECT_TRUE(eventually([&] { return cluster_.owner_seen_by(1, slot_of(list_of(0))) == kMasters; }));
    return Clock::now();
  }

  // Cuts the replica off again and again, until some pushes are acknowledged without it.
  void leave_replica_behind() {
    Client master = cluster_.node(0).connect();
    for (int i = 0; i < 20; ++i) {
      master.command("LLEN", list_of(0));
      master.command("CLIENT", "KILL", "TYPE", "replica");
    }
  }

  void check_pushes(int master, const std::vector<std::string>& list);
  void check_counts(int master, int64_t count);

  RedisCluster cluster_{{.masters = kMasters, .replicas_per_master = 1, .node_timeout_ms = kNodeTimeoutMs}};
  Corral corral_{{.upstream = cluster_.seeds(), .settings = kSettings}};
  std::vector<std::unique_ptr<Writer>> writers_;
  std::vector<std::unique_ptr<Background>> threads_;
  Clock::time_point old_until_{}, elected_{};  // none is elected before the node timeout is over
};

void KillTest::check_pushes(int master, const std::vector<std::string>& list) {
  const std::set<std::string> there(list.begin(), list.end());
  EXPECT_EQ(there.size(), list.size()) << "something was pushed twice";
  std::set<std::string> known;
  int64_t first_lost = INT64_MAX, last_kept_of_old = 0, lost = 0;
  for (const auto& writer : writers_) {
    if (writer->master != master) continue;
    known.insert(writer->pushes_in_doubt.begin(), writer->pushes_in_doubt.end());
    for (const auto& [value, place, told] : writer->pushes) {
      known.insert(value);
      const bool of_old = master == 0 && told < old_until_;
      const auto at = static_cast<size_t>(place - 1);
      if (at < list.size() && list[at] == value) {
        if (of_old) last_kept_of_old = std::max(last_kept_of_old, place);
        continue;
      }
      EXPECT_TRUE(of_old) << value << " was acknowledged by a master that lives, and is not in its place";
      EXPECT_FALSE(there.contains(value)) << value << " was executed again, at another place";
      first_lost = std::min(first_lost, place);
      ++lost;
    }
  }
  EXPECT_LT(last_kept_of_old, first_lost) << "what was kept is a beginning";
  for (const std::string& value : list) EXPECT_TRUE(known.contains(value)) << value << " was refused, and executed";
  // A client's own pushes are in their order.
  std::map<std::string, int64_t> last;
  for (const std::string& value : list) {
    const auto colon = value.find(':');
    const int64_t number = std::stoll(value.substr(colon + 1));
    const auto [it, is_first] = last.try_emplace(value.substr(0, colon), number);
    EXPECT_TRUE(is_first || it->second < number) << value << " after " << it->second;
    it->second = number;
  }
  std::cout << "master " << master << ": " << list.size() << " pushes kept, " << lost << " acknowledged and lost with it\n";
}

// An INCR that counted twice would leave a count that nobody was told of.
void KillTest::check_counts(int master, int64_t count) {
  std::set<int64_t> told_since;
  int64_t acknowledged = 0, in_doubt = 0, least = INT64_MAX, greatest = 0;
  for (const auto& writer : writers_) {
    if (writer->master != master) continue;
    in_doubt += writer->counts_in_doubt;
    acknowledged += static_cast<int64_t>(writer->counts.size());
    for (const auto& [value, told] : writer->counts) {
      if (master == 0 && told < old_until_) continue;
      EXPECT_TRUE(told_since.insert(value).second) << value << " was told twice";
      least = std::min(least, value);
      greatest = std::max(greatest, value);
    }
  }
  EXPECT_LE(count, acknowledged + in_doubt);
  ASSERT_FALSE(told_since.empty());
  EXPECT_LE(greatest, count);
  // From the first count of the master that is left to the last, each is somebody's.
  EXPECT_LE(count - least + 1 - static_cast<int64_t>(told_since.size()), in_doubt);
}

TEST_P(KillTest, what_redis_kept_is_there_nothing_is_done_twice_and_errors_end_with_the_election) {
  start_writers();
  if (GetParam()) leave_replica_behind();
  cluster_.node(0).kill();
  old_until_ = Clock::now() + milliseconds(kNodeTimeoutMs);
  elected_ = wait_for_election();
  ASSERT_TRUE(all_have_done(50));
  for (const auto& thread : threads_) thread->finish();
  EXPECT_EQ(corral_.log().find("bad file descriptor"), std::string::npos) << "what libuv says of a reset";
  for (const auto& writer : writers_) {
    EXPECT_EQ(writer->unexpected, "");
    if (writer->master != 0) {
      EXPECT_EQ(writer->last_error, Clock::time_point{}) << "the other masters are served all the while";
    } else if (writer->last_error > elected_) {
      EXPECT_LT(std::chrono::duration<double>(writer->last_error - elected_).count(), 1.0);
    }
  }
  for (int master = 0; master < kMasters; ++master) {
    const std::string list = list_of(master), counter = counter_of(master);
    check_pushes(master, cluster_.command_to_owner(list, "LRANGE", list, 0, -1).strings());
    check_counts(master, std::stoll(cluster_.command_to_owner(counter, "GET", counter).text));
  }
}

INSTANTIATE_TEST_SUITE_P(ReplicaBehind, KillTest, ::testing::Bool());

}  // namespace
}  // namespace corral::test
