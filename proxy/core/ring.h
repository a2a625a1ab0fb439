// A first-in first-out queue in one array that doubles when full: the requests that await a node's answer.
#pragma once

#include <cassert>
#include <cstdint>
#include <memory>
#include <utility>

namespace corral::core {

template <typename T>
class Ring {
 public:
  uint32_t size() const { return tail_ - head_; }
  bool empty() const { return head_ == tail_; }
  T& front() { return (*this)[0]; }
  T& back() { return (*this)[size() - 1]; }
  T& operator[](uint32_t i) {
    assert(i < size());
    return items_[(head_ + i) & (capacity_ - 1)];
  }
  /// The number of the front: items are numbered as they come, from 0 on, modulo 2^32.
  uint32_t front_number() const { return head_; }
  void push(const T& item) {
    if (size() == capacity_) grow();
    items_[tail_++ & (capacity_ - 1)] = item;
  }
  void pop() {
    assert(!empty());
    ++head_;
  }

 private:
  void grow() {
    const uint32_t capacity = capacity_ ? capacity_ * 2 : 64;
    auto items = std::make_unique<T[]>(capacity);
    for (uint32_t i = head_; i != tail_; ++i) items[i & (capacity - 1)] = items_[i & (capacity_ - 1)];
    items_ = std::move(items);
    capacity_ = capacity;
  }

  std::unique_ptr<T[]> items_;
  uint32_t capacity_ = 0;  // a power of two, or 0
  uint32_t head_ = 0, tail_ = 0;
};

}  // namespace corral::core
