#!/usr/bin/env bash
# Runs the tests of a build folder. The last line has the counts of all GoogleTest cases.
# Usage: scripts/run_tests.sh BUILD_FOLDER [CTEST_ARGUMENT...]
# Example: scripts/run_tests.sh build -R retrieval
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

build="${1:?usage: scripts/run_tests.sh BUILD_FOLDER [CTEST_ARGUMENT...]}"
shift
results="$build/test-results"
rm -rf "$results"
mkdir -p "$results"
mapfile -t names < <(ctest --test-dir "$build" -N "$@" | sed -n 's/^ *Test *#[0-9]*: //p')
[[ ${#names[@]} -gt 0 ]] || fail "no test matches in $build"

status=0
ctest --test-dir "$build" --output-on-failure -j "$(nproc)" "$@" || status=$?

passed=0 failed=0 skipped=0
for name in "${names[@]}"; do
  if [[ ! -s "$results/$name.xml" ]]; then
    echo "$name left no results: it crashed, timed out or could not start"
    failed=$((failed + 1))
    continue
  fi
  # One <testsuite> line per suite carries its counts.
  read -r total bad left < <(awk '
    function count(key) { return match($0, " " key "=\"[0-9]+\"") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 4) : 0 }
    /<testsuite / { total += count("tests"); bad += count("failures") + count("errors"); left += count("skipped") + count("disabled") }
    END { print total + 0, bad + 0, left + 0 }' "$results/$name.xml")
  passed=$((passed + total - bad - left)) failed=$((failed + bad)) skipped=$((skipped + left))
done
if [[ $status != 0 && $failed == 0 ]]; then failed=1; fi
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed == 0 ]]
