// What scanning allocates: nothing once warm, and never in proportion to what a header merely declares. A program of
// its own, since it replaces operator new.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>

#include "resp/reply_builder.h"
#include "resp/reply_scanner.h"
#include "resp/request_scanner.h"
#include "resp/request_stream.h"

namespace {
size_t allocated_bytes = 0;
}

// Not inlined, since the compiler would take one without the other for a mistake.
[[gnu::noinline]] void* operator new(size_t size) {
  allocated_bytes += size;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace corral::test {
namespace {

using resp::ScanStatus;

template <typename Work>
size_t bytes_allocated_by(Work work) {
  const size_t before = allocated_bytes;
  work();
  return allocated_bytes - before;
}

TEST(Allocation, requestScanner_WarmedUp_AllocatesNothing) {
  std::string bytes;
  resp::append_command(bytes, {"SET", "key", "value", "EX", "10"});
  resp::RequestScanner scanner;
  ASSERT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), ScanStatus::kFrame);
  EXPECT_EQ(bytes_allocated_by([&] {
              for (int i = 0; i < 100; ++i) scanner.scan(bytes.data(), bytes.size(), {});
            }),
            0u);
}

TEST(Allocation, requestScanner_LargeCountDeclared_AllocatesForWhatArrived) {
  const std::string bytes = "*2147483647\r\n$4\r\nMGET\r\n$536870912\r\nk";
  resp::RequestScanner scanner;
  EXPECT_LT(bytes_allocated_by([&] { scanner.scan(bytes.data(), bytes.size(), {}); }), 1024u);
}

TEST(Allocation, requestScanner_ManyArguments_GivenBackByReset) {
  std::string bytes = "*100000\r\n";
  for (int i = 0; i < 100000; ++i) bytes += "$1\r\nx\r\n";
  resp::RequestScanner scanner;
  EXPECT_LT(bytes_allocated_by([&] { ASSERT_EQ(scanner.scan(bytes.data(), bytes.size(), {}), ScanStatus::kFrame); }),
            100000u * sizeof(resp::Slice) * 4);
  scanner.reset();
  EXPECT_GT(bytes_allocated_by([&] { scanner.scan(bytes.data(), bytes.size(), {}); }), 100000u * sizeof(resp::Slice));
}

TEST(Allocation, requestStream_AnyRequest_AllocatesNothing) {
  const std::string begin = "*2147483647\r\n$4\r\nMSET\r\n$1\r\nk\r\n$1000000\r\nabc";
  const std::string part(1000, 'v');
  resp::RequestScanner scanner;
  ASSERT_EQ(scanner.scan(begin.data(), begin.size(), {}), ScanStatus::kNeedMore);
  EXPECT_EQ(bytes_allocated_by([&] {
              resp::RequestStream stream(scanner, begin.data(), begin.size(), {});
              for (int i = 0; i < 999; ++i) stream.feed(part.data(), part.size());
              stream.feed(part.data(), 997);
              stream.feed("\r\n$1\r\nk\r\n$1000000", 16);
            }),
            0u);
}

TEST(Allocation, replyScanner_AnyReply_AllocatesNothing) {
  const std::string bytes = "%2147483647\r\n*2\r\n:1\r\n$4294967296\r\nabc";
  resp::ReplyScanner scanner;
  EXPECT_EQ(bytes_allocated_by([&] { scanner.scan(bytes.data(), bytes.size()); }), 0u);
}

}  // namespace
}  // namespace corral::test
