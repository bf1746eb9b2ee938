# Third-party libraries: Debian's packages through their CMake or pkg-config files, and the
# downloads of scripts/setup.sh.

include_guard(GLOBAL)

# Stops with instructions when a file that scripts/setup.sh provides is missing.
function(palate_require_download path)
  if(NOT EXISTS "${path}")
    message(FATAL_ERROR "${path} is missing. Run scripts/setup.sh, which downloads it.")
  endif()
endfunction()

find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(RocksDB CONFIG REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)
find_package(GTest CONFIG REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(utf8cpp CONFIG REQUIRED)
find_package(roaring CONFIG REQUIRED)
pkg_check_modules(webp REQUIRED IMPORTED_TARGET libwebp)
pkg_check_modules(cairo REQUIRED IMPORTED_TARGET cairo)
pkg_check_modules(isal REQUIRED IMPORTED_TARGET libisal)

find_program(PALATE_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
if(NOT TARGET protobuf::protoc)
  add_executable(protobuf::protoc IMPORTED)
  set_target_properties(protobuf::protoc PROPERTIES IMPORTED_LOCATION "${Protobuf_PROTOC_EXECUTABLE}")
endif()

# Defines palate::NAME for a library whose target has another name.
function(palate_alias name target)
  add_library(palate_dep_${name} INTERFACE)
  target_link_libraries(palate_dep_${name} INTERFACE ${target})
  add_library(palate::${name} ALIAS palate_dep_${name})
endfunction()

palate_alias(rocksdb RocksDB::rocksdb-shared)
palate_alias(roaring roaring::roaring)  # CRoaring, compressed sets of 32-bit numbers
palate_alias(webp PkgConfig::webp)
palate_alias(cairo PkgConfig::cairo)
palate_alias(crc32c PkgConfig::isal)  # crc32_iscsi() of <isa-l/crc.h> is CRC32C
palate_alias(openssl_crypto OpenSSL::Crypto)
palate_alias(utf8 utf8cpp)
palate_alias(curl CURL::libcurl)
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()

# google.rpc.Status and its error details, which are part of the public API.
set(PALATE_GOOGLEAPIS_DIR "${PALATE_CACHE_DIR}/googleapis-${PALATE_GOOGLEAPIS_VERSION}")
palate_require_download("${PALATE_GOOGLEAPIS_DIR}/google/rpc/status.proto")

# LibTorch: the CPU part of the wheel. libtorch_cuda is not linked, and libtorch_cpu finds the CUDA
# runtime that it needs through its RPATH. One build works on machines with and without a GPU.
set(PALATE_LIBTORCH_DIR "${PALATE_CACHE_DIR}/libtorch-${PALATE_LIBTORCH_VERSION}")
set(libtorch_lib "${PALATE_LIBTORCH_DIR}/torch/lib")
palate_require_download("${libtorch_lib}/libtorch_cpu.so")
add_library(palate::c10 SHARED IMPORTED GLOBAL)
set_target_properties(palate::c10 PROPERTIES
  IMPORTED_LOCATION "${libtorch_lib}/libc10.so"
  IMPORTED_SONAME libc10.so)
add_library(palate::torch SHARED IMPORTED GLOBAL)
set_target_properties(palate::torch PROPERTIES
  IMPORTED_LOCATION "${libtorch_lib}/libtorch_cpu.so"
  IMPORTED_SONAME libtorch_cpu.so)
target_include_directories(palate::torch INTERFACE
  "${PALATE_LIBTORCH_DIR}/torch/include"
  "${PALATE_LIBTORCH_DIR}/torch/include/torch/csrc/api/include")
target_compile_definitions(palate::torch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
target_link_libraries(palate::torch INTERFACE palate::c10)

# at::parallel_for uses LibTorch's threads only in files compiled with OpenMP; in others it is a
# plain loop. Targets with TORCH are compiled with it (palate_openmp in cmake/Palate.cmake) and use
# LibTorch's OpenMP runtime. Clang, which builds the fuzzers and checks the sources, has a different
# runtime.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  target_link_libraries(palate::torch INTERFACE ${OpenMP_CXX_LIBRARIES})
endif()

# The fuzzers do not use FAISS, and it is not built for their compiler.
if(PALATE_FUZZ)
  return()
endif()

# FAISS, built by scripts/build_faiss.sh. Targets get lib/ as RUNPATH; the loader selects the file
# for this processor's level below it. The headers are compiled for our baseline. The folder is
# named after the default compiler, which built it.
execute_process(COMMAND c++ -dumpversion OUTPUT_VARIABLE compiler_major OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCH "^[0-9]+" compiler_major "${compiler_major}")
set(PALATE_FAISS_DIR "${PALATE_CACHE_DIR}/faiss-${PALATE_FAISS_VERSION}-gcc${compiler_major}")
palate_require_download("${PALATE_FAISS_DIR}/lib/libfaiss.so.1.12")
add_library(palate::faiss SHARED IMPORTED GLOBAL)
set_target_properties(palate::faiss PROPERTIES
  IMPORTED_LOCATION "${PALATE_FAISS_DIR}/lib/libfaiss.so.1.12"
  IMPORTED_SONAME libfaiss.so.1.12)
target_include_directories(palate::faiss INTERFACE "${PALATE_FAISS_DIR}/include")

# retrieval/ sets FAISS's threads through <omp.h>. Clang's own is not installed and gcc's is for gcc alone, so the sources are checked
# against the one declaration that they use.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  file(WRITE "${CMAKE_BINARY_DIR}/omp/omp.h" "extern \"C\" void omp_set_num_threads(int);\n")
  target_include_directories(palate::faiss SYSTEM INTERFACE "${CMAKE_BINARY_DIR}/omp")
endif()
