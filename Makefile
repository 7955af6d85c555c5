# The one door: people and machines build, test and check through these names.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build demo test check fmt lint goldens live compare bench bench-full fuzz test-san \
    captures reference conformance clean

# Where the checked build lives: its flags differ from the others', so it keeps its own products.
CHECKED := --scratch-path .build-check
# What reads bytes and holds memory; the rest starts programs or namespaces.
SANITIZED := WireTests|ConntrackTests|ScenarioTests|ReplayTests
# A crash in a test prints its trace at once instead of waiting for somebody to ask.
export SWIFT_BACKTRACE ?= enable=no

help:  ## Lists these names
	@sed -n 's/^\([a-z-]*\):.*##/\1/p' $(MAKEFILE_LIST) | while read -r name text; do \
	    printf '  make %-10s %s\n' "$$name" "$$text"; done

setup:  ## Installs what a fresh Debian machine with a Swift 6.3 toolchain lacks
	@scripts/setup

build: setup  ## Builds the command (release)
	swift build -c release --product ctlab

demo: build  ## Replays a shipped capture through a NAT gateway
	@scripts/demo

test: setup  ## Runs every test that this machine allows
	@scripts/test

check: build lint  ## Format, lint, a build without warnings, tests, goldens and house rules
	CTLAB_WARNINGS=error swift build $(CHECKED) --build-tests \
	    --explicit-target-dependency-import-check error
	CTLAB_WARNINGS=error scripts/test $(CHECKED) --skip-build
	@scripts/goldens --check
	@scripts/hot-path

lint:  ## Reports what swift-format would change
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Benchmarks Fuzzing

fmt:  ## Formats all sources in place
	swift format --in-place --recursive --parallel Package.swift Sources Tests Benchmarks Fuzzing

goldens: build  ## Writes what the captures' replays must print (read the diff)
	@scripts/goldens

live: build  ## Compares the model with this machine's kernel (needs root)
	@scripts/test --filter LiveKernelTests
	@scripts/live

compare: build  ## Lays measurement over prediction in a lab on this machine (needs root)
	@scripts/compare

fuzz: setup  ## Runs every libFuzzer target for a minute
	@scripts/fuzz

test-san: setup  ## Runs the tests of the model and the formats under the address sanitizer
	CTLAB_ALLOCATOR=system ASAN_OPTIONS=detect_leaks=0 \
	    scripts/test --sanitize address --scratch-path .build-san --filter '$(SANITIZED)'

bench: setup  ## Measures, and prints each figure beside its bar
	cd Benchmarks && swift run -c release bench

bench-full: setup  ## Fills a table with fifty million connections, once (8 GB)
	cd Benchmarks && swift run -c release bench full

reference: build  ## Measures the load generator beside its C yardstick (needs root)
	Benchmarks/reference/compare .build/release/ctlab

captures: build  ## Writes scenarios/captures anew (a test holds that nothing changes)
	swift run -c release make-captures scenarios/captures

conformance:  ## Writes docs/conformance.md from the tests' titles
	@scripts/conformance

clean:  ## Removes what was built
	rm -rf .build .build-check .build-san Benchmarks/.build Fuzzing/.build Fuzzing/.work
