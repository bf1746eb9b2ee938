#!/usr/bin/env bash
# Creates the Python environment of the libraries that the embedding benchmarks compare with, unless
# it exists, and prints the path of its interpreter. It is in the download cache, not in the checkout.
#
# The torch wheel on PyPI is the one for GPUs, and pip would add 2.5 GB of CUDA libraries that a run
# on the CPU loads but never calls. Empty libraries of the same names replace them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib.sh

# Written once, here; torch is the version of LibTorch.
TRANSFORMERS_VERSION=5.23.0
OPENVINO_VERSION=2026.4.1
NUMPY_VERSION=2.4.6
SAFETENSORS_VERSION=0.8.0
PILLOW_VERSION=13.0.0

folder="$PALATE_CACHE_DIR/peers"
key="torch $LIBTORCH_VERSION, transformers $TRANSFORMERS_VERSION, openvino $OPENVINO_VERSION r2"

# The CUDA libraries that the torch libraries link to and that are not installed.
missing_libraries() {
  local library
  for library in "$1"/lib*.so; do
    ldd "$library" 2>/dev/null | awk '/not found/ { print $1 }'
  done | sort -u
}

install_peers() {
  local python="$1/bin/python" packages torch name
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps "torch==$LIBTORCH_VERSION" >&2
  "$python" -m pip install --quiet --disable-pip-version-check --no-warn-conflicts "numpy==$NUMPY_VERSION" "safetensors==$SAFETENSORS_VERSION" \
    "pillow==$PILLOW_VERSION" "openvino==$OPENVINO_VERSION" filelock typing-extensions sympy networkx jinja2 fsspec \
    "transformers==$TRANSFORMERS_VERSION" >&2
  packages="$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')"
  torch="$packages/torch/lib"
  cp "$PALATE_CACHE_DIR/libtorch-$LIBTORCH_VERSION"/nvidia/cu13/lib/libcud*.so.13 \
    "$PALATE_CACHE_DIR/libtorch-$LIBTORCH_VERSION"/nvidia/cu13/lib/libcupti.so.13 "$torch/"
  for name in $(LD_LIBRARY_PATH="$torch" missing_libraries "$torch"); do
    [[ "$name" == libcuda.so.1 || "$name" == libpython* ]] && continue
    cc -shared -fPIC -x c /dev/null -Wl,-soname,"$name" -o "$torch/$name"
  done
  # Lazy binding looks up the missing functions when they are called, which is never.
  printf 'import os\nimport sys\n\nsys.setdlopenflags(os.RTLD_LAZY)\n' >"$packages/sitecustomize.py"
  "$python" -c 'import torch, transformers, openvino'
}

if [[ "$(cat "$folder/.stamp" 2>/dev/null)" != "$key" ]]; then
  step "peers of the embedding benchmarks: $key (about 600 MB)"
  python3 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || fail "the peers' wheels are for Python 3.11"
  rm -rf "$folder"
  python3 -m venv "$folder" >&2 || fail "python3 -m venv failed; on Debian it needs the package python3-venv"
  install_peers "$folder"
  echo "$key" >"$folder/.stamp"
fi
echo "$folder/bin/python"
