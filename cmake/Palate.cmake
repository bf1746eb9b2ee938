# Wrappers that declare all our targets: palate_library, palate_binary, palate_test,
# palate_benchmark, palate_proto.
#
#   palate_library(NAME n [SRCS ...] [HDRS ...] [DEPS ...] [TORCH])     static library palate_n, alias palate::n
#   palate_binary(NAME n SRCS ... [DEPS ...] [TORCH])                   executable in bin/
#   palate_test(NAME n SRCS ... [DEPS ...] [TORCH] [LABELS ...] [TIMEOUT seconds])    GoogleTest executable, run by ctest;
#                                                                       the label `serial` runs it alone
#   palate_benchmark(NAME n SRCS ... [DEPS ...] [TORCH])                executable in bench/, run by `make bench`
#   palate_proto(NAME n SRCS ... [DEPS ...] [GRPC])                     generated messages (and stubs), alias palate::n
#
# Include paths start at the repository root. TORCH links LibTorch. Each target reuses a precompiled
# header of third_party/precompiled: ATen's with TORCH, otherwise the one in the folder's variable
# PALATE_PRECOMPILED (plain or grpc; default plain). PALATE_PRECOMPILED_HEADERS=OFF uses none, so
# that every source must include what it needs. palate_finish() is called once at the end. It
# registers the tests, labels those that CI runs under a sanitizer, excludes targets that the
# sanitizer cannot run, and rejects sources whose compile options a precompiled header would drop.

include_guard(GLOBAL)

option(PALATE_PRECOMPILED_HEADERS "Reuse the precompiled headers of third_party/precompiled" ON)

define_property(GLOBAL PROPERTY PALATE_TARGETS BRIEF_DOCS "Every target declared by the wrappers of cmake/Palate.cmake")
define_property(GLOBAL PROPERTY PALATE_TESTS BRIEF_DOCS "Every test executable")
define_property(GLOBAL PROPERTY PALATE_BENCHMARKS BRIEF_DOCS "Every benchmark executable")

# Required for every target that includes ATen's headers.
function(palate_openmp target)
  if(OpenMP_CXX_FLAGS)
    target_compile_options(${target} PRIVATE ${OpenMP_CXX_FLAGS})
  endif()
endfunction()

# Common settings of all our targets. `prefix` is "test_" for tests, whose precompiled headers
# include GoogleTest.
function(palate_configure_target target torch prefix)
  target_link_libraries(${target} PRIVATE palate_warnings)
  set(kind plain)
  if(torch)
    target_link_libraries(${target} PUBLIC palate::torch)
    palate_openmp(${target})
    set(kind torch)
  elseif(PALATE_PRECOMPILED)
    set(kind ${PALATE_PRECOMPILED})
  endif()
  if(PALATE_PRECOMPILED_HEADERS)
    target_precompile_headers(${target} REUSE_FROM palate_precompiled_${prefix}${kind})
  endif()
  set_property(GLOBAL APPEND PROPERTY PALATE_TARGETS ${target})
endfunction()

# Rejects unknown arguments, because cmake would silently ignore a misspelled keyword.
function(palate_check_arguments function name unparsed)
  if(NOT name)
    message(FATAL_ERROR "${function} without a NAME in ${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
  if(unparsed)
    message(FATAL_ERROR "${function}(NAME ${name}): unknown arguments ${unparsed}")
  endif()
endfunction()

function(palate_library)
  cmake_parse_arguments(PARSE_ARGV 0 arg "TORCH" "NAME" "SRCS;HDRS;DEPS")
  palate_check_arguments(palate_library "${arg_NAME}" "${arg_UNPARSED_ARGUMENTS}")
  set(target palate_${arg_NAME})
  if(arg_SRCS)

    add_library(${target} STATIC ${arg_SRCS} ${arg_HDRS})
    target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}")
    target_link_libraries(${target} PUBLIC ${arg_DEPS})
    palate_configure_target(${target} "${arg_TORCH}" "")
  else()

    add_library(${target} INTERFACE ${arg_HDRS})
    target_include_directories(${target} INTERFACE "${PROJECT_SOURCE_DIR}")
    target_link_libraries(${target} INTERFACE ${arg_DEPS})
    if(arg_TORCH)
      target_link_libraries(${target} INTERFACE palate::torch)
    endif()
    set_property(GLOBAL APPEND PROPERTY PALATE_TARGETS ${target})
  endif()
  add_library(palate::${arg_NAME} ALIAS ${target})
