# make study     installs everything into .venv and runs the quickstart study
# make test      installs everything into .venv and runs every kind of check
# make test-all  the same with the long and rare tests, which are marked nightly
.PHONY: study test test-all
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
# Processes that share the tests. Those with a Ray are in such a process even where there is one
# alone: a native library that crashes when Python ends would otherwise fail tests that passed.
# Tests wait for Ray, for servers and for processes, so a third process keeps two cores busy. Each
# process takes up to 1 GiB, with a Ray up to 3 GiB.
WORKERS ?= 3
PYTEST = $(VENV)/bin/pytest --numprocesses $(WORKERS)
# A file of tests with a Ray stays in one process, since most of them share a Ray. tests/shared_ray.py
# puts the long files first. Other files are not even read.
WITH_RAY = $(PYTEST) --dist loadfile --no-loadscope-reorder \
	$(shell grep -rl --include='test_*.py' 'mark\.cluster' tests | sort)
INSTALL := $(VENV)/bin/pip install --quiet --constraint constraints.txt --editable

study: $(VENV)/installed
	$(VENV)/bin/agad run studies/digits_quickstart.py

test: static
	$(PYTEST) -m "not cluster and not nightly" --dist worksteal
	$(WITH_RAY) -m "cluster and not nightly"

test-all: static
	$(PYTEST) -m "not cluster" --dist worksteal
	$(WITH_RAY) -m "cluster and not alone"
	$(WITH_RAY) -m alone --numprocesses 1

.PHONY: static
static: $(VENV)/installed-dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "agad needs Python 3.11 or newer: make PYTHON=python3.11 study")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(INSTALL) '.[features]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) '.[dev]'
	@touch $@
