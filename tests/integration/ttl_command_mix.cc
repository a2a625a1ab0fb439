#include "ttl_command_mix.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <sstream>

#include "beside_front.h"
#include "ttl_command_forms.h"

namespace corral::test {
namespace {

constexpr std::array kTypes = {"str", "num", "hash", "list", "set", "zset", "geo", "stream", "hll", "bits"};
constexpr size_t kLongestPipeline = 50;
constexpr size_t kLongestTransaction = 8;

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

size_t digits_from(std::string_view text, size_t at) {
  size_t count = 0;
  while (at + count < text.size() && std::isdigit(static_cast<unsigned char>(text[at + count]))) ++count;
  return count;
}

// Stream ids that a clock gave, $15\r\n1700000000000-0\r\n, become $ID: they are not the same in two servers.
std::string without_clock_ids(const std::string& raw) {
  std::string out;
  for (size_t i = 0; i < raw.size();) {
    const size_t length = raw[i] == '$' ? digits_from(raw, i + 1) : 0;
    const size_t text = i + 1 + length + 2;
    if (length == 2 && digits_from(raw, text) == 13 && text + 13 < raw.size() && raw[text + 13] == '-') {
      out += "$ID";
      i = text + 14 + digits_from(raw, text + 14);
    } else {
      out += raw[i++];
    }
  }
  return out;
}

bool agree(Like like, const Reply& a, const Reply& b) {
  switch (like) {
    case Like::kErrors:
      return a.is_error() && b.is_error();
    case Like::kNotInCluster:
      return b.is_error() || a.raw == b.raw;
    case Like::kAside:
      return a.type == b.type && (!a.is_error() || a.raw == b.raw);
    case Like::kUnordered:
      return canonical(a, true) == canonical(b, true);
    case Like::kSame:
      break;
  }
  return a.raw == b.raw || without_clock_ids(canonical(a)) == without_clock_ids(canonical(b));
}

bool agree(const TtlStep& step, const Reply& expected, const Reply& actual) {
  const auto &a = expected.elements, &b = actual.elements;
  if (step.inner.empty() || a.size() != step.inner.size() || b.size() != a.size())
    return agree(step.like, expected, actual);
  for (size_t i = 0; i < a.size(); ++i) {
    if (!agree(step.inner[i], a[i], b[i])) return false;
  }
  return true;
}

// Literal words of a form, with or without what is optional.
std::vector<std::string> all_words(const char* form) {
  std::string text = form;
  for (char& c : text) {
    if (c == '|' || ((c == '[' || c == ']') && text.find('(') == std::string::npos)) c = ' ';
  }
  return split(text, ' ');
}

bool is_container(const std::string& word) { return word == "XGROUP"; }

std::string command_of(const char* form) {
  const auto words = split(form, ' ');
  return lower(is_container(words[0]) ? words[0] + "|" + words[1] : words[0]);
}

}  // namespace

std::string difference(const TtlStep& step, const Reply& expected, const Reply& actual) {
  if (agree(step, expected, actual)) return {};
  std::string text = "command: ";
  for (size_t i = 0; i < step.args.size() && i < 20; ++i) text += printable(step.args[i]) + ' ';
  return text + "\nexpected: " + to_string(expected) + "\nactual:   " + to_string(actual) +
         "\nexpected bytes: " + printable(expected.raw, 600) + "\nactual bytes:   " + printable(actual.raw, 600);
}

std::set<std::string> TtlCommandMix::commands() {
  std::set<std::string> names;
  for (const TtlForm& form : kTtlForms) names.insert(command_of(form.words));
  return names;
}

std::set<std::string> TtlCommandMix::words_of(const std::string& command) {
  std::set<std::string> words;
  for (const TtlForm& form : kTtlForms) {
    if (command_of(form.words) != command) continue;
    for (const std::string& word : all_words(form.words)) words.insert(lower(word));
  }
  return words;
}

std::vector<TtlStep> TtlCommandMix::pipeline(char first_tag) {
  first_tag_ = first_tag;
  std::vector<TtlStep> steps;
  for (size_t left = 1 + below(kLongestPipeline); left > 0; --left) {
    below(20) == 0 ? append_transaction(steps) : steps.push_back(next());
  }
  return steps;
}

// MULTI, some commands of one slot, EXEC or sometimes DISCARD; sometimes it watches a key, which sometimes changes.
void TtlCommandMix::append_transaction(std::vector<TtlStep>& out) {
  tag_ = static_cast<char>(first_tag_ + below(2));
  fixed_tag_ = true;
  if (below(4) == 0) {
    out.push_back({{"WATCH", key("str", tag_), key("list", tag_)}});
    // What tells of a TTL may well change one here and nothing there, as GETEX PERSIST does.
    TtlStep step = next();
    const bool may_differ = step.like == Like::kAside || lower(step.args[0]) == "getex";
    if (below(3) == 0 && !may_differ) out.push_back(std::move(step));
  }
  out.push_back({{"MULTI"}});
  TtlStep end{{below(10) == 0 ? "DISCARD" : "EXEC"}};
  for (size_t left = below(kLongestTransaction + 1); left > 0; --left) {
    out.push_back(next());
    end.inner.push_back(out.back().like);
    out.back().like = Like::kSame;  // it is only queued
  }
  out.push_back(std::move(end));
  fixed_tag_ = false;
}

TtlStep TtlCommandMix::next() {
  ++steps_;
  if (!fixed_tag_) tag_ = static_cast<char>(first_tag_ + below(2));
  const TtlForm* form = nullptr;
  do {
    form = below(12) == 0 ? &kReadForms[below(std::size(kReadForms))] : &kTtlForms[below(std::size(kTtlForms))];
  } while (form->may_wait && below(4) != 0);
  TtlStep step{{}, form->like};
  const bool small = below(4) == 0;
  for (const std::string& word : choose(form->words)) {
    const size_t percent = word.find('%');
    const bool literal = percent == std::string::npos;
    if (literal)
      step.args.push_back(small && word.find('(') == std::string::npos ? lower(word) : word);
    else
      step.args.push_back(word.substr(0, percent) + fill(word.substr(percent + 1)));
  }
  if (form->damageable && below(40) == 0) damage(step.args);
  return step;
}

// The words of a form, with some of its options in some order.
std::vector<std::string> TtlCommandMix::choose(const char* form) {
  const std::string text = form;
  std::vector<std::string> words;
  std::vector<std::vector<std::string>> groups;  // options in a row
  const auto flush = [&] {
    std::shuffle(groups.begin(), groups.end(), random_);
    for (const auto& group : groups) words.insert(words.end(), group.begin(), group.end());
    groups.clear();
  };
  for (size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
    } else if (text[at] == '[' && text.find(']', at) != std::string::npos) {
      const size_t end = text.find(']', at);
      const auto options = split(text.substr(at + 1, end - at - 1), '|');
      if (below(5) < 3) groups.push_back(split(options[below(options.size())], ' '));
      at = end + 1;
    } else {
      flush();
      const size_t end = std::min(text.find(' ', at), text.size());
      words.push_back(text.substr(at, end - at));
      at = end;
    }
  }
  flush();
  return words;
}