endfunction()

function(palate_binary)
  cmake_parse_arguments(PARSE_ARGV 0 arg "TORCH" "NAME" "SRCS;DEPS")
  palate_check_arguments(palate_binary "${arg_NAME}" "${arg_UNPARSED_ARGUMENTS}")
  add_executable(${arg_NAME} ${arg_SRCS})
  target_include_directories(${arg_NAME} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS})
  set_target_properties(${arg_NAME} PROPERTIES INSTALL_RPATH "\$ORIGIN/../lib")
  install(TARGETS ${arg_NAME} RUNTIME DESTINATION bin)
  palate_configure_target(${arg_NAME} "${arg_TORCH}" "")
endfunction()

# A test finds the checkout, the built binaries and the shared data through PALATE_SOURCE_DIR (also
# a macro), PALATE_BIN_DIR and PALATE_SHARED_DIR. scripts/run_tests.sh counts the GoogleTest results
# that it writes.
function(palate_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "TORCH" "NAME;TIMEOUT" "SRCS;DEPS;LABELS")
  palate_check_arguments(palate_test "${arg_NAME}" "${arg_UNPARSED_ARGUMENTS}")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(${arg_NAME} ${arg_SRCS})
  set_target_properties(${arg_NAME} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/bin"
    PALATE_TEST_LABELS "${arg_LABELS}"
    PALATE_TEST_TIMEOUT "${arg_TIMEOUT}")
  target_compile_definitions(${arg_NAME} PRIVATE "PALATE_SOURCE_DIR=\"${PROJECT_SOURCE_DIR}\"")
  target_include_directories(${arg_NAME} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS} palate_test_options GTest::gmock GTest::gtest_main)
  palate_configure_target(${arg_NAME} "${arg_TORCH}" test_)
  set_property(GLOBAL APPEND PROPERTY PALATE_TESTS ${arg_NAME})
  list(TRANSFORM arg_SRCS PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  set_property(GLOBAL APPEND PROPERTY PALATE_TEST_SOURCES ${arg_SRCS})
endfunction()

function(palate_benchmark)
  cmake_parse_arguments(PARSE_ARGV 0 arg "TORCH" "NAME" "SRCS;DEPS")
  palate_check_arguments(palate_benchmark "${arg_NAME}" "${arg_UNPARSED_ARGUMENTS}")
  add_executable(${arg_NAME} EXCLUDE_FROM_ALL ${arg_SRCS})
  set_target_properties(${arg_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bench")
  target_compile_definitions(${arg_NAME} PRIVATE "PALATE_SOURCE_DIR=\"${PROJECT_SOURCE_DIR}\"")
  target_include_directories(${arg_NAME} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${arg_NAME} PRIVATE ${arg_DEPS})
  palate_configure_target(${arg_NAME} "${arg_TORCH}" "")
  set_property(GLOBAL APPEND PROPERTY PALATE_BENCHMARKS ${arg_NAME})
endfunction()

# Generates C++ into the build folder from .proto files, whose names are relative to the proto root
# (`proto/` here, or PROTO_ROOT). Generated headers are included by the same path:
# "palate/types/v1/types.pb.h".
function(palate_proto)
  cmake_parse_arguments(PARSE_ARGV 0 arg "GRPC" "NAME;PROTO_ROOT" "SRCS;DEPS")
  palate_check_arguments(palate_proto "${arg_NAME}" "${arg_UNPARSED_ARGUMENTS}")
  if(NOT arg_PROTO_ROOT)
    set(arg_PROTO_ROOT "${PROJECT_SOURCE_DIR}/proto")
  endif()
  set(out "${CMAKE_BINARY_DIR}/gen")
  file(MAKE_DIRECTORY "${out}")
  set(generated)

  foreach(proto IN LISTS arg_SRCS)
    string(REGEX REPLACE "\\.proto$" "" stem "${proto}")
    set(outputs "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h")
    set(options "--cpp_out=${out}")
    if(arg_GRPC)
      list(APPEND outputs "${out}/${stem}.grpc.pb.cc" "${out}/${stem}.grpc.pb.h")
      list(APPEND options "--grpc_out=${out}" "--plugin=protoc-gen-grpc=${PALATE_GRPC_CPP_PLUGIN}")
    endif()
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND protobuf::protoc ${options} "-I${PROJECT_SOURCE_DIR}/proto" "-I${PALATE_GOOGLEAPIS_DIR}"
              "${arg_PROTO_ROOT}/${proto}"
      DEPENDS "${arg_PROTO_ROOT}/${proto}"
      COMMENT "Generating C++ of ${proto}"
      VERBATIM)
    list(APPEND generated ${outputs})
  endforeach()

  set(target palate_${arg_NAME})
  if(NOT TARGET palate_generated)
    add_custom_target(palate_generated COMMENT "Generated sources of every palate_proto")
  endif()
  add_custom_target(${target}_generated DEPENDS ${generated})
  add_dependencies(palate_generated ${target}_generated)
  add_library(${target} STATIC ${generated})
  # Generated sources repeat their internal names, so a unity build is impossible.
  set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
  if(PALATE_PRECOMPILED_HEADERS)
    target_precompile_headers(${target} REUSE_FROM palate_precompiled_grpc)
  endif()
  # SYSTEM suppresses warnings in generated headers.
  target_include_directories(${target} SYSTEM PUBLIC "${out}")
  target_link_libraries(${target} PUBLIC ${arg_DEPS} protobuf::libprotobuf)
  if(arg_GRPC)
    target_link_libraries(${target} PUBLIC gRPC::grpc++)
  endif()

  add_library(palate::${arg_NAME} ALIAS ${target})
  set_property(GLOBAL APPEND PROPERTY PALATE_TARGETS ${target})
endfunction()

# Sets `out` to whether `target` links one of `forbidden`, directly or through other targets of
# ours.
function(palate_reaches out target forbidden)
  get_property(known GLOBAL PROPERTY PALATE_REACHES_${target})
  if(NOT "${known}" STREQUAL "")
    set(${out} ${known} PARENT_SCOPE)
    return()
  endif()

  set(links)
  foreach(property IN ITEMS LINK_LIBRARIES INTERFACE_LINK_LIBRARIES)
    get_target_property(value ${target} ${property})
    if(value)
      list(APPEND links ${value})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES links)
  set(found FALSE)
  foreach(link IN LISTS links)
    if(link IN_LIST forbidden)
      set(found TRUE)
    elseif(TARGET ${link})
      get_target_property(aliased ${link} ALIASED_TARGET)
      if(aliased)
        set(link ${aliased})
      endif()
      get_property(ours GLOBAL PROPERTY PALATE_TARGETS)
      if(link IN_LIST ours)
        palate_reaches(found ${link} "${forbidden}")
      endif()
    endif()
    if(found)
      break()
    endif()
  endforeach()
  set_property(GLOBAL PROPERTY PALATE_REACHES_${target} ${found})
  set(${out} ${found} PARENT_SCOPE)
endfunction()

# Rejects a source that has its own compile options and uses a precompiled header, because gcc would
# silently use the header's options instead.
function(palate_check_source_options target)
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    get_source_file_property(options "${source}" TARGET_DIRECTORY ${target} COMPILE_OPTIONS)
    get_source_file_property(skips "${source}" TARGET_DIRECTORY ${target} SKIP_PRECOMPILE_HEADERS)
    if(options AND NOT skips)
      message(FATAL_ERROR "${target}: ${source} has COMPILE_OPTIONS, which its precompiled header would undo; set SKIP_PRECOMPILE_HEADERS")
    endif()
  endforeach()
endfunction()

# The tests that CI runs under each sanitizer, because all tests do not fit in its time: with
# AddressSanitizer the readers of input, with ThreadSanitizer what has threads.
# scripts/check_sanitizer.sh runs these, or all.
set(PALATE_CI_TESTS_address featurestore_test fuzz_config_test fuzz_image_test fuzz_safetensors_test fuzz_text_test models_files_test
                            offline_test retrieval_core_test retrieval_test)
set(PALATE_CI_TESTS_thread base_test embedding_core_test featurestore_test pipeline_test ranking_test retrieval_core_test)

# Registers the tests with ctest and creates the targets palate_tests and palate_benchmarks, and
# palate_ci_tests in a build with a sanitizer, whose tests have the label `ci`. ThreadSanitizer would
# report races inside libraries that were not built with it, so its build excludes all targets that
# use LibTorch, FAISS or gRPC.
function(palate_finish)
  get_property(targets GLOBAL PROPERTY PALATE_TARGETS)
  get_property(tests GLOBAL PROPERTY PALATE_TESTS)
  get_property(benchmarks GLOBAL PROPERTY PALATE_BENCHMARKS)
  set(left_out)

  foreach(target IN LISTS targets)
    palate_check_source_options(${target})
  endforeach()

  if(PALATE_SANITIZER STREQUAL "thread")
    foreach(target IN LISTS targets)
      palate_reaches(reaches ${target} "palate::torch;palate::faiss;gRPC::grpc++;gRPC::grpc++_reflection")
      if(reaches)
        list(APPEND left_out ${target})
        set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL TRUE)
      endif()
    endforeach()
  endif()

  set(ci_tests)
  if(PALATE_SANITIZER)
    set(ci_tests ${PALATE_CI_TESTS_${PALATE_SANITIZER}})
    add_custom_target(palate_ci_tests DEPENDS ${ci_tests})
  endif()
  foreach(test IN LISTS ci_tests)
    if(NOT test IN_LIST tests OR test IN_LIST left_out)
      message(FATAL_ERROR "PALATE_CI_TESTS_${PALATE_SANITIZER} names ${test}, which is no test of this build")
    endif()
    set_property(TARGET ${test} APPEND PROPERTY PALATE_TEST_LABELS ci)
  endforeach()

  foreach(test IN LISTS tests)
    if(NOT test IN_LIST left_out)
      palate_register_test(${test})
      list(APPEND registered ${test})
    endif()
  endforeach()

  add_custom_target(palate_tests DEPENDS ${registered})
  add_custom_target(palate_benchmarks DEPENDS ${benchmarks})

  list(JOIN benchmarks "\n" lines)
  file(WRITE "${CMAKE_BINARY_DIR}/benchmarks.txt" "${lines}\n")
  get_property(sources GLOBAL PROPERTY PALATE_TEST_SOURCES)
  list(JOIN sources "\n" lines)
  file(WRITE "${CMAKE_BINARY_DIR}/test_sources.txt" "${lines}\n")
