PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MODELS := $(VENV)/demo
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile

.PHONY: help demo quick test coverage format lint check audit bench torture clean

# List the targets.
help:
	@awk '/^# /{text = text substr($$0, 2); next} /^[a-z]+:/ && text {printf "%-10s%s\n", substr($$1, 1, length($$1) - 1), text} {text = ""}' Makefile

# Train, evaluate and use a model on the sample data; the forecast is the last thing printed.
demo: $(VENV)/installed
	$(BIN)/forecaster train data/AirPassengers.csv --horizon 12 --models $(MODELS)
	$(BIN)/forecaster evaluate --models $(MODELS)
	$(BIN)/forecaster predict --models $(MODELS)

# The tests that train no network and start no process: for every change, in under a minute.
quick: $(VENV)/installed
	$(PYTEST) -m "not slow" --hypothesis-profile quick

# The whole test suite, as CI runs it: some ten minutes on two cores.
test: $(VENV)/installed
	$(PYTEST) -rs

# The whole test suite, with the share of lines and branches that it runs; fails below `fail_under` in pyproject.toml.
coverage: $(VENV)/installed
	$(PYTEST) --cov --cov-report=term

# Put the code into its format, and mend what ruff can mend.
format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Rules, format, docstrings and spelling: seconds.
lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos

# Everything but the tests, as CI runs it: lint, types, and which package may import which.
check: lint
	$(BIN)/mypy
	$(BIN)/lint-imports

# Known vulnerabilities of the installed packages; asks PyPI's advisories, and fails where these cannot be had.
audit: $(VENV)/installed
	$(BIN)/python -m pip list --format freeze --exclude-editable > $(VENV)/audited.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement $(VENV)/audited.txt

# Speed and memory, into benchmarks/RESULTS.md; BENCH="--root DIR --torch PYTHON --nf PYTHON" adds data and peers.
bench: $(VENV)/installed
	$(BIN)/python benchmarks/speed.py $(BENCH)

# Kills, full disks, flipped bytes, a week of cron: hours; TORTURE=--short takes minutes.
torture: $(VENV)/installed
	$(BIN)/python -m tests.torture $(TORTURE)

# Remove the virtual environment and whatever the tools have left.
clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage htmlcov

# Installed again only when pyproject.toml changes.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
