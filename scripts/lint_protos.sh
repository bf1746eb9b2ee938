#!/usr/bin/env bash
# Lints the protos with `buf lint`, and compares them with those of the newest tag with
# `buf breaking`: a change that would break a client or a stored record fails. buf finds imports only
# inside its workspace, so this script copies proto/ and the google.rpc protos of the download cache
# into one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

buf="$PALATE_CACHE_DIR/buf-$BUF_VERSION/buf"
[[ -x "$buf" ]] || fail "buf is missing; run scripts/setup.sh --checks"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

# make_workspace NAME: $folder/NAME with this checkout's buf.yaml and the google.rpc protos; the caller adds proto/.
make_workspace() {
  mkdir "$folder/$1"
  cp buf.yaml "$folder/$1/"
  cp -r "$PALATE_CACHE_DIR/googleapis-$GOOGLEAPIS_VERSION" "$folder/$1/googleapis"
}

make_workspace now
cp -r proto "$folder/now/proto"
(cd "$folder/now" && "$buf" lint)
echo "buf lint: no findings"

tag="$(git tag --list 'v[0-9]*' --sort=-version:refname | head -n 1)"
if [[ -z "$tag" ]]; then
  echo "buf breaking: skipped, because there is no tag yet (a clone without tags has none either)"
  exit
fi
make_workspace then
git archive "$tag" proto | tar -x -C "$folder/then"
(cd "$folder/now" && "$buf" breaking --against "$folder/then")
echo "buf breaking: nothing breaks the protos of $tag"
