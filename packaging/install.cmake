# Installs the manual pages, the settings, the systemd unit and the documents. Run by `cmake --install` and by cpack, with
# `source` (the checkout), `version`, CMAKE_INSTALL_PREFIX and, from the environment, DESTDIR.
#
# The settings go to /etc where the prefix is the system's (/usr, /usr/local), else to etc below the prefix; those that
# are there already are somebody's own and stay.
set(prefix "${CMAKE_INSTALL_PREFIX}")
set(bindir ${prefix}/bin)
set(sysconfdir ${prefix}/etc)
set(unitdir ${prefix}/lib/systemd/system)
if(prefix MATCHES "^/usr(/local)?/?$")
  set(sysconfdir /etc)
endif()
if(prefix STREQUAL "/usr")
  set(unitdir /lib/systemd/system)  # where Debian 12 has them
endif()
set(root "$ENV{DESTDIR}")
set(packaging ${source}/packaging)
set(readable PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)

# The content of `out` below the root, from a text.
function(write_installed path text)
  message(STATUS "Installing: ${root}${path}")
  file(WRITE "${root}${path}" "${text}")
  file(CHMOD "${root}${path}" ${readable})
endfunction()

# Compressed as the manual pages and changelogs of a system are: without name and time, so that it is the same each time.
function(compress path)
  execute_process(COMMAND gzip -9nf "${root}${path}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# @version@ and the folders in `file` are filled in.
function(read_template file out)
  file(READ ${file} text)
  string(CONFIGURE "${text}" text @ONLY)
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# A manual page of the settings, made of the annotated file.
execute_process(COMMAND awk -f ${packaging}/corral.toml.5.awk -v version=${version} -v file=${sysconfdir}/corral/corral.toml
  ${source}/config/corral.toml OUTPUT_VARIABLE settings_page COMMAND_ERROR_IS_FATAL ANY)
write_installed(${prefix}/share/man/man5/corral.toml.5 "${settings_page}")
compress(${prefix}/share/man/man5/corral.toml.5)
read_template(${packaging}/corral.1 page)
write_installed(${prefix}/share/man/man1/corral.1 "${page}")
compress(${prefix}/share/man/man1/corral.1)

read_template(${packaging}/corral.service unit)
write_installed(${unitdir}/corral.service "${unit}")

set(settings ${sysconfdir}/corral/corral.toml)
if(EXISTS "${root}${settings}")
  message(STATUS "Left as it is: ${root}${settings}")
else()
  file(READ ${source}/config/corral.toml text)
  write_installed(${settings} "${text}")
endif()

set(docdir ${prefix}/share/doc/corral)
file(READ ${packaging}/debian/copyright text)
write_installed(${docdir}/copyright "${text}")
file(READ ${packaging}/debian/changelog text)
write_installed(${docdir}/changelog.Debian "${text}")
compress(${docdir}/changelog.Debian)
