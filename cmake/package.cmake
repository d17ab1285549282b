# What `cmake --install` installs beside the binary, and the Debian packages that CPack makes of it:
#   cmake --preset package && cmake --build --preset package && cpack --config build/package/CPackConfig.cmake
# Each component is a package: server (leat), common (leat-common), library (libleat0), dev (libleat-dev) and lua (lua-leat).
set(data ${CMAKE_INSTALL_DATADIR}/leat)
install(DIRECTORY lua DESTINATION ${data} COMPONENT common REGEX "/apps/.*/(spec|node_modules|npm)$" EXCLUDE)
install(DIRECTORY config/schema DESTINATION ${data}/config COMPONENT common)
install(DIRECTORY clients/js/src DESTINATION ${data}/clients/js COMPONENT common)
install(DIRECTORY web DESTINATION ${data} COMPONENT common)
install(DIRECTORY packaging/prometheus packaging/grafana DESTINATION ${data} COMPONENT common)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(CMAKE_INSTALL_SYSCONFDIR /etc) # as GNUInstallDirs has it in CMAKE_INSTALL_FULL_SYSCONFDIR
endif()
install(FILES config/leat.lua DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/leat COMPONENT server)
install(FILES packaging/leat.service packaging/leat.socket packaging/leat-tls.socket DESTINATION lib/systemd/system COMPONENT server)
install(FILES packaging/completion/leat DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT server)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs COMPONENT common PATTERN model EXCLUDE)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT common)

# Manual pages; that of the configuration is made from the annotated file, that of the library from its header.
find_program(LUA_PROGRAM NAMES lua5.4 lua REQUIRED)
find_program(GZIP_PROGRAM gzip REQUIRED)
set(man ${CMAKE_BINARY_DIR}/man)
set(config_page ${man}/leat.lua.5)
set(header ${CMAKE_SOURCE_DIR}/csrc/embed/leat.h)
set(header_page ${man}/leat.h.3)
set(compress ${GZIP_PROGRAM} -9nf)
add_custom_command(OUTPUT ${man}/leat.1.gz ${config_page}.gz ${header_page}.gz
  COMMAND ${CMAKE_COMMAND} -E make_directory ${man}
  COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_SOURCE_DIR}/packaging/man/leat.1 ${man}/leat.1
  COMMAND ${LUA_PROGRAM} ${CMAKE_SOURCE_DIR}/scripts/make_man.lua ${CMAKE_SOURCE_DIR}/config/leat.lua > ${config_page}
  COMMAND ${LUA_PROGRAM} ${CMAKE_SOURCE_DIR}/scripts/make_header_man.lua ${header} > ${header_page}
  COMMAND ${compress} ${man}/leat.1 ${config_page} ${header_page}
  DEPENDS packaging/man/leat.1 scripts/make_man.lua scripts/make_header_man.lua config/leat.lua ${header}
  VERBATIM)
add_custom_target(man ALL DEPENDS ${man}/leat.1.gz ${config_page}.gz ${header_page}.gz)
install(FILES ${man}/leat.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT server)
install(FILES ${config_page}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man5 COMPONENT server)
install(FILES ${header_page}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT dev)

# The changelog and the licence, where Debian's policy wants them.
set(changelog ${CMAKE_BINARY_DIR}/changelog.Debian)
file(WRITE ${changelog} "leat (${PROJECT_VERSION}) unstable; urgency=medium

  * Release ${PROJECT_VERSION}. /usr/share/doc/leat/changelog.gz tells what is new.

 -- the Leat authors <leat@localhost>  Sun, 29 Nov 2026 00:00:00 +0000
")
add_custom_command(OUTPUT ${changelog}.gz ${CMAKE_BINARY_DIR}/changelog.gz
  COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_SOURCE_DIR}/CHANGELOG.md ${CMAKE_BINARY_DIR}/changelog
  COMMAND ${compress} -k ${changelog}
  COMMAND ${compress} ${CMAKE_BINARY_DIR}/changelog
  DEPENDS CHANGELOG.md
  VERBATIM)
add_custom_target(changelogs ALL DEPENDS ${changelog}.gz ${CMAKE_BINARY_DIR}/changelog.gz)

# install_papers(COMPONENT PACKAGE): what every package has.
function(install_papers component package)
  set(papers ${CMAKE_INSTALL_DATADIR}/doc/${package})
  install(FILES ${changelog}.gz ${CMAKE_BINARY_DIR}/changelog.gz packaging/copyright DESTINATION ${papers}
    COMPONENT ${component})
  configure_file(packaging/deb/lintian-overrides.in ${CMAKE_BINARY_DIR}/lintian/${package} @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/lintian/${package} DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides
    COMPONENT ${component})
endfunction()

# debian_package(COMPONENT PACKAGE SECTION DEPENDS DESCRIPTION): the description's first line is the short one. In
# DEPENDS, VERSION is that of all these packages (cpack_project.cmake).
function(debian_package component package section depends description)
  string(TOUPPER ${component} name)
  set(CPACK_COMPONENTS_ALL ${CPACK_COMPONENTS_ALL} ${component} PARENT_SCOPE)
  set(CPACK_DEBIAN_${name}_PACKAGE_NAME ${package} PARENT_SCOPE)
  set(CPACK_DEBIAN_${name}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_DEBIAN_${name}_PACKAGE_DEPENDS "${depends}" PARENT_SCOPE)
  set(CPACK_DEBIAN_${name}_DESCRIPTION "${description}" PARENT_SCOPE)
  if(component STREQUAL server OR CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    install_papers(${component} ${package})
  endif()
endfunction()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "the Leat authors <leat@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR}/csrc/embed)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_SOURCE_DIR}/cmake/cpack_project.cmake)

debian_package(server leat net "leat-common (= VERSION), lua-cjson"
"realtime subscription server for applications on Postgres
A client opens a WebSocket, subscribes to a topic, and gets one snapshot
followed by every event after it: nothing missed, nothing twice, in order.
Operators write who may subscribe, and what the snapshot is made of, in Lua.")
set(CPACK_DEBIAN_SERVER_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_SERVER_PACKAGE_RECOMMENDS "postgresql (>= 14)")
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/packaging/deb/conffiles ${CMAKE_SOURCE_DIR}/packaging/deb/postinst
  ${CMAKE_SOURCE_DIR}/packaging/deb/prerm ${CMAKE_SOURCE_DIR}/packaging/deb/postrm)

debian_package(common leat-common net ""
"realtime subscription server for applications on Postgres (common files)
What the server and the library share: the tables in SQL, modules and examples
in Lua, the JavaScript client, and the documents.")
set(CPACK_DEBIAN_COMMON_PACKAGE_ARCHITECTURE all)

debian_package(library libleat0 libs "leat-common (= VERSION)"
"realtime subscription server inside a program (library)
A program in C starts a Leat server, publishes, subscribes itself, and answers
methods, within its own loop.")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/deb/library/triggers)

debian_package(dev libleat-dev libdevel
  "libleat0 (= VERSION), libuv1-dev, libpq-dev, liblua5.4-dev, libcurl4-openssl-dev, libssl-dev, zlib1g-dev"
"realtime subscription server inside a program (development files)
The header, the static library, the manual page leat.h(3), and what pkg-config
and CMake need.")

debian_package(lua lua-leat interpreters "libleat0 (= VERSION), lua-cjson"
"realtime subscription server inside a Lua program
With leat.host, a program in Lua 5.4 starts a Leat server, publishes,
subscribes, and answers methods.")
set(CPACK_DEBIAN_LUA_PACKAGE_SHLIBDEPS ON)
include(CPack)
