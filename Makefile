# The front door. Each target is a few lines over the presets of CMakePresets.json and the scripts of scripts/.

JOBS ?= $(shell nproc)
BIN := build/bin

.PHONY: help setup setup-checks demo build test bench check-asan check-tsan check-asan-ci check-tsan-ci check-clang tidy fuzz check \
	format dist clean

help:
	@echo 'make demo        set up, build the demo and run it: items in, explained recommendations out'
	@echo 'make test        set up, build everything (release) and run all tests'
	@echo 'make build       set up and build everything (release)'
	@echo 'make bench       build and run the benchmarks'
	@echo 'make check       format, layer, proto and spelling checks, as CI runs them'
	@echo 'make check-clang all sources with clang 16: warnings and thread-safety annotations, without precompiled headers'
	@echo 'make tidy        clang-tidy 16 over the sources that differ from origin/main'
	@echo 'make check-asan  all tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make check-tsan  tests without LibTorch, FAISS and gRPC under ThreadSanitizer'
	@echo 'make check-asan-ci, make check-tsan-ci    the part of each that CI runs'
	@echo 'make fuzz        fuzz the readers of files and texts for ten minutes each (needs clang-16)'
	@echo 'make format      format the C++ sources'
	@echo 'make dist        binaries and libraries for x86-64 levels 2 to 4, in build/dist.tar'
	@echo 'make clean       remove the build folders (the download cache stays)'

setup:
	@scripts/setup.sh

setup-checks:
	@scripts/setup.sh --checks

build/build.ninja: | setup
	cmake --preset release

demo: setup build/build.ninja
	cmake --build build -j $(JOBS) --target palate
	$(BIN)/palate demo

build: setup build/build.ninja
	cmake --build build -j $(JOBS)

test: build
	scripts/run_tests.sh build

bench: setup build/build.ninja
	cmake --build build -j $(JOBS) --target palate_benchmarks
	scripts/run_benchmarks.sh build

check-asan: setup
	scripts/check_sanitizer.sh asan

check-asan-ci: setup
	scripts/check_sanitizer.sh asan --ci

check-tsan: setup
	scripts/check_sanitizer.sh tsan

check-tsan-ci: setup
	scripts/check_sanitizer.sh tsan --ci

check-clang: setup-checks
	scripts/check_clang.sh

tidy: setup-checks
	scripts/tidy.sh --changed

fuzz: setup
	scripts/fuzz.sh

check: setup-checks
	scripts/format.sh --check
	scripts/check_layers.sh
	scripts/lint_protos.sh
	scripts/check_spelling.sh

format: setup-checks
	scripts/format.sh

dist: build
	scripts/dist.sh build

clean:
	rm -rf build build-*
