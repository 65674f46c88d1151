# `make repro`: the whole study, from nothing to its reports.   `make test`: the tests.   `make lint`: style and types.
# Each installs what it needs into .venv first; a second call installs nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test lint clean

repro: $(VENV)/.installed
	dvc repro
	@echo "reports: reports/index.html leads to that of each study; a README.md beside each page says the same"

test: $(VENV)/.installed-tests
	python -m pytest

lint: $(VENV)/.installed-tests
	ruff check
	ruff format --check
	mypy

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@

$(VENV)/.installed-tests: requirements-test.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-test.txt
	touch $@

clean:
	rm -rf $(VENV) store models data/prepared results .pytest_cache .mypy_cache .ruff_cache
