"""Quick tests first; one deterministic processor for all that fit a network; profiles of Hypothesis.

A test is `slow` if it trains a network, unrolls or compiles networks for seconds, or starts a new process. Tests that use
the fixture `trained` are marked here; all others carry the marker themselves. `make quick` leaves slow tests out.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from forecaster.commands.train_report import TrainReport
    from tests.support.factories import Recorder

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# No deadline for one example: on a busy machine it fails tests that are right. In CI the examples are the same at each run,
# so that it fails by the change that it tests; what new examples find is found by those who run the tests elsewhere.
settings.register_profile("full", deadline=None, derandomize="CI" in os.environ)
settings.register_profile("quick", deadline=None, max_examples=10)  # `--hypothesis-profile quick`, as `make quick` says
settings.load_profile("full")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a trained model as slow, and put slow tests last, the longest file of them first."""
    for item in items:
        if "trained" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
    items.sort(key=lambda item: (item.get_closest_marker("slow") is not None, item.path.name != "test_readme.py"))


@pytest.fixture(scope="session")
def cpu() -> str:
    """TensorFlow as `train` sets it up."""
    from forecaster.models.device import configure

    return configure("cpu", None)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, cpu: str) -> tuple[Path, TrainReport, Recorder]:
    """A store with a tiny model of AirPassengers, `air`, the report of its training, and what was reported meanwhile.

    All tests share the store: a test that writes to it uses `store` instead.
    """
    from forecaster.commands.train import train
    from tests.support.factories import AIR, Recorder, train_settings

    models, watch = tmp_path_factory.mktemp("trained") / "models", Recorder()
    return models, train(AIR, train_settings(models, name="air"), watch), watch


@pytest.fixture
def store(trained: tuple[Path, TrainReport, Recorder], tmp_path: Path) -> Path:
    """A copy of the store of `trained` to write to."""
    return Path(shutil.copytree(trained[0], tmp_path / "models"))
