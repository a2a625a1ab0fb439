// Numbers that the environment may change: seeds, and how long a test goes on.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace corral::test {

inline uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace corral::test
