#include "command_mix.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <sstream>

#include "command_mix_table.h"

namespace corral::test {
namespace {

constexpr std::array kTypes = {"str", "num", "hash", "list", "set", "zset", "geo", "stream", "hll", "bits"};
constexpr int64_t kClockTolerance = 30'000;  // the two servers ran it at most half a minute apart

std::vector<std::string> raw_groups(const std::vector<Reply>& elements, size_t group) {
  std::vector<std::string> groups;
  for (size_t i = 0; i < elements.size(); ++i) {
    if (i % group == 0) groups.emplace_back();
    groups.back() += elements[i].raw;
  }
  std::sort(groups.begin(), groups.end());
  return groups;
}

bool same_elements(const Reply& a, const Reply& b, size_t group) {
  return raw_groups(a.elements, group) == raw_groups(b.elements, group);
}

bool agree(Compare compare, const Reply& a, const Reply& b) {
  if (a.type != b.type) return false;
  if (compare == Compare::kExact || a.is_error()) return a.raw == b.raw;
  switch (compare) {
    case Compare::kUnordered:
      return a.elements.empty() ? a.raw == b.raw : same_elements(a, b, 1);
    case Compare::kPairs:
      return same_elements(a, b, 2);
    case Compare::kScan:
      return a.elements.size() == 2 && b.elements.size() == 2 && a.elements[0] == b.elements[0] &&
             same_elements(a.elements[1], b.elements[1], 1);
    case Compare::kShape:
      return a.elements.size() == b.elements.size();
    case Compare::kClock:
      return (a.integer < 0) == (b.integer < 0) && std::abs(a.integer - b.integer) < kClockTolerance;
    case Compare::kExact:
      break;
  }
  return false;
}

// Whether it can be said inline: words of printable bytes, in quotes where needed; and not so long.
std::string as_inline(const Args& args) {
  std::string line;
  for (const std::string& word : args) {
    line += " \"";
    for (const char c : word) {
      static constexpr char kHex[] = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\')
        (line += '\\') += c;
      else if (c == '\n')
        line += "\\n";
      else if (byte < 32 || byte > 126)
        (line += "\\x") += {kHex[byte >> 4], kHex[byte & 15]};
      else
        line += c;
    }
    line += '"';
  }
  return line.substr(1) + "\r\n";
}

}  // namespace

std::string difference(const Step& step, const Reply& expected, const Reply& actual) {
  if (agree(step.compare, expected, actual)) return {};
  std::string text = "command: ";
  for (size_t i = 0; i < step.args.size() && i < 20; ++i) text += printable(step.args[i]) + ' ';
  return text + "\nexpected: " + to_string(expected) + "\nactual:   " + to_string(actual) +
         "\nexpected bytes: " + printable(expected.raw, 600) + "\nactual bytes:   " + printable(actual.raw, 600);
}

Step CommandMix::next() {
  ++steps_;
  tag_ = "{" + std::string(1, static_cast<char>('a' + below(4))) + "}";
  const Template& chosen = kTemplates[below(std::size(kTemplates))];
  Step step{{}, chosen.compare};
  std::istringstream words(chosen.words);
  for (std::string word; words >> word;) {
    const size_t percent = word.find('%');
    step.args.push_back(percent == std::string::npos ? word : word.substr(0, percent) + fill(word.substr(percent + 1)));
  }
  if (chosen.damageable && below(40) == 0) damage(step.args);
  return step;
}

std::string CommandMix::encode_somehow(const Args& args) {
  const bool blank = std::any_of(args.begin(), args.end(), [](const std::string& word) { return word.empty(); });
  if (!blank && below(8) == 0) return as_inline(args);
  return encode(args);
}

std::string CommandMix::fill(const std::string& placeholder) {
  static constexpr std::array kLongitudes = {"13.361389", "15.087269", "-0.1", "2.35", "179.9"};
  static constexpr std::array kLatitudes = {"38.115556", "37.502669", "51.5", "48.85", "-85.05"};
  if (placeholder == "v") return value();
  if (placeholder == "m") return member();
  if (placeholder == "i") return integer();
  if (placeholder == "f") return number();
  if (placeholder == "id") return stream_id();
  if (placeholder == "at") return std::to_string(4'000'000'000'000 + static_cast<int64_t>(below(5)) * 1'000'000);
  if (placeholder == "lon") return kLongitudes[below(kLongitudes.size())];
  if (placeholder == "lat") return kLatitudes[below(kLatitudes.size())];
  if (placeholder == "key") return key(kTypes[below(kTypes.size())]);
  if (placeholder == "far") return "far:" + std::to_string(below(60));
  const bool other = below(25) == 0;
  return key(other ? kTypes[below(kTypes.size())] : placeholder);
}

std::string CommandMix::key(const std::string& type) { return tag_ + type + ":" + std::to_string(below(4)); }

std::string CommandMix::member() { return "m" + std::to_string(below(12)); }

std::string CommandMix::value() {
  std::string text;
  switch (below(6)) {
    case 0:
      return {};
    case 1:
      return std::to_string(below(1000));
    case 2:
      return std::string(below(400), 'x');
    case 3:
      return "with \"quotes\" and \\ and \r\n$3\r\n";
    case 4:
      for (size_t i = below(40); i > 0; --i) text += static_cast<char>(below(256));
      return text;
    default:
      return member();
  }
}

std::string CommandMix::integer() { return std::to_string(static_cast<int64_t>(below(40)) - 8); }

std::string CommandMix::number() { return std::to_string(static_cast<int64_t>(below(400)) - 80) + ".25"; }

// Ids near the steps' number: mostly above the stream's last one, for XDEL and its kin often one that exists.
std::string CommandMix::stream_id() { return std::to_string(steps_ / 100) + "-" + std::to_string(below(20) + 1); }

// Cuts or adds a word, so that arity and syntax are wrong in ways nobody thought of. A DEL that has lost all its keys
// is a better test than a FLUSHALL with an extra one: no command of the table becomes another one by this.
void CommandMix::damage(Args& args) {
  if (below(2) == 0 && args.size() > 1)
    args.pop_back();
  else
    args.push_back(tag_ + "surplus");
}

}  // namespace corral::test
