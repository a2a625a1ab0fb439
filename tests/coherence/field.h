// What all clients of the coherence test share: the keys with their histories, where each key is, whether writers shall
// rest, what there is to complain of, and how much was done.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "history.h"
#include "keys.h"

namespace corral::test {

struct Tally {
  std::atomic<uint64_t> reads = 0, unanswered = 0;  // judged; refused or in doubt, or their connection lost
  std::atomic<uint64_t> writes = 0, refused = 0, in_doubt = 0;
};

class Field {
 public:
  Field();

  // The time of everything here: since the test began.
  Nanos now() const;

  const std::vector<Key>& keys() const { return keys_; }
  KeyHistory& history(size_t key) { return *histories_[key]; }
  Bounds& bounds() { return bounds_; }
  Tally& tally() { return tally_; }

  // The port of the node that a direct client asks for a key; who is told otherwise by the node corrects it.
  uint16_t port_of(size_t key) const { return ports_[key]; }
  void set_port_of(size_t key, uint16_t port) { ports_[key] = port == announced_ ? real_.load() : port; }
  // A node that announces a port which is not its own.
  void announces(uint16_t announced, uint16_t real) { real_ = real, announced_ = announced; }

  // Of violations; all but the first are only counted.
  void complain(const std::string& text);
  uint64_t complaints() const { return complaints_; }
  std::string first_complaints();
  void forget_complaints();
  void set_phase(std::string phase);

  // Short TTLs, and more of them.
  std::atomic<bool> short_ttls = false;
  // Now and then a reply is one that the same client had before: what a cache without coherence would do.
  std::atomic<bool> replays = false;
  // Writers: each says when it begins and when it is done.
  bool begin_writing();
  void end_writing() { --writing_; }
  // From here on none begins; waits until none is at it.
  void hold_writers();
  void let_writers_go() { held_ = false; }

 private:
  std::vector<Key> keys_;
  Bounds bounds_;
  Tally tally_;
  std::vector<std::unique_ptr<KeyHistory>> histories_;
  std::vector<std::atomic<uint16_t>> ports_;
  std::atomic<uint16_t> announced_ = 0, real_ = 0;
  std::atomic<bool> held_ = false;
  std::atomic<int> writing_ = 0;
  std::atomic<uint64_t> complaints_ = 0;
  std::mutex mutex_;
  std::string phase_;
  std::vector<std::string> texts_;
};

}  // namespace corral::test
