// Two thousand clients in BLPOP on two hundred lists, elements pushed while clients die at random: nothing is delivered
// twice, and nothing is missing but what was on its way to a client that died; the same is done to a plain Redis, for
// comparison.
//
// CORRAL_PUSHES sets how many elements are pushed (default 20,000), CORRAL_SEED repeats a run.
#include <atomic>
#include <iostream>
#include <random>
#include <set>

#include "support/background.h"
#include "support/env.h"
#include "support/front.h"
#include "support/swarm.h"

namespace corral::test {
namespace {

constexpr size_t kClients = 2000, kLists = 200;
constexpr size_t kChunk = 50;  // elements pushed between deaths
constexpr size_t kDeathsEach = 5;

struct Outcome {
  size_t pushed = 0, received = 0, deaths = 0, left = 0;
  size_t missing() const { return pushed - received - left; }
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << outcome.pushed << " pushed, " << outcome.received << " received, " << outcome.deaths
             << " clients died, " << outcome.missing() << " elements missing";
}

class Herd {
 public:
  explicit Herd(uint16_t port, uint64_t seed)
      : port_(port),
        random_(seed),
        swarm_([this](size_t i, std::string_view bytes) { return take(i, bytes); }),
        pusher_(port) {}

  Outcome run(size_t pushes) {
    for (size_t i = 0; i < kClients; ++i) {
      add(i % kLists);
      if (i % 50 == 0) swarm_.turn(milliseconds(1));  // so that the listen queue does not run over
    }
    while (outcome_.pushed < pushes) {
      push();
      for (size_t i = 0; i < kDeathsEach; ++i) die();
      swarm_.turn(milliseconds(0));
    }
    EXPECT_TRUE(swarm_.run_until([&] { return rest(); })) << "elements stay where clients wait for them";
    judge();
    return outcome_;
  }

 private:
  static std::string name(size_t list) { return "list:" + std::to_string(list); }

  void add(size_t list) {
    const size_t client = swarm_.connect(port_);
    list_of_.push_back(list);
    alive_.push_back(client);
    wait(client);
  }
  void wait(size_t client) { swarm_.send(client, encode({"BLPOP", name(list_of_[client]), "0"})); }

  // A chunk of elements to lists at random; a list's elements are numbered.
  void push() {
    std::vector<Args> commands;
    for (size_t i = 0; i < kChunk; ++i) {
      const size_t list = random_() % kLists;
      commands.push_back({"RPUSH", name(list), std::to_string(pushed_[list]++)});
    }
    outcome_.pushed += commands.size();
    const std::string bytes = encode_all(commands);
    for (const Reply& reply : pusher_.exchange(bytes, commands.size())) {
      if (reply.type != Reply::Type::kInteger) ADD_FAILURE() << "RPUSH: " << reply;
    }
  }
  // One client goes, whatever it is about; another one takes its place.
  void die() {
    const size_t place = random_() % alive_.size(), client = alive_[place];
    const size_t list = list_of_[client];
    swarm_.close(client);
    alive_[place] = alive_.back();
    alive_.pop_back();
    ++deaths_[list];
    ++outcome_.deaths;
    add(list);
  }

  size_t take(size_t client, std::string_view bytes) {
    Reply reply;
    const auto end = parse_reply(bytes, 0, reply);
    if (!end) return 0;
    const auto words = reply.strings();
    const size_t list = list_of_[client];
    if (words.size() != 2 || words[0] != name(list)) {
      ADD_FAILURE() << "BLPOP: " << reply;
      return *end;
    }
    if (!received_[list].insert(std::stoull(words[1])).second) ADD_FAILURE() << words[1] << " twice from " << words[0];
    ++outcome_.received;
    last_news_ = Clock::now();
    wait(client);
    return *end;
  }

  // Nothing is in the lists, and nothing has come for a while.
  bool rest() {
    if (Clock::now() - last_news_ < milliseconds(500)) return false;
    return left() == 0;
  }
  size_t left() {
    std::vector<Args> commands;
    for (size_t i = 0; i < kLists; ++i) commands.push_back({"LLEN", name(i)});
    size_t sum = 0;
    for (const Reply& reply : pusher_.pipeline(commands)) sum += static_cast<size_t>(reply.integer);
    return sum;
  }
  // A client that died has taken one element with it at the most.
  void judge() {
    outcome_.left = left();
    EXPECT_EQ(swarm_.lost(), 0u) << "connections closed by the server";
    for (size_t list = 0; list < kLists; ++list) {
      if (pushed_[list] < received_[list].size()) ADD_FAILURE() << "received what was not pushed";
      EXPECT_LE(pushed_[list] - received_[list].size(), deaths_[list]) << name(list);
    }
  }

  const uint16_t port_;
  std::mt19937_64 random_;
  std::vector<size_t> list_of_, alive_;  // by connection; connections
  std::vector<size_t> pushed_ = std::vector<size_t>(kLists), deaths_ = std::vector<size_t>(kLists);
  std::vector<std::set<size_t>> received_ = std::vector<std::set<size_t>>(kLists);
  Outcome outcome_;
  Clock::time_point last_news_ = Clock::now();
  Swarm swarm_;
  Client pusher_;
};

TEST(BlockingLoadTest, nothing_is_given_twice_or_lost_but_with_the_dead) {
  const uint64_t seed = from_environment("CORRAL_SEED", std::random_device()());
  const auto pushes = static_cast<size_t>(from_environment("CORRAL_PUSHES", 20'000));
  std::cout << "CORRAL_SEED=" << seed << " CORRAL_PUSHES=" << pushes << std::endl;
  Front front({.cluster = {.settings = {"--maxclients", "12000"}}});
  RedisServer redis;
  auto start = Clock::now();
  const Outcome expected = Herd(redis.port(), seed).run(pushes);
  std::cout << "Redis: " << expected << " in " << seconds_since(start) << " s" << std::endl;
  start = Clock::now();
  const Outcome outcome = Herd(front.port(), seed).run(pushes);
  std::cout << "front: " << outcome << " in " << seconds_since(start) << " s" << std::endl;
  EXPECT_TRUE(eventually([&] { return front.info_sum("blocked_clients") == 0; })) << "all are gone now";
}

TEST(BlockingLoadTest, the_same_while_slots_move) {
  CORRAL_NEEDS_CLUSTER();
  const uint64_t seed = from_environment("CORRAL_SEED", std::random_device()());
  const auto pushes = static_cast<size_t>(from_environment("CORRAL_PUSHES", 20'000)) / 2;
  std::cout << "CORRAL_SEED=" << seed << std::endl;
  Front front({.cluster = {.settings = {"--maxclients", "12000"}}});
  std::atomic<int> moves = 0;
  Background resharding([&](Background::Stop stop) {
    for (size_t list = 0; !stop; list = (list + 7) % kLists) {
      const int slot = slot_of("list:" + std::to_string(list));
      const size_t from = front.cluster().owner(slot);
      front.cluster().migrate_slot(slot, from, (from + 1) % 3);
      ++moves;
    }
  });
  const Outcome outcome = Herd(front.port(), seed).run(pushes);
  std::cout << outcome << "; " << moves << " slots moved" << std::endl;
  EXPECT_GT(moves, 5);
}

}  // namespace
}  // namespace corral::test
