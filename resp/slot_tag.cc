#include "resp/slot_tag.h"

#include <array>
#include <vector>

#include "resp/slot.h"

namespace corral::resp {

namespace {

struct Tag {
  std::array<char, 4> text;
  uint8_t size = 0;
};

// Numbers in base 36, counted until every slot has one: some hundred thousand, a few milliseconds.
std::vector<Tag> make_tags() {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::vector<Tag> tags(kSlots);
  size_t missing = kSlots;
  for (uint32_t number = 0; missing > 0; ++number) {
    Tag tag;
    for (uint32_t rest = number; tag.size == 0 || rest > 0; rest /= 36) tag.text[tag.size++] = kDigits[rest % 36];
    Tag& of_slot = tags[key_slot({tag.text.data(), tag.size})];
    if (of_slot.size > 0) continue;
    of_slot = tag;
    --missing;
  }
  return tags;
}

}  // namespace

std::string_view slot_tag(uint16_t slot) {
  static const std::vector<Tag> tags = make_tags();
  return {tags[slot].text.data(), tags[slot].size};
}

}  // namespace corral::resp