std::string TtlCommandMix::fill(const std::string& placeholder) {
  static constexpr std::array kLongitudes = {"13.361389", "15.087269", "-0.1", "2.35", "179.9"};
  static constexpr std::array kLatitudes = {"38.115556", "37.502669", "51.5", "48.85", "-85.05"};
  if (placeholder == "v") return value();
  if (placeholder == "m") return "m" + std::to_string(below(12));
  if (placeholder == "i") return std::to_string(static_cast<int64_t>(below(40)) - 8);
  if (placeholder == "f") return std::to_string(static_cast<int64_t>(below(400)) - 80) + ".25";
  if (placeholder == "id") return std::to_string(steps_ / 500) + "-" + std::to_string(below(20) + 1);
  if (placeholder == "lon") return kLongitudes[below(kLongitudes.size())];
  if (placeholder == "lat") return kLatitudes[below(kLatitudes.size())];
  if (placeholder == "s") return std::to_string(ttl_s());
  if (placeholder == "ms") return std::to_string(ttl_s() * 1000 + static_cast<int64_t>(below(1000)));
  if (placeholder == "at") return std::to_string(material_.now_s + ttl_s());
  if (placeholder == "atms") return std::to_string((material_.now_s + ttl_s()) * 1000);
  if (placeholder == "gone") return std::to_string(1 + below(1'000'000));
  if (placeholder == "gonems") return std::to_string(1 + below(1'000'000'000));
  if (placeholder == "dump") return material_.dumps[below(material_.dumps.size())];
  if (placeholder == "sha") return material_.shas[below(material_.shas.size())];
  if (placeholder == "empty") return {};
  if (placeholder == "key") return key(kTypes[below(kTypes.size())], tag_);
  const bool far = placeholder == "far";
  if (far) return key("str", fixed_tag_ ? tag_ : static_cast<char>(first_tag_ + below(2)));
  return key(below(15) == 0 ? kTypes[below(kTypes.size())] : placeholder, tag_);
}

// Mostly under the rule.
std::string TtlCommandMix::key(const std::string& type, char tag) {
  return (below(12) == 0 ? "free:{" : "{") + std::string(1, tag) + "}" + type + ":" + std::to_string(below(3));
}

std::string TtlCommandMix::value() {
  std::string text;
  switch (below(6)) {
    case 0:
      return {};
    case 1:
      return std::to_string(below(1000));
    case 2:
      return std::string(below(300), 'x');
    case 3:
      return "with \"quotes\" and \\ and \r\n$3\r\n";
    case 4:
      for (size_t i = below(40); i > 0; --i) text += static_cast<char>(below(256));
      return text;
    default:
      return "m" + std::to_string(below(12));
  }
}

// Below and above the rule's maximum.
int64_t TtlCommandMix::ttl_s() {
  static constexpr std::array<int64_t, 5> kAbout = {900, 3600, 7200, 86'400, 315'360'000};
  return kAbout[below(kAbout.size())] + static_cast<int64_t>(below(600));
}

// Cuts or adds a word, so that arity and syntax are wrong in ways nobody thought of.
void TtlCommandMix::damage(Args& args) {
  if (below(2) == 0 && args.size() > 1)
    args.pop_back();
  else
    args.push_back("{" + std::string(1, tag_) + "}surplus");
}

}  // namespace corral::test
