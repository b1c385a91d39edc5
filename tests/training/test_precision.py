"""Mixed precision: layers compute with 16 bits while they are fitted, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.commands.train import train
from forecaster.config import PredictSettings
from forecaster.models.cells import CELLS
from forecaster.models.network import Network
from forecaster.serving.manifest import read_manifest
from forecaster.serving.predict import predict
from forecaster.training import compiled_steps, precision
from forecaster.training.compiled_steps import Trainers
from forecaster.training.fit import FitControl, fit
from forecaster.training.split import Needs, split
from tests.support.factories import AIR, Recorder, fit_settings, network_settings, panel_of, train_settings, waves

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]

TASK = split(panel_of(*waves(3, 60)), Needs(8, 3, calendar=()), 1).selection
FITTED = {"epochs": 4, "steps_per_epoch": 10, "batch_size": 32}


def fitted(network, **changes):
    """The network after its fit with these precisions, the result, and the trainer."""
    net, trainers = Network(network, seed=1), Trainers()
    done = fit(net, TASK, fit_settings(**{**FITTED, **changes}), FitControl(Recorder(), "test"), trainers=trainers)
    return net, done, trainers.idle[0][1]


def forecasts(net):
    return np.asarray(net.model([TASK.validation.gather(8, 0)]))


@pytest.mark.parametrize("cell", ["gru", *(pytest.param(one, marks=pytest.mark.long) for one in CELLS if one != "gru")])
def test_a_cell_is_fitted_with_16_bits_to_about_the_network_of_32(cell):
    shape = network_settings(cell=cell, units=8)
    plain, _, _ = fitted(shape)
    mixed, done, trainer = fitted(shape, precision="mixed")
    assert trainer.network.encoder.layers[0][0].compute_dtype == "bfloat16"
    assert {str(one.dtype) for one in trainer.variables} == {"float32"}
    losses = [row.loss for row in done.history]
    assert losses[-1] < 0.8 * losses[0]
    spread = np.std(forecasts(plain))
    assert 0 < np.abs(forecasts(mixed) - forecasts(plain)).mean() < 0.15 * spread
    assert all(one.dtype == np.float32 for one in mixed.weights)
    # Validation is of the network as it is stored, in float32: 16 bits would differ in the third digit.
    trainer.network.weights = mixed.weights
    again = trainer.validate(TASK.validation.series, TASK.validation.cutoff)
    errors = np.abs(forecasts(mixed)[:, :, 0] - TASK.validation.gather(0, 3)).mean(axis=1)
    np.testing.assert_allclose(float(again.scaled), (errors / TASK.scale[TASK.validation.series]).sum(), rtol=1e-5)


@pytest.mark.parametrize("head", [pytest.param("recursive", marks=pytest.mark.long), "encoder-decoder"])
def test_every_head_is_fitted_with_16_bits(head):
    forcing = (1.0, 0.0) if head == "encoder-decoder" else (0.0, 0.0)
    shape = network_settings(cell="gru", head=head, quantiles=(0.1, 0.9))
    _, done, _ = fitted(shape, precision="mixed", teacher_forcing=forcing, epochs=2)
    assert np.isfinite([row.loss for row in done.history]).all()


def test_the_loss_is_scaled_in_float16_and_a_step_that_overflows_is_left_out(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(
        compiled_steps, "policy_of", lambda asked, on_gpu: "mixed_float16" if asked == "mixed" else asked
    )
    shape = network_settings(cell="lstm", units=8)
    plain, _, _ = fitted(shape)
    mixed, done, trainer = fitted(shape, precision="mixed")
    assert trainer.network.encoder.layers[0][0].compute_dtype == "float16"
    assert done.history[-1].loss < done.history[0].loss
    assert np.abs(forecasts(mixed) - forecasts(plain)).mean() < 0.15 * np.std(forecasts(plain))

    before, rows = [np.asarray(one) for one in trainer.variables], np.zeros((1, 4), np.int64)
    trainer.optimizer.dynamic_scale.assign(2.0**120)
    trainer.steps(rows, rows + 20)
    assert float(trainer.optimizer.dynamic_scale) == 2.0**119
    for old, new in zip(before, trainer.variables, strict=True):
        np.testing.assert_array_equal(old, np.asarray(new))
    trainer.optimizer.dynamic_scale.assign(2.0**10)
    trainer.steps(rows, rows + 20)
    assert not np.array_equal(before[0], np.asarray(trainer.variables[0]))
    assert tf.keras.config.dtype_policy().name == "float32"  # of layers that are built afterwards


@pytest.mark.long
def test_two_devices_take_the_steps_of_one_with_a_scaled_loss(monkeypatch):
    monkeypatch.setattr(
        compiled_steps, "policy_of", lambda asked, on_gpu: "mixed_float16" if asked == "mixed" else asked
    )
    found = []
    for devices in (["/CPU:0"], ["/CPU:0", "/CPU:0"]):
        net = Network(network_settings(cell="gru", units=8), seed=1)
        fit(
            net, TASK, fit_settings(**{**FITTED, "precision": "mixed", "epochs": 1, "steps_per_epoch": 3}),
            FitControl(Recorder(), "test"), trainers=Trainers(devices),
        )  # fmt: skip
        found.append(forecasts(net))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-2)


@pytest.mark.slow
@pytest.mark.long
def test_stored_graphs_are_float32_and_the_manifest_says_how_they_were_fitted(tmp_path):
    import onnx

    report = train(str(AIR), train_settings(tmp_path, precision="mixed", name="air", epochs=1, windows=1), Recorder())
    assert [row.value for row in report.plan if row.setting == "precision"] == ["mixed"]
    folder = tmp_path / "air" / "1"
    assert read_manifest(folder).fit.precision == "mixed"
    model = onnx.load(folder / "model.onnx")
    half = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    assert not half & {one.data_type for one in model.graph.initializer}
    casts = [one.i for node in model.graph.node if node.op_type == "Cast" for one in node.attribute if one.name == "to"]
    assert not half & set(casts)
    both = [
        predict(str(AIR), PredictSettings(models=str(tmp_path), model="air", runtime=one), Recorder()).prediction
        for one in ("onnx", "tensorflow")
    ]
    np.testing.assert_allclose(both[0], both[1], rtol=1e-5)
    train(str(AIR), train_settings(tmp_path, resume=True, name="air", epochs=1, windows=1), Recorder())
    assert read_manifest(tmp_path / "air" / "2").fit.precision == "float32"


def test_a_fit_does_not_go_on_from_a_state_of_another_precision(monkeypatch):
    from forecaster.errors import UsageError

    monkeypatch.setattr(
        compiled_steps, "policy_of", lambda asked, on_gpu: "mixed_float16" if asked == "mixed" else asked
    )
    net, done, _ = fitted(network_settings(), precision="mixed", epochs=1)
    state = replace(done.state, finished=False)
    with pytest.raises(UsageError, match="another optimizer or precision"):
        fit(net, TASK, fit_settings(epochs=2), FitControl(Recorder(), "test", start=state))


def test_policies_are_those_that_each_device_has_kernels_for():
    assert precision.policy_of("float32", on_gpu=True) == "float32"
    assert precision.policy_of("mixed", on_gpu=True) == "mixed_float16"  # cuDNN has no recurrent kernel of bfloat16
    assert precision.policy_of("mixed", on_gpu=False) == "mixed_bfloat16"
