#!/usr/bin/env bash
# Lints the public API with `buf lint`. buf finds imports only inside its workspace, so this copies proto/ and the google.rpc
# protos of the download cache into one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

buf="$PALATE_CACHE_DIR/buf-$BUF_VERSION/buf"
[[ -x "$buf" ]] || fail "buf is missing; run scripts/setup.sh"
workspace="$(mktemp -d)"
trap 'rm -rf "$workspace"' EXIT
cp buf.yaml "$workspace/"
cp -r proto "$workspace/proto"
cp -r "$PALATE_CACHE_DIR/googleapis-$GOOGLEAPIS_VERSION" "$workspace/googleapis"
(cd "$workspace" && "$buf" lint)
echo "buf lint: no findings"
