# Shared by the scripts of this folder: versions, the cache folder, progress and errors. Sourced, not
# run.

# Versions are written once, here; cmake/Versions.cmake reads them from this file.
LIBTORCH_VERSION=2.11.0
CUDA_RUNTIME_VERSION=13.0.96
CUDA_CUPTI_VERSION=13.0.85
FAISS_VERSION=1.12.0
FAISS_SYS_VERSION=0.7.0
GOOGLEAPIS_VERSION=1.66.0
MINILM_VERSION=0.1.0
EFFICIENTNET_LITE2_VERSION=0.1.0
BUF_VERSION=1.75.0
RUST_MINIMUM_VERSION=1.85

PALATE_CACHE_DIR="${PALATE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/palate}"
export PALATE_CACHE_DIR

# step TEXT: prints the current step, with the seconds since the first script started.
export PALATE_STARTED="${PALATE_STARTED:-$EPOCHSECONDS}"
step() { printf '[%4ds] %s\n' "$((EPOCHSECONDS - PALATE_STARTED))" "$*" >&2; }

# fail TEXT: prints an error and ends the script.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# processor_level: the highest x86-64 level (2, 3 or 4) of this processor, according to the loader.
processor_level() {
  local help level
  help="$(/lib64/ld-linux-x86-64.so.2 --help)"
  for level in 4 3 2; do
    if [[ "$help" == *"x86-64-v$level (supported"* ]]; then
      echo "$level"
      return
    fi
  done
  fail "this processor is below x86-64-v2 (SSE4.2 and POPCNT), the lowest that FAISS is built for"
}

# faiss_folder: the folder of the built FAISS in the cache. Its name has the compiler, because the
# library's ABI depends on it.
faiss_folder() { echo "faiss-$FAISS_VERSION-gcc$(c++ -dumpversion)"; }

# write_stamp FOLDER KEY: records that FOLDER is complete, by KEY and the size and path of every file.
write_stamp() {
  { echo "$2" && list_files "$1"; } >"$1/.stamp.part"
  mv "$1/.stamp.part" "$1/.stamp"
}

# stamp_holds FOLDER KEY: whether FOLDER is what write_stamp recorded. Compares sizes, not contents, to
# be fast.
stamp_holds() {
  [[ -f "$1/.stamp" ]] && [[ "$(cat "$1/.stamp")" == "$(echo "$2" && list_files "$1")" ]]
}

list_files() { (cd "$1" && find . -type f ! -name '.stamp*' -printf '%s %P\n' | LC_ALL=C sort -k2); }
