# Everything a person or CI does with this tree; Meson and Ninja do the work.
.PHONY: deps deps-test deps-bench build demo test check-shared lint format bench agree soak fuzz install clean

MESON = meson
PREFIX ?= /usr/local
ORGS ?= 200
YEARS ?= 2

deps:
	@tools/deps build

deps-test:
	@tools/deps build test

build: deps
	@test -f build/build.ninja || $(MESON) setup build -Dbuildtype=release -Dprefix=$(PREFIX) >build-setup.log 2>&1 || { cat build-setup.log; exit 1; }
	@ninja -C build --quiet

demo: build
	@ORGS=$(ORGS) YEARS=$(YEARS) KEEP=$(KEEP) tools/demo/run

# All that CI runs; the last line is "N passed, N failed".
test: deps-test
	@tools/test

# The rooms against data that may not enter this repository (SHARED=DIR).
check-shared: build
	@tools/check-shared

lint: deps-test
	@tools/lint

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

deps-bench:
	@tools/deps build bench

bench: build deps-bench
	@bench/run
	@bench/watch

# Every pair of line and indicator against the reference matcher (minutes).
agree: build
	@bench/agree

# SECONDS=3600: watch -f under rotations, list swaps and kills.
soak: build
	@bench/soak

fuzz: deps-test
	@tools/fuzz

install: build
	ninja -C build install

clean:
	rm -rf build build-* demo-run
