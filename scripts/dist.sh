#!/usr/bin/env bash
# Packs the release build for other machines as build/dist.tar: binaries, LibTorch, FAISS for x86-64
# levels 2, 3 and 4 under one SONAME, and the built-in models. The target is Debian 12;
# share/doc/palate/debian-packages.txt lists the packages that it needs.
# Usage: scripts/dist.sh BUILD_FOLDER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

build="${1:?usage: scripts/dist.sh BUILD_FOLDER}"
scripts/build_faiss.sh 2 3 4

stage="$build/dist/palate"
doc="$stage/share/doc/palate"
step "staging $stage"
rm -rf "$build/dist"
cmake --install "$build" --prefix "$stage" --strip >/dev/null
mkdir -p "$stage/lib" "$doc"
torch="$PALATE_CACHE_DIR/libtorch-$LIBTORCH_VERSION"
# libtorch_cpu also searches for the CUDA runtime in its own folder.
cp "$torch"/torch/lib/*.so "$torch"/nvidia/cu13/lib/*.so.13 "$stage/lib/"
faiss="$PALATE_CACHE_DIR/$(faiss_folder)/lib"
for level in 2 3 4; do
  mkdir -p "$stage/lib/glibc-hwcaps/x86-64-v$level"
  cp "$faiss/glibc-hwcaps/x86-64-v$level/libfaiss.so.1.12" "$stage/lib/glibc-hwcaps/x86-64-v$level/"
done
ln -s glibc-hwcaps/x86-64-v2/libfaiss.so.1.12 "$stage/lib/libfaiss.so.1.12"
mkdir -p "$stage/share"
cp -rL "$build/share/models" "$stage/share/"
cp LICENSE NOTICE "$doc/"
cp -r "$torch"/*.dist-info "$doc/"

# The Debian packages of the other libraries, which an image must install.
for binary in "$stage"/bin/*; do ldd "$binary"; done | sed -n 's/^\t[^ ]* => \(\/[^ ]*\) .*/\1/p' | sort -u |
  { grep -v "^$PWD/\|^$PALATE_CACHE_DIR/" || true; } |
  while IFS= read -r library; do dpkg-query -S "$library" "$(realpath "$library")" "/usr$library" 2>/dev/null || true; done |
  cut -d: -f1 | sort -u >"$doc/debian-packages.txt"
if ldd "$stage"/bin/* | grep -q 'not found'; then fail "a library of $stage is not found; see ldd"; fi

step "packing"
tar -C "$build/dist" --sort=name --owner=0 --group=0 -cf "$build/dist.tar" palate
step "$build/dist.tar: $(du -h "$build/dist.tar" | cut -f1)"
