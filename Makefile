# Two commands are enough on a machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Programs that tests compare with and that pin what we do not: an environment of their own, never imported.
CROSS := .crosscheck
# A coverage-guided fuzzer, which has no wheels for every Python that we run on.
FUZZ := .fuzz

# What `check` tries: the engine, the formats and the rules of the house; `test` runs everything.
QUICK := tests/test_architecture.py $(filter-out tests/keycheck/lab tests/keycheck/drill,$(wildcard tests/keycheck/*)) \
  tests/probes/fields

# Programs that tests start as real counterparts; without root their tests are skipped and say what is missing.
POSTGRES := $(firstword $(wildcard /usr/lib/postgresql/*/bin/initdb))

.PHONY: demo test check coverage matrix fuzz packages bench-tls bench-keys bench-drills bench-fields bench-residency torture live-aws live-gcp
.PHONY: lock clean help
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "keycheck needs Python 3.11 or newer; name one with: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

$(FUZZ)/.installed: requirements/fuzz.txt
	$(PYTHON) -m venv $(FUZZ)
	$(FUZZ)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@touch $@

$(CROSS)/.installed: requirements/crosscheck.txt
	$(PYTHON) -m venv $(CROSS)
	$(CROSS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/crosscheck.txt
	@touch $@

demo: $(STAMP)  ## install into .venv and run keycheck against the practice vendor
	@$(BIN)/keycheck demo

test: $(STAMP) $(CROSS)/.installed packages  ## install into .venv and run the whole test suite
	$(BIN)/python -m pytest -n 4 --dist worksteal

coverage: $(STAMP) $(CROSS)/.installed packages  ## the same, with coverage (a quarter slower)
	$(BIN)/python -m pytest -n 4 --dist worksteal --cov --cov-report=term

packages:  # a database server for tests, where Debian's packages can be installed
ifeq ($(POSTGRES),)
	@{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	  && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } \
	  || echo "no PostgreSQL here and none can be installed: its tests are skipped and say so" >&2
endif

check: $(STAMP)  ## lint, format, types, and the quick part of the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 -m "not slow" $(QUICK)

matrix: $(STAMP)  ## every lab defect: expected and seen
	@$(BIN)/keycheck lab matrix

bench-tls: $(STAMP)  ## time keycheck beside its peers on the same servers (minutes)
	$(BIN)/python bench/tls.py

bench-keys: $(STAMP)  ## time the inspection of keys, and the lab's clouds
	$(BIN)/python bench/keys.py

bench-fields: $(STAMP)  ## time scans of exports beside only reading them, and peers' parsers
	$(BIN)/python bench/fields.py $(ARGS)

bench-residency: $(STAMP)  ## look addresses up beside netaddr, pytricia and MaxMind's reader; ARGS=--quick
	$(BIN)/python bench/residency.py $(ARGS)

fuzz: $(STAMP) $(FUZZ)/.installed  ## feed every parser of formats with atheris; ARGS="--seconds 600"
	$(FUZZ)/bin/python tests/fuzz/fuzz_formats.py $(ARGS)

bench-drills: $(STAMP)  ## time whole revoke drills on the lab
	$(BIN)/python bench/drills.py

torture: $(STAMP)  ## kill drills at every step, on a toy and on both lab clouds, and count what was restored (an hour and more)
	$(BIN)/python bench/torture.py --jobs 4
	$(BIN)/python tests/support/cloud_torture_run.py $(ARGS)

live-aws: $(STAMP)  ## opt-in, costs money: exercise a scratch AWS account; ARGS="--account … --yes" (docs/live.md)
	$(BIN)/python tests/live/live_aws.py $(ARGS)

live-gcp: $(STAMP)  ## opt-in, costs money: exercise a scratch Google Cloud project; ARGS="--project … --yes" (docs/live.md)
	$(BIN)/python tests/live/live_gcp.py $(ARGS)

lock: $(STAMP)  ## renew the hashed pins (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra dev pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements/crosscheck.in -o requirements/crosscheck.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements/fuzz.in -o requirements/fuzz.txt

clean:  ## remove what make made
	rm -rf $(VENV) $(CROSS) $(FUZZ) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
