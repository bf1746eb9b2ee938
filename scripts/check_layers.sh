#!/usr/bin/env bash
# Enforces the dependencies between folders: which folder may include which, and which folders may
# use gRPC, RocksDB, FAISS and LibTorch.
# Usage: scripts/check_layers.sh [BUILD_FOLDER]
# With a build folder, it also checks that every test is built and that the small binaries do not
# link LibTorch.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

folders="base domain models embedding retrieval ranking featurestore pipeline services offline cli tests bench"

# may_include FOLDER: the folders of this repository that FOLDER's files may include.
may_include() {
  case "$1" in
    base) echo base ;;
    domain) echo base domain ;;
    models) echo base models ;;
    embedding) echo base domain models embedding ;;
    retrieval) echo base domain retrieval ;;
    ranking) echo base domain ranking ;;
    ranking/engine) echo base domain models ranking ;;
    featurestore) echo base domain featurestore ;;
    pipeline) echo base domain ranking embedding retrieval featurestore pipeline ;;
    offline) echo base domain models embedding retrieval ranking featurestore pipeline offline ;;
    services) echo base domain models embedding retrieval ranking featurestore pipeline services ;;
    cli) echo base domain models embedding retrieval ranking featurestore pipeline services offline cli ;;
    tests | bench) echo "$folders" ;;
  esac
}

# may_include_inside FOLDER: the folders of featurestore/ that one of these folders may include; each may
# also include types.h, options.h and validate.h.
may_include_inside() {
  case "$1" in
    featurestore/storage) echo featurestore/storage ;;
    featurestore/items) echo featurestore/storage featurestore/items ;;
    featurestore/users) echo featurestore/storage featurestore/users ;;
  esac
}

# may_know LIBRARY: the folders whose files may include a library's headers. Tests and benchmarks may include all.
may_know() {
  case "$1" in
    grpc | messages) echo services cli ;;
    storage) echo featurestore ;;
    rocksdb) echo featurestore embedding/cache ;;
    curl) echo embedding/fetch ;;
    faiss) echo retrieval ;;
    roaring) echo domain ;;
    torch) echo models embedding ranking/engine offline/training offline/golden ;;
  esac
}

# library_of PATH: the library that an include path belongs to; nothing for libraries that any folder
# may use.
library_of() {
  case "$1" in
    grpc/* | grpc++/* | grpcpp/* | *.grpc.pb.h) echo grpc ;;
    palate/storage/*) echo storage ;;
    palate/*) echo messages ;;
    rocksdb/*) echo rocksdb ;;
    curl/*) echo curl ;;
    faiss/*) echo faiss ;;
    roaring/*) echo roaring ;;
    ATen/* | torch/* | c10/* | caffe2/*) echo torch ;;
  esac
}

# holds FILE FOLDER...: whether FILE is in one of the folders.
holds() {
  local file="$1" folder
  shift
  for folder in "$@"; do [[ "$file" != "$folder"/* ]] || return 0; done
  return 1
}

violations=0
report() {
  echo "$*" >&2
  violations=$((violations + 1))
}

# Prints "FILE:LINE:PATH" for every #include.
includes() {
  git ls-files --cached --others --exclude-standard -- '*.cc' '*.h' |
    while IFS= read -r file; do [[ ! -f "$file" ]] || echo "$file"; done |
    xargs grep -nHoE '^ *# *include *[<"][^>"]+[>"]' |
    sed -E 's/^([^:]+:[0-9]+): *# *include *[<"]([^>"]+)[>"]/\1:\2/'
}

while IFS=: read -r file line path; do
  top="${file%%/*}"
  [[ " $folders " == *" $top "* && "$top" != tests && "$top" != bench ]] || continue
  library="$(library_of "$path")"
  if [[ -n "$library" ]]; then
    holds "$file" $(may_know "$library") || report "$file:$line: <$path>: only $(may_know "$library") may know $library"
    continue
  fi
  target="${path%%/*}"
  [[ "$path" == */* && " $folders " == *" $target "* ]] || continue
  allowed="$(may_include_inside "${file%/*}")"
  if [[ -n "$allowed" && "$path" == featurestore/* && ! "$path" =~ ^featurestore/(types|options|validate)\.h$ ]]; then
    holds "$path" $allowed || report "$file:$line: \"$path\": ${file%/*} must not include it"
  fi
  layer="$top"
  [[ "$file" != ranking/engine/* ]] || layer=ranking/engine
  [[ " $(may_include "$layer") " == *" $target "* ]] || report "$file:$line: \"$path\": $layer must not include $target"
done < <(includes)

build="${1:-}"
if [[ -n "$build" ]]; then
  while IFS= read -r file; do
    grep -qxF "$PWD/$file" "$build/test_sources.txt" || report "$file: in no palate_test; it is never built"
  done < <(git ls-files --cached --others --exclude-standard -- 'tests/**_test.cc')
  for binary in palate-gateway palate-retrieval palate-featurestore; do
    if [[ -x "$build/bin/$binary" ]] && readelf -d "$build/bin/$binary" | grep -q 'NEEDED.*libtorch'; then
      report "$build/bin/$binary links LibTorch; it has to stay small"
    fi
  done
fi

[[ $violations == 0 ]] || fail "$violations violations of the layers (see ARCHITECTURE.md)"
echo "layers: no violations"
