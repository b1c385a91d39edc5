"""Quick tests first; one deterministic processor for all that fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session")
def cpu():
    """TensorFlow as `train` sets it up."""
    from forecaster.models.device import configure

    return configure("cpu", None)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, cpu):
    """A store with a tiny model of AirPassengers, `air`, and the report of its training. Not to be written to."""
    from forecaster.commands.train import train
    from tests.support.factories import AIR, Recorder, train_settings

    models, watch = tmp_path_factory.mktemp("trained") / "models", Recorder()
    return models, train(AIR, train_settings(models, name="air"), watch), watch


@pytest.fixture
def store(trained, tmp_path):
    """A copy of that store to write to."""
    import shutil

    return Path(shutil.copytree(trained[0], tmp_path / "models"))
