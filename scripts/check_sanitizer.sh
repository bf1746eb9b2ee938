#!/usr/bin/env bash
# Builds the tests under a sanitizer and runs them, in build-asan/ or build-tsan/.
# Usage: scripts/check_sanitizer.sh asan|tsan [--ci]     --ci builds and runs only the part that fits in CI's time, which
#                                                        cmake/Palate.cmake lists
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

preset="${1:-}"
[[ "$preset" == asan || "$preset" == tsan ]] || fail "usage: scripts/check_sanitizer.sh asan|tsan [--ci]"
target=all
selection=()
if [[ "${2:-}" == --ci ]]; then
  target=palate_ci_tests
  selection=(-L '^ci$')
fi
cmake --preset "$preset"
cmake --build "build-$preset" -j "${JOBS:-$(nproc)}" --target "$target"
scripts/run_tests.sh "build-$preset" "${selection[@]}"
