"""Quick tests first; one deterministic processor for all that fit."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session")
def cpu():
    """TensorFlow as `train` sets it up."""
    from forecaster.models.device import configure

    return configure("cpu", None)
