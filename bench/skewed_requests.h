// What the skewed load (skewed_load.cc) asks for: which keys, and the requests as text.
#pragma once

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

enum class Skew { zipf, uniform, one, sequence };

struct Plan {
  sockaddr_in server{};
  uint64_t connections = 50, pipeline = 16, requests = 100000, keys = 100000, seed = 1;
  uint64_t load_every = 0;  // 0: nothing is loaded
  uint64_t step = 1;        // of a sequence
  Skew skew = Skew::uniform;
  double exponent = 0.99, reads = 0.95;
  uint64_t min_bytes = 64, max_bytes = 64;
};

/// SplitMix64's way to mix the bits of a number.
inline uint64_t mixed(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() { return mixed(state_ += 0x9e3779b97f4a7c15); }

 private:
  uint64_t state_;
};

/// Which of 2^32 equal parts of [0, 1) `share` ends in; 2^32 for 1.
inline uint64_t part_of_2_32(double share) { return static_cast<uint64_t>(std::clamp(share, 0.0, 1.0) * 4294967296.0); }

/// The numbers of the keys to ask for. Zipf by the alias method (Vose, 1991): one draw and one look into a table.
class KeyNumbers {
 public:
  explicit KeyNumbers(const Plan& plan) : plan_(plan), random_(plan.seed) {
    if (plan.skew == Skew::zipf) prepare_zipf();
  }

  uint64_t next() {
    switch (plan_.skew) {
      case Skew::one:
        return 0;
      case Skew::uniform:
        return below_keys(random_.next());
      case Skew::zipf:
        return next_by_zipf();
      case Skew::sequence:
        break;
    }
    const uint64_t number = at_;
    at_ += plan_.step;
    if (at_ >= plan_.keys) at_ = 0;
    return number;
  }

 private:
  struct Column {
    uint32_t own;    // of 2^32 draws, how many stay here; none is ever all of them, but for an alias that is itself
    uint32_t alias;  // where the others go
  };

  uint64_t below_keys(uint64_t draw) const { return ((draw >> 32) * plan_.keys) >> 32; }

  uint64_t next_by_zipf() {
    const uint64_t draw = random_.next();
    const uint64_t number = below_keys(draw);
    const Column column = columns_[number];
    return static_cast<uint32_t>(draw) < column.own ? number : column.alias;
  }

  void prepare_zipf() {
    std::vector<double> weights(plan_.keys);
    double sum = 0;
    for (size_t i = 0; i < weights.size(); ++i)
      sum += weights[i] = std::pow(static_cast<double>(i + 1), -plan_.exponent);
    for (double& weight : weights) weight *= static_cast<double>(plan_.keys) / sum;
    std::vector<uint32_t> small, large;
    columns_.resize(weights.size());
    for (uint32_t i = 0; i < columns_.size(); ++i) {
      columns_[i] = {UINT32_MAX, i};
      (weights[i] < 1 ? small : large).push_back(i);
    }
    while (!small.empty() && !large.empty()) {
      const uint32_t from = small.back(), to = large.back();
      small.pop_back();
      columns_[from] = {static_cast<uint32_t>(std::min<uint64_t>(part_of_2_32(weights[from]), UINT32_MAX)), to};
      weights[to] -= 1 - weights[from];
      if (weights[to] >= 1) continue;
      large.pop_back();
      small.push_back(to);
    }
  }

  const Plan& plan_;
  Random random_;
  uint64_t at_ = 0;
  std::vector<Column> columns_;
};

/// Appends requests as text.
class Writer {
 public:
  explicit Writer(const Plan& plan) : plan_(plan), value_(plan.max_bytes, 'x') {
    for (unsigned i = 0; i < pairs_.size(); ++i) {
      pairs_[i] = {static_cast<char>('0' + i / 10), static_cast<char>('0' + i % 10)};
    }
  }

  void append_get(std::string& out, uint64_t number) const {
    out.append("*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000000\r\n");
    put_number(out.data() + out.size() - 2, number);
  }

  void append_set(std::string& out, uint64_t number) const {
    out.append("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n");
    put_number(out.data() + out.size() - 2, number);
    const uint64_t size = size_of(number);
    out.append("$").append(std::to_string(size)).append("\r\n");
    out.append(value_, 0, size).append("\r\n");
  }

 private:
  /// Decimal, to the left of `end`, where there are zeros.
  void put_number(char* end, uint64_t number) const {
    for (; number != 0; number /= 100) {
      end -= 2;
      std::memcpy(end, pairs_[number % 100].data(), 2);
    }
  }

  uint64_t size_of(uint64_t number) const {
    if (plan_.min_bytes == plan_.max_bytes) return plan_.min_bytes;
    const double share = static_cast<double>(mixed(number + 1) >> 11) * 0x1p-53;
    const double min = static_cast<double>(plan_.min_bytes), max = static_cast<double>(plan_.max_bytes);
    return static_cast<uint64_t>(min * std::pow(max / min, share));
  }

  const Plan& plan_;
  std::string value_;
  std::array<std::array<char, 2>, 100> pairs_;
};
