# Read by cpack itself, which may be told another version than the project's: VERSION in a dependency is that one.
foreach(component ${CPACK_COMPONENTS_ALL})
  string(TOUPPER ${component} component)
  string(REPLACE VERSION "${CPACK_PACKAGE_VERSION}" CPACK_DEBIAN_${component}_PACKAGE_DEPENDS
    "${CPACK_DEBIAN_${component}_PACKAGE_DEPENDS}")
endforeach()
