# HIVE. `make demo` and `make test` each set up what they need; a second run finds it there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Passed on to hive-loadtest: make demo ARGS="--loss 0.05 --chaos", make forward ARGS="--case crowd --check"
ARGS ?=

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## run the main job: English into a room over a lossy link, Spanish and captions out
	@scripts/setup demo
	@cargo build --release --locked --quiet --workspace --bins
	@target/release/hive-loadtest demo $(ARGS)

.PHONY: forward
forward: ## measure forwarding at 10 rooms x (1 + 9); ARGS="--case crowd" or "--case video" for others
	@scripts/setup demo
	@cargo build --release --locked --quiet --workspace --bins
	@target/release/hive-loadtest forward $(ARGS)

.PHONY: simulcast
simulcast: ## cut a video subscriber's link from 3 Mbit/s to 300 kbit/s and back, and measure what is shown
	@scripts/setup demo
	@cargo build --release --locked --quiet --workspace --bins
	@target/release/hive-loadtest simulcast $(ARGS)

.PHONY: build
build: ## build the release binaries
	@scripts/setup build
	cargo build --release --locked --package hive

.PHONY: test
test: ## format, lints, unit and end-to-end tests, then browsers and LiveKit's clients
	@scripts/setup test
	cargo fmt --all --check
	cargo fmt --check --manifest-path tests/clients/rust/Cargo.toml
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	cargo test --workspace --locked
	cd tests/browser && HIVE_BIN=$(CURDIR)/target/debug/hive npm test --silent
	cargo build --quiet --locked --manifest-path tests/clients/rust/Cargo.toml --target-dir target/clients
	cd tests/clients && HIVE_BIN=$(CURDIR)/target/debug/hive npm test --silent

# The models have random weights, so that nothing is downloaded: numbers are compared, not words.
.PHONY: parity
parity: ## Whisper and Marian on tract against transformers, with the same random weights (minutes)
	@scripts/setup export
	cd models/export && ../../.deps/export/bin/python -m unittest
	cd models/export && ../../.deps/export/bin/python -m hive_reference ../../.deps/reference
	cargo test --locked --package hive-models --features parity --test whisper_parity --test marian_parity

.PHONY: fuzz
fuzz: ## fuzz every parser for a minute each (needs nightly Rust and cargo-fuzz)
	@scripts/setup build
	@cd fuzz && for target in $$(cargo +nightly fuzz list); do \
		mkdir -p corpus/$$target; \
		case $$target in sdp_offer) seeds=../tests/offers ;; *) seeds= ;; esac; \
		cargo +nightly fuzz run $$target corpus/$$target $$seeds -- -max_total_time=60; \
	done

.PHONY: audit
audit: ## licences, sources and RustSec advisories with cargo-deny (needs the network)
	cargo deny check
