// Settings files: any text loads or is refused in one line; what loads is printed as a text that loads to the same.
#include <string>

#include "config/loader.h"
#include "config/printer.h"
#include "fuzz_input.h"

namespace corral::fuzz {
namespace {

void run(std::string_view text) {
  const ExactCopy own(text);
  const auto settings = config::load_text({own.data(), text.size()}, "file");
  if (!settings) {
    check(settings.error.starts_with("file:"), "an error says where it is");
    check(settings.error.find('\n') == std::string::npos, "an error is one line");
    return;
  }
  const std::string printed = config::print_settings(*settings);
  const auto again = config::load_text(printed, "printed");
  if (!again) std::fprintf(stderr, "%s\n%s\n", again.error.c_str(), printed.c_str());
  check(static_cast<bool>(again), "what is printed loads");
  check(again->rules == settings->rules, "to the same rules");
  check(config::print_settings(*again) == printed, "and is printed as it was");
  check(config::find_fixed_changes(*settings, *again).empty(), "nothing has changed");
}

}  // namespace
}  // namespace corral::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  corral::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
