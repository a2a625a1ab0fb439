// The files of proxy/admin/page, as they were when the program was built (page/embed.cmake).
#pragma once

#include <span>
#include <string_view>

namespace corral::admin {

struct PageFile {
  std::string_view name, type, content;
};

std::span<const PageFile> page_files();

}  // namespace corral::admin
