# corral_floor(DIR LIBS...): one library a folder, named corral_<dir with _ for />.
#
# Its sources are the .cc files that follow SOURCES. Others include its headers as "DIR/header.h", but only if they
# link it: each floor publishes a folder of its own in the build tree that holds nothing but a link to DIR.
function(corral_floor dir)
  cmake_parse_arguments(FLOOR "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  string(REPLACE "/" "_" name ${dir})
  set(root ${CMAKE_BINARY_DIR}/floors/${name})
  get_filename_component(parent ${root}/${dir} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${dir} ${root}/${dir} SYMBOLIC)
  if(FLOOR_SOURCES)
    add_library(corral_${name} STATIC ${FLOOR_SOURCES})
    target_include_directories(corral_${name} PUBLIC ${root})
    target_link_libraries(corral_${name} PUBLIC ${FLOOR_LINK} PRIVATE ${FLOOR_PRIVATE_LINK})
  else()
    add_library(corral_${name} INTERFACE)
    target_include_directories(corral_${name} INTERFACE ${root})
    target_link_libraries(corral_${name} INTERFACE ${FLOOR_LINK})
  endif()
endfunction()
