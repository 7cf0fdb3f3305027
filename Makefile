# What there is to do. Every target says in its "##" what it does; "make help" lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR ?=
SEEDS ?= 100000
ARGS ?=

CARGO ?= cargo
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)

.PHONY: help run build test packages check sim soak bench perf install clean

help: ## list the targets
	@echo "Targets:"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

run: ## build, then balance over three built-in hosts to try out (ARGS="…" for the command line)
	@$(CARGO) run --release -- --demo $(ARGS)

build: ## build the release
	$(CARGO) build --release

test: packages ## install what the tests need, then run all of them
	@{ $(CARGO) test --no-fail-fast 2>&1 || true; } | .ci/totals

packages: ## install the Debian packages that tests and benches use, if any is missing
	@.ci/packages

check: ## format, lints, layers, documentation, licences; a warning is an error
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) test --quiet --test tidy
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --no-deps --quiet
	@if command -v cargo-deny > /dev/null; then \
		$(CARGO) deny check --config .ci/deny.toml; \
	else \
		echo "skipped: licences and advisories of the dependencies, because cargo-deny is not installed"; \
	fi

sim: ## run the simulation with many seeds (SEEDS=100000)
	DIRECTOR_SIM_SEEDS=$(SEEDS) $(CARGO) test --release --test sim -- --nocapture

soak: packages ## run the tests at their long sizes
	@{ DIRECTOR_SOAK=1 $(CARGO) test --release --no-fail-fast -- --nocapture 2>&1 || true; } | .ci/totals

bench: packages ## measure beside nginx, HAProxy and pen, for twelve minutes (ARGS="--quick": for one)
	$(CARGO) bench --bench peers -- $(ARGS)

perf: ## profile the loops under load and draw a flame graph (LOAD=short|kept|bulk|none, ARGS="…", CONFIG=…, PID=…, FOR=seconds)
	@ARGS="$(ARGS)" .ci/perf

install: ## install below PREFIX (/usr/local) and DESTDIR: programs, manual, completion, an example, the systemd unit
	@if command -v $(CARGO) > /dev/null; then $(CARGO) build --release; fi
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(TARGET_DIR)/release/director $(TARGET_DIR)/release/directorctl
	@share=$(DESTDIR)$(PREFIX)/share; ctl=$(TARGET_DIR)/release/directorctl; \
	make() { install -d "$$(dirname "$$1")"; "$$ctl" "$${@:2}" > "$$1"; chmod 644 "$$1"; echo "$$1"; }; \
	make $$share/man/man1/directorctl.1 man; \
	make $$share/bash-completion/completions/directorctl completion bash; \
	make $$share/zsh/site-functions/_directorctl completion zsh; \
	make $$share/fish/vendor_completions.d/directorctl.fish completion fish
	install -d $(DESTDIR)$(PREFIX)/share/doc/director/conf
	install -m 644 README.md CHANGELOG.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/director
	install -m 644 conf/*.xml conf/TUNING.md $(DESTDIR)$(PREFIX)/share/doc/director/conf
	install -d $(DESTDIR)$(SYSCONFDIR)/director $(DESTDIR)$(PREFIX)/lib/systemd/system
	@if [ ! -e $(DESTDIR)$(SYSCONFDIR)/director/director.xml ]; then \
		install -v -m 644 conf/minimal.xml $(DESTDIR)$(SYSCONFDIR)/director/director.xml; \
	fi
	sed 's|/usr/local/|$(PREFIX)/|; s|/etc/director/|$(SYSCONFDIR)/director/|' conf/director.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/director.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/director.service

clean: ## remove what was built
	$(CARGO) clean
