"""Quick tests first; one deterministic processor for all that fit a network; profiles of Hypothesis.

A test is `slow` if it trains a network, unrolls or compiles networks for seconds, or starts a new process. Tests that use
the fixture `trained` are marked here; all others carry the marker themselves. `make quick` leaves slow tests out.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from forecaster.commands.train_report import TrainReport
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.models.export import Converted
    from forecaster.models.network import Network
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
    """TensorFlow as `train` sets it up, where trainings of equal networks share one conversion to ONNX.

    Converting takes a third of a tiny training, and gives the same graph with other weights: `train` itself copies it so for
    its second stage. Every stored graph is still proved against its network. Tests of conversions call `write_onnx` as it is.
    """
    from forecaster.models import export
    from forecaster.models.device import configure

    export.write_onnx = copying_conversions(export.write_onnx)
    return configure("cpu", None)


def copying_conversions(write: Callable[..., Converted]) -> Callable[..., Converted]:
    """`write_onnx` that copies the last graph it wrote of networks with these settings, and this simple method."""
    written: dict[Hashable, Converted] = {}

    def write_or_copy(
        members: Sequence[Network], path: Path, smoothing: Smoothing | None = None, like: Converted | None = None
    ) -> Converted:
        if any(member.settings.network for member in members):  # a user's function may have changed since
            return write(members, path, smoothing, like)
        key = (*(member.settings for member in members), smoothing)
        written[key] = write(members, path, smoothing, like or written.get(key))
        return written[key]

    return write_or_copy


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
