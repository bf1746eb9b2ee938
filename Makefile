# The front door. Each target is a few lines over the presets of CMakePresets.json and the scripts of scripts/.

JOBS ?= $(shell nproc)
BIN := build/bin

.PHONY: help setup demo build test bench check-asan check-tsan fuzz check format dist clean

help:
	@echo 'make demo        set up, build the demo and run it: items in, explained recommendations out'
	@echo 'make test        set up, build everything (release) and run all tests'
	@echo 'make build       set up and build everything (release)'
	@echo 'make bench       build and run the benchmarks'
	@echo 'make check       format, layer and proto checks, as CI runs them'
	@echo 'make check-asan  all tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make check-tsan  tests without LibTorch, FAISS and gRPC under ThreadSanitizer'
	@echo 'make fuzz        fuzz the readers of files and texts for ten minutes each (needs clang-16)'
	@echo 'make format      format the C++ sources'
	@echo 'make dist        binaries and libraries for x86-64 levels 2 to 4, in build/dist.tar'
	@echo 'make clean       remove the build folders (the download cache stays)'

setup:
	@scripts/setup.sh

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
	cmake --preset asan
	cmake --build build-asan -j $(JOBS)
	scripts/run_tests.sh build-asan

check-tsan: setup
	cmake --preset tsan
	cmake --build build-tsan -j $(JOBS)
	scripts/run_tests.sh build-tsan

fuzz: setup
	scripts/fuzz.sh

check: setup
	scripts/format.sh --check
	scripts/check_layers.sh
	scripts/lint_protos.sh

format:
	scripts/format.sh

dist: build
	scripts/dist.sh build

clean:
	rm -rf build build-*
