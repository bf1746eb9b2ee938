#!/usr/bin/env bash
# Checks every source with clang 16, without precompiled headers: warnings and thread-safety annotations are errors.
# Generates no code. Sources that have not changed since the last run are not checked again.
# Usage: scripts/check_clang.sh [--without-torch]     --without-torch skips the sources that include LibTorch's headers
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

build=build-clang
command -v clang++-16 >/dev/null || fail "clang-16 is missing; run scripts/setup.sh --checks"
cmake --preset clang >/dev/null
# Object files of our own sources. Those with LibTorch on their include path take several seconds each.
mapfile -t objects < <(sed -n 's/^ *"command": //p' "$build/compile_commands.json" |
  { if [[ "${1:-}" == --without-torch ]]; then grep -v '/torch/include'; else cat; fi; } |
  sed -nE 's/.* -o ([^ ]+) -c .*/\1/p' | grep -v '/__/gen/\|^gen/\|/gen/')
[[ ${#objects[@]} -gt 0 ]] || fail "no sources in $build/compile_commands.json"
ninja -C "$build" -k 0 -j "${JOBS:-$(nproc)}" "${objects[@]}"
echo "clang: ${#objects[@]} sources, no findings"
