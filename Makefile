# make run    all of gobelieve in one process on one SQLite file, below var/
# make test   all tests, with a real Redis, MariaDB and browser (chromium) if they are on this machine
# make check  lint, types, floors

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# In CI the versions are pinned; elsewhere the floors of setup.cfg hold.
CONSTRAINTS := $(if $(CI),-c constraints.txt,)
DATA ?= var
TESTS ?= tests

.PHONY: run test check clean

run: $(VENV)/.installed
	$(BIN)/twistd -n --pidfile= gobelieve --data $(DATA) $(ARGS)

# Side by side: the tests start daemons and servers of their own, on ports of their own.
test: $(VENV)/.tested
	$(BIN)/python -m twisted.trial -j2 $(TESTS)

check: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m twisted.trial tests.test_floors

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e .
	touch $@

$(VENV)/.tested: $(VENV)/.installed setup.cfg constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp* .mypy_cache .ruff_cache .hypothesis
