// Steady traffic of unmodified cache-aside clients on one key: each asks for it every `pause`; who is told that it is
// missing asks an origin that takes its time, and sets the key with a TTL. Once it has begun its crowd must not be run
// without it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "support/crowd.h"

namespace corral::test {

struct TrafficOptions {
  std::string key;
  milliseconds pause{100}, origin{50}, ttl{1000};
  size_t first_client = 0, clients = SIZE_MAX;  // of the crowd; no more than there are
  // Writes and reads may fail, since the servers do.
  bool may_fail = false;
};

class Traffic {
 public:
  // One asking of the origin.
  struct Call {
    Clock::time_point told;   // when the client was told nil
    Clock::time_point sent;   // its SET
    Clock::time_point acked;  // or refused
    bool refused = false;
    bool overlaps = false;  // it began while another one was under way
    milliseconds age{0};    // at `told`: since the SET before was sent; 0 for the first one
  };

  Traffic(Crowd& crowd, TrafficOptions options);
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  // The key is there before it begins; this counts as its first call.
  void fill();
  // Begins, each client at its part of the pause. Whoever runs the crowd keeps it going.
  void start();
  // No new questions; those under way are finished.
  void stop();

  const std::vector<Call>& calls() const { return calls_; }
  size_t computed() const { return computed_; }  // calls that are over
  size_t overlapping() const;
  // Calls that began when the value before was younger than this.
  size_t calls_before(milliseconds age) const;
  size_t reads() const { return reads_; }
  size_t failed_reads() const { return failed_reads_; }
  // The longest that a read took, and the oldest value that one gave: how long it was over its TTL.
  milliseconds longest_read() const { return longest_read_; }
  milliseconds stalest() const { return stalest_; }
  std::string report() const;

 private:
  void ask(size_t client);
  void take(size_t client, Clock::time_point asked, const Reply& reply);
  size_t begin_call();
  void set(size_t client, size_t call);
  void rest(size_t client);
  void judge_value(const std::string& text);

  Crowd& crowd_;
  const TrafficOptions options_;
  std::vector<Call> calls_;
  size_t computing_ = 0, computed_ = 0, reads_ = 0, failed_reads_ = 0, under_way_ = 0;
  bool stopped_ = false;
  milliseconds longest_read_{0}, stalest_{0};
};

}  // namespace corral::test
