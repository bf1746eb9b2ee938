#!/usr/bin/env bash
# Runs every benchmark of a build folder, one after the other.
# Usage: scripts/run_benchmarks.sh BUILD_FOLDER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

build="${1:?usage: scripts/run_benchmarks.sh BUILD_FOLDER}"
while IFS= read -r name; do
  [[ -n "$name" ]] || continue
  step "$name"
  "$build/bench/$name"
done <"$build/benchmarks.txt"
