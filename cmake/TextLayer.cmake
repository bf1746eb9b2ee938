# palate::text_ffi: the Rust static library in models/text/ffi, built by cargo with locked crate
# versions.
#
# cargo's target folder is in the download cache, so that other build folders and clones do not
# compile the crates again.
include_guard(GLOBAL)

set(ffi "${PROJECT_SOURCE_DIR}/models/text/ffi")
find_program(PALATE_CARGO cargo REQUIRED)
file(GLOB_RECURSE rust_sources CONFIGURE_DEPENDS "${ffi}/src/*.rs")
set(target_dir "${PALATE_CACHE_DIR}/cargo-target")
set(library "${CMAKE_BINARY_DIR}/lib/libpalate_text_ffi.a")
file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/lib" "${target_dir}")
add_custom_command(
  OUTPUT "${library}"
  # The lock prevents another build from replacing cargo's output between the two commands.
  COMMAND flock "${target_dir}/.palate-lock" sh -c
    "\"${PALATE_CARGO}\" build --quiet --release --locked --manifest-path \"${ffi}/Cargo.toml\" --target-dir \"${target_dir}\" && cp \"${target_dir}/release/libpalate_text_ffi.a\" \"${library}\""
  DEPENDS ${rust_sources} "${ffi}/Cargo.toml" "${ffi}/Cargo.lock"
  COMMENT "Building the Rust text layer"
  USES_TERMINAL
  VERBATIM)
add_custom_target(palate_text_ffi_build DEPENDS "${library}")
add_library(palate_text_ffi INTERFACE)
target_include_directories(palate_text_ffi INTERFACE "${PROJECT_SOURCE_DIR}")
target_link_libraries(palate_text_ffi INTERFACE "${library}" Threads::Threads ${CMAKE_DL_LIBS} m)
add_dependencies(palate_text_ffi palate_text_ffi_build)
add_library(palate::text_ffi ALIAS palate_text_ffi)
