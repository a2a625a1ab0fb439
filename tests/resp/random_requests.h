// Random requests of any command, for the tests that compare with a server: most make sense.
#pragma once

#include <cctype>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "command_maker.h"
#include "resp/command_table.h"
#include "support.h"

namespace corral::test {

/// Requests of random length. Words that are options somewhere occur only in their places.
class RandomRequests {
 public:
  explicit RandomRequests(const char* test) : random_(seeded_generator(test)) {}

  Words of(const resp::CommandSpec& spec) {
    words_ = split_words(std::string(spec.name));
    if (size_t bar = words_[0].find('|'); bar != std::string::npos)
      words_ = {words_[0].substr(0, bar), words_[0].substr(bar + 1)};
    if (spec.name == "sort") {
      add("{k}");
      options({"asc", "by {k}", "limit 0 {n}", "get {k}", "alpha", "store {k}"});
    } else if (spec.name == "georadius") {
      add("{k} 1 2 3 m");
      geo_options();
    } else if (spec.name == "georadiusbymember") {
      add("{k} x 3 m");
      geo_options();
    } else if (spec.name == "migrate") {
      migrate();
    } else if (spec.name == "xread") {
      options({"count {n}", "block {n}"});
      streams();
    } else if (spec.name == "xreadgroup") {
      add("group {k} {k}");
      options({"count {n}", "block {n}", "noack"});
      streams();
    } else {
      plain(spec);
    }
    return words_;
  }

 private:
  void plain(const resp::CommandSpec& spec) {
    size_t least = static_cast<size_t>(std::abs(spec.arity)) + (spec.name == "pfmerge");
    size_t size = spec.arity > 0 ? least : least + below(random_, 6);
    // Commands that count their keys do so in the argument before the first.
    std::set<size_t> counts;
    bool in_pairs = false;
    for (const resp::KeySpec& key : spec.keys) {
      if (key.find == resp::KeySpec::Find::kKeyNum) counts.insert(static_cast<size_t>(key.begin_at + key.keynum));
      in_pairs = in_pairs || key.step == 2;
    }
    if (in_pairs && size % 2 == 0) size++;
    while (words_.size() < size) add(counts.count(words_.size()) ? "{n}" : "{k}");
  }

  void geo_options() {
    options({"withcoord", "count {n} any", "asc"});
    if (below(random_, 2)) add(below(random_, 2) ? "store {k}" : "STOREDIST {k}");
    options({"withdist", "desc"});
  }

  void migrate() {
    bool many = below(random_, 2);
    add(many ? "h 1 '' 0 5" : "h 1 {k} 0 5");
    options({"copy", "replace", "auth keys", "auth2 keys keys", "AUTH {k}"});
    if (many) add("KEYS {k}");
    for (size_t more = many ? below(random_, 4) : 0; more > 0; more--) add("{k}");
  }

  void streams() {
    add("STREAMS");
    for (size_t count = 1 + below(random_, 4); count > 0; count--) add("{k} {k}");
  }

  void options(const std::vector<std::string_view>& forms) {
    for (size_t left = below(random_, 4); left > 0; left--) add(forms[below(random_, forms.size())]);
  }

  void add(std::string_view form) {
    for (std::string& word : split_words(form)) {
      if (word == "{k}") word = std::to_string(words_.size()) + (below(random_, 9) ? "k" : "{0}");
      // The server takes words for C strings.
      if (!word.empty() && std::isalpha(static_cast<unsigned char>(word[0])) && below(random_, 8) == 0)
        word += std::string("\0z", 2);
      if (word == "{n}") word = split_words("0 1 1 2 2 3 3 4 -1 x 7")[below(random_, 11)];
      words_.push_back(word);
    }
  }

  std::mt19937_64 random_;
  Words words_;
};

}  // namespace corral::test
