# make run    start all of gobelieve in one process; the data goes to the folder var/
# make test   run all tests; they use a real Redis, MariaDB and browser (chromium) if installed
# make check  run the linter, the type checker and the test of the floors
# make clean  remove what the others made, but not the data

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# In CI the versions are pinned. Elsewhere, any version that setup.cfg allows is used.
CONSTRAINTS := $(if $(CI),-c constraints.txt,)
DATA ?= var
TESTS ?= tests

.PHONY: run test check clean

run: $(VENV)/.installed
	$(BIN)/twistd -n --pidfile= gobelieve --data $(DATA) $(ARGS)

# Two processes run tests at the same time. The tests start their own daemons on free ports.
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
