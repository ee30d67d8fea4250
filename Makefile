# Everything that people and CI type. `make` alone lists it.
# Each target sets up what it needs, or says what to type and stops.

# The lock file is part of what is tested: nothing here may change it.
CARGO := cargo
LOCKED := --locked

# Components: compiled for WebAssembly, not for this machine.
GUEST_ONLY := hostile smuggler
GUESTS := $(GUEST_ONLY) reconcile_invoices patch_rows
HOST_PACKAGES := --workspace $(GUEST_ONLY:%=--exclude %)
GUEST_BUILD := $(LOCKED) --target wasm32-wasip2 --target-dir target/guests

# How long `make soak` goes on.
MINUTES ?= 30

# How many schedules `make simulate` plays.
SCHEDULES ?= 1000000

# How many hosts `make kill` kills on each engine, and with which chance: the same seed, the same workloads.
KILLS ?= 500
SEED ?= $(shell date +%s)

.PHONY: help demo demo-attack recordings test bench soak simulate kill faults fmt lint lint-fmt lint-clippy lint-deny lint-advisories docs guests setup setup-rust setup-test

help: ## list the targets (default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup-rust ## the story: find, show, apply, verify, undo on a damaged invoice database
	@echo "The first build takes some minutes; after that the demo takes seconds."
	$(CARGO) build $(LOCKED) --package mendwright --package mendwright-tests --bin mendwright --bin demo
	@target/debug/demo

demo-attack: setup-rust ## six hostile components, each refused by name
	$(CARGO) build $(LOCKED) --package mendwright --package mendwright-tests --bin mendwright --bin demo
	@target/debug/demo attack

recordings: setup-rust ## record the dry runs anew that the jobs' tests play
	$(CARGO) build $(LOCKED) --package mendwright --package mendwright-tests --bin mendwright --bin demo
	@target/debug/demo record

test: setup lint docs guests ## everything CI checks: format, clippy, docs, all tests
	$(CARGO) test $(LOCKED) $(HOST_PACKAGES)

bench: setup ## the benches; docs/PERFORMANCE.md says what they measure
	$(CARGO) bench $(LOCKED) --package mendwright-tests --package mendwright-policy --benches

soak: setup ## the contract tests again and again with new random cases (MINUTES=30)
	scripts/soak.sh $(MINUTES)

simulate: setup-rust ## the simulation on many schedules (SCHEDULES=1000000); docs/SIMULATION.md says of what
	SCHEDULES=$(SCHEDULES) $(CARGO) test $(LOCKED) --release --package mendwright-simulation --test properties every_property -- --nocapture

kill: setup ## kill hosts and servers at random under load, and check what is left (KILLS=500 SEED=…)
	KILLS=$(KILLS) SEED=$(SEED) $(CARGO) test $(LOCKED) $(HOST_PACKAGES) --test contract serve::kills -- --nocapture

faults: setup ## fail every call by which a repair reaches its disk: killed there, an error, a full disk (half an hour)
	FAULTS=all $(CARGO) test $(LOCKED) $(HOST_PACKAGES) --test contract faults:: -- --nocapture

fmt: setup-rust ## format everything
	$(CARGO) fmt --all

lint: lint-fmt lint-clippy lint-deny ## format check, clippy for host and guests, cargo-deny where installed

lint-fmt: setup-rust
	$(CARGO) fmt --all --check

lint-clippy: setup-rust
	$(CARGO) clippy $(LOCKED) $(HOST_PACKAGES) --all-targets -- -D warnings
	$(CARGO) clippy $(GUEST_BUILD) $(GUESTS:%=--package %) -- -D warnings

lint-deny:
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny $(LOCKED) --workspace check licenses bans sources; \
	else echo "lint: cargo-deny is not installed, licences and sources are not checked (cargo install --locked cargo-deny)"; fi

lint-advisories: ## known vulnerabilities of what is built in; fetches the advisory database
	$(CARGO) deny $(LOCKED) --workspace check advisories

docs: setup-rust ## the API documentation, without warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) $(HOST_PACKAGES) --no-deps

guests: setup-rust ## the components that tests run
	@# One at a time, as `tests/src/guests.rs` says.
	@for guest in $(GUESTS); do $(CARGO) rustc $(GUEST_BUILD) --profile job --package $$guest --lib --crate-type cdylib || exit 1; done

setup: setup-rust setup-test ## what the tests need: the WebAssembly target, PostgreSQL's programs, strace

setup-rust:
	@scripts/setup-rust.sh

setup-test:
	@scripts/setup-test.sh
