// One request as it lies in memory: the bytes of its frame and where its arguments are in them.
//
// Nothing is owned or copied: a Command is valid as long as the buffer that it points into. The frame is always in
// multibulk form (the scanner rewrites inline requests), so that it can be forwarded as it is.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace corral::resp {

/// Bytes [offset, offset + length) of a frame. A frame is at most 1 GiB, so 32 bits do.
struct Slice {
  uint32_t offset;
  uint32_t length;
};

struct Command {
  const char* frame;
  uint32_t size;  // bytes
  std::span<const Slice> slices;

  size_t argc() const { return slices.size(); }
  std::string_view arg(size_t i) const { return {frame + slices[i].offset, slices[i].length}; }
  std::string_view bytes() const { return {frame, size}; }
};

}  // namespace corral::resp
