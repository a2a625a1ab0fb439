# Checks one rule of the house: cmake -DRULE=name -DSOURCE_DIR=... -P house.cmake.
# It reads the sources as text, but for the rule `floors`: that one preprocesses one include at a time, with the folders
# that the floor's target is compiled with (-DFOLDERS_resp=a|b, -DCOMPILER=...), and looks whether it fails.
cmake_minimum_required(VERSION 3.25)

set(broken "")

# The sources under the folders given, relative to SOURCE_DIR, in `out`.
function(sources out)
  set(found "")
  foreach(folder ${ARGN})
    file(GLOB_RECURSE files RELATIVE ${SOURCE_DIR} ${SOURCE_DIR}/${folder}/*.cc ${SOURCE_DIR}/${folder}/*.h
      ${SOURCE_DIR}/${folder}/*.inc)
    list(APPEND found ${files})
  endforeach()
  if(found STREQUAL "")
    message(FATAL_ERROR "no sources under ${ARGN}")
  endif()
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# The lines of `file`, comments cut off, that match `pattern` are added to `broken`.
function(forbid file pattern)
  file(READ ${SOURCE_DIR}/${file} text)
  string(REGEX REPLACE "//[^\n]*" "" text "${text}")
  string(REGEX MATCHALL "${pattern}" hits "${text}")
  foreach(hit ${hits})
    string(STRIP "${hit}" hit)
    set(broken ${broken} "${file}: ${hit}")
  endforeach()
  set(broken ${broken} PARENT_SCOPE)
endfunction()

# --- rules ---

# Whether a source of `floor` may include `header`.
function(check_include floor header allowed)
  string(REPLACE "|" ";-I" folders "-I${FOLDERS_${floor}}")
  set(file ${CMAKE_CURRENT_BINARY_DIR}/house_${floor}.cc)
  if(NOT EXISTS ${SOURCE_DIR}/${header})
    message(FATAL_ERROR "${header} does not exist")
  endif()
  file(WRITE ${file} "#include \"${header}\"\n")
  execute_process(COMMAND ${COMPILER} -std=c++20 -E ${folders} ${file}
    RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE errors)
  file(REMOVE ${file})
  if(allowed AND NOT status EQUAL 0)
    set(broken ${broken} "${floor} cannot include ${header}: ${errors}")
  elseif(NOT allowed AND status EQUAL 0)
    set(broken ${broken} "${floor} can include ${header}")
  elseif(NOT allowed AND NOT errors MATCHES "No such file|file not found")
    set(broken ${broken} "${floor} fails to include ${header} for another reason: ${errors}")
  endif()
  set(broken ${broken} PARENT_SCOPE)
endfunction()

if(RULE STREQUAL "floors")
  # Includes of the floor itself and to its left work.
  check_include(resp "resp/slot.h" TRUE)
  check_include(policy "resp/command_table.h" TRUE)
  check_include(policy "policy/guard.h" TRUE)
  check_include(proxy_core "resp/slot.h" TRUE)
  check_include(proxy_core "policy/guard.h" TRUE)
  check_include(proxy_core "config/settings.h" TRUE)
  check_include(proxy_core "proxy/core/session.h" TRUE)
  check_include(proxy_admin "proxy/core/process.h" TRUE)
  check_include(proxy_admin "proxy/admin/admin.h" TRUE)
  check_include(proxy_uv "proxy/core/worker.h" TRUE)
  check_include(proxy_uv "proxy/uv/address.h" TRUE)
  # Includes to its right do not.
  check_include(resp "policy/guard.h" FALSE)
  check_include(resp "config/settings.h" FALSE)
  check_include(resp "proxy/core/session.h" FALSE)
  check_include(policy "proxy/core/session.h" FALSE)
  check_include(policy "proxy/uv/address.h" FALSE)
  check_include(policy "config/settings.h" FALSE)
  check_include(proxy_core "proxy/uv/address.h" FALSE)
  check_include(proxy_core "proxy/admin/admin.h" FALSE)
  check_include(proxy_admin "proxy/uv/address.h" FALSE)

elseif(RULE STREQUAL "uv_only_in_proxy_uv")
  sources(files bench config policy proxy resp tests)
  foreach(file ${files})
    if(NOT file MATCHES "^proxy/uv/")
      forbid(${file} "#include *[<\"]uv(/[a-z-]+)?\\.h[>\"]")
      if(NOT file MATCHES "^tests/integration/")  # whose clients speak TLS
        forbid(${file} "#include *[<\"]openssl/(ssl|bio)")
      endif()
    endif()
  endforeach()

elseif(RULE STREQUAL "no_clock_no_randomness")
  sources(files resp policy proxy/core)
  foreach(file ${files})
    forbid(${file} "(steady|system|high_resolution|utc|file)_clock")
    forbid(${file} "clock_gettime|gettimeofday|timespec_get|localtime|gmtime")
    forbid(${file} "[^a-zA-Z0-9_.>](::|std::)?(time|clock|s?rand|[dlm]rand48|getrandom|getentropy)\\(")
    if(NOT file STREQUAL "proxy/core/transport.h")  # declares the transport's own
      forbid(${file} "[^a-zA-Z0-9_.>](::)?random\\(")
    endif()
    forbid(${file} "random_device|mt19937|minstd_rand|default_random_engine|#include <random>")
  endforeach()

elseif(RULE STREQUAL "no_upward_includes")
  sources(files bench config policy proxy resp tests)
  foreach(file ${files})
    forbid(${file} "#include *[<\"][^>\"\n]*\\.\\./[^\n]*")
  endforeach()

elseif(RULE STREQUAL "defects_apply")  # to the tree as it is: else tests/sim/defects.sh proves nothing
  file(GLOB files RELATIVE ${SOURCE_DIR} ${SOURCE_DIR}/tests/sim/defects/*.patch)
  foreach(file ${files})
    execute_process(COMMAND patch --dry-run --force --strip=1 --directory=${SOURCE_DIR} --input=${SOURCE_DIR}/${file}
      RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(NOT result EQUAL 0)
      set(broken ${broken} "${file}: ${result} ${said}")
    endif()
  endforeach()

elseif(RULE STREQUAL "short_files")
  set(limit 400)
  set(may_be_long resp/command_facts.inc)  # generated
  sources(files bench config policy proxy resp tests)
  foreach(file ${files})
    file(READ ${SOURCE_DIR}/${file} text)
    string(REGEX MATCHALL "\n" lines "${text}")
    list(LENGTH lines count)
    if(count GREATER limit AND NOT file IN_LIST may_be_long)
      set(broken ${broken} "${file}: ${count} lines, ${limit} are allowed")
    endif()
  endforeach()

else()
  message(FATAL_ERROR "no rule '${RULE}'")
endif()

if(broken)
  list(JOIN broken "\n  " text)
  message(FATAL_ERROR "${RULE}:\n  ${text}")
endif()