endfunction()

function(palate_register_test test)
  get_target_property(labels ${test} PALATE_TEST_LABELS)
  get_target_property(timeout ${test} PALATE_TEST_TIMEOUT)
  if(PALATE_SANITIZER)
    math(EXPR timeout "${timeout} * 3")
  endif()

  if(DEFINED ENV{PALATE_SHARED_DIR})
    set(shared "$ENV{PALATE_SHARED_DIR}")
  else()
    cmake_path(GET PROJECT_SOURCE_DIR PARENT_PATH parent)
    set(shared "${parent}/shared")
  endif()

  set(serial FALSE)
  if("serial" IN_LIST labels)
    set(serial TRUE)
  endif()

  add_test(NAME ${test} COMMAND ${test} "--gtest_output=xml:${CMAKE_BINARY_DIR}/test-results/${test}.xml")
  set(environment
    "PALATE_SOURCE_DIR=${PROJECT_SOURCE_DIR}"
    "PALATE_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
    "PALATE_SHARE_DIR=${CMAKE_BINARY_DIR}/share"
    "PALATE_SHARED_DIR=${shared}"
    "ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:ignore_noninstrumented_modules=1:suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp")

  set_tests_properties(${test} PROPERTIES
    TIMEOUT ${timeout}
    LABELS "${labels}"
    RUN_SERIAL ${serial}
    WORKING_DIRECTORY "${CMAKE_BINARY_DIR}"
    ENVIRONMENT "${environment}")
endfunction()
