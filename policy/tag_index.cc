#include "policy/tag_index.h"

namespace corral::policy {

bool TagIndex::insert(uint32_t tag, uint32_t block) {
  Line* line = &lines_[home(tag)];
  for (size_t i = 0; i < kMostLines; ++i, ++line) {
    if (line->full()) continue;
    const size_t place = line->size();
    line->tags[place] = tag;
    line->blocks[place] = block + 1;
    return true;
  }
  return false;
}

void TagIndex::erase(uint32_t tag, uint32_t block) {
  size_t line = home(tag), place = 0;
  while (lines_[line].blocks[place] != block + 1) {
    if (++place < kLineEntries) continue;
    place = 0;
    ++line;
    assert(line < lines());
  }
  while (fill_from_behind(line, place)) {
  }
}

/// Closes the gap at this place. True if that has left another one, whose place it says.
bool TagIndex::fill_from_behind(size_t& line, size_t& place) {
  Line& gap = lines_[line];
  const size_t last = gap.size() - 1;
  gap.tags[place] = gap.tags[last];
  gap.blocks[place] = gap.blocks[last];
  gap.tags[last] = gap.blocks[last] = 0;
  if (last + 1 != kLineEntries) return false;
  // The line was full, so that some that belong here, or in front of here, may have gone further on.
  for (size_t behind = line + 1; behind < lines(); ++behind) {
    Line& from = lines_[behind];
    for (size_t i = 0; i < from.size(); ++i) {
      if (home(from.tags[i]) > line) continue;
      gap.tags[last] = from.tags[i];
      gap.blocks[last] = from.blocks[i];
      line = behind;
      place = i;
      return true;
    }
    if (!from.full()) return false;
  }
  return false;
}

}  // namespace corral::policy
