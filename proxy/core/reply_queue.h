// The replies that a client is due, in the order of its requests.
//
// Each request takes a ticket; its reply may come in any order (requests go to several nodes). The one that is next in
// line is appended to the client's output at once, which is the ordinary case; one that comes early is kept here, in
// memory of the pool, until its turn. How long each took is told to ReplyTimes. An empty queue owns no memory.
#pragma once

#include <cassert>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "proxy/core/byte_queue.h"
#include "proxy/core/reply_times.h"

namespace corral::core {

class ReplyQueue {
 public:
  using Ticket = uint32_t;

  explicit ReplyQueue(BufferPool& pool) : pool_(&pool) {}
  ReplyQueue(const ReplyQueue&) = delete;
  ReplyQueue& operator=(const ReplyQueue&) = delete;
  ~ReplyQueue() {
    for (; head_ != tail_; ++head_) drop(at(head_));
    if (entries_) pool_->give(entries_, bytes());
  }

  /// Replies due, those kept here included.
  uint32_t size() const { return tail_ - head_; }
  bool empty() const { return head_ == tail_; }
  uint64_t kept_bytes() const { return kept_bytes_; }

  /// The ticket that the next request will take.
  Ticket next() const { return tail_; }
  /// Whether all requests with tickets before this one have been given their replies, in line.
  bool has_passed(Ticket ticket) const { return static_cast<int32_t>(head_ - ticket) >= 0; }

  /// `muted`: the reply is awaited in its place, but not shown (CLIENT REPLY OFF). `who`: ReplyTimes::who().
  Ticket push(bool muted, uint64_t who) {
    if (size() == capacity_) grow();
    at(tail_) = Entry{nullptr, who | (muted ? kMuted : 0)};
    return tail_++;
  }

  /// Nothing is due before it and its reply is there: it takes its ticket and is given it, without an entry here.
  template <class Fill>
  void answer_at_once(size_t size, Fill&& fill, uint64_t who, ByteQueue& output, ReplyTimes& times) {
    assert(empty());
    if (size > 0) fill(output.reserve(size));
    times.add(who);
    head_ = ++tail_;
  }

  /// Gives `reply` to the request with `ticket`, once. What is now due in line goes to `output`.
  void complete(Ticket ticket, std::string_view reply, ByteQueue& output, ReplyTimes& times) {
    complete_with(
        ticket, reply.size(), [reply](char* out) { std::memcpy(out, reply.data(), reply.size()); }, output, times);
  }

  /// Likewise; `fill(char*)` writes the reply, `size` bytes, if it is not muted or empty.
  template <class Fill>
  void complete_with(Ticket ticket, size_t size, Fill&& fill, ByteQueue& output, ReplyTimes& times) {
    assert(ticket - head_ < this->size());
    Entry& entry = at(ticket);
    if (ticket != head_) return keep(entry, size, fill);
    if (!(entry.who & kMuted) && size > 0) fill(output.reserve(size));
    times.add(entry.who & kWho);
    ++head_;
    while (head_ != tail_ && (at(head_).who & kDone)) {
      Entry& next = at(head_++);
      times.add(next.who & kWho);
      if (next.kept) output.append(next.kept->bytes());
      drop(next);
    }
    if (empty()) release();
  }

  /// Nobody will be given the replies that are kept here.
  void forget_kept() {
    for (uint32_t i = head_; i != tail_; ++i) drop(at(i));
  }

  /// What is completed next, and is to be shown.
  bool is_next(Ticket ticket) { return ticket == head_ && !(at(ticket).who & kMuted); }

 private:
  static constexpr uint64_t kDone = uint64_t{1} << ReplyTimes::kWhoBits, kMuted = kDone << 1, kWho = kDone - 1;

  /// A reply that came early, and its bytes behind this.
  struct Kept {
    uint32_t size;
    char* data() { return reinterpret_cast<char*>(this + 1); }
    std::string_view bytes() { return {data(), size}; }
  };
  struct Entry {
    Kept* kept;
    uint64_t who;  // and what follows
  };

  Entry& at(uint32_t index) { return entries_[index & (capacity_ - 1)]; }
  size_t bytes() const { return capacity_ * sizeof(Entry); }

  template <class Fill>
  void keep(Entry& entry, size_t size, Fill&& fill) {
    entry.who |= kDone;
    if ((entry.who & kMuted) || size == 0) return;
    entry.kept = new (pool_->take(sizeof(Kept) + size)) Kept{static_cast<uint32_t>(size)};
    kept_bytes_ += size;
    fill(entry.kept->data());
  }

  void drop(Entry& entry) {
    if (!entry.kept) return;
    kept_bytes_ -= entry.kept->size;
    pool_->give(entry.kept, sizeof(Kept) + entry.kept->size);
    entry.kept = nullptr;
  }

  // Not inlined: its registers would be saved for each request.
  [[gnu::noinline]] void grow() {
    const uint32_t capacity = capacity_ ? capacity_ * 2 : 4;
    auto* entries = static_cast<Entry*>(pool_->take(capacity * sizeof(Entry)));
    for (uint32_t i = head_; i != tail_; ++i) entries[i & (capacity - 1)] = at(i);
    if (entries_) pool_->give(entries_, bytes());
    entries_ = entries;
    capacity_ = capacity;
  }

  void release() {
    pool_->give(entries_, bytes());
    entries_ = nullptr;
    capacity_ = 0;
  }

  BufferPool* pool_;
  Entry* entries_ = nullptr;
  uint32_t capacity_ = 0;  // a power of two, or 0
  uint32_t head_ = 0, tail_ = 0;
  uint64_t kept_bytes_ = 0;
};

}  // namespace corral::core
