#include "proxy/core/secret_arguments.h"

#include <algorithm>

#include "resp/ascii.h"

namespace corral::core {

using resp::Action;
using resp::same_option;
using resp::same_word;

// Redis: config.c, SENSITIVE_CONFIG.
bool is_secret_setting(std::string_view name) {
  constexpr std::string_view kSecret[] = {"requirepass", "masterauth", "masteruser", "tls-key-file-pass",
                                          "tls-client-key-file-pass"};
  return std::ranges::any_of(kSecret, [name](std::string_view secret) { return same_word(name, secret); });
}

std::set<size_t> secret_arguments(const resp::Command& command, const resp::CommandSpec& spec) {
  std::set<size_t> secret;
  const auto hide_after = [&](size_t word, size_t count) {
    for (size_t i = word + 1; i <= word + count && i < command.argc(); ++i) secret.insert(i);
  };
  if (spec.action == Action::kAuth) hide_after(0, command.argc());
  if (spec.action == Action::kAclChange) hide_after(1, command.argc());
  for (size_t i = 2; i < command.argc(); ++i) {
    if (spec.action == Action::kHello && same_option(command.arg(i), "AUTH")) hide_after(i, 2);
    if (spec.action == Action::kConfigSet && i % 2 == 0 && is_secret_setting(command.arg(i))) hide_after(i, 1);
    for (const auto& key : spec.keys) {
      for (const auto& option : key.options) {
        if (option.word.starts_with("auth") && same_option(command.arg(i), option.word))
          hide_after(i, option.arguments);
      }
    }
  }
  return secret;
}

}  // namespace corral::core
