# `make demo` and `make test` set up all they need on a fresh Debian machine.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

DEMO_PACKAGES := python3-venv prometheus
TEST_PACKAGES := $(DEMO_PACKAGES) victoria-metrics chromium chromium-driver fonts-noto-cjk gcc libc6-dev \
                 nginx-light openssl shellcheck systemd faketime

.PHONY: demo test test-libraries check bench clean
.DELETE_ON_ERROR:

demo: ## a simulated cluster with a real Prometheus, and yesterday's report
	@deploy/debian-packages.sh $(DEMO_PACKAGES)
	@$(MAKE) --no-print-directory $(VENV)/report
	@$(BIN)/exporter demo $(ARGS)

test: ## every test that needs no download
	@deploy/debian-packages.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory $(VENV)/dev
	$(BIN)/pytest --numprocesses auto --dist loadfile $(ARGS)

test-libraries: ## over AMD's real libraries and made-up GPUs; downloads two Debian suites' packages, needs root
	@deploy/debian-packages.sh gcc libc6-dev binutils
	@$(MAKE) --no-print-directory $(VENV)/dev
	$(BIN)/pytest -m libraries -rs --numprocesses auto --dist loadscope $(ARGS) tests/libraries

check: ## format, lint, types, tests
	@deploy/debian-packages.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory $(VENV)/dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	@$(MAKE) --no-print-directory test

bench: ## what it costs: a table
	@deploy/debian-packages.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory $(VENV)/dev
	$(BIN)/python -m benchmarks $(ARGS)

# One stamp for each extra: the venv is made anew when pyproject.toml changes what it needs.
$(VENV)/%: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1): make PYTHON=/path/to/python3 …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

clean: ## remove what make made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
