// The lease of one key: which client computes the key's value, who waits for that, and what each reader is told
// meanwhile (section 6 of the design: leases, soft TTL, early refresh, "When the cluster fails").
//
// The states of a key, and what leads from one to the other:
//
//                 nil found: that reader has the lease              SET by anyone, acknowledged
//     none ------------------------------------------> leased ---------------------------------> none
//      ^ |   a value past its soft TTL, or near it:      |  |   (its value answers those who wait)
//      | |   that reader is told nil, and has the lease  |  |
//      | |                                               |  +-- DEL, the holder goes, the lease's end: the first who
//      | +-- with for_all_proxies: asking, until the     |      waits is told nil and has the lease; without any: none
//      |     node has said who has it: leased, or        |
//      |     leased elsewhere                            +----- the lease's end for the second time: barred
//      |                                                           |
//      +-----------------------------------------------------------+  after two minutes, or by a SET
//
// While it is leased a reader who finds nothing waits, if it may, or is told nil; one who finds a value past its soft
// TTL gets that. What a reader finds may end the lease too: somebody past this process has set the key. That is known
// only if the read was sent after the lease was granted, or nothing was found: where a key expires, replies of before
// and after are under way.
//
// Early refresh: a reader who finds a value whose (soft) TTL ends in `left` is told nil, and has the lease, if
//   -delta * beta * ln(u) >= left,    u uniform in (0, 1],    delta: how long the key takes to compute
// A. Vattani, F. Chierichetti, K. Lowenstein: Optimal Probabilistic Cache Stampede Prevention, PVLDB 8(8), 2015
// (XFetch): with exponentially distributed earliness the expected number of clients that compute early is independent
// of the rate of requests, at about e^(1/beta); here the lease makes it one. With r reads a second the first one falls,
// in the median, delta * beta * ln(r * delta * beta / ln 2) before the end, which leaves it time to compute as long as
// r * delta * beta is well over e^(1/beta). delta is an exponentially weighted moving average of the times from nil to
// SET; before the first the caller's guess.
//
// Pure: time and chance come as arguments. Not safe for threads: policy/lease_table.h has the locks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/rule_book.h"

namespace corral::policy {

using LeaseValue = std::shared_ptr<const std::string>;

/// What a read has found at the node.
struct Finding {
  enum class What : uint8_t { kNothing, kValue, kFailed };  // kFailed: there was no node to ask

  static constexpr int64_t kForever = -1, kUnknown = -2;

  What what = What::kNothing;
  int64_t left_ms = kUnknown;     // of a value: until it goes by itself
  uint64_t sent_ms = UINT64_MAX;  // when the read was sent; the greatest: just now
};

/// Who reads.
struct LeaseReader {
  uint64_t client = 0;
  uint64_t number = 0;  // of this read, to its worker
  uint32_t worker = 0;
  int64_t may_wait_ms = 0;  // for how long it may be kept waiting; 0: not at all
};

struct LeaseMoment {
  uint64_t now_ms = 0;    // monotonic
  uint64_t serial = 1;    // of a lease that is granted now: not 0, and greater each time
  uint64_t random = 0;    // for early refresh
  double guess_ms = 0.0;  // how long it takes to compute such a key; 0: not known
};

/// How long before the end of a TTL a reader is made to compute, which takes `delta_ms`; from a random number.
double early_by_ms(double delta_ms, double beta, uint64_t random);

enum class LeaseKind : uint8_t {
  kCold,   // nothing was there
  kSoft,   // the value was past its soft TTL
  kEarly,  // it was not, but soon
};

/// What a reader is told.
struct Told {
  enum class What : uint8_t {
    kFound,  // what it has found
    kOld,    // likewise, past its soft TTL
    kFed,    // `value`, which its node could not take
    kNil,    // that there is nothing
    kLease,  // likewise; it has lease `serial`
    kWait,   // nothing yet. `place` is its place among those who wait
    kAsk,    // nothing yet: the node is to be asked for lease `serial` (KeyLease::on_asked)
  };
  What what = What::kFound;
  LeaseKind kind = LeaseKind::kCold;
  uint64_t serial = 0;
  uint64_t place = 0;
  LeaseValue value = nullptr;
};

/// Who waits no more, and why. The caller tells them, each once.
struct LeaseWakes {
  std::vector<LeaseReader> filled;  // they get `value`
  LeaseValue value;
  std::vector<LeaseReader> again;       // they are to read again
  std::vector<LeaseReader> nil;         // they are told nil
  std::optional<LeaseReader> promoted;  // it is told nil, and has lease `serial`; `ask`: which is to be asked for first
  uint64_t serial = 0;
  bool ask = false;
  bool lapsed = false;   // a lease has ended unfilled
  uint64_t release = 0;  // of a lease that is to be given up at the node
  bool empty() const { return filled.empty() && again.empty() && nil.empty() && !promoted; }
};

enum class LeaseWrite : uint8_t {
  kValue,    // puts a known value there
  kRemoves,  // takes the key away
  kOther,
};

/// What became of a write.
enum class LeaseOutcome : uint8_t {
  kDone,
  kNotDone,   // refused, for what is there
  kUnknown,   // it may have been done, or something else has
  kNodeGone,  // no node could take it
};

class KeyLease {
 public:
  static constexpr uint32_t kLapsesToBar = 2;
  static constexpr uint64_t kBarMs = 120'000;
  /// A deadline that has moved by more is another value's; less may be delays.
  static constexpr uint64_t kMovedByMs = 1'000;

  Told on_read(const StampedeRule& rule, const Finding& finding, const LeaseReader& reader, const LeaseMoment& moment,
               LeaseWakes& wakes);

