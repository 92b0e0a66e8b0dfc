# `make demo` and `make test` set up all they need on a fresh Debian machine.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

DEMO_PACKAGES := python3-venv prometheus
TEST_PACKAGES := $(DEMO_PACKAGES) prometheus-alertmanager victoria-metrics chromium chromium-driver fonts-noto-cjk gcc libc6-dev \
                 nginx-light openssl apache2-utils shellcheck systemd faketime

.PHONY: demo test test-libraries test-slurm test-packages test-engines test-image test-ansible test-lowest fuzz soak spreadsheets \
        check audit format lint types messages bench dist deb release clean
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
	$(BIN)/pytest -m libraries --numprocesses auto --dist load $(ARGS) tests/libraries

test-slurm: ## a day of a real Slurm, in namespaces of its own; downloads a Debian suite's packages, needs root
	@deploy/debian-packages.sh prometheus
	@$(MAKE) --no-print-directory $(VENV)/dev
	$(BIN)/pytest -p no:xdist -m slurm $(ARGS) tests/slurm

EXAMPLES ?= 3000

fuzz: $(VENV)/dev ## every parser against EXAMPLES hostile inputs, a tenth where they are dear, counted; and 200 courses of faults
	FUZZ_EXAMPLES=$(EXAMPLES) EXPORTER_FAULT_SEEDS=200 $(BIN)/pytest --hypothesis-profile fuzz --numprocesses auto --dist load \
	    $(ARGS) tests/fuzz tests/faults

MINUTES ?= 10

soak: ## whether the service comes to hold more: MINUTES of the real one, and a week on a virtual clock
	@deploy/debian-packages.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory $(VENV)/dev
	SOAK_MINUTES=$(MINUTES) $(BIN)/pytest -p no:xdist $(ARGS) tests/soak/service.py tests/soak/week.py

test-engines: ## on Prometheus and VictoriaMetrics of other Debian suites, which it downloads
	@deploy/debian-packages.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory $(VENV)/dev
	$(BIN)/python -m tests.engines $(ARGS)

test-image: ## the container image, built and run; downloads a Debian and the exporter's dependencies, needs root
	@deploy/debian-packages.sh podman crun mmdebstrap
	@$(MAKE) --no-print-directory $(VENV)/dev
	$(BIN)/pytest -p no:xdist -m image $(ARGS) tests/image

test-ansible: ## the roles on a Debian that systemd boots; downloads it and the exporter's dependencies, needs root
	@deploy/debian-packages.sh mmdebstrap systemd-container openssh-client
	@$(MAKE) --no-print-directory $(VENV)/dev $(VENV)/ansible
	$(BIN)/pytest -p no:xdist -m ansible $(ARGS) tests/ansible

LOWEST := $(VENV)/lowest-versions

test-lowest: $(VENV)/audit ## every test, with the lowest versions that pyproject.toml allows
	@deploy/debian-packages.sh $(TEST_PACKAGES)
	@test -x $(LOWEST)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(LOWEST)
	@$(BIN)/uv pip install --quiet --python $(LOWEST) --resolution lowest-direct --editable '.[dev]'
	$(LOWEST)/bin/pytest --numprocesses auto --dist loadfile $(ARGS)

# Of what users install: the oldest that may be there already, and the newest.
audit: $(VENV)/audit ## known holes in dependencies
	@for kind in lowest-direct highest; do \
	    $(BIN)/uv pip compile --quiet --no-annotate --no-header --extra report --resolution $$kind pyproject.toml \
	        --output-file $(VENV)/$$kind.txt || { echo "NOT AUDITED: no registry can be reached from here"; exit 0; }; \
	done; \
	$(BIN)/python .ci/audit.py $(VENV)/lowest-direct.txt $(VENV)/highest.txt

spreadsheets: ## what LibreOffice makes of the spreadsheets
	@deploy/debian-packages.sh libreoffice-calc-nogui
	@$(MAKE) --no-print-directory $(VENV)/dev
	$(BIN)/pytest -p no:xdist tests/report/render/libreoffice.py $(ARGS)

check: ## format, lint, types, tests
	@deploy/debian-packages.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory lint types test

format: $(VENV)/dev ## lay the code out
	$(BIN)/ruff format

lint: $(VENV)/dev ## format and rules
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: $(VENV)/dev
	$(BIN)/mypy

CATALOGUES := exporter/locale
MESSAGES   := $(VENV)/messages.pot

messages: $(VENV)/dev ## gather the words to translate into the catalogues, and compile these
	$(BIN)/pybabel --quiet extract --mapping-file pyproject.toml --omit-header --no-wrap --add-location file \
	    --sort-by-file --output-file $(MESSAGES) exporter deploy/grafana
	$(BIN)/pybabel --quiet update --domain exporter --input-file $(MESSAGES) --output-dir $(CATALOGUES) \
	    --no-wrap --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	$(BIN)/pybabel --quiet compile --domain exporter --directory $(CATALOGUES)

# What is in them is dated no later than the commit: built twice, wheel and sdist are the same bytes.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || stat --format %Y CHANGELOG.md)

dist: $(VENV)/dist ## wheel and sdist, into dist/
	@rm -f dist/*.whl dist/*.tar.gz
	$(BIN)/python -m build --no-isolation --outdir dist

deb: dist ## Debian packages for the release of Debian that this is, into dist/
	@deploy/debian-packages.sh debhelper dpkg-dev
	@rm -f dist/*.deb
	deploy/debian/build.sh $(BIN)/python

test-packages: ## what dist and deb build, in a fresh venv and a bare Debian; downloads, needs root
	@deploy/debian-packages.sh debhelper dpkg-dev debootstrap lintian systemd-container
	@$(MAKE) --no-print-directory $(VENV)/dev
	$(BIN)/pytest -m packages -p no:xdist $(ARGS) tests/packages

release: ## every check, all packages, and a tag on this machine: VERSION=1.2.3, as code and changelog say
	@$(MAKE) --no-print-directory $(VENV)/dev
	@$(BIN)/python .ci/release.py check '$(VERSION)'
	@$(MAKE) --no-print-directory check test-packages
	@$(BIN)/python .ci/release.py tag '$(VERSION)'

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
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
