#include "policy/block_region.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

// So that a sanitizer finds who uses a block after it was given back, or one that was never taken. Of those the first
// eight bytes remain readable, for the links between them.
#if defined(__SANITIZE_ADDRESS__)
#define CORRAL_POISON_BLOCKS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CORRAL_POISON_BLOCKS
#endif
#endif
#ifdef CORRAL_POISON_BLOCKS
#include <sanitizer/asan_interface.h>
#endif

namespace corral::policy {
namespace {

#ifdef CORRAL_POISON_BLOCKS
void poison(void* block) { __asan_poison_memory_region(static_cast<char*>(block) + 8, kBlockBytes - 8); }
void unpoison(void* memory, size_t bytes) { __asan_unpoison_memory_region(memory, bytes); }
#else
void poison(void*) {}
void unpoison(void*, size_t) {}
#endif

char* map(uint64_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<char*>(memory);
}

}  // namespace

uint64_t BlockRegion::mapped_bytes(size_t blocks, size_t more_bytes) {
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return (blocks * kBlockBytes + more_bytes + page - 1) / page * page;
}

BlockRegion::BlockRegion(size_t blocks, size_t more_bytes)
    : blocks_(blocks), mapped_bytes_(mapped_bytes(blocks, more_bytes)), memory_(map(mapped_bytes_)) {
  assert(blocks <= INT32_MAX);
  for (size_t i = 0; i < blocks_; ++i) poison(memory_ + i * kBlockBytes);
}

BlockRegion::~BlockRegion() {
  unpoison(memory_, mapped_bytes_);
  munmap(memory_, mapped_bytes_);
}

void* BlockRegion::take() {
  assert(unused() != 0);
  ++used_;
  BlockHead* taken = freed_;
  if (taken != nullptr) {
    freed_ = taken->next();
  } else {
    taken = block(static_cast<uint32_t>(touched_++));
  }
  unpoison(taken, kBlockBytes);
  return taken;
}

void BlockRegion::free(BlockHead* first) {
  for (BlockHead* last = first;; last = last->next()) {
    assert(used_ != 0);
    --used_;
    poison(last);
    if (last->next_ != 0) continue;
    last->next_ = freed_ == nullptr ? 0 : last->distance_to(freed_);
    freed_ = first;
    return;
  }
}

void BlockRegion::give_back() {
  assert(used_ == 0);
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  madvise(memory_, blocks_ * kBlockBytes / page * page, MADV_DONTNEED);
  touched_ = 0;
  freed_ = nullptr;
}

bool ChainReader::expect(std::string_view bytes) {
  while (true) {
    const size_t part = std::min(bytes.size(), left());
    if (std::memcmp(at_, bytes.data(), part) != 0) return false;
    at_ += part;
    left_ -= static_cast<std::ptrdiff_t>(part);
    bytes.remove_prefix(part);
    if (bytes.empty()) return true;
    go_on();
  }
}

void ChainReader::read_long(char* out, size_t bytes) {
  for (; bytes > left(); go_on()) {
    std::memcpy(out, at_, left());
    out += left();
    bytes -= left();
  }
  read(out, bytes);
}

void ChainWriter::write(std::string_view bytes) {
  while (true) {
    const size_t part = std::min(bytes.size(), left_);
    if (part != 0) std::memcpy(at_, bytes.data(), part);
    at_ += part;
    left_ -= part;
    bytes.remove_prefix(part);
    if (bytes.empty()) return;
    BlockHead* const next = new (region_.take()) BlockHead;
    block_->next_ = block_->distance_to(next);
    block_ = next;
    at_ = reinterpret_cast<char*>(next) + sizeof(BlockHead);
    left_ = kBlockBytes - sizeof(BlockHead);
  }
}

}  // namespace corral::policy
