# Two commands do everything: `make demo` and `make test`.
INSTRUMENT ?= naco
DEMO_ROOT  ?= demo_data
PYTHON     ?= python3
VENV       := .venv
BIN        := $(VENV)/bin

# One more than there are processors: some test always waits, for a process, a socket or Slurm.
WORKERS    ?= $(shell expr 1 + "$$(getconf _NPROCESSORS_ONLN)")
PYTEST     := $(BIN)/python -m pytest
# The folders that wait most come first in the alphabet, so that small tests fill the end.
SHARED_OUT := --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder

# A command that must be compiled first takes half as long again to start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint types test-quick test-all coverage docs tables setup test-tools clean

demo: setup
	$(BIN)/esorex-bridge demo --instrument $(INSTRUMENT) --root $(DEMO_ROOT)

test: setup test-tools
	@$(MAKE) --no-print-directory --jobs=3 lint types test-quick

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types:
	$(BIN)/mypy

test-quick:
	$(PYTEST) $(SHARED_OUT) -m "not slow"

# Starts every command as a user does; the quick tests fork most of them from a process that has loaded them.
test-all: setup test-tools
	$(PYTEST) $(SHARED_OUT) --start-commands

# Reduces all synthetic nights; takes a quarter of an hour.
tables: export WRITE_INSTRUMENT_TABLE := 1
tables: setup test-tools
	$(BIN)/python -m tests.pipeline_table
	$(PYTEST) tests/flows/test_instrument_runs.py tests/flows/test_instrument_slow.py \
		tests/flows/test_instrument_visir.py tests/flows/test_instrument_muse.py tests/flows/test_instrument_vimos.py \
		tests/flows/test_reduce_masters.py

# Subprocesses count too: most tests start the commands as a user does.
coverage: export COVERAGE_FILE := $(CURDIR)/.coverage
coverage: setup test-tools
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(SHARED_OUT) --start-commands -m "not slow"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Ours beside other tools, in benchmarks/RESULTS.md; on a machine that does nothing else, ten minutes.
bench: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python benchmarks/bench.py

# The site, in build/site; a link that leads nowhere or a name that is not there fails it.
docs: setup
	$(BIN)/mkdocs build --strict

setup: $(VENV)/.ready
	@sh tools/pipelines.sh

# What only tests need; the demonstration does without.
test-tools: setup
	@sh tools/validator.sh $(VENV)
	@sh tools/browser.sh

# One stamp for the virtual environment: made again only when its requirements change.
$(VENV)/.ready: pyproject.toml tools/environment.sh
	@sh tools/environment.sh $(PYTHON) $(VENV)

clean:
	rm -rf $(VENV) $(DEMO_ROOT)
