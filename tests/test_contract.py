"""Every cell, direction and head: trains, is stored, and answers alike in a new process, at any horizon.

Each training takes seconds, so not every combination is tried: every two of cell, direction and head meet, and every
distribution meets two heads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from forecaster.models.cells import CELLS
from forecaster.models.distributions import DISTRIBUTIONS
from forecaster.models.export import joint_forecast, write_onnx, write_saved_model
from forecaster.models.heads import HEADS
from forecaster.models.network import Network
from forecaster.serving.runtime import OnnxRuntime, forecast
from forecaster.serving.verify_export import refuse_unportable
from forecaster.training.fit import FitControl, fit
from forecaster.training.split import Needs, split
from tests.support.factories import NAN, Recorder, fit_settings, network_settings, panel_of, waves

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]

# Every cell with every head; the direction alternates, so that each cell and each head is tried in both.
KINDS = [
    (cell, (row + column) % 2 == 1, head) for (row, cell), (column, head) in product(enumerate(CELLS), enumerate(HEADS))
]
# Head -> the distributions that are tried with it.
DISTRIBUTIONS_OF = {
    head: [name for row, name in enumerate(DISTRIBUTIONS) if (row - column) % len(HEADS) < 2]
    for column, head in enumerate(HEADS)
}
LENGTH, HORIZON, LONGER = 4, 3, 8


def contexts():
    values = np.random.default_rng(0).uniform(1, 100, (6, LENGTH))
    values[0, 1] = values[1, 1:] = NAN
    values[2] = 7.5
    return values


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("contract")


@pytest.fixture(scope="module")
def answers(store):
    """Folder -> the trained network's forecasts, filled by the tests."""
    return {}


@pytest.fixture(scope="module")
def levels():
    """What all networks are fitted on; one task, so that its gathering is compiled once."""
    return split(panel_of(*waves(2, 20)), Needs(LENGTH, HORIZON, calendar=()), 0).final


@pytest.mark.parametrize(("cell", "bidirectional", "head"), KINDS)
def test_it_trains_and_is_stored(cell, bidirectional, head, store, answers, levels):
    settings = network_settings(
        cell=cell, bidirectional=bidirectional, head=head, context_length=LENGTH, horizon=HORIZON, transform="log",
        quantiles=(0.1, 0.9),
    )  # fmt: skip
    net = Network(settings, seed=1)
    first = net.weights
    done = fit(net, levels, fit_settings(epochs=1), FitControl(Recorder(), "contract"))
    assert np.isfinite(done.history[0].loss)
    # A bias of the update gate may stay where it is; every matrix learns.
    assert all(not np.array_equal(a, b) for a, b in zip(first, net.weights, strict=True) if a.ndim == 2)
    folder = store / f"{cell}-{bidirectional}-{head}"
    write_saved_model([net.portable()], folder / "saved_model")
    write_onnx([net.portable()], folder / "model.onnx")
    refuse_unportable(folder / "saved_model")
    answers[folder.name] = np.asarray(net.model([contexts()]))


@pytest.fixture(scope="module")
def counts():
    """What all distributions can be fitted on; one task, so that its gathering is compiled once."""
    return split(panel_of(*np.rint(waves(2, 20))), Needs(LENGTH, HORIZON, calendar=()), 0).final


@pytest.mark.parametrize("head", [head for head, names in DISTRIBUTIONS_OF.items() if names])
def test_every_distribution_trains_and_they_are_stored_in_one_graph(head, store, answers, counts):
    nets = []
    for distribution in DISTRIBUTIONS_OF[head]:
        log = "none" if DISTRIBUTIONS[distribution].counts else "log"
        settings = network_settings(
            distribution=distribution, head=head, context_length=LENGTH, horizon=HORIZON, transform=log,
            quantiles=(0.1, 0.9), combine="mean",
        )  # fmt: skip
        net = Network(settings, seed=1)
        first = net.weights
        done = fit(net, counts, fit_settings(epochs=1), FitControl(Recorder(), "contract"))
        assert np.isfinite(done.history[0].loss)
        assert all(not np.array_equal(a, b) for a, b in zip(first, net.weights, strict=True) if a.ndim == 2)
        nets.append(net)
    folder = store / f"distributions-{head}"
    portable = [net.portable() for net in nets]
    write_saved_model(portable, folder / "saved_model")
    write_onnx(portable, folder / "model.onnx")
    answers[folder.name] = np.asarray(joint_forecast(nets, {"context": contexts()}))


@pytest.mark.parametrize(("cell", "bidirectional", "head"), KINDS)
def test_a_longer_horizon_feeds_all_forecasts_back_and_a_shorter_one_is_its_start(cell, bidirectional, head, store):
    folder = store / f"{cell}-{bidirectional}-{head}"
    if not folder.exists():
        pytest.skip("not trained in this run")
    runtime, context = OnnxRuntime(folder / "model.onnx"), contexts()
    parts = []
    while sum(part.shape[1] for part in parts) < LONGER:
        parts.append(runtime.run(context, {}))
        for step in range(HORIZON):  # one by one, each forecast becomes the latest observation
            context = np.concatenate([context[:, 1:], parts[-1][:, step : step + 1, 0]], axis=1)
    expected = np.concatenate(parts, axis=1)[:, :LONGER]
    found = forecast(runtime, contexts(), LONGER)
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(found).all()
    for horizon in (1, HORIZON):
        np.testing.assert_array_equal(forecast(runtime, contexts(), horizon), found[:, :horizon])


RELOAD = """
import json, sys
from pathlib import Path
import numpy as np
from forecaster.serving.runtime import RUNTIMES, forecast
store, worst = Path(sys.argv[1]), {}
context = np.load(store / "context.npy")
for folder in sorted(p for p in store.iterdir() if p.is_dir()):
    for name, (part, make) in RUNTIMES.items():
        found = forecast(make(folder / part, 1), context, 3)
        expected = np.load(store / f"{folder.name}.npy")
        worst[f"{folder.name} {name}"] = float((np.abs(found - expected) / np.abs(expected).max()).max())
print(json.dumps(worst))
"""


def test_a_new_process_predicts_the_same_numbers(store, answers):
    if not answers:
        pytest.skip("nothing was trained in this run")
    np.save(store / "context.npy", contexts())
    for name, expected in answers.items():
        np.save(store / f"{name}.npy", expected)
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, "-c", RELOAD, str(store)], env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    worst = json.loads(done.stdout)
    assert len(worst) == 2 * len(answers)
    assert max(worst.values()) < 1e-5, worst


def test_a_context_with_nothing_observed_is_not_forecast(store, answers):
    if not answers:
        pytest.skip("nothing was trained in this run")
    runtime = OnnxRuntime(store / next(iter(answers)) / "model.onnx")
    context = np.stack([np.full(LENGTH, NAN), np.arange(4.0)])
    found = forecast(runtime, context, LONGER)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()
    assert forecast(runtime, context[:0], 3).shape[0] == 0


def test_batches_of_any_size_answer_alike(store, answers, monkeypatch):
    if not answers:
        pytest.skip("nothing was trained in this run")
    runtime = OnnxRuntime(store / next(iter(answers)) / "model.onnx")
    whole = forecast(runtime, contexts(), LONGER)
    monkeypatch.setattr("forecaster.serving.runtime.PART", 4)
    np.testing.assert_allclose(forecast(runtime, contexts(), LONGER), whole, rtol=1e-6)
