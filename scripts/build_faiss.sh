#!/usr/bin/env bash
# Builds FAISS for x86-64 levels and installs it into the download cache, unless it is there already.
# Usage: scripts/build_faiss.sh [LEVEL...]     a level is 2, 3 or 4; default: this processor's highest
#
# Result: CACHE/faiss-VERSION-COMPILER/{include/faiss, lib/libfaiss.so.1.12, lib/glibc-hwcaps/x86-64-vN/libfaiss.so.1.12}.
# lib/libfaiss.so.1.12 is a link to the lowest built level, for the linker and for processors below
# all built levels.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

sources="$PALATE_CACHE_DIR/faiss-sys-$FAISS_SYS_VERSION/faiss"
prefix="$PALATE_CACHE_DIR/$(faiss_folder)"

levels=("$@")
[[ ${#levels[@]} -gt 0 ]] || levels=("$(processor_level)")

for level in "${levels[@]}"; do
  installed="$prefix/lib/glibc-hwcaps/x86-64-v$level"
  key="faiss $FAISS_VERSION r1"
  if stamp_holds "$installed" "$key" && stamp_holds "$prefix/include" "$key"; then continue; fi
  step "FAISS for x86-64-v$level (about three minutes on two cores)"
  work="$PALATE_CACHE_DIR/build/faiss-v$level"
  mkdir -p "$PALATE_CACHE_DIR/build"
  cmake -G Ninja -S third_party/faiss -B "$work" -DPALATE_FAISS_SOURCE="$sources" -DPALATE_FAISS_LEVEL="$level" \
    -DCMAKE_INSTALL_PREFIX="$work/install" -DCMAKE_INSTALL_LIBDIR=lib >"$work.log" 2>&1 ||
    fail "configuring FAISS failed; see $work.log"
  cmake --build "$work" --target faiss
  cmake --install "$work" --strip >>"$work.log" 2>&1 || fail "installing FAISS failed; see $work.log"
  mkdir -p "$installed" "$prefix/include"
  cp -r "$work/install/include/faiss" "$prefix/include/"
  write_stamp "$prefix/include" "$key"
  cp "$work/install/lib/libfaiss.so.1.12.0" "$installed/libfaiss.so.1.12"
  write_stamp "$installed" "$key"
  rm -rf "$work" "$work.log"
done

for level in 4 3 2; do
  if [[ -f "$prefix/lib/glibc-hwcaps/x86-64-v$level/.stamp" ]]; then
    ln -sfn "glibc-hwcaps/x86-64-v$level/libfaiss.so.1.12" "$prefix/lib/libfaiss.so.1.12"
  fi
done
