// The replies that a client is due, in the order of its requests.
//
// Each request takes a ticket; its reply may come in any order (requests go to several nodes). The one that is next in
// line is appended to the client's output at once, which is the ordinary case; one that comes early is kept here, in
// memory of the pool, until its turn. An empty queue owns no memory.
#pragma once

#include <cassert>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "proxy/core/byte_queue.h"

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

  /// `muted`: the reply is awaited in its place, but not shown (CLIENT REPLY OFF).
  Ticket push(bool muted) {
    if (size() == capacity_) grow();
    at(tail_) = Entry{nullptr, 0, false, muted};
    return tail_++;
  }

  /// Gives `reply` to the request with `ticket`, once. What is now due in line goes to `output`.
  void complete(Ticket ticket, std::string_view reply, ByteQueue& output) {
    complete_with(
        ticket, reply.size(), [reply](char* out) { std::memcpy(out, reply.data(), reply.size()); }, output);
  }

  /// Likewise; `fill(char*)` writes the reply, `size` bytes, if it is not muted or empty.
  template <class Fill>
  void complete_with(Ticket ticket, size_t size, Fill&& fill, ByteQueue& output) {
    assert(ticket - head_ < this->size());
    Entry& entry = at(ticket);
    if (ticket != head_) return keep(entry, size, fill);
    if (!entry.muted && size > 0) fill(output.reserve(size));
    ++head_;
    while (head_ != tail_ && at(head_).done) {
      Entry& next = at(head_++);
      if (next.size > 0) output.append({next.data, next.size});
      drop(next);
    }
    if (empty()) release();
  }

  /// What is completed next, and is to be shown.
  bool is_next(Ticket ticket) { return ticket == head_ && !at(ticket).muted; }

 private:
  struct Entry {
    char* data;
    uint32_t size;
    bool done;
    bool muted;
  };

  Entry& at(uint32_t index) { return entries_[index & (capacity_ - 1)]; }
  size_t bytes() const { return capacity_ * sizeof(Entry); }

  template <class Fill>
  void keep(Entry& entry, size_t size, Fill&& fill) {
    entry.done = true;
    if (entry.muted || size == 0) return;
    entry.data = static_cast<char*>(pool_->take(size));
    entry.size = static_cast<uint32_t>(size);
    kept_bytes_ += size;
    fill(entry.data);
  }

  void drop(Entry& entry) {
    if (!entry.data) return;
    kept_bytes_ -= entry.size;
    pool_->give(entry.data, entry.size);
    entry.data = nullptr;
  }

  void grow() {
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
