// Whether leases are exclusive and waits bounded (section 6 of the design, Leases), as cache-aside clients see it: each
// asks for one key at a time, and sets what it was told to be missing.
//
// A lease is seen only by its effect, a nil. Of the nil that a client was told between two times it is known that the
// lease was granted between them, if nothing else explains the nil. While a lease is certainly held, another nil needs
// a reason: the reader has waited for as long as it may. Where a write overlaps, or a lease may have ended, nothing is
// claimed until the next nil whose reason is certain.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

namespace corral::sim {

struct LeaseTimes {
  int64_t lease_us = 0, wait_us = 0, wait_shared_us = 0;
  bool for_all = false;       // scope = "cluster": one lease for all processes
  int64_t slack_us = 10'000;  // of what is on its way
};

class LeaseChecks {
 public:
  LeaseTimes times;

  /// A client was told nil. What is wrong with that; empty: nothing. `waits`: it holds no other lease, and so waits.
  std::string on_nil(uint32_t process, const std::string& key, uint32_t client, bool waits, int64_t sent_us,
                     int64_t now_us);
  /// Anything was told: it must not have taken longer than a wait may.
  std::string on_answer(const std::string& key, int64_t sent_us, int64_t now_us);
  /// A write (or a removal) is sent, over whatever process or past all, and has been answered, or never will be.
  void on_write_sent(const std::string& key) { ++keys_[key].pending; }
  void on_write_over(const std::string& key, bool stored, int64_t now_us);
  /// A client is gone: what it held may be anybody's.
  void on_gone(uint32_t client, int64_t now_us);

 private:
  struct Lease {
    enum class Is : uint8_t { kNone, kCertain, kPossible } is = Is::kNone;
    uint32_t client = 0;
    int64_t sent_us = 0;  // its read
  };
  struct Key {
    std::map<uint32_t, Lease> leases;  // by process, or of process 0 if they hold for all
    int pending = 0;
    int64_t over_us = -1;         // when a write was last answered
    int64_t handed_on_us = 0;     // when somebody was last told nil, or who may have been told was gone
    int doubts = 0;               // leases that may have lapsed since the last SET
    int64_t barred_until_us = 0;  // perhaps
  };
  bool is_held(const Key& key, const Lease& lease, int64_t now_us) const;

  std::map<std::string, Key> keys_;
};

}  // namespace corral::sim
