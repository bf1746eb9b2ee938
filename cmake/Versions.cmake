# Reads the versions in scripts/lib.sh, where each is written once, into PALATE_<NAME>_VERSION.
include_guard(GLOBAL)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/scripts/lib.sh")
file(STRINGS "${PROJECT_SOURCE_DIR}/scripts/lib.sh" palate_versions REGEX "^[A-Z_]+_VERSION=")
foreach(line IN LISTS palate_versions)
  string(REGEX MATCH "^([A-Z_]+_VERSION)=(.*)$" line "${line}")
  set(PALATE_${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
endforeach()