  /// The node has said what it knows of lease `serial`, which was asked for.
  struct Asked {
    bool granted = false;         // or nobody could be asked, so that this process decides by itself
    bool at_node = false;         // the node holds it, and it is to be released there
    uint64_t others_left_ms = 0;  // not granted: for how long the others have it
    Finding finding;              // of the key, at the same moment
  };
  Told on_asked(const StampedeRule& rule, const Asked& asked, const LeaseReader& reader, uint64_t serial,
                const LeaseMoment& moment, LeaseWakes& wakes);
  /// Another process has given its lease up.
  void on_released_elsewhere(const LeaseMoment& moment, LeaseWakes& wakes);

  /// A write is sent. `value` is copied if it may be wanted: see wants_value().
  void on_write_begun();
  bool wants_value(bool feeds) const { return is_leased() && (!waiters_.empty() || feeds); }
  /// It has been answered. `counted`: on_write_begun() was called for it. `feeds`: readers get the value of a SET that
  /// its node could not take. The time from nil to SET, if this SET was what a lease was for.
  std::optional<uint64_t> on_write_ended(LeaseWrite write, LeaseOutcome outcome, bool counted, bool feeds,
                                         LeaseValue value, const LeaseMoment& moment, LeaseWakes& wakes);
  /// The key has changed at the node, perhaps by what is under way here.
  void on_invalidated(LeaseWakes& wakes);
  /// A client is gone, or gives lease `serial` back that it was promoted to.
  void on_holder_gone(uint64_t serial, const LeaseMoment& moment, LeaseWakes& wakes);
  /// Time has passed: the end of a lease is noticed.
  void on_time(const LeaseMoment& moment, LeaseWakes& wakes);

  /// Whether who waits at `place` has waited for long enough, and then waits no more; else until when it is to wait.
  std::optional<uint64_t> on_wait_over(uint64_t place, uint64_t now_ms);
  void leave(uint64_t place) { waiters_.erase(place); }

  bool is_leased() const { return state_ != State::kNone; }
  bool is_at_node() const { return at_node_ || state_ == State::kElsewhere; }
  bool is_held(uint64_t serial) const { return state_ == State::kLeased && serial_ == serial; }
  /// There is nothing worth remembering but how long it takes to compute.
  bool is_idle(uint64_t now_ms) const {
    return !is_leased() && writes_ == 0 && waiters_.empty() && barred_until_ms_ <= now_ms;
  }
  /// The client has the lease of a key that is there, of which it was told that it is not, and which has not changed
  /// since, as far as is known.
  bool hides_from(uint64_t client, uint64_t now_ms) const {
    return state_ == State::kLeased && kind_ != LeaseKind::kCold && !changed_ && holder_ == client && now_ms < end_ms_;
  }

  /// The value that no node could take; null if there is none.
  LeaseValue fed(uint64_t now_ms) const { return is_leased() && now_ms < end_ms_ ? fed_ : nullptr; }

  LeaseKind kind() const { return kind_; }
  uint64_t holder() const { return holder_; }
  uint64_t serial() const { return serial_; }
  uint64_t granted_ms() const { return granted_ms_; }
  uint64_t end_ms() const { return end_ms_; }
  uint64_t deadline_ms() const { return deadline_ms_; }
  size_t waiting() const { return waiters_.size(); }
  double compute_ms() const { return compute_ms_; }

 private:
  enum class State : uint8_t { kNone, kAsking, kLeased, kElsewhere };

  struct Waiting {
    LeaseReader reader;
    uint64_t since_ms;
  };

  bool is_due(const StampedeRule& rule, int64_t left_ms, const LeaseMoment& moment, LeaseKind& kind) const;
  bool is_set_anew(const Finding& finding, uint64_t now_ms) const;
  Told grant(const StampedeRule& rule, LeaseKind kind, const Finding& finding, const LeaseReader& reader,
             const LeaseMoment& moment);
  Told wait(const LeaseReader& reader, const LeaseMoment& moment);
  Told on_nothing(const StampedeRule& rule, const Finding& finding, const LeaseReader& reader,
                  const LeaseMoment& moment);
  Told on_value(const StampedeRule& rule, const Finding& finding, const LeaseReader& reader, const LeaseMoment& moment);
  void note_absence(const Finding& finding, uint64_t now_ms);
  void pass_on(const LeaseMoment& moment, LeaseWakes& wakes);
  void lapse(const LeaseMoment& moment, LeaseWakes& wakes);
  void end(LeaseWakes& wakes);
  void wake_all(std::vector<LeaseReader>& as);
  void learn(uint64_t took_ms);

  State state_ = State::kNone;
  LeaseKind kind_ = LeaseKind::kCold;
  bool at_node_ = false;     // the node holds it for all processes
  bool for_all_ = false;     // it is to be asked for at the node
  bool changed_ = false;     // the key, since it was granted
  bool overlapped_ = false;  // writes under way have been at the same time
  uint32_t writes_ = 0;      // under way
  uint32_t lapses_ = 0;      // in a row
  uint64_t holder_ = 0;      // a client
  uint64_t serial_ = 0;
  uint64_t granted_ms_ = 0, end_ms_ = 0;
  int64_t lease_ms_ = 0;
  uint64_t known_ms_ = 0;     // what was sent later, and finds something else, finds what has been set since
  uint64_t deadline_ms_ = 0;  // of the value that was there when it was granted; 0: there was none
  uint64_t barred_until_ms_ = 0;
  uint64_t waits_since_ms_ = 0;          // when the lease last went to another client: who waits waits anew
  double compute_ms_ = 0.0;              // 0: not known
  LeaseValue fed_;                       // until end_ms_
  std::map<uint64_t, Waiting> waiters_;  // by place: the first one first
};

}  // namespace corral::policy
