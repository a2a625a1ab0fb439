// What the reads of one key may return, judged from its writes: the guarantees of the near cache as a pure calculation.
// Times are arguments (nanoseconds of one steady clock), so that a test can make up any history.
//
// Writes may overlap, and the order in which Redis executed two that did is not known. What is known is that a write
// happened between the moment it was sent and the one it was answered. So version r is certainly older than write w if
// r was answered before w was sent; only that is ever held against a read. The writes that a read must not miss are
// told by one number for each guarantee, its floor: the time at which the latest of them was sent. A read of version r
// breaks the guarantee if r was answered before the floor. A write that is in doubt may happen until much later, and
// one that was refused never does.
//
// A key that is counted up (INCR and its kin) is judged more strictly: its version is the number that Redis itself
// answered, so that the order is known even of writes that overlapped. The floors are numbers then.
//
// That a key is gone is judged by what may have removed it: a DEL, or the end of a TTL, which may have happened between
// an earliest and a latest moment.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace corral::test {

using Nanos = int64_t;
inline constexpr Nanos kNever = INT64_MAX / 2;  // leaves room to add a TTL to it
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kDoubtLasts = 5'000 * kMillisecond;  // how long a write in doubt may still happen

// By which way an operation went: through one of two proxies, or straight to Redis.
enum Way : uint8_t { kProxyA, kProxyB, kDirect };
inline constexpr size_t kWays = 3;
const char* name_of(Way way);

// What is promised at the moment; changes from phase to phase.
struct Bounds {
  std::atomic<Nanos> staleness = 1500 * kMillisecond;  // G3, with the slack for busy cores
  std::atomic<Nanos> ttl_slack = 3 * kMillisecond;
  // Whether a read straight from Redis sees all that was answered to anyone: while there is one master for a slot.
  std::atomic<bool> direct_sees_all = true;
};

// What a read returned.
struct Seen {
  enum class Type : uint8_t {
    kVersion,  // this version; of a counter, this number
    kLength,   // a value whose version is this one modulo kLengths
    kPresent,  // the key is there
    kNothing   // it is not
  };
  Type type = Type::kNothing;
  uint64_t version = 0;
};
inline constexpr uint64_t kLengths = 256;

// What is held against a read, as it was when the read was sent.
struct ReadMark {
  struct Floor {
    Nanos rank = 0;
    uint64_t id = 0;  // of the write that raised it
  };
  Way way = kDirect;
  Nanos sent = 0;
  uint64_t epoch = 0;
  uint64_t newest = 0;                 // the id of the last write that had begun
  Floor written, seen, aged, expired;  // G1, G2, G3, and a TTL that ended
  uint64_t after = 0;                  // the write that the same connection sent before it without waiting; 0: none
};

class KeyHistory {
 public:
  enum class Outcome : uint8_t { kUnanswered, kDone, kRefused, kInDoubt };
  using Floor = ReadMark::Floor;

  KeyHistory(std::string name, bool counts, const Bounds& bounds);

  const std::string& name() const { return name_; }

  // --- writes: each has an id, which is also the version that its value carries ---
  uint64_t begin_put(Way way, const char* command, Nanos sent, Nanos ttl = 0);
  uint64_t begin_delete(Way way, const char* command, Nanos sent);
  // A TTL for what is there. Nothing while an earlier one is not over, since it would not be known which one counts.
  std::optional<uint64_t> begin_expire(Way way, const char* command, Nanos sent, Nanos ttl);
  // `count` is the number that a counter was answered.
  // Returns what is wrong, as end_read: a write that was refused, though a read has seen it.
  std::string end_write(uint64_t id, Outcome outcome, Nanos now, uint64_t count = 0);

  // --- reads ---
  ReadMark begin_read(Way way, Nanos sent);
  // What is wrong with it in a few lines, the last writes of the key among them; empty if nothing is.
  std::string end_read(const ReadMark& mark, Seen seen, Nanos now, const char* command);

  // Whether the number that a counter had then says anything of the numbers since.
  bool still_counts(const ReadMark& mark);

  // --- losses: what a failover, or a slot that moved without its keys, took back ---
  // From here on reads are not judged ...
  void begin_loss(Nanos now);
  // ... until here; what was written before holds nothing against a read any more. Nothing may be under way.
  void end_loss(Nanos now);

 private:
  enum class Kind : uint8_t { kPut, kDelete, kExpire };
  struct Write {
    uint64_t id = 0;
    Kind kind = Kind::kPut;
    Way way = kDirect;
    Outcome outcome = Outcome::kUnanswered;
    const char* command = "";
    Nanos sent = 0, answered = kNever;  // in doubt: when it may happen at the latest
    Nanos ttl = 0, deadline = kNever;
    uint64_t count = 0;
    bool seen = false;
  };
  struct Vanishing {
    uint64_t id;
    bool by_ttl;
    Nanos earliest, latest;
  };
  struct Aging {
    Nanos answered;
    Floor floor;
  };
  struct Verdict {
    std::string guarantee;  // empty: all is well
    Floor floor;            // what it is held against
  };

  Write& add(Kind kind, Way way, const char* command, Nanos sent, Nanos ttl);
  Write* find(uint64_t id);
  void finish(Write& write, Nanos now);
  void set_deadline(Write& put, Nanos now);
  void end_expire(Nanos now);
  bool over_everywhere(const Write& expire, Nanos now) const;
  void may_vanish(const Write& write);
  void vanishes_by(uint64_t id, Nanos latest);
  void forget_vanishing(uint64_t id);
  void cancel_expiries(const Write& put);
  Verdict judge(const ReadMark& mark, Seen seen, Nanos now);
  Verdict judge_version(const ReadMark& mark, Seen seen);
  Verdict judge_count(const ReadMark& mark, uint64_t count);
  Verdict judge_presence(const ReadMark& mark);
  Verdict judge_absence(const ReadMark& mark, Nanos now);
  bool too_long_ago(const ReadMark& mark) const;
  bool explains(const Vanishing& vanishing, const ReadMark& mark, Nanos now);
  Verdict against_floors(const ReadMark& mark, Nanos newest);
  uint64_t version_of_length(uint64_t length);
  void saw(const ReadMark& mark, Floor floor);
  std::string report(const ReadMark& mark, Seen seen, Nanos now, const char* command, const Verdict& verdict);
  std::string last_writes() const;
  std::string describe(const Write& write) const;

  const std::string name_;
  const bool counts_;
  const Bounds& bounds_;
  std::mutex mutex_;
  std::vector<Write> writes_;  // a ring
  uint64_t last_id_ = 0;
  std::array<Floor, kWays> written_{}, seen_{}, expired_{};
  Floor aged_;
  std::deque<Aging> aging_;           // done, but not yet so long ago that every way must know
  std::deque<Vanishing> vanishings_;  // what may have removed the key
  uint64_t expiring_ = 0;             // the last begin_expire; 0: every way knows that it is over
  uint64_t epoch_ = 0;                // odd during a loss
  uint64_t lost_up_to_ = 0;           // ids
  Nanos loss_began_ = 0;
};

}  // namespace corral::test
