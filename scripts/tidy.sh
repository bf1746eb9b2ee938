#!/usr/bin/env bash
# Runs clang-tidy 16 with the checks of .clang-tidy, and looks for unused includes of the standard library.
# Usage: scripts/tidy.sh                     every source
#        scripts/tidy.sh FILE...             these files
#        scripts/tidy.sh --changed [BASE]    the sources that differ from BASE, by default from the merge base with
#                                            origin/main; for a changed header, one source that includes it
# PALATE_TIDY_SECONDS ends a run after that time; the files that are left are named and count as passed. PALATE_TIDY_FILES
# skips --changed when more files differ. Default: no limits.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

command -v clang-tidy-16 >/dev/null || fail "clang-tidy-16 is missing; run scripts/setup.sh --checks"

# changed_files BASE: names of sources and headers that differ from BASE, those not yet committed too.
changed_files() {
  { git diff --name-only --diff-filter=d "$1" -- '*.cc' '*.h' && git ls-files --others --exclude-standard -- '*.cc' '*.h'; } | sort -u
}

# sources_of FILE...: the sources among FILE, and for each header the first source that includes it, its own when there is one.
sources_of() {
  local file
  for file in "$@"; do
    if [[ "$file" == *.cc ]]; then
      echo "$file"
    elif [[ -f "${file%.h}.cc" ]]; then
      echo "${file%.h}.cc"
    else
      git grep -l --untracked -F "#include \"$file\"" -- '*.cc' | head -n 1 || true
    fi
  done | sort -u
}

files=("$@")
if [[ "${1:-}" == --changed ]]; then
  base="${2:-}"
  if [[ -z "$base" ]] && ! base="$(git merge-base HEAD origin/main 2>/dev/null)"; then
    echo "tidy: skipped, because there is no origin/main to compare with"
    exit
  fi
  mapfile -t files < <(changed_files "$base")
  echo "tidy: ${#files[@]} files differ from $base"
  if [[ -n "${PALATE_TIDY_FILES:-}" && ${#files[@]} -gt "$PALATE_TIDY_FILES" ]]; then
    echo "tidy: skipped, because more than $PALATE_TIDY_FILES files differ; run scripts/tidy.sh without a limit"
    exit
  fi
elif [[ $# -eq 0 ]]; then
  mapfile -t files < <(git ls-files --cached --others --exclude-standard -- '*.cc' '*.h')
fi
[[ ${#files[@]} -gt 0 ]] || exit 0
scripts/check_includes.sh "${files[@]}"

# clang-tidy reads how each source is compiled from the folder of the preset clang, and the generated headers there.
cmake --preset clang >/dev/null
cmake --build build-clang -j "${JOBS:-$(nproc)}" --target palate_generated >/dev/null
mapfile -t sources < <(sources_of "${files[@]}" | grep -xF -f <(sed -n "s|^ *\"file\": \"$PWD/\(.*\)\"|\1|p" build-clang/compile_commands.json))

# tidy_one FILE: prints the findings only.
tidy_one() {
  if [[ -n "${PALATE_TIDY_SECONDS:-}" && $((EPOCHSECONDS - PALATE_STARTED)) -ge "$PALATE_TIDY_SECONDS" ]]; then
    echo "tidy: no time left for $1"
    return
  fi
  local output
  if ! output="$(clang-tidy-16 -p build-clang --quiet "$1" 2>/dev/null)"; then
    echo "$output"
    return 1
  fi
}
export -f tidy_one
PALATE_STARTED="$EPOCHSECONDS"
[[ ${#sources[@]} -gt 0 ]] || exit 0
printf '%s\0' "${sources[@]}" | xargs -0 --no-run-if-empty -n 1 -P "${JOBS:-$(nproc)}" bash -c 'tidy_one "$1"' tidy ||
  fail "clang-tidy found something"
echo "tidy: ${#sources[@]} sources, no findings"
