// Session, the part for what the client sends: requests are found in it where it was read; only what is cut by the end
// of a read is kept, and large requests are handed on as they come.
#include <algorithm>

#include "proxy/core/handlers.h"
#include "proxy/core/leases.h"
#include "proxy/core/near.h"
#include "proxy/core/parsed_request.h"
#include "proxy/core/session.h"
#include "proxy/core/transaction.h"
#include "proxy/core/upload.h"
#include "proxy/core/value_limit.h"
#include "proxy/core/worker.h"

namespace corral::core {

namespace {

constexpr size_t kInputStepBytes = 256;
constexpr uint32_t kLargeBytes = 64u << 10;  // an argument that is not collected to be refused

// Of the argument that is being received.
size_t missing_bytes(const PartialInput& input) {
  const auto partial = input.scanner.partial();
  const size_t end = size_t{partial.offset} + partial.declared;
  return end > input.bytes.size() ? end - input.bytes.size() : 0;
}

}  // namespace

// Bytes are copied only where a request is cut by the end of what was read: then what is missing of it, and no more.
void Session::on_bytes(const char* data, size_t size) {
  if (closing_) return;
  active_ms_ = worker_.now_ms();
  worker_.stats().net_input_bytes.add(size);
  worker_.note_active(window_);
  note_more();
  if (!socket_) return;
  size_t used = 0;
  if (upload_) used = feed_upload(data, size);
  if (skipped_) [[unlikely]]
    used = feed_skipped(data, size);
  if (used == size || !socket_ || closing_) return;
  if (input_) used += complete_input(data + used, size - used);
  if (used == size || !socket_ || closing_) return;
  resp::RequestScanner& scanner = worker_.scanner();
  used += consume(data + used, size - used, scanner);
  if (used < size && socket_ && !closing_) keep(data + used, size - used, scanner);
  scanner.reset();
  if (input_) note_more();
}

// Behind reads that wait for a lease.
void Session::note_more() {
  if (leases_ && !leases_->parked.empty()) [[unlikely]]
    worker_.leases().on_more(*this);
}

// Adds to the input until its request is whole and handled, or all of data is in it; how much of data was used.
size_t Session::complete_input(const char* data, size_t size) {
  size_t used = 0;
  while (used < size) {
    size_t step = size - used;
    if (paused_ == 0) step = std::min(step, std::max(missing_bytes(*input_), kInputStepBytes));
    input_->bytes.append(data + used, step);
    used += step;
    if (paused_ != 0) continue;
    const size_t done = consume(input_->bytes.data(), input_->bytes.size(), input_->scanner);
    if (!socket_) return size;  // closed
    if (done == 0) {
      take_large_argument();
      if (upload_ && used < size) used += feed_upload(data + used, size - used);
      if (skipped_ && used < size) used += feed_skipped(data + used, size - used);
      if (!input_) break;
      continue;
    }
    used -= input_->bytes.size() - done;  // what follows is handled where it is
    drop_input();
    break;
  }
  return used;
}

// Handles the requests in data; the bytes they took. Afterwards the scanner is in the middle of the next one.
size_t Session::consume(const char* data, size_t size, resp::RequestScanner& scanner) {
  size_t at = 0;
  while (at < size && paused_ == 0 && socket_ && !closing_) {
    const resp::RequestLimits& limits = authenticated() ? worker_.request_limits() : worker_.limits_before_auth();
    const resp::ScanStatus status = scanner.scan(data + at, size - at, limits);
    if (status == resp::ScanStatus::kNeedMore) break;
    if (status == resp::ScanStatus::kError) {
      if (scanner.too_many_arguments()) worker_.stats().too_many_arguments.add();
      protocol_error(scanner.error());
      return size;
    }
    const resp::Command command = scanner.command(data + at);
    if (const Near* near = worker_.near(); near && near->on()) {
      near->foresee({data + at + scanner.consumed(), size - at - scanner.consumed()});
    }
    const size_t length = scanner.consumed();
    last_of_input_ = input_ && &scanner == &input_->scanner && at + length == size;
    const bool handled = command.argc() == 0 || handle(*this, command);
    last_of_input_ = false;
    scanner.reset();
    if (!handled) break;  // paused; it is handled when the pause is over
    at += length;
    if (socket_ && (too_full(1) || worker_.backlogged())) pause(kFull);
  }
  return at;
}

void Session::keep(const char* data, size_t size, resp::RequestScanner& scanner) {
  partial_since_ms_ = worker_.now_ms();
  input_ = worker_.take_input();
  input_->bytes.assign(data, size);
  std::swap(input_->scanner, scanner);
  take_large_argument();
}

// Of a request that is being received and has a large argument: it is refused, if that is too large; it goes to its
// node as it comes, if it is of a kind that can.
void Session::take_large_argument() {
  if (paused_ != 0 || upload_ || closing_ || skip_if_refused()) return;
  if (worker_.gate().busy() || !Upload::suits(*this, *input_)) return;
  if (!quiet()) return pause(kQuiet);
  const auto input = std::move(input_);
  Upload::start(*this, *input);
}

// Since the user may not send it, whatever follows, or since its value is too large.
bool Session::skip_if_refused() {
  const auto partial = input_->scanner.partial();
  const bool may_be_denied = !unrestricted_ && partial.declared >= kLargeBytes;
  const bool may_be_too_big = partial.declared > worker_.policies().least_max_value_bytes;
  if (!may_be_denied && !may_be_too_big) return false;
  const auto head = input_->scanner.head(input_->bytes.data());
  const resp::CommandSpec* spec = head.command.argc() > 0 ? find_spec(worker_, head.command) : nullptr;
  std::string error = may_be_denied && spec ? worker_.access().refusal_of(*this, head, *spec) : "";
  if (error.empty() && may_be_too_big) error = too_big_already(worker_, head, spec, partial);
  if (!error.empty()) skip(error, spec);
  return !error.empty();
}

// The client gets its answer at once; what it still sends of the request is dropped.
void Session::skip(std::string_view error, const resp::CommandSpec* spec) {
  worker_.stats().requests.add();
  begin_command(spec);
  if (modes_ & kQueueing) transaction_->abort();
  reply_error(error);
  const auto input = std::move(input_);
  skipped_ = std::make_unique<resp::RequestStream>(input->scanner, input->bytes.data(), input->bytes.size(),
                                                   worker_.request_limits());
}

size_t Session::feed_skipped(const char* data, size_t size) {
  const auto result = skipped_->feed(data, size);
  if (result.status == resp::ScanStatus::kError) {
    protocol_error(skipped_->error());
    return size;
  }
  if (result.status != resp::ScanStatus::kFrame) return size;
  skipped_.reset();
  return result.used;
}

// How much of data was of the upload.
size_t Session::feed_upload(const char* data, size_t size) {
  const size_t used = upload_->feed({data, size});
  return socket_ ? used : size;
}

void Session::drop_input() {
  if (input_) worker_.give_input(std::move(input_));
}

void Session::consume_input() {
  const size_t used = consume(input_->bytes.data(), input_->bytes.size(), input_->scanner);
  if (!socket_) return;  // closed
  const bool no_more = closing_ || (ended_ && paused_ == 0);
  if (used == input_->bytes.size() || no_more) {
    drop_input();
    return;
  }
  if (used > 0) partial_since_ms_ = worker_.now_ms();
  input_->bytes.erase(0, used);
  take_large_argument();
}

void Session::continue_input() {
  resumable = false;
  if (!socket_ || paused_ != 0) return;
  partial_since_ms_ = worker_.now_ms();  // until now it was not read from
  if (input_) consume_input();
  if (socket_ && paused_ == 0 && !ended_) worker_.transport().set_reading(socket_, true);
  if (!dirty) worker_.flush_later(this);
}

}  // namespace corral::core
