// One table says what can be set: its place in the file, what it is for, what is allowed and where it goes.
//
// The loader, the flags and the printer walk this table and know no setting by name, so that a new setting is one line
// in schema.cc (and one in corral.toml, which a test compares with what the printer prints). What a rule can say is a
// table of its own; its fields are found in the last rule of the settings.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/settings.h"

namespace corral::config {

// Each kind of value: `at` finds it in the settings, the rest says what is allowed (both ends included). A duration or
// size below what is allowed stands for none: it cannot be written, only left out.
struct WholeNumber {
  uint32_t& (*at)(Settings&);
  uint32_t min, max;
};
struct Flag {
  bool& (*at)(Settings&);
};
struct Fraction {
  double& (*at)(Settings&);
  double min, max;
};
struct Duration {
  int64_t& (*at)(Settings&);
  int64_t min_ms, max_ms;
};
struct Size {
  uint64_t& (*at)(Settings&);
  uint64_t min, max;
};
struct Text {
  std::string& (*at)(Settings&);
  bool secret = false;  // no problem shows it
};
struct Name {  // not empty; printable
  std::string& (*at)(Settings&);
};
struct Choice {
  std::string& (*at)(Settings&);
  std::span<const std::string_view> choices;
};
struct OptionalAddress {  // HOST:PORT; empty: none
  std::string& (*at)(Settings&);
};
struct AddressList {  // at least one
  std::vector<Address>& (*at)(Settings&);
  bool for_listening;  // unix sockets and TLS, too
};
struct CommandList {
  std::vector<std::string>& (*at)(Settings&);
};
struct GlobList {  // at least one, none empty
  std::vector<std::string>& (*at)(Settings&);
};

struct UserList {  // lines in Redis' ACL syntax; kept with hashes for passwords
  std::vector<std::string>& (*at)(Settings&);
};

struct Field {
  std::string_view section, key;
  std::string_view about;  // one sentence for people
  std::variant<WholeNumber, Flag, Fraction, Duration, Size, Text, Name, Choice, OptionalAddress, AddressList,
               CommandList, GlobList, UserList>
      kind;
  bool live = false;  // a reload puts it in force; else it stays as it was at the start
};

// A setting of the contract that this version does not serve: refused, unless it asks for what happens anyway.
struct Unserved {
  std::string_view section, key;             // no key: the section or list of sections as a whole
  std::optional<std::string_view> harmless;  // the value that asks for what happens anyway
};

// The names of a rule's section and of those in it: a rule without a section has nothing of what it is for.
inline constexpr std::string_view kRule = "rule", kRuleTtl = "rule.ttl", kRuleNear = "rule.near_cache",
                                  kRuleStampede = "rule.stampede";

// Sections within others, which mean something by being there.
inline constexpr std::string_view kServerTls = "server.tls", kUpstreamTls = "upstream.tls";
// One of those that is not there; its fields have their defaults.
bool is_left_out(const Settings& settings, std::string_view section);

std::span<const Field> fields();                                          // grouped by section
std::span<const Field> rule_fields();                                     // likewise; of kRule first
const Field* find_field(std::string_view section, std::string_view key);  // of either; null: there is none
const Unserved* find_unserved(std::string_view section, std::string_view key);
std::vector<std::string_view> section_names();  // of those that are there once

// What is allowed, to follow "it must be": "a whole number from 0 to 1024".
std::string describe_allowed(const Field& field);

}  // namespace corral::config
