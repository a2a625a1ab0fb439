// The rules' globs as one radix trie over their literal prefixes. A lookup walks the key down the trie and keeps the
// lowest rule that a literal or a "prefix*" on the way stands for; then it goes back up and tries the globs that hang
// at the prefixes it came through, as long as they belong to a rule before the one found.
//
// The nodes lie in one array, in the manner of a double-array trie (Aoe 1989, "An efficient digital search algorithm
// by using a double-array structure"): a node says where its children would lie, each child who its parent is. So a
// step down is one load and one comparison, whatever the number of children, and a place that one node's children leave
// free is taken by another's. As a node knows its parent, the way back up needs no memory of its own.
#include "policy/rule_book.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "policy/glob.h"

namespace corral::policy {

namespace {

// Reads the literal characters that `glob` begins with into `prefix`; what is left begins with '*', '?' or '[', or is
// empty.
std::string_view take_literal_prefix(std::string_view glob, std::string& prefix) {
  size_t at = 0;
  for (; at < glob.size() && glob[at] != '*' && glob[at] != '?' && glob[at] != '['; ++at) {
    if (glob[at] == '\\' && at + 1 < glob.size()) ++at;
    prefix += glob[at];
  }
  return glob.substr(at);
}

bool only_stars(std::string_view glob) { return glob.find_first_not_of('*') == std::string_view::npos; }

// Where in `tail`, which begins with '*', '?' or '[', only plain literal characters are left. Some of them may be left
// out: none is taken for one behind a class, whose end is hard to see, nor what a backslash stands before.
size_t literal_suffix_at(std::string_view tail) {
  if (tail.find('[') != std::string_view::npos) return tail.size();
  const size_t last = tail.find_last_of("*?\\");
  return std::min(last + (tail[last] == '\\' ? 2 : 1), tail.size());
}

}  // namespace

// --- making ---

class RuleBook::Compiler {
 public:
  explicit Compiler(RuleBook& book) : book_(book) {}

  void compile() {
    for (size_t i = 0; i < book_.rules_.size(); ++i) {
      for (const std::string& glob : book_.rules_[i].match) add_pattern(glob, static_cast<uint32_t>(i));
    }
    if (patterns_.empty()) return;
    std::stable_sort(patterns_.begin(), patterns_.end(),
                     [](const Pattern& a, const Pattern& b) { return a.prefix < b.prefix; });
    book_.globs_.emplace_back();
    take_place(0);
    work_.push_back({0, 0, 0, patterns_.size()});
    for (size_t done = 0; done < work_.size(); ++done) make_node(work_[done]);
    book_.nodes_.shrink_to_fit();
    book_.globs_.shrink_to_fit();
    book_.text_.shrink_to_fit();
  }

 private:
  struct Pattern {
    std::string prefix;
    std::string_view tail;  // of the rule's glob; empty: a literal
    uint32_t rule;
  };

  // A node to be made: where, of which patterns, and how many characters of their prefixes have led to it.
  struct Work {
    uint32_t place;
    size_t depth, begin, end;
  };

  void add_pattern(std::string_view glob, uint32_t rule) {
    Pattern pattern{.prefix = {}, .tail = {}, .rule = rule};
    pattern.tail = take_literal_prefix(glob, pattern.prefix);
    patterns_.push_back(std::move(pattern));
  }

  // By value: making a node adds to work_.
  void make_node(Work work) {
    const std::string& first = patterns_[work.begin].prefix;
    const std::string& last = patterns_[work.end - 1].prefix;  // they are sorted: what these two share, all do
    const auto begins = first.begin() + static_cast<ptrdiff_t>(work.depth);
    const auto shared =
        std::mismatch(begins, first.end(), last.begin() + static_cast<ptrdiff_t>(work.depth), last.end());
    const size_t size = static_cast<size_t>(shared.first - begins);

    Node& node = book_.nodes_[work.place];
    node.label = add_text(std::string_view(first).substr(work.depth, size));
    node.label_size = static_cast<uint32_t>(size);
    for (size_t i = work.begin; i < work.end; ++i) node.first_rule = std::min(node.first_rule, patterns_[i].rule);
    work.depth += size;
    work.begin = add_own_patterns(node, work);
    if (work.begin < work.end) place_children(work);
  }

  // The patterns whose prefix ends at the node; they come first. Returns where the others begin.
  size_t add_own_patterns(Node& node, const Work& work) {
    size_t i = work.begin;
    for (; i < work.end && patterns_[i].prefix.size() == work.depth; ++i) {
      const Pattern& pattern = patterns_[i];
      if (pattern.tail.empty()) {
        node.exact_rule = std::min(node.exact_rule, pattern.rule);
      } else if (only_stars(pattern.tail)) {
        node.prefix_rule = std::min(node.prefix_rule, pattern.rule);
      } else {
        if (node.globs == 0) node.globs = static_cast<uint32_t>(book_.globs_.size());
        add_glob(pattern);
      }
    }
    if (node.globs != 0) book_.globs_.emplace_back();
    return i;
  }

  // In the order of the rules, as the patterns of one prefix are.
  void add_glob(const Pattern& pattern) {
    const size_t middle = literal_suffix_at(pattern.tail);
    const bool any = only_stars(pattern.tail.substr(0, middle));
    book_.globs_.push_back({.rule = pattern.rule,
                            .prefix_size = static_cast<uint32_t>(pattern.prefix.size()),
                            .text = add_text(pattern.tail),
                            .middle_size = static_cast<uint32_t>(middle),
                            .suffix_size = static_cast<uint32_t>(pattern.tail.size() - middle),
                            .any_middle = any});
  }

