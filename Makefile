# `make repro`: the default study, from nothing to its report.   `make studies`: the other studies that two cores do.
# `make keep`: what came out, taken into reports/measured, which is all that git keeps of results.
# `make test`: the tests; `make quick`: those that take under two seconds; `make exhaustive`: the sweeps that `make test` leaves
# out.   `make lint`: style and types.
# `make gpu-wheels`: packages for a rented machine with a GPU and no network, into build/gpu-wheels (benchmarks/README.md).
# `make postgres-check`: two stores on a PostgreSQL server, with a dashboard (docs/scale-store.md); needs Debian's `postgresql`.
# `make slurm-check`: a study on a SLURM of this machine's own, whose jobs are cancelled and requeued.
# Each installs what it needs into .venv first; a second call installs nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Studies of the default profile beside the one of params.yaml: 100 runs.
STUDIES := convention coefficient-grid coefficient-search

.PHONY: repro studies keep test quick exhaustive lint gpu-wheels postgres-check slurm-check clean

repro: $(VENV)/.installed
	dvc repro
	@echo "reports: reports/index.html leads to that of each study; a README.md beside each page says the same"

studies: repro
	set -e; for name in $(STUDIES); do \
	  python -m study.ablate --study $$name --allow-diverged; \
	  python -m study.verify --study $$name --runs 1; \
	  python -m study.report --results results/ablate/$$name/study.json --timing results/ablate/$$name/timing.json \
	    --certificate results/verify/$$name.json --out reports/$$name; \
	done
	python -m study.index --all

keep: $(VENV)/.installed
	python -m study.source_page --keep $(wildcard results/ablate/*) results/project

# Three processes, since many tests wait. A file of tests stays in one of them: what its tests share is made once. In the order
# of their names the longest files do not come last.
PYTEST := python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.installed-tests
	$(PYTEST) -m "not exhaustive"

quick: $(VENV)/.installed-tests
	$(PYTEST) -m "not slow and not exhaustive"

exhaustive: $(VENV)/.installed-tests
	$(PYTEST) -m exhaustive

lint: $(VENV)/.installed-tests
	ruff check
	ruff format --check
	mypy

# pip compiles 16,000 modules one after another, which takes as long as the rest of it; here every core does. Some packages hold
# files that are no Python and cannot be compiled.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
COMPILE := $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --requirement requirements.txt
	$(COMPILE)
	touch $@

$(VENV)/.installed-tests: requirements-test.txt $(VENV)/.installed
	$(INSTALL) --requirement requirements-test.txt
	$(COMPILE)
	touch $@

# For CPython 3.12 on Linux, whatever runs here.
gpu-wheels:
	$(PYTHON) -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
	  --python-version 3.12 --implementation cp --abi cp312 --abi abi3 --abi none --platform manylinux2014_x86_64 \
	  --dest build/gpu-wheels --requirement benchmarks/gpu/wheels.txt

# The dashboard is no requirement of the project: it goes into a folder of its own, without what it shares with us.
postgres-check: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "psycopg[binary]==3.3.9"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target build/dashboard \
	  optuna-dashboard==0.21.0 bottle==0.13.4
	python -m benchmarks.postgres_check --dashboard build/dashboard

slurm-check: $(VENV)/.installed-tests
	python -m benchmarks.slurm_check

clean:
	rm -rf $(VENV) store models data/prepared results .pytest_cache .mypy_cache .ruff_cache
