# make study   installs everything into .venv and runs the quickstart study
# make test    installs everything into .venv and runs every check
.PHONY: study test
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
# Processes that share the tests without Ray. Those with a Ray follow one by one, in a process of
# their own: a native library that crashes when Python ends would otherwise fail tests that passed.
WORKERS ?= 2
INSTALL := $(VENV)/bin/pip install --quiet --constraint constraints.txt --editable

study: $(VENV)/installed
	$(VENV)/bin/agad run studies/digits_quickstart.py

test: $(VENV)/installed-dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest -m "not cluster" --numprocesses $(WORKERS) --dist worksteal
	$(VENV)/bin/pytest -m cluster --numprocesses 1

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "agad needs Python 3.11 or newer: make PYTHON=python3.11 study")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/pip pyproject.toml constraints.txt
	$(INSTALL) .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) '.[dev]'
	@touch $@
