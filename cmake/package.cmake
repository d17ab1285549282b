# What `cmake --install` installs beside the binary, and the Debian package that CPack makes of it:
#   cmake --preset package && cmake --build --preset package && cpack --config build/package/CPackConfig.cmake
set(data ${CMAKE_INSTALL_DATADIR}/leat)
install(DIRECTORY lua DESTINATION ${data} REGEX "/apps/.*/(spec|node_modules|npm)$" EXCLUDE)
install(DIRECTORY config/schema DESTINATION ${data}/config)
install(DIRECTORY clients/js/src DESTINATION ${data}/clients/js)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(CMAKE_INSTALL_SYSCONFDIR /etc) # as GNUInstallDirs has it in CMAKE_INSTALL_FULL_SYSCONFDIR
endif()
install(FILES config/leat.lua DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/leat)
install(FILES packaging/leat.service DESTINATION lib/systemd/system)
install(FILES packaging/completion/leat DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs PATTERN model EXCLUDE)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

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
install(FILES ${man}/leat.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${config_page}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${header_page}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)

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
install(FILES ${changelog}.gz ${CMAKE_BINARY_DIR}/changelog.gz DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES packaging/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES packaging/deb/lintian-overrides DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME leat)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "the Leat authors <leat@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS lua-cjson)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "postgresql (>= 14)")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "realtime subscription server for applications on Postgres")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "A client opens a WebSocket, subscribes to a topic, and gets one snapshot
followed by every event after it: nothing missed, nothing twice, in order.
Operators write who may subscribe, and what the snapshot is made of, in Lua.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_SOURCE_DIR}/packaging/deb/conffiles ${CMAKE_SOURCE_DIR}/packaging/deb/postinst
  ${CMAKE_SOURCE_DIR}/packaging/deb/prerm ${CMAKE_SOURCE_DIR}/packaging/deb/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
