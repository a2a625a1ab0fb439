#include "policy/eviction.h"

#include <bit>
#include <cassert>
#include <optional>

namespace corral::policy {
namespace {

constexpr uint64_t kSmallShare = 7;    // the small queue is 1/7 of the memory
constexpr uint64_t kBlindShare = 7;    // newly come: until 1/7 of the small queue's memory was inserted after it
constexpr uint64_t kGhostMemory = 16;  // ghosts take at most 1/16
constexpr uint64_t kGhostTime = 3;     // a ghost counts until three times the memory was inserted after its last use
constexpr int kMaxTurns = 64;  // how many hits one operation takes off the main queue's end: a bound on its time

/// Some 4000 to 8000 units in the whole memory.
unsigned time_shift(uint64_t memory_bytes) {
  const int width = std::bit_width(memory_bytes);
  return width > 13 ? static_cast<unsigned>(width - 13) : 0;
}

}  // namespace

Eviction::Eviction(uint64_t memory_bytes)
    : memory_bytes_(memory_bytes),
      small_share_bytes_(memory_bytes / kSmallShare),
      time_shift_(time_shift(memory_bytes)),
      blind_time_(static_cast<uint32_t>((small_share_bytes_ / kBlindShare) >> time_shift_)),
      ghost_time_(static_cast<uint32_t>((memory_bytes * kGhostTime) >> time_shift_)) {}

void Eviction::Queue::push(Node& node) {
  node.newer = nullptr;
  node.older = newest;
  (newest != nullptr ? newest->newer : oldest) = &node;
  newest = &node;
  bytes += node.bytes;
  ++entries;
}

void Eviction::Queue::unlink(Node& node) {
  (node.newer != nullptr ? node.newer->older : newest) = node.older;
  (node.older != nullptr ? node.older->newer : oldest) = node.newer;
  node.newer = node.older = nullptr;
  bytes -= node.bytes;
  --entries;
}

void Eviction::enter(Node& node, Node::Queue queue) {
  node.queue = queue;
  node.hits = 0;
  node.time = now();
  queue_of(node).push(node);
}

void Eviction::leave(Node& node) {
  queue_of(node).unlink(node);
  node.queue = Node::Queue::kNone;
}

void Eviction::insert(Node& node, uint32_t hash, uint32_t bytes) {
  assert(node.queue == Node::Queue::kNone);
  node.hash = hash;
  node.bytes = bytes;
  const bool to_main = goes_to_main(hash, bytes);
  inserted_bytes_ += bytes;
  enter(node, to_main ? Node::Queue::kMain : Node::Queue::kSmall);
  make_room_for_ghosts();
}

bool Eviction::goes_to_main(uint32_t hash, uint32_t bytes) {
  const std::optional<uint32_t> last_used = ghosts_.take(hash);
  if (last_used && now() - *last_used <= ghost_time_) {
    const uint64_t main_share = memory_bytes_ - small_share_bytes_;
    if (main_.entries == 0 || main_.bytes < main_share - main_share / 8) return true;
    turn_main();
    const Node& rival = *main_.oldest;
    if (rival.hits == 0 && now() - *last_used < now() - rival.time) return true;
  }
  return warming_ && this->bytes() + bytes <= memory_bytes_ && small_.bytes + bytes > small_share_bytes_;
}

/// As many ghosts as one and a half times the entries, if they may take the memory.
void Eviction::make_room_for_ghosts() {
  if (ghosts_.capacity() * 2 >= entries() * 3 || ghosts_.bytes_grown() > memory_bytes_ / kGhostMemory) return;
  ghosts_.grow();
}

EvictionNode* Eviction::evict() {
  if (!over() || entries() == 0) return nullptr;
  warming_ = false;
  Node* const victim = small_.bytes > small_share_bytes_ || main_.entries == 0 ? evict_from_small() : evict_from_main();
  // While a newcomer is blind, its only use that counts is its coming, which is what its time says.
  ghosts_.add(victim->hash, victim->time, now());
  leave(*victim);
  return victim;
}

/// Passes those that were hit on to the main queue, until one that was not, or until the main queue has too much.
EvictionNode* Eviction::evict_from_small() {
  while (small_.entries != 0) {
    Node& oldest = *small_.oldest;
    if (oldest.hits == 0) return &oldest;
    leave(oldest);
    enter(oldest, Node::Queue::kMain);
    if (main_.bytes > memory_bytes_ - small_share_bytes_) break;
  }
  return evict_from_main();
}

EvictionNode* Eviction::evict_from_main() {
  turn_main();
  return main_.oldest;
}

/// Until the oldest has no hits left.
void Eviction::turn_main() {
  for (int turns = 0; turns < kMaxTurns && main_.oldest->hits != 0; ++turns) {
    Node& oldest = *main_.oldest;
    --oldest.hits;
    main_.unlink(oldest);
    main_.push(oldest);
  }
}

void Eviction::resize(Node& node, uint32_t bytes) {
  assert(node.queue != Node::Queue::kNone);
  Queue& queue = queue_of(node);
  queue.bytes += bytes;
  queue.bytes -= node.bytes;
  node.bytes = bytes;
}

void Eviction::remove(Node& node) {
  assert(node.queue != Node::Queue::kNone);
  if (node.hits != 0) ghosts_.add(node.hash, node.time, now());
  leave(node);
  if (bytes() < memory_bytes_ / 2) warming_ = true;
}

}  // namespace corral::policy
