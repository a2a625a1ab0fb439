// What a table of leases must say, kept beside it by the simplest means: after each event what it has told, whom it has
// woken, and what it holds is compared. Two things are the table's own to judge, and only checked for being right: how
// early a value is refreshed, and whether what was found is what somebody has set since the lease was granted.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lease_model_node.h"
#include "policy/lease_table.h"

namespace corral::policy::lease_model {

/// What a read has found, and what is known of it better than the table knows.
struct Found {
  Finding finding;
  uint64_t version = 0;
  uint64_t sent_ms = 0;  // by nobody's clock but the model's
};

class Ledger {
 public:
  struct Waiter {
    uint64_t number, since_ms, may_wait_ms;
  };
  enum class Phase : uint8_t { kNone, kAsking, kLeased, kElsewhere };
  struct Lease {
    Phase phase = Phase::kNone;
    LeaseKind kind = LeaseKind::kCold;
    uint64_t serial = 0, client = 0;
    uint64_t end_ms = 0;
    // What was there when it was granted, or when nothing was found first: version (0: not known), and when.
    uint64_t version = 0, known_ms = 0;
    uint64_t known_at_ms = 0;  // by the model's clock
    bool local = false, at_node = false;
    std::optional<uint64_t> fed{};
    int lapses = 0;
    bool may_be_forgotten = false;  // a lapse, by a small table
    uint64_t barred_until_ms = 0;
    bool bar_is_sure = true;
    uint64_t waits_since_ms = 0;
    std::map<uint64_t, Waiter> waiters{};  // by place
    int writes = 0;                        // that the table counts
  };

  /// `most`: keys that a shard of the table may remember. `lag_ms`: by how much the clocks of threads may differ.
  Ledger(const StampedeRule& rule, const LeaseTable& table, const uint64_t& now_ms, size_t most, uint64_t lag_ms)
      : rule_(rule), table_(table), now_ms_(now_ms), most_(most), lag_ms_(lag_ms) {}

  static const LeaseKey& key_of(int key);

  void on_read(int key, const Found& found, const LeaseReader& reader, const LeaseMoment& moment, const Told& told,
               const LeaseWakes& wakes);
  void on_asked(int key, const KeyLease::Asked& asked, const Found& found, const LeaseReader& reader, uint64_t serial,
                const LeaseMoment& moment, const Told& told, const LeaseWakes& wakes);
  void on_released_elsewhere(int key, uint64_t now_ms, const LeaseWakes& wakes);
  void on_invalidated(int key, const LeaseWakes& wakes);
  void on_holder_gone(int key, uint64_t serial, uint64_t now_ms, const LeaseWakes& wakes);
  void on_time(int key, uint64_t now_ms, const LeaseWakes& wakes);
  void on_wait_over(int key, uint64_t place, uint64_t now_ms, const std::optional<uint64_t>& until_ms);
  void on_left(int key, uint64_t place);
  void on_write_begun(int key, const LeaseTable::Begun& begun);
  /// `token`: of the value that the table was given. `alone`: no other write was under way at any time.
  void on_write_ended(int key, const LeaseTable::Write& write, LeaseOutcome outcome, std::optional<uint64_t> token,
                      bool alone, uint64_t now_ms, const LeaseWakes& wakes);
  void on_all_written(const LeaseWakes& wakes);

  const Lease& lease(int key) const { return leases_[key]; }
  /// Until when who waits is to be told something.
  uint64_t latest_ms(int key, const Waiter& waiter) const;
  size_t waiting() const;
  /// The table holds just what it must.
  void check_table();
  const std::string& violation() const { return violation_; }

 private:
  struct Expected {
    std::vector<uint64_t> filled{}, again{}, nil{};
    std::optional<uint64_t> promoted{};
    bool lapsed = false;
    uint64_t release = 0;
  };
  uint64_t serial_held(int key) const;
  void judge(int key, const Found& found, const LeaseReader& reader, const LeaseMoment& moment, const Told& told,
             const LeaseWakes& wakes, Expected& expected);
  bool ends_by(int key, const Found& found, uint64_t now_ms, const LeaseWakes& wakes);
  void check_told_of_value(int key, const Found& found, const LeaseReader& reader, const LeaseMoment& moment,
                           const Told& told);
  void check_told_of_nothing(int key, const Found& found, const LeaseReader& reader, const LeaseMoment& moment,
                             const Told& told);
  bool is_barred(Lease& lease, uint64_t now_ms, const Told& told);
  void note_grant(Lease& lease, const Found& found, const LeaseReader& reader, uint64_t now_ms, const Told& told);
  void note_absence(Lease& lease, const Found& found, uint64_t now_ms);
  void note_wait(Lease& lease, const LeaseReader& reader, uint64_t now_ms, const Told& told);
  void note_known(Lease& lease, uint64_t version, uint64_t now_ms);
  void start(Lease& lease, uint64_t serial, uint64_t client, uint64_t now_ms);
  bool may_be_full(int key, uint64_t now_ms) const;
  void wake_all(Lease& lease, std::vector<uint64_t>& as);
  void pass_on(Lease& lease, uint64_t now_ms, const LeaseWakes& wakes, Expected& expected);
  void lapse(Lease& lease, uint64_t now_ms, const LeaseWakes& wakes, Expected& expected);
  void end(Lease& lease, Expected& expected);
  void compare(const Expected& expected, const LeaseWakes& wakes);
  void expect(bool is_so, const char* what) {
    if (!is_so && violation_.empty()) violation_ = what;
  }

  const StampedeRule& rule_;
  const LeaseTable& table_;
  const uint64_t& now_ms_;
  const size_t most_;
  const uint64_t lag_ms_;
  std::array<Lease, kKeys> leases_;
  std::set<uint64_t> serials_;
  std::string violation_;
};

}  // namespace corral::policy::lease_model
