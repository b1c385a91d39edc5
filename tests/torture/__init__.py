"""Tests of what happens in production: kills, full disks, late files, flipped bytes. `make torture` runs them all.

- `kill.py`: kill -9 of batches, trainings and changes of a store.
- `flip.py`: changed bytes in a stored model.
- `environments.py`: full disks, read-only folders, minimal environments, SIGTERM, many processes at once.
- `fuzz_hypothesis.py`, `fuzz_atheris.py`: files of any bytes.
- `week.py`: a week of hourly forecasts with late and missing data.
- `sandbox.py`: what they share: a folder with a model, data and jobs, and processes that may be killed.
- `test_fast.py`: as much of it as fits into a run of the tests.
"""
