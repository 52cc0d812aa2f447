# Everything on a fresh machine: `make demo` and `make test` install what they need first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Threads that wait do not spin: the machine may be shared.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help install demo test check format lint types layers unit acceptance benchmarks clean

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed  ## make .venv with pinned versions

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "freshrank needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install  ## a simulated shop breaks twice, alerts fire, the loop recovers
	$(BIN)/freshrank demo

test: check  ## install, then every check and test that CI runs

check: format lint types layers unit

format: install  ## are the files formatted?
	$(BIN)/ruff format --check .

lint: install
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

layers: install  ## does every import go the allowed way?
	$(BIN)/lint-imports

unit: install  ## unit, conformance, integration tests and doctests
	$(BIN)/pytest -m "not acceptance"

acceptance: install  ## every seed of every fault, and the long benchmarks: hours
	$(BIN)/pytest -m acceptance
	$(MAKE) benchmarks

benchmarks: install  ## print every figure of benchmarks/RESULTS.md: hours
	$(BIN)/python -m benchmarks.decode
	$(BIN)/python -m benchmarks.replay --events 10000
	$(BIN)/python -m benchmarks.clicks
	$(BIN)/python -m benchmarks.recovery_from_drift
	$(BIN)/python -m benchmarks.ml100k --set threads=1
	$(BIN)/python -m benchmarks.diginetica

clean:  ## remove the environment and the demo
	rm -rf $(VENV) demo
