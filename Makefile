# make run    builds and starts Reelroom, and prints its address
# make test   every test, the browsers' and the SDKs' included
# make check  formatting, lints, unused dependencies, types, generated files
# make deb    a Debian package: target/deb/reelroom_….deb
# make bench  measures a release build with stock clients, and prints what it finds against what is wanted
# Each installs what it needs first; see scripts/setup. What takes long says how far it is.

export PATH := $(PATH):$(CURDIR)/.tools/python/bin:$(CURDIR)/.tools/cargo/bin

.PHONY: run build test check bench page deb test-deb

run: build
	@exec ./target/release/reelroom

build: page
	@STEP="3 of 3" PROFILE=release scripts/build

page:
	@STEP="1 of 3" scripts/setup run
	@STEP="2 of 3" scripts/build-page

# Sizes of what is in it: scripts/sizes.
deb:
	@STEP="1 of 4" scripts/setup deb
	@STEP="2 of 4" scripts/build-page
	@STEP="3 of 4" PROFILE=dist scripts/package

# The package in a Debian that has nothing else, as root: installed, a call recorded, upgraded, purged.
test-deb: deb
	@scripts/setup test-deb
	scripts/test-deb

# Most of them start the program and wait more than they work, so that there are more at a time than processors.
test:
	@STEP="1 of 4" scripts/setup test
	@STEP="2 of 4" scripts/build-page
	@echo "build: step 3 of 4: the program and its tests: some 20 minutes on 2 processors when nothing is built yet" >&2
	@scripts/cargo-progress build --workspace --bins --examples
	@scripts/cargo-progress test --workspace --no-run
	@echo "test: step 4 of 4: the tests" >&2
	scripts/together "RUST_TEST_THREADS=2 cargo test --workspace --quiet --lib --bins && cargo test --workspace --quiet --doc" \
	  "RUST_TEST_THREADS=4 cargo test --workspace --quiet --test '*'"
	scripts/test-full-disk
	scripts/test-stuck-disk
	cd web && npm test --silent
	scripts/torture --small --at-once 3
	scripts/abuse --small
	REELROOM_BIN=$(CURDIR)/target/debug/reelroom scripts/together \
	  "cd tests/sdk && ../../.tools/python/bin/python -m pytest -q ." \
	  "cd tests && npm run --silent test:sdk"
	cd tests && REELROOM_BIN=$(CURDIR)/target/debug/reelroom npm run --silent test:browser
	REELROOM_BIN=$(CURDIR)/target/debug/reelroom scripts/test-proxy
	REELROOM_BIN=$(CURDIR)/target/debug/reelroom scripts/test-two-devices
	REELROOM_BIN=$(CURDIR)/target/debug/reelroom scripts/test-only-443
	REELROOM_BIN=$(CURDIR)/target/debug/reelroom scripts/test-acme

bench: page
	@scripts/setup test
	cargo build --release --quiet --workspace --bins --examples
	.tools/python/bin/python bench/figures.py
	.tools/python/bin/python bench/access.py
	.tools/python/bin/python bench/load.py

check:
	@scripts/setup check
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	@cargo machete >/dev/null || { echo "these dependencies are not used:"; cargo machete; exit 1; }
	cd web && npm run --silent check
	@for file in tests/*.mjs tests/*/*.mjs; do node --check $$file || exit 1; done
	@if command -v cargo-deny >/dev/null; then cargo deny --log-level error check licenses bans sources; \
	else echo "cargo-deny is not installed: licences and sources were not checked (cargo install --locked cargo-deny, which takes some minutes)"; fi