  void place_children(const Work& work) {
    std::vector<Work> children;
    std::vector<uint8_t> bytes;
    for (size_t i = work.begin; i < work.end; ++i) {
      const uint8_t byte = static_cast<uint8_t>(patterns_[i].prefix[work.depth]);
      if (bytes.empty() || bytes.back() != byte) {
        bytes.push_back(byte);
        children.push_back({.place = 0, .depth = work.depth + 1, .begin = i, .end = i});
      }
      children.back().end = i + 1;
    }
    const uint32_t base = find_base(bytes);
    book_.nodes_[work.place].base = base;
    for (size_t i = 0; i < children.size(); ++i) {
      children[i].place = base + bytes[i];
      take_place(children[i].place);
      book_.nodes_[children[i].place].parent = work.place;
      work_.push_back(children[i]);
    }
  }

  // The first base that leads all of `bytes` to places not taken. Looks back for holes over a bounded stretch only, so
  // that a large book does not take long to make.
  uint32_t find_base(const std::vector<uint8_t>& bytes) {
    constexpr size_t kStretch = 1024;
    while (first_free_ < taken_.size() && taken_[first_free_]) ++first_free_;
    size_t place = first_free_;
    if (taken_.size() > kStretch) place = std::max(place, taken_.size() - kStretch);
    const auto is_free = [&](uint8_t byte) {
      const size_t at = place + byte - bytes.front();
      return at >= taken_.size() || !taken_[at];
    };
    while (!std::all_of(bytes.begin(), bytes.end(), is_free)) ++place;
    return static_cast<uint32_t>(place) - bytes.front();
  }

  void take_place(uint32_t place) {
    if (place >= taken_.size()) {
      taken_.resize(place + 1);
      book_.nodes_.resize(place + 1);
    }
    taken_[place] = true;
  }

  uint32_t add_text(std::string_view text) {
    const size_t at = book_.text_.size();
    book_.text_ += text;
    return static_cast<uint32_t>(at);
  }

  RuleBook& book_;
  std::vector<Pattern> patterns_;
  std::vector<Work> work_;
  std::vector<bool> taken_;  // of the places in nodes_
  size_t first_free_ = 0;
};

RuleBook::RuleBook(std::vector<Rule> rules) : rules_(std::move(rules)) {
  for (uint32_t i = 0; i < rules_.size(); ++i) {
    if (rules_[i].ttl) rules_[i].ttl->place = i;
  }
  Compiler(*this).compile();
}

// --- finding ---

namespace {

uint32_t load_four(const char* from) {
  uint32_t four;
  std::memcpy(&four, from, sizeof four);
  return four;
}

// As memcmp(a, b, size) == 0, without the call for labels as short as most are: the loads overlap where they must.
bool same_bytes(const char* a, const char* b, size_t size) {
  if (size > 8) return std::memcmp(a, b, size) == 0;
  if (size >= 4) return load_four(a) == load_four(b) && load_four(a + size - 4) == load_four(b + size - 4);
  return size == 0 || (a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1]);
}

}  // namespace

bool RuleBook::starts_with_label(std::string_view rest, const Node& node) const {
  return rest.size() >= node.label_size && same_bytes(rest.data(), text_.data() + node.label, node.label_size);
}

bool RuleBook::matches(const Glob& glob, std::string_view key) const {
  const std::string_view text = text_;
  const std::string_view suffix = text.substr(glob.text + glob.middle_size, glob.suffix_size);
  key.remove_prefix(glob.prefix_size);
  if (!key.ends_with(suffix)) return false;
  key.remove_suffix(suffix.size());
  return glob.any_middle || glob_match(text.substr(glob.text, glob.middle_size), key);
}

// From `node` up: the first rule before `best` of which a glob matches, or `best`. The key begins with the node's
// prefix. Kept out of find(), which is faster for it on all the keys that no glob is tried on.
[[gnu::noinline]] uint32_t RuleBook::best_glob(std::string_view key, uint32_t node, uint32_t best) const {
  for (; node != kNone; node = nodes_[node].parent) {
    for (const Glob* glob = &globs_[nodes_[node].globs]; glob->rule < best; ++glob) {
      if (matches(*glob, key)) best = glob->rule;
    }
  }
  return best;
}

const Rule* RuleBook::find(std::string_view key) const {
  if (nodes_.empty()) return nullptr;
  uint32_t best = kNone;
  uint32_t at = 0, last_with_globs = kNone;
  for (size_t used = 0;;) {
    const Node& node = nodes_[at];
    if (node.first_rule >= best || !starts_with_label(key.substr(used), node)) break;
    if (node.globs != 0) last_with_globs = at;
    used += node.label_size;
    best = std::min(best, node.prefix_rule);
    if (used == key.size()) {
      best = std::min(best, node.exact_rule);
      break;
    }
    const uint32_t child = node.base + static_cast<uint8_t>(key[used++]);
    if (child >= nodes_.size() || nodes_[child].parent != at) break;
    at = child;
  }
  if (last_with_globs != kNone) best = best_glob(key, last_with_globs, best);
  return best == kNone ? nullptr : &rules_[best];
}

}  // namespace corral::policy
