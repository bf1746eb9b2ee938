#!/usr/bin/env bash
# Checks the spelling of all texts and sources with codespell: frequent mistakes, and American spelling. .codespellrc says which
# dictionaries and which words are ours.
# Usage: scripts/check_spelling.sh [FILE...]     default: every file of the repository
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

command -v codespell >/dev/null || fail "codespell is missing; run scripts/setup.sh --checks"
files=("$@")
if [[ ${#files[@]} -eq 0 ]]; then
  mapfile -t files < <(git ls-files --cached --others --exclude-standard |
    while IFS= read -r file; do [[ ! -f "$file" ]] || echo "$file"; done)
fi
codespell "${files[@]}" || fail "codespell found misspelled words; a word of ours goes to ignore-words-list in .codespellrc"
echo "spelling: no findings"
