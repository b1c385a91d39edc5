PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MODELS := $(VENV)/demo
READING := $(addprefix tests/data/reading/test_,one_reading.py texts_stay_texts.py date_forms.py row_names.py workbook.py several_targets.py)
PYTEST := $(BIN)/python -m pytest -n logical --dist loadfile

.PHONY: help demo quick test long pandas coverage format lint check audit bench pretrain docs wheels session torture clean

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

# The test suite but the tests that take a minute or more each, as CI runs it: a quarter of an hour on two cores.
test: $(VENV)/installed
	$(PYTEST) -m "not long" -rs

# The tests that `make test` leaves out: whole selections, searches and comparisons.
long: $(VENV)/installed pandas
	$(PYTEST) -m long -rs

# The tests of reading with pandas 2.2, in a small environment of its own: files are read alike with pandas 2 and 3.
pandas: $(VENV)/pandas2/installed
	$(VENV)/pandas2/bin/python -m pytest -q --hypothesis-profile quick $(READING)

# The whole test suite, with coverage of lines and branches; fails below `fail_under` in pyproject.toml.
coverage: $(VENV)/installed
	$(PYTEST) --cov --cov-report=term

# Format the code, and fix what ruff can fix.
format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Rules, format, docstrings and spelling: seconds.
lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos

# All checks but the tests, as CI runs them: lint, the documentation, types, and which package may import which.
check: lint docs
	$(BIN)/mypy
	$(BIN)/mypy --config-file= --ignore-missing-imports --follow-imports=silent --python-version 3.10 benchmarks/*.py
	$(BIN)/lint-imports

# Known vulnerabilities of the installed packages, by PyPI's advisories; fails if these cannot be read.
audit: $(VENV)/installed
	$(BIN)/python -m pip list --format freeze --exclude-editable > $(VENV)/audited.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement $(VENV)/audited.txt

# Speed and memory, into benchmarks/RESULTS.md; BENCH="--root DIR --torch PYTHON --nf PYTHON" adds data and peers.
bench: $(VENV)/installed
	$(BIN)/python benchmarks/speed.py $(BENCH)

# Train a network on made series; PRETRAIN="--season 12 --windows 2000000". It goes on from where it stopped; see docs/pretrained.md.
pretrain: $(VENV)/installed
	$(BIN)/python benchmarks/pretrain.py $(PRETRAIN)

# The documentation site, into site/; a broken link or reference fails.
docs: $(VENV)/installed
	$(BIN)/mkdocs build --strict --quiet

# The wheels of both distributions, into dist/.
wheels: $(VENV)/installed
	$(BIN)/python tools/wheels.py

# The session that README.md shows, from a real run of its commands: a minute or two.
session: $(VENV)/installed
	$(BIN)/python benchmarks/readme_session.py

# Kills, full disks, flipped bytes, a week of cron: hours; TORTURE=--short takes minutes.
torture: $(VENV)/installed
	$(BIN)/python -m tests.torture $(TORTURE)

# Remove the virtual environment and the caches of the tools.
clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage htmlcov

$(VENV)/pandas2/installed:
	$(PYTHON) -m venv $(VENV)/pandas2
	$(VENV)/pandas2/bin/python -m pip install --quiet 'pandas==2.2.*' 'numpy<2.3' pyarrow openpyxl scipy typer rich psutil cronsim threadpoolctl pytest hypothesis
	touch $@

# Installs again only when pyproject.toml changes.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
