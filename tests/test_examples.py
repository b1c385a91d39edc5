"""The examples of serving a stored model elsewhere give the numbers of this program: Node, and TensorFlow Serving's form."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from forecaster.config import PredictSettings
from forecaster.serving.predict import predict
from tests.support.factories import AIR, Recorder
from tests.test_golden import FOLDERS

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
MODEL = FOLDERS[-1] / "air" / "1"


def forecast_here():
    """The forecast of the latest golden model, with its own quantiles."""
    settings = PredictSettings(models=str(FOLDERS[-1]), model="air", calibrate=False)
    return predict(str(AIR), settings, Recorder())


@pytest.mark.slow
def test_the_saved_request_to_tensorflow_serving_has_the_saved_answer():
    import tensorflow as tf

    request, answer = (
        json.loads((EXAMPLES / "serving" / f"{name}.json").read_text()) for name in ("request", "answer")
    )
    signature = tf.saved_model.load(str(MODEL / "saved_model")).signatures[request["signature_name"]]
    named = {spec.name for spec in signature.structured_input_signature[1].values()}
    assert set(request["inputs"]) == named  # as the REST and gRPC forms name them
    found = signature(**{name: tf.constant(values, tf.float64) for name, values in request["inputs"].items()})
    assert set(answer["outputs"]) == set(found)
    for name, values in answer["outputs"].items():
        np.testing.assert_allclose(found[name].numpy(), values, rtol=1e-6)
    own = forecast_here()
    np.testing.assert_allclose(answer["outputs"]["prediction"][0], own.prediction[0], rtol=1e-6)


def test_the_page_on_stored_models_shows_the_saved_request_and_answer():
    page = (ROOT / "docs" / "artifact.md").read_text(encoding="utf-8")
    for name in ("request", "answer"):
        assert (EXAMPLES / "serving" / f"{name}.json").read_text(encoding="utf-8").strip() in page


@pytest.mark.long
@pytest.mark.slow
def test_node_gives_the_same_numbers(tmp_path):
    """The package comes from the registry of Node, which takes most of the time."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        pytest.skip("there is no Node here")
    folder = Path(shutil.copytree(EXAMPLES / "node", tmp_path / "node"))
    install = [
        npm,
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
    ]  # the scripts fetch CUDA, which is not used
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"onnxruntime-node cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    done = subprocess.run([node, "forecast.mjs", MODEL, AIR], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, own = json.loads(done.stdout), forecast_here()
    np.testing.assert_allclose(found["prediction"], own.prediction[0], rtol=1e-6)
    np.testing.assert_allclose(found["quantiles"], own.quantile_forecasts[0], rtol=1e-6)
    assert found["levels"] == list(own.quantiles)
