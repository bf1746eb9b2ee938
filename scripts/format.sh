#!/usr/bin/env bash
# Formats the C++ sources with the pinned clang-format. With --check it changes nothing, and fails if
# a file is not formatted.
# Usage: scripts/format.sh [--check]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

# Version 14 is Debian 12's. Other versions format differently, so they are not accepted.
command -v clang-format-14 >/dev/null || fail "clang-format-14 is missing; run scripts/setup.sh --checks"
mode=(-i)
[[ "${1:-}" != --check ]] || mode=(--dry-run -Werror)
git ls-files -z --cached --others --exclude-standard -- '*.cc' '*.h' |
  while IFS= read -r -d '' file; do [[ ! -f "$file" ]] || printf '%s\0' "$file"; done |
  xargs -0 --no-run-if-empty -n 40 -P "$(nproc)" clang-format-14 --style=file "${mode[@]}"
