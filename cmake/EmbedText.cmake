# Makes a text file a constant of the program: cmake -DIN=page.html -DOUT=page.cc -DNAME=corral::admin::kPage -P EmbedText.cmake
# The header that declares it is the caller's: extern const std::string_view NAME.
file(READ ${IN} text)
string(REGEX REPLACE "^(.*)::([^:]*)$" "\\1;\\2" parts ${NAME})
list(GET parts 0 namespace)
list(GET parts 1 name)
file(WRITE ${OUT} "// Made from ${IN}.
#include <string_view>

namespace ${namespace} {
extern const std::string_view ${name};
const std::string_view ${name} = R\"text(${text})text\";
}  // namespace ${namespace}
")
