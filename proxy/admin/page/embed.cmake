# Writes the files of the page as C++: cmake "-DFILES=a;b" -DOUTPUT=page_files.cc -P embed.cmake. See page_files.h.
cmake_minimum_required(VERSION 3.25)

set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")

set(entries "")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  get_filename_component(extension ${file} LAST_EXT)
  string(SUBSTRING ${extension} 1 -1 extension)
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "${name}: which type is it of?")
  endif()
  file(READ ${file} content)
  if(content MATCHES "\\)page\"")
    message(FATAL_ERROR "${name} has the mark in it that ends a text here")
  endif()
  string(APPEND entries "    {\"${name}\", \"${type_${extension}}\", R\"page(${content})page\"},\n")
endforeach()

file(WRITE ${OUTPUT} "#include \"proxy/admin/page_files.h\"

namespace corral::admin {

std::span<const PageFile> page_files() {
  static constexpr PageFile kFiles[] = {
${entries}  };
  return kFiles;
}

}  // namespace corral::admin
")
