"""The networks of docs/own_networks.md keep the contract, and one is trained, stored and asked without its module."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from forecaster.commands.train import train
from forecaster.config import PredictSettings
from forecaster.models.own_network import NetworkFunction
from forecaster.serving.predict import predict
from forecaster.training.check_own_network import check_own_network
from forecaster.typing import Silent
from tests.support.factories import frame_of, network_settings, train_settings, waves

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]

PAGE = (Path(__file__).parent.parent / "docs" / "own_networks.md").read_text(encoding="utf-8")
EXAMPLES = ("dilated", "convolution", "attention")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The page's `networks.py`, in the working directory."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "own_examples.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield "own_examples"
    sys.modules.pop("own_examples", None)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_keeps_the_contract(example, module):
    check_own_network(
        network_settings(network=f"{module}:{example}", context_length=10, known=2, linear=True, quantiles=(0.1, 0.9))
    )


def test_an_example_trains_and_its_stored_graphs_need_no_module(module, tmp_path):
    frame = frame_of(**{f"s{n}": values for n, values in enumerate(waves(2, 60))})
    settings = train_settings(
        "models", name="mine", network=NetworkFunction.of(f"{module}:convolution"), members=2, calibrate=False
    )
    report = train(frame, settings, Silent())
    assert report.cell == "own_examples:convolution"
    (tmp_path / "own_examples.py").unlink()
    del sys.modules["own_examples"]
    found = [
        predict(frame, PredictSettings(model="mine", models="models", runtime=runtime), Silent()).to_frame()
        for runtime in ("onnx", "tensorflow")
    ]
    assert len(found[0]) == 12 and np.isfinite(found[0]["prediction"]).all()
    np.testing.assert_allclose(found[0]["prediction"], found[1]["prediction"], rtol=1e-4)
    assert "own_examples" not in sys.modules
