// Memory of a fixed size, cut into blocks of 128 bytes; what is longer is a chain of them. With one size there are no
// fragments, and what was freed fits whoever comes next. 128 bytes are two cache lines that processors fetch together,
// and enough for a key with its particulars, or for a small reply.
//
// Blocks that were freed are used again before those that never were, which cost no real memory until then.
//
// A link is the distance to the next block, counted in blocks. So it takes half a pointer, and a chain can be walked by
// who knows nothing but its first block.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace corral::policy {

constexpr size_t kBlockBytes = 128;

using BlockDistance = int32_t;

/// What each block begins with. Whoever has a block puts an object of a class derived from this at its beginning.
class BlockHead {
 public:
  BlockHead* at(BlockDistance distance) {
    return reinterpret_cast<BlockHead*>(reinterpret_cast<char*>(this) + distance * std::ptrdiff_t{kBlockBytes});
  }
  const BlockHead* at(BlockDistance distance) const { return const_cast<BlockHead*>(this)->at(distance); }
  BlockDistance distance_to(const BlockHead* other) const {
    return static_cast<BlockDistance>((reinterpret_cast<const char*>(other) - reinterpret_cast<const char*>(this)) /
                                      std::ptrdiff_t{kBlockBytes});
  }

  /// Null at the end of the chain.
  const BlockHead* next() const { return next_ == 0 ? nullptr : at(next_); }
  BlockHead* next() { return next_ == 0 ? nullptr : at(next_); }

 private:
  friend class BlockRegion;
  friend class ChainReader;
  friend class ChainWriter;

  BlockDistance next_ = 0;
};

/// Blocks for this many bytes, of which the first holds `first` and each other one all but its link.
constexpr uint64_t blocks_for(uint64_t bytes, size_t first) {
  constexpr size_t kOther = kBlockBytes - sizeof(BlockHead);
  return 1 + (bytes <= first ? 0 : (bytes - first + kOther - 1) / kOther);
}

class BlockRegion {
 public:
  /// One mapping for this many blocks, and `more_bytes` behind them for the caller. All is zero. Throws std::bad_alloc.
  BlockRegion(size_t blocks, size_t more_bytes);
  ~BlockRegion();
  BlockRegion(const BlockRegion&) = delete;
  BlockRegion& operator=(const BlockRegion&) = delete;

  static uint64_t mapped_bytes(size_t blocks, size_t more_bytes);

  /// There must be one. Its contents are whatever they were.
  void* take();
  /// Gives back a chain, whose blocks will be taken in the order in which they are in it.
  void free(BlockHead* first);

  /// Gives the real memory back to the system. No block may be in use.
  void give_back();

  size_t used() const { return used_; }
  size_t unused() const { return blocks_ - used_; }

  BlockHead* block(uint32_t number) const { return reinterpret_cast<BlockHead*>(memory_ + number * kBlockBytes); }
  /// Of the block that holds this address.
  uint32_t number_of(const void* address) const {
    return static_cast<uint32_t>((static_cast<const char*>(address) - memory_) / std::ptrdiff_t{kBlockBytes});
  }
  char* more() const { return memory_ + blocks_ * kBlockBytes; }

 private:
  const size_t blocks_;
  const uint64_t mapped_bytes_;
  char* const memory_;
  size_t used_ = 0;
  size_t touched_ = 0;  // the blocks from here on were never taken
  BlockHead* freed_ = nullptr;
};

/// Reads a chain from its first block on, where `bytes` is where its contents begin.
class ChainReader {
 public:
  ChainReader(const BlockHead& first, const char* bytes) : block_(&first), at_(bytes), left_(end_of(first) - bytes) {}

  void skip(size_t bytes) {
    for (; bytes > left(); go_on()) bytes -= left();
    at_ += bytes;
    left_ -= static_cast<std::ptrdiff_t>(bytes);
  }
  void read(char* out, size_t bytes) {
    if (bytes > left()) return read_long(out, bytes);
    std::memcpy(out, at_, bytes);
    at_ += bytes;
    left_ -= static_cast<std::ptrdiff_t>(bytes);
  }
  /// Whether this comes next; goes past it if so.
  bool expect(std::string_view bytes);

 private:
  static const char* end_of(const BlockHead& block) { return reinterpret_cast<const char*>(&block) + kBlockBytes; }
  size_t left() const { return static_cast<size_t>(left_); }
  void go_on() {
    assert(block_->next_ != 0);
    block_ = block_->next();
    at_ = reinterpret_cast<const char*>(block_) + sizeof(BlockHead);
    left_ = kBlockBytes - sizeof(BlockHead);
    // Both lines of the block after it, while this one is read. (At the end of the chain this is the block itself.)
    const char* const after = reinterpret_cast<const char*>(block_->at(block_->next_));
    __builtin_prefetch(after);
    __builtin_prefetch(after + kBlockBytes / 2);
  }
  void read_long(char* out, size_t bytes);

  const BlockHead* block_;
  const char* at_;
  std::ptrdiff_t left_;
};

/// Writes a chain from its first block on, which is there; the others it takes as it needs them.
class ChainWriter {
 public:
  ChainWriter(BlockRegion& region, BlockHead& first, char* bytes)
      : region_(region),
        block_(&first),
        at_(bytes),
        left_(static_cast<size_t>(reinterpret_cast<char*>(&first) + kBlockBytes - bytes)) {}

  void write(std::string_view bytes);

 private:
  BlockRegion& region_;
  BlockHead* block_;
  char* at_;
  size_t left_;
};

}  // namespace corral::policy
