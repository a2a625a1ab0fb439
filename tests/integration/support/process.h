// A child process that never outlives the test, not even when the test is killed: the kernel sends it SIGKILL when the
// thread that started it ends. So start processes from the test's main thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "wait.h"

namespace corral::test {

// A directory of its own below the system's temporary one, removed with its content.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A TCP port of 127.0.0.1 that nothing listens on, and that no other test is given while this object lives. It is
// taken from below the range from which the kernel gives ports to outgoing connections, so that a server can be
// stopped and started again on it.
class Port {
 public:
  Port();
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  uint16_t number() const { return number_; }

 private:
  uint16_t number_ = 0;
  int lease_ = -1;  // an abstract unix socket named for the port: the kernel's own lock, gone with the process
};

// A sanitizer keeps what has been freed for a while, to tell of its use, and an account of all memory.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr uint64_t kSanitizerBytes = 512u << 20;
#else
inline constexpr uint64_t kSanitizerBytes = 0;
#endif

class Process {
 public:
  // Runs argv[0] (searched in PATH) with standard output and error appended to the file `output`.
  Process(const std::vector<std::string>& argv, std::filesystem::path output);
  ~Process();  // SIGKILL if it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool running() { return !wait(milliseconds(0)).has_value(); }
  void signal(int number);
  // The exit status, 128 + N if signal N ended it, nothing if it still runs after the timeout.
  std::optional<int> wait(milliseconds timeout);

  // Bounds of it leave kSanitizerBytes.
  uint64_t rss_bytes() const;
  double cpu_seconds() const;  // user and system time of all threads
  std::string output() const;

 private:
  std::filesystem::path output_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

struct Finished {
  int status;
  std::string output;
};

// Runs a program to its end; throws if that takes longer than the timeout.
Finished run(const std::vector<std::string>& argv, milliseconds timeout = kPatience);

std::string read_file(const std::filesystem::path& path);

}  // namespace corral::test
