// Inline requests: words as sdssplitargs finds them, and the rewritten frame is one that gives the same words again.
#include "fuzz_input.h"
#include "request_model.h"
#include "resp/request_scanner.h"

namespace corral::fuzz {
namespace {

void run(FuzzInput input) {
  std::string line(input.bytes().substr(0, input.bytes().find('\n')));
  if (!line.empty() && line[0] == '*') line[0] = ' ';
  line += '\n';
  resp::RequestScanner scanner;
  const ExactCopy copy(line);
  const auto status = scanner.scan(copy.data(), line.size(), {});
  const test::RequestOutcome outcome = test::outcome_of(scanner, status, copy.data());
  check(status != resp::ScanStatus::kNeedMore, "a line is enough");
  if (line.find('\0') == line.npos) check(test::model_of_request(line, {}) == outcome, "sdssplitargs says the same");
  if (status != resp::ScanStatus::kFrame) return;

  const std::string frame(scanner.command(copy.data()).bytes());
  resp::RequestScanner again;
  const auto status_again = again.scan(frame.data(), frame.size(), {});
  check(status_again == resp::ScanStatus::kFrame && again.consumed() == frame.size(), "the frame is one");
  check(test::outcome_of(again, status_again, frame.data()).args == outcome.args, "the frame has the same words");
}

}  // namespace
}  // namespace corral::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  corral::fuzz::run(corral::fuzz::FuzzInput(data, size));
  return 0;
}
