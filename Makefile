# Two commands do everything: `make demo` and `make test`.
INSTRUMENT ?= naco
DEMO_ROOT  ?= demo_data
PYTHON     ?= python3
VENV       := .venv
BIN        := $(VENV)/bin

.PHONY: demo test test-all coverage docs tables setup test-tools clean

demo: setup
	$(BIN)/esorex-bridge demo --instrument $(INSTRUMENT) --root $(DEMO_ROOT)

test: setup test-tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile -m "not slow"

test-all: setup test-tools
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile

# Reduces all synthetic nights; takes a quarter of an hour.
tables: export WRITE_INSTRUMENT_TABLE := 1
tables: setup test-tools
	$(BIN)/python -m tests.pipeline_table
	$(BIN)/python -m pytest tests/flows/test_instrument_runs.py tests/flows/test_instrument_slow.py \
		tests/flows/test_reduce_masters.py

# Subprocesses count too: most tests start the commands as a user does.
coverage: export COVERAGE_FILE := $(CURDIR)/.coverage
coverage: setup test-tools
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses=auto --dist=loadfile -m "not slow"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

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
