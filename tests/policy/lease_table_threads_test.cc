// The table of leases under many threads: whoever waits is woken once. To be run with -fsanitize=thread, too.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lease_bench.h"
#include "policy/key_table.h"
#include "policy/lease_table.h"

namespace corral::policy {
namespace {

using What = Told::What;

constexpr uint64_t kNow = 1'000'000;

const StampedeRule kRule{};

/// A thread whose clients read keys, and set those that they get the lease of, or give the lease up; so do those whom
/// that makes the holders.
class Hammer {
 public:
  static constexpr int kRounds = 50'000;

  Hammer(LeaseTable& table, uint32_t worker) : table_(table), worker_(worker) {}

  void run() {
    for (int round = 0; round < kRounds; ++round) {
      const auto place = static_cast<size_t>(round) % kNames.size();
      const LeaseKey key = {kNames[place], KeyTable::hash(kNames[place]), 0};
      const uint64_t client = worker_ + 2 * (static_cast<uint64_t>(round) / kNames.size() % 3 + 1);
      const uint32_t mark = table_.mark(key.hash);
      LeaseWakes wakes;  // nobody: the time stands still
      const LeaseReader reader{.client = client, .number = 0, .worker = worker_, .may_wait_ms = 100};
      const Told told = table_.on_read(key, kRule, nothing(), reader, {.now_ms = kNow}, wakes);
      old += table_.is_old(key.hash, mark);
      if (told.what == What::kWait) {
        ++waits;
        if (round % 5 == 0 && !table_.on_wait_over(key, told.place, kNow + 100)) ++maybe_over;
      } else if (told.what == What::kLease) {
        held_.push_back({key, told.serial});
      }
      if (round % 32 == 0) end_leases();
    }
    end_leases();
  }

  uint64_t waits = 0, maybe_over = 0, woken = 0, leased = 0, old = 0;

 private:
  static constexpr std::array<std::string_view, 8> kNames{"a", "b", "c", "d", "e", "f", "g", "h"};
  struct Held {
    LeaseKey key;
    uint64_t serial;
  };
  void end_leases() {
    for (; !held_.empty(); ++leased) {
      const Held last = held_.back();
      held_.pop_back();
      LeaseWakes wakes;
      if (leased % 3 == 0) {
        table_.on_holder_gone(last.key, last.serial, kNow, wakes);
      } else {
        set(last.key, wakes);
      }
      woken += wakes.filled.size() + wakes.again.size() + wakes.nil.size() + (wakes.promoted ? 1 : 0);
      if (wakes.promoted) held_.push_back({last.key, wakes.serial});
    }
  }
  void set(const LeaseKey& key, LeaseWakes& wakes) {
    const LeaseTable::Begun begun = table_.begin_write(key, false);
    LeaseTable::Write write{.what = LeaseWrite::kValue, .counted = begun.counted};
    if (begun.wants_value) write.value = std::make_shared<const std::string>(key.key);
    table_.end_write(key, write, LeaseOutcome::kDone, kNow, wakes);
    EXPECT_TRUE(wakes.filled.empty() || *wakes.value == key.key);
  }

  LeaseTable& table_;
  const uint32_t worker_;
  std::vector<Held> held_;
};

TEST(LeaseTableThreads, WakeEachWhoWaitsOnce) {
  LeaseTable table;
  std::array<Hammer, 2> hammers{Hammer(table, 0), Hammer(table, 1)};
  std::thread other([&hammers] { hammers[1].run(); });
  std::thread looker([&table] {
    for (int i = 0; i < 500; ++i) table.for_each_leased([](std::string_view, uint16_t, const KeyLease&) {});
  });
  hammers[0].run();
  other.join();
  looker.join();

  uint64_t waiting = 0, waits = 0, woken = 0, maybe_over = 0, leased = 0;
  table.for_each_leased([&waiting](std::string_view, uint16_t, const KeyLease& lease) { waiting += lease.waiting(); });
  for (const Hammer& hammer : hammers) {
    waits += hammer.waits;
    woken += hammer.woken;
    maybe_over += hammer.maybe_over;
    leased += hammer.leased;
  }
  EXPECT_EQ(waiting, 0u) << "all leases have ended";
  EXPECT_GT(leased, 1000u);
  EXPECT_GT(woken, 1000u);
  // Who has waited for long enough may have been woken just before.
  EXPECT_LE(woken, waits);
  EXPECT_GE(woken + maybe_over, waits);
}

}  // namespace
}  // namespace corral::policy
