// The rules are those of sdssplitargs, among them the odd ones: a word may go on after it began unquoted (a"b c" is one
// word), and VT and FF are skipped before a word but do not end one.
#include "resp/inline_words.h"

namespace corral::resp {
namespace {

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool ends_bare_word(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

class Splitter {
 public:
  Splitter(std::string_view line, std::string& text) : p_(line.data()), end_(p_ + line.size()), text_(text) {}

  bool skip_blanks() {
    while (p_ != end_ && is_blank(*p_)) ++p_;
    return p_ != end_;
  }

  bool word() {
    while (p_ != end_ && !ends_bare_word(*p_)) {
      const char c = *p_++;
      if (c == '"') return double_quoted();
      if (c == '\'') return single_quoted();
      text_ += c;
    }
    return true;
  }

 private:
  bool double_quoted() {
    while (p_ != end_) {
      const char c = *p_++;
      if (c == '"') return closed();
      if (c != '\\' || p_ == end_) {
        text_ += c;
      } else if (*p_ == 'x' && end_ - p_ >= 3 && hex_digit(p_[1]) >= 0 && hex_digit(p_[2]) >= 0) {
        text_ += static_cast<char>(hex_digit(p_[1]) * 16 + hex_digit(p_[2]));
        p_ += 3;
      } else {
        text_ += unescape(*p_++);
      }
    }
    return false;
  }

  bool single_quoted() {
    while (p_ != end_) {
      const char c = *p_++;
      if (c == '\'') return closed();
      if (c == '\\' && p_ != end_ && *p_ == '\'') {
        text_ += *p_++;
      } else {
        text_ += c;
      }
    }
    return false;
  }

  bool closed() const { return p_ == end_ || is_blank(*p_); }

  const char* p_;
  const char* const end_;
  std::string& text_;
};

}  // namespace

int split_inline_words(std::string_view line, std::string& text, std::vector<Slice>& words) {
  Splitter splitter(line, text);
  size_t count = 0;
  while (splitter.skip_blanks()) {
    const size_t start = text.size();
    if (!splitter.word()) return -1;
    if (count == words.size()) words.resize(count < 16 ? 16 : count * 2);
    words[count++] = {static_cast<uint32_t>(start), static_cast<uint32_t>(text.size() - start)};
  }
  return static_cast<int>(count);
}

}  // namespace corral::resp
