// Bytes on their way out of a socket: appended at the back, sent, and released at the front.
//
// Sending and releasing are two things, because requests to a node are kept until they are answered: a redirected
// request is sent again from here, without a second copy on the ordinary way. What was appended in one piece stays in
// one piece, at one address, until it is released. An empty queue owns no memory.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "proxy/core/buffer_pool.h"

namespace corral::core {

class ByteQueue {
 public:
  /// `first_block`: bytes of the first block; later ones grow with the queue.
  ByteQueue(BufferPool& pool, uint32_t first_block) : pool_(&pool), first_block_(first_block) {}
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;
  ~ByteQueue() { clear(); }

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }      // bytes not released
  size_t unsent() const { return unsent_; }  // of these, bytes not sent

  /// Where the bytes now are, in one piece, until they are released.
  const char* append(std::string_view bytes) {
    char* at = reserve(bytes.size());
    std::memcpy(at, bytes.data(), bytes.size());
    return at;
  }

  /// Room for `size` bytes that the caller fills in now.
  char* reserve(size_t size) {
    if (!tail_ || tail_->capacity - tail_->end < size) add_chunk(size);
    char* at = tail_->data() + tail_->end;
    tail_->end += size;
    size_ += size;
    unsent_ += size;
    return at;
  }

  /// The unsent bytes as at most `max` parts; how many parts there are.
  int gather(iovec* parts, int max) const {
    int count = 0;
    if (unsent_ == 0) return 0;
    Chunk* chunk = next_;
    size_t from = next_offset_;
    while (chunk && count < max) {
      if (chunk->end > from) parts[count++] = {chunk->data() + from, chunk->end - from};
      chunk = chunk->next;
      from = chunk ? chunk->begin : 0;
    }
    return count;
  }

  /// The first `size` unsent bytes have been sent.
  void mark_sent(size_t size) {
    assert(size <= unsent_);
    unsent_ -= size;
    while (size > 0) {
      const size_t step = std::min(size, next_->end - next_offset_);
      next_offset_ += step;
      size -= step;
      if (size > 0) {
        next_ = next_->next;
        next_offset_ = next_->begin;
      }
    }
  }

  /// The first `size` bytes, all of them sent, are of no more use.
  void release(size_t size) {
    assert(size <= size_ - unsent_);
    size_ -= size;
    if (size_ == 0) return clear();
    while (size > 0) {
      const size_t step = std::min(size, head_->end - head_->begin);
      head_->begin += step;
      size -= step;
      if (head_->begin == head_->end && head_ != tail_) drop_head();
    }
  }

  /// Everything is of no more use, sent or not.
  void clear() {
    while (head_) {
      Chunk* chunk = std::exchange(head_, head_->next);
      pool_->give(chunk, chunk->capacity + sizeof(Chunk));
    }
    tail_ = next_ = nullptr;
    size_ = unsent_ = next_offset_ = 0;
  }

 private:
  struct Chunk {
    Chunk* next;
    size_t begin, end, capacity;
    char* data() { return reinterpret_cast<char*>(this + 1); }
  };

  void add_chunk(size_t size) {
    const size_t wanted =
        std::max(size + sizeof(Chunk), std::min<size_t>(BufferPool::kLargest, first_block_ + 4 * size_));
    const size_t block = BufferPool::rounded(wanted);
    auto* chunk = new (pool_->take(block)) Chunk{nullptr, 0, 0, block - sizeof(Chunk)};
    if (tail_) {
      tail_->next = chunk;
    } else {
      head_ = chunk;
    }
    if (unsent_ == 0) {
      next_ = chunk;
      next_offset_ = 0;
    }
    tail_ = chunk;
  }

  void drop_head() {
    Chunk* chunk = std::exchange(head_, head_->next);
    if (next_ == chunk) {
      next_ = head_;
      next_offset_ = head_->begin;
    }
    pool_->give(chunk, chunk->capacity + sizeof(Chunk));
  }

  BufferPool* pool_;
  const uint32_t first_block_;
  Chunk* head_ = nullptr;
  Chunk* tail_ = nullptr;
  Chunk* next_ = nullptr;  // the chunk with the first unsent byte, at next_offset_
  size_t next_offset_ = 0;
  size_t size_ = 0;
  size_t unsent_ = 0;
};

}  // namespace corral::core
