# Language level, warnings, build types, sanitizers and the compiler cache, the same for all our
# targets.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Hide our symbols by default, so that they cannot clash with those of the shared third-party
# libraries.
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

# For all targets, because a precompiled header is reused only where this option is the same.
add_compile_options(-pthread)
add_link_options(-pthread)
# The default, and LibTorch's setting. Explicit because it must be the same wherever a precompiled
# header is reused.
add_compile_definitions(_GLIBCXX_USE_CXX11_ABI=1)

# gold is part of binutils and several times as fast as the default linker.
find_program(PALATE_GOLD ld.gold)
if(PALATE_GOLD AND NOT PALATE_FUZZ)
  add_link_options(-fuse-ld=gold)
endif()

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or RelWithDebInfo" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
# RelWithDebInfo keeps assertions; -O1 -g1 compiles LibTorch users in half the time of -O2 -g.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")

# Tests are compiled without optimization, because their code runs once. The code under test is in
# the libraries.
add_library(palate_test_options INTERFACE)
target_compile_options(palate_test_options INTERFACE -O0)

set(PALATE_SANITIZER "" CACHE STRING "address, thread or empty")
set_property(CACHE PALATE_SANITIZER PROPERTY STRINGS "" address thread)
if(PALATE_SANITIZER STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(PALATE_SANITIZER STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(PALATE_SANITIZER)
  message(FATAL_ERROR "PALATE_SANITIZER is '${PALATE_SANITIZER}'; it may be address, thread or empty")
endif()

if(PALATE_FUZZ)
  add_compile_definitions(PALATE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()

# Warnings for handwritten code; generated code is compiled without them. In sanitized code, gcc
# reports moves in the standard library as uses of uninitialized values.
add_library(palate_warnings INTERFACE)
target_compile_options(palate_warnings INTERFACE
  -Wall -Wextra $<$<NOT:$<BOOL:${PALATE_FUZZ}>>:-Werror>
  $<$<BOOL:${PALATE_SANITIZER}>:-Wno-maybe-uninitialized>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)

option(PALATE_SYNTAX_ONLY "Let the compiler check the sources without making code of them; see scripts/check_clang.sh" OFF)
find_program(PALATE_CCACHE ccache)
if(PALATE_SYNTAX_ONLY)
  # Some tests start programs, which are then built before the tests' sources are checked. Without code there is nothing to link.
  set(CMAKE_CXX_LINK_EXECUTABLE "\"${CMAKE_COMMAND}\" -E touch <TARGET>")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${PROJECT_SOURCE_DIR}/cmake/syntax-only-launcher.sh")
elseif(PALATE_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER "${PROJECT_SOURCE_DIR}/cmake/ccache-launcher.sh" "${PROJECT_SOURCE_DIR}")
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_C_COMPILER_LAUNCHER})
endif()

# The folder for everything that scripts/setup.sh downloads. It is outside the checkout so that
# clones share it.
if(DEFINED ENV{PALATE_CACHE_DIR})
  set(palate_default_cache "$ENV{PALATE_CACHE_DIR}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(palate_default_cache "$ENV{XDG_CACHE_HOME}/palate")
else()
  set(palate_default_cache "$ENV{HOME}/.cache/palate")
endif()
set(PALATE_CACHE_DIR "${palate_default_cache}" CACHE PATH "Folder of the downloaded dependencies")
