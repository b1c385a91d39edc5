PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MODELS := $(VENV)/demo

.PHONY: demo test check audit bench torture clean

# Train, judge and use a model on the sample data; the forecast is the last thing printed.
demo: $(VENV)/installed
	$(BIN)/forecaster train data/AirPassengers.csv --horizon 12 --models $(MODELS)
	$(BIN)/forecaster evaluate --models $(MODELS)
	$(BIN)/forecaster predict --models $(MODELS)

test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto --dist loadfile -rs

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Known holes in what is installed along with the program; asks PyPI's advisories, and fails where these cannot be had.
audit: $(VENV)/installed
	$(BIN)/python -m pip list --format freeze --exclude-editable > $(VENV)/audited.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement $(VENV)/audited.txt

# Speed and memory, into benchmarks/RESULTS.md; BENCH="--root DIR --torch PYTHON --nf PYTHON" adds what is not in here.
bench: $(VENV)/installed
	$(BIN)/python benchmarks/speed.py $(BENCH)

# Kills, full disks, flipped bytes, a week of cron: hours; TORTURE=--short takes minutes.
torture: $(VENV)/installed
	$(BIN)/python -m tests.torture $(TORTURE)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# Installed again only when pyproject.toml changes.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
