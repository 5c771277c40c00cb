# Every target sets up what it needs by itself: Debian packages and .venv, see scripts/setup.sh.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Each has a lab of its own. Four for two cores: stories of the lab mostly wait, for boots and grace periods.
WORKERS ?= 4
# Tests start the program hundreds of times: it must not be compiled anew each time, as where this is set.
unexport PYTHONDONTWRITEBYTECODE
# A module goes to one worker, so what its tests share is built once; long ones, which are collected first, begin first.
# Files rather than xdist_group marks: pytest-xdist 3.8 with pytest 9.2 ignores those without a word.
WHOLE_MODULES := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# For more arguments to pytest: make test-fast ARGS="-k placement"
ARGS ?=

##@ Try it
.PHONY: demo
demo: setup ## Three lab hosts, the daemon, VMs that boot; DEMO_ONCE=1 cleans up and exits by itself (root)
	@$(BIN)/python -m tests.lab.demo

.PHONY: demo-ha
demo-ha: setup ## Three lab hosts with BMCs, six VMs, one power cut; DEMO_ONCE=1 cleans up and exits by itself (root)
	@$(BIN)/python -m tests.lab.ha_demo

.PHONY: bench
bench: setup ## Measure, beside virsh doing the same (root)
	@$(BIN)/python -m tests.bench

##@ Check it
.PHONY: test
test: lint ## All checks and all tests, those on real libvirt hosts included (root)
	$(PYTEST) $(WHOLE_MODULES) --durations=12 $(ARGS)

.PHONY: coverage
coverage: setup ## All tests, and which lines of ours none of them reaches; a third slower (root)
	$(PYTEST) $(WHOLE_MODULES) --cov --cov-report=term:skip-covered $(ARGS)

.PHONY: test-fast
test-fast: setup ## Tests that need no lab and don't take long, in about a minute
	$(PYTEST) -n 4 --dist loadfile -m "not lab and not slow" $(ARGS)

.PHONY: soak
soak: setup ## Ten thousand random schedules over a simulated fleet; what goes wrong becomes a folder; SOAK="500 --first 7"
	$(BIN)/python -m tests.scenarios.soak --workers $(WORKERS) $(SOAK)

.PHONY: soak-lab
soak-lab: setup ## Twenty controllers killed at random while real hosts' VMs are recovered, ten minutes (root)
	RECONCILER_HA_KILLS=20 $(PYTEST) -q tests/lab/test_ha_doubt.py -k killed $(ARGS)

.PHONY: lint
lint: setup ## Style, types and the rules of who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: format
format: setup ## Bring all code to the one style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

##@ Make it
.PHONY: docs
docs: setup ## Write the reference pages from the code
	$(BIN)/python scripts/generate_docs.py

.PHONY: install
install: install-files ## The program into /opt/reconciler, with its service, manual pages and completions (root)
	python3 -m venv /opt/reconciler
	/opt/reconciler/bin/pip install --quiet --constraint constraints.txt .
	ln -sf /opt/reconciler/bin/reconciler /usr/local/bin/reconciler
	systemd-sysusers reconciler.conf
	systemd-tmpfiles --create reconciler.conf
	[ ! -d /run/systemd/system ] || systemctl daemon-reload

# Below DESTDIR for packages; a configuration that is there stays.
.PHONY: install-files
install-files:
	install -D -m 644 packaging/systemd/reconciler.service $(DESTDIR)/etc/systemd/system/reconciler.service
	install -D -m 644 packaging/sysusers.d/reconciler.conf $(DESTDIR)/usr/lib/sysusers.d/reconciler.conf
	install -D -m 644 packaging/tmpfiles.d/reconciler.conf $(DESTDIR)/usr/lib/tmpfiles.d/reconciler.conf
	[ -e $(DESTDIR)/etc/reconciler/config.yaml ] || install -D -m 644 packaging/config.yaml $(DESTDIR)/etc/reconciler/config.yaml
	install -D -m 644 packaging/man/reconciler.1 $(DESTDIR)/usr/local/share/man/man1/reconciler.1
	install -D -m 644 packaging/man/reconciler-config.5 $(DESTDIR)/usr/local/share/man/man5/reconciler-config.5
	install -D -m 644 packaging/completions/reconciler.bash $(DESTDIR)/usr/share/bash-completion/completions/reconciler
	install -D -m 644 packaging/completions/reconciler.zsh $(DESTDIR)/usr/share/zsh/vendor-completions/_reconciler
	install -D -m 644 packaging/completions/reconciler.fish $(DESTDIR)/usr/share/fish/vendor_completions.d/reconciler.fish

.PHONY: setup
setup: ## Install Debian packages (root) and .venv where they are missing
	@scripts/setup.sh

.PHONY: clean
clean: ## Remove what tools leave behind; .venv and built guest images stay
	rm -rf build dist .coverage .coverage.* .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find reconciler tests scripts -name __pycache__ -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## Remove those too
	rm -rf .venv .cache

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n\033[1m%s\033[0m\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make \033[36m%-10s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST) | $(PLAIN)
	@echo

# Colours are for terminals.
PLAIN := if [ -t 1 ] && [ -z "$$NO_COLOR" ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi
