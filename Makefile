# `make` prints what there is. Every target sets up what it needs by itself.

# Another target needs its Rust std and C compiler: make build TARGET=aarch64-unknown-linux-gnu
TARGET ?= $(shell uname -m)-unknown-linux-gnu
FLAGS ?= --from-scrape 'http://localhost:13133/metrics job=otlet interval=5s' --from-statsd --from-otlp --from-xray --to-stdout
FUZZ_S ?= 60

# Static by crt-static, which needs nothing but stable Rust and gcc. Not position-independent: a
# static-pie is 83 KB larger (gzip 22) and relocates itself at start, which makes those pages private
# memory of each process. What it would buy, a random base address, guards against memory errors, and only
# net/sys may say unsafe. With --target these flags reach neither build scripts nor macros.
# The linker folds functions that are the same (lld's icf): 9 KB. Inlining stops early (LLVM's own threshold
# is 225): callgrind counts 2,760 instructions per sample (benches/scrape.rs) for 3.06 MB (gzip 1.60). The
# settings were compared when it counted 5,781 for 3.01 MB (1.56): with 75 5,772 for 3.10 (1.60); with 25, and
# 100 where a function is marked #[inline], 6,141 for 2.86 (1.48), 15 % slower; opt-level 3 without any bound
# 5,608 for 3.38 (1.73).
# Symbols by the newer scheme tell `make size` for which crate a generic function was made.
STATIC = -C target-feature=+crt-static -C relocation-model=static -C link-arg=-Wl,--icf=all \
	-C llvm-args=-inline-threshold=50 \
	-C symbol-mangling-version=v0 $(LEAVES)
# Unused branches of glibc stay out by the leaves of src/net/sys/static_libc.rs, which are tried with these
# versions of it; with another one the binary is 0.8 MB larger. Of two definitions the first counts: ours.
GLIBC = $(shell echo __GLIBC__.__GLIBC_MINOR__ | $(TARGET_CC) -E -P -include features.h - | tr -d ' ')
LEAVES = $(if $(filter 2.36 2.41,$(GLIBC)),--cfg libc_leaves -C link-arg=-Wl$(comma)-z$(comma)muldefs)
comma := ,
# Unwinding tables of C and Rust's std, 217 KB (gzip 80): a panic aborts, so nothing ever reads them,
# but the C start-up code looks at the first word, which says that the table is empty.
UNWINDING = --update-section .eh_frame=dist/empty --remove-section .eh_frame_hdr \
	--remove-section .gcc_except_table
# The linker's output with its symbols, by which `make size` tells what is in dist/otlet.
SYMBOLS = target/$(TARGET)/release/otlet
# What cargo-fuzz passes for coverage, less the sanitizers, which alone need nightly.
COVERAGE = -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table

# Debian's cross compiler for another kind of machine, unless the caller has chosen one.
ARCH := $(firstword $(subst -, ,$(TARGET)))
ifneq ($(ARCH),$(shell uname -m))
export CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)_LINKER ?= $(ARCH)-linux-gnu-gcc
export CC_$(subst -,_,$(TARGET)) ?= $(ARCH)-linux-gnu-gcc
OBJCOPY ?= $(ARCH)-linux-gnu-objcopy
TARGET_CC ?= $(ARCH)-linux-gnu-gcc
endif
OBJCOPY ?= objcopy
TARGET_CC ?= cc

.PHONY: help run build test check bench instructions fuzz image size readme

help: ## Print the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

run: build ## Build, then scrape itself every 5 s, receive StatsD, OTLP and X-Ray, and print; FLAGS=… for others
	dist/otlet $(FLAGS)

build: ## Build the static binary dist/otlet for TARGET
	RUSTFLAGS='$(STATIC)' CARGO_PROFILE_RELEASE_STRIP=debuginfo \
	  cargo build --locked --release --target $(TARGET)
	@mkdir -p dist && head -c 8 /dev/zero >dist/empty
	$(OBJCOPY) --strip-all $(UNWINDING) $(SYMBOLS) dist/otlet
	$(if $(filter $(ARCH),$(shell uname -m)),dist/otlet --version)

test: build ## Set up the real peers, then run all tests
	tests/setup
	OTLET_BIN=$(CURDIR)/dist/otlet cargo test --locked

check: ## Formatting, lints, the house rules of tests/tidy.rs, and that the fuzz targets build
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo test --locked --test tidy
	cargo check --locked --quiet --manifest-path fuzz/Cargo.toml

bench: build ## Measure parsers, encoders and the whole process
	tests/setup
	PATH="$$PATH:$(CURDIR)/tests/.peers/usr/bin" OTLET_BIN=$(CURDIR)/dist/otlet cargo bench --locked
	@if command -v valgrind >/dev/null; then $(MAKE) --no-print-directory instructions; fi

# Pages that differ by 4 tell what a page of 10,000 samples costs without the start.
COUNT = RUSTFLAGS='$(STATIC)' CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)_RUNNER='valgrind \
	--tool=callgrind --callgrind-out-file=/dev/null' cargo bench --locked --quiet --target $(TARGET) \
	--bench scrape -- pages=$(1) 2>&1 | sed -n 's/.*Collected : //p'

instructions: ## Count instructions from page to block under callgrind, which noise does not change
	@few=$$($(call COUNT,4)); many=$$($(call COUNT,8)); \
	  echo "scrape to blocks: $$(((many - few) / 40000)) instructions/sample"

fuzz: ## Fuzz every target for FUZZ_S seconds with libFuzzer, on stable Rust
	@mkdir -p fuzz/artifacts
	@for target in $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs))); do \
	  mkdir -p fuzz/corpus/$$target; \
	  RUSTFLAGS='$(COVERAGE)' cargo run --release --manifest-path fuzz/Cargo.toml --target $(TARGET) \
	    --bin $$target -- -max_total_time=$(FUZZ_S) -timeout=10 -rss_limit_mb=1024 -verbosity=0 \
	    -artifact_prefix=fuzz/artifacts/$$target- fuzz/corpus/$$target fuzz/seeds/$$target || exit 1; \
	done

image: build ## Write the scratch image dist/otlet-oci.tar and print its compressed size
	scratch-image/oci dist/otlet $(TARGET) dist/otlet-oci.tar

size: build ## Binary bytes and what they are; when idle: memory, threads, wake-ups per second
	tests/size dist/otlet $(SYMBOLS)

readme: ## Write the flag table into README.md
	cargo run --locked --example flag_table
