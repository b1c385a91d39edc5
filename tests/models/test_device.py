"""Which GPUs TensorFlow sees."""

from __future__ import annotations

import pytest

from forecaster.errors import UsageError
from forecaster.models.device import show_gpus

tf = pytest.importorskip("tensorflow")


class Gpu:
    def __init__(self, number):
        self.name = f"/physical_device:GPU:{number}"


@pytest.fixture
def two(monkeypatch):
    """Two GPUs; the value is what TensorFlow was told to show."""
    gpus, shown = [Gpu(0), Gpu(1)], []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: gpus)
    monkeypatch.setattr(
        tf.config, "set_visible_devices", lambda some, _kind: shown.append([one.name[-1] for one in some])
    )
    return shown


@pytest.mark.parametrize(
    ("device", "used", "told"),
    [("auto", "01", []), ("gpu", "01", []), ("gpu:1", "1", [["1"]]), ("cpu", "", [[]])],
)
def test_the_gpus_that_are_asked_for_are_shown(two, device, used, told):
    assert [name[-1] for name in show_gpus(device)] == list(used)
    assert two == told


def test_a_gpu_that_is_not_there_is_refused(two, monkeypatch):
    with pytest.raises(UsageError, match="--device gpu:2: there are 2 GPUs here, counted from 0"):
        show_gpus("gpu:2")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: [])
    assert show_gpus("auto") == []
    with pytest.raises(UsageError, match="--device gpu: TensorFlow sees no GPU"):
        show_gpus("gpu")
