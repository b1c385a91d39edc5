"""What tests share. Fixtures are in `tests/conftest.py`; here are the plain functions and classes.

- `factories.py`: small panels and data frames, settings of networks, fits and trainings, and `Recorder`, a `Watch` that
  keeps what is reported to it. Nothing here is slow or needs TensorFlow.
- `stored_models.py`: versions of a model in a store, whose graph is written by hand, and hourly data for them. Tests of
  serving, batches and monitoring use them in place of a training.
- `stub_commands.py`: the command line with commands that do nothing and return made-up reports.
- `pages.py`: a forecast and a backtest to plot, made without a model.
- `csv_files.py`: files that Hypothesis and the fuzzers draw, and what must hold when any of them is read.
"""
