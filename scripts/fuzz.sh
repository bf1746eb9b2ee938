#!/usr/bin/env bash
# Builds the fuzzers of tests/fuzz with clang, AddressSanitizer and UndefinedBehaviorSanitizer, and
# runs them one after the other.
# Usage: scripts/fuzz.sh [SECONDS] [NAME...]     default: 600 seconds of each
#
# An input that fails is written to build-fuzz/found/NAME; `build-fuzz/bin/fuzz_NAME FILE` runs it
# again. After the fix, add it to tests/fuzz/corpus/NAME, which the tests of every build read.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

duration="${1:-600}"
[[ "$duration" =~ ^[0-9]+$ ]] || fail "usage: scripts/fuzz.sh [SECONDS] [NAME...]"
shift || true
names=("$@")
[[ ${#names[@]} -gt 0 ]] || names=(safetensors config model_config image text)
build=build-fuzz

# Version 16 is the oldest clang of Debian 12 that supports the C++20 of gcc 12's library.
command -v clang++-16 >/dev/null || fail "clang++-16 is missing: apt-get install clang-16 libclang-rt-16-dev llvm-16"
cmake -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER=clang-16 -DCMAKE_CXX_COMPILER=clang++-16 -DPALATE_FUZZ=ON \
  >/dev/null
cmake --build "$build" -j "${JOBS:-$(nproc)}" --target "${names[@]/#/fuzz_}"

# Leak and container checks are off: libraries that were not built with the sanitizers do not free all
# memory, and LibTorch's vector types cause false container overflows.
export ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1:detect_container_overflow=0"
export UBSAN_OPTIONS="print_stacktrace=1"
export ASAN_SYMBOLIZER_PATH="/usr/bin/llvm-symbolizer-16"
for name in "${names[@]}"; do
  step "fuzz_$name for $duration seconds"
  mkdir -p "$build/corpus/$name" "$build/found/$name"
  seeds="tests/fuzz/corpus/${name#model_}"  # both config fuzzers read the same files
  dictionary="$seeds.dict"
  nice -n 10 "$build/bin/fuzz_$name" -max_total_time="$duration" -timeout=20 -rss_limit_mb=3000 -malloc_limit_mb=1000 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="$build/found/$name/" $([[ ! -f "$dictionary" ]] || echo "-dict=$dictionary") \
    "$build/corpus/$name" "$seeds" 2>&1 | tee "$build/fuzz_$name.log" | grep -vE '^#[0-9]+.(NEW|REDUCE|pulse|RELOAD) ' ||
    fail "fuzz_$name found something: see $build/fuzz_$name.log"
done
