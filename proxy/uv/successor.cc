#include "proxy/uv/successor.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace corral::uv {

namespace {

constexpr const char* kTakeoverFlag = "--takeover";

}  // namespace

Successor::Successor(uv_loop_t& loop, std::vector<std::string> command) : loop_(loop), command_(std::move(command)) {
  std::error_code error;
  executable_ = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (std::ranges::find(command_, kTakeoverFlag) == command_.end()) command_.emplace_back(kTakeoverFlag);
}

void Successor::start() {
  if (running_) return spdlog::warn("a new process is starting already, pid {}", process_.pid);
  std::vector<char*> arguments;
  for (std::string& word : command_) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  uv_stdio_container_t streams[3];  // the log goes where this one's does
  for (int fd = 0; fd < 3; ++fd) {
    streams[fd].flags = UV_INHERIT_FD;
    streams[fd].data.fd = fd;
  }
  uv_process_options_t options{};
  options.file = executable_.c_str();
  options.args = arguments.data();
  options.stdio = streams;
  options.stdio_count = 3;
  options.exit_cb = [](uv_process_t* process, int64_t status, int signal) {
    static_cast<Successor*>(process->data)->on_exit(status, signal);
  };
  process_.data = this;
  running_ = true;
  if (const int error = uv_spawn(&loop_, &process_, &options); error != 0) {
    spdlog::error("cannot start {}: {}; going on", executable_, uv_strerror(error));
    return forget();
  }
  spdlog::info("{} has been started to take over, pid {}", executable_, process_.pid);
}

void Successor::on_exit(int64_t status, int signal) {
  spdlog::warn("the new process has ended, status {}, signal {}; going on", status, signal);
  forget();
}

void Successor::forget() {
  uv_close(reinterpret_cast<uv_handle_t*>(&process_),
           [](uv_handle_t* handle) { static_cast<Successor*>(handle->data)->running_ = false; });
}

}  // namespace corral::uv
