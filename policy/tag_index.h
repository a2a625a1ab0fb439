// Where a shard's entries are: a hash table of {32 bits of the hash, number of the entry's block}.
//
// A line of eight fills a cache line, and is filled from its front. A key's place is in the line that its tag names, or
// in one after it if all between are full. So whoever finds a place left in a line knows that nothing that belongs here
// is further on, and a key that is not there costs that line alone, mostly.
//
// Erasing draws near what had to go further on, so that there are no tombstones. Since a tag also names its line, that
// is done without a look at the entries.
//
// A run of full lines is searched up to a bound. By chance it is never as long, but keys can be chosen to collide; then
// they are not taken in, rather than slow to find.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>

namespace corral::policy {

class TagIndex {
 public:
  static constexpr size_t kLineEntries = 8;
  static constexpr size_t kMostLines = 16;  // from a tag's own line on

  struct alignas(64) Line {
    uint32_t tags[kLineEntries];
    uint32_t blocks[kLineEntries];  // numbers plus one; 0 is a place not taken

    size_t size() const {
      size_t size = 0;
      for (const uint32_t block : blocks) size += block != 0;
      return size;
    }
    bool full() const { return blocks[kLineEntries - 1] != 0; }
  };

  /// Lines for this many that are named by tags: behind the last there are some more for what does not fit there.
  static constexpr size_t lines_for(size_t homes) { return homes + kMostLines - 1; }

  /// In the caller's memory, which holds lines_for(homes) lines of zeros.
  TagIndex(Line* lines, size_t homes) : lines_(lines), homes_(homes) {}

  void prefetch(uint32_t tag) const { __builtin_prefetch(&lines_[home(tag)]); }

  /// Asks `is_it(block)` of those with this tag, until one is. Whether one was.
  template <class F>
  bool find(uint32_t tag, F&& is_it) const {
    const Line* line = &lines_[home(tag)];
    for (size_t i = 0; i < kMostLines; ++i, ++line) {
      for (uint32_t matches = matches_of(*line, tag); matches != 0; matches &= matches - 1) {
        const uint32_t block = line->blocks[__builtin_ctz(matches)];
        if (block != 0 && is_it(block - 1)) return true;
      }
      if (!line->full()) return false;
    }
    return false;
  }

  /// False if there is no place for it.
  bool insert(uint32_t tag, uint32_t block);
  /// It must be there.
  void erase(uint32_t tag, uint32_t block);

  size_t lines() const { return lines_for(homes_); }
  /// `f(block)` for all that are in the `most` lines before `from`, from the last to the first, so that f may erase the
  /// one that it is given, and that nobody can slip past between two walks. Returns where the next one goes on.
  template <class F>
  size_t walk(size_t from, size_t most, F&& f) {
    size_t at = std::min(from, lines());
    const size_t end = at > most ? at - most : 0;
    while (at > end) {
      Line& line = lines_[--at];
      for (size_t i = kLineEntries; i > 0; --i) {
        if (line.blocks[i - 1] != 0) f(line.blocks[i - 1] - 1);
      }
    }
    return end;
  }

 private:
  size_t home(uint32_t tag) const { return static_cast<size_t>((uint64_t{tag} * homes_) >> 32); }
  static uint32_t matches_of(const Line& line, uint32_t tag) {
    uint32_t matches = 0;
    for (size_t i = 0; i < kLineEntries; ++i) matches |= static_cast<uint32_t>(line.tags[i] == tag) << i;
    return matches;
  }
  bool fill_from_behind(size_t& line, size_t& place);

  Line* const lines_;
  const size_t homes_;
};

}  // namespace corral::policy
