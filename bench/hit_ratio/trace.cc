#include "trace.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <unordered_map>

namespace corral::bench {
namespace {

[[noreturn]] void die(const std::string& path, const char* what) {
  std::fprintf(stderr, "corral_hit_ratio: %s: %s\n", path.c_str(), what);
  std::exit(1);
}

std::string unpack(const std::string& path, const char* tool) {
  // The path goes by the environment, so that it needs no quoting.
  setenv("CORRAL_TRACE", path.c_str(), 1);
  const std::string command = std::string("exec ") + tool + " -dc < \"$CORRAL_TRACE\"";
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) die(path, "cannot be unpacked");
  std::string bytes;
  static char chunk[1 << 16];
  while (const size_t n = fread(chunk, 1, sizeof chunk, pipe)) bytes.append(chunk, n);
  if (pclose(pipe) != 0) die(path, "cannot be unpacked");
  return bytes;
}

std::vector<uint32_t> words(const std::string& bytes) {
  std::vector<uint32_t> numbers(bytes.size() / sizeof(uint32_t));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(uint32_t));
  return numbers;
}

std::vector<uint32_t> lines(const std::string& path, const std::string& text) {
  std::vector<uint32_t> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    uint32_t number = 0;
    const auto [rest, error] = std::from_chars(at, end, number);
    if (error != std::errc{} || rest == end || *rest != '\n') die(path, "a line is no number");
    numbers.push_back(number);
    at = rest + 1;
  }
  return numbers;
}

}  // namespace

Trace read_trace(const std::string& path) {
  const std::string_view name = path;
  Trace trace;
  if (name.ends_with(".xz")) {
    trace.keys = words(unpack(path, "xz"));
  } else if (name.ends_with(".gz")) {
    trace.keys = lines(path, unpack(path, "gzip"));
  } else {
    die(path, "is neither .xz nor .gz");
  }
  if (trace.keys.empty()) die(path, "is empty");
  std::unordered_map<uint32_t, uint32_t> numbers;
  for (uint32_t& key : trace.keys) key = numbers.try_emplace(key, static_cast<uint32_t>(numbers.size())).first->second;
  trace.distinct = static_cast<uint32_t>(numbers.size());
  return trace;
}

}  // namespace corral::bench
