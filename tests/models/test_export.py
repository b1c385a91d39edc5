"""Stored graphs: portable, fused, and proved to answer as the trained network does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from forecaster.errors import ForecasterError
from forecaster.models.cells import CELLS
from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.export import COMBINATIONS, joint_forecast, write_onnx, write_saved_model
from forecaster.models.filled_gaps import without_gaps
from forecaster.models.network import Network
from forecaster.models.scaling import TRANSFORMS
from forecaster.models.seasonal_profile import Profile
from forecaster.models.simple_methods import SIMPLE_METHODS
from forecaster.serving.runtime import OnnxRuntime, TensorflowRuntime
from forecaster.serving.verify_export import refuse_unportable, verify_graphs
from tests.support.factories import NAN, network_settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]


def contexts(rows=6, length=8, seed=0):
    values = np.random.default_rng(seed).uniform(1, 100, (rows, length))
    values[0, 2:4] = values[1, :6] = NAN
    return values


def write(members, folder, smoothing=None):
    portable = [member.portable() for member in members]
    write_saved_model(portable, folder / "saved_model", smoothing)
    write_onnx(portable, folder / "model.onnx", smoothing)
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two members of different context and cell, stored as one graph."""
    members = (
        Network(network_settings(cell="lstm", layers=2, residual=True, quantiles=(0.1, 0.9)), seed=1),
        Network(network_settings(cell="gru", bidirectional=True, context_length=6, quantiles=(0.1, 0.9)), seed=2),
    )
    return members, write(members, tmp_path_factory.mktemp("pair"))


def test_a_member_with_a_seasonal_profile_reads_further_back_than_the_others(tmp_path):
    levels = (0.1, 0.9)
    members = (
        Network(network_settings(cell="gru", quantiles=levels), seed=1),
        Network(network_settings(cell="gru", quantiles=levels, profile=Profile(6, seasons=3, smooth=1)), seed=2),
    )
    values = contexts(length=18)
    expected = np.asarray(joint_forecast(members, {"context": values}))
    folder = write(members, tmp_path)
    for stored in (OnnxRuntime(folder / "model.onnx"), TensorflowRuntime(folder / "saved_model")):
        np.testing.assert_allclose(stored.run(values), expected, rtol=1e-4)
    values[:, :6] += 50.0  # rows that only the profile reads
    assert np.abs(np.asarray(joint_forecast(members, {"context": values})) - expected).max() > 0.1


def test_a_member_that_fills_gaps_reads_in_both_stored_graphs_what_arrays_would_have(tmp_path):
    plain, filling = (
        Network(network_settings(cell="gru", season_length=3, quantiles=(0.1, 0.9), fills_gaps=fills), seed=2)
        for fills in (False, True)
    )
    values = contexts()
    values[2, [2, 5]] = values[3, -1] = NAN
    expected = np.asarray(joint_forecast([plain], {"context": without_gaps(values, 3)}))
    np.testing.assert_allclose(joint_forecast([filling], {"context": values}), expected, rtol=1e-5)
    assert np.abs(np.asarray(joint_forecast([plain], {"context": values})) - expected).max() > 0.1
    folder = write([filling], tmp_path)
    for stored in (OnnxRuntime(folder / "model.onnx"), TensorflowRuntime(folder / "saved_model")):
        np.testing.assert_allclose(stored.run(values), expected, rtol=1e-4)


def operators(path):
    import onnx

    return Counter(node.op_type for node in onnx.load(str(path)).graph.node)


def test_onnx_holds_each_layer_as_one_fused_operator(pair):
    found = operators(pair[1] / "model.onnx")
    assert (found["LSTM"], found["GRU"], found["RNN"]) == (2, 2, 0)
    assert not {"Loop", "Scan", "If"} & set(found)


def test_the_joint_forecast_is_the_median_of_the_members(pair):
    members, folder = pair
    context = contexts()
    each = [np.asarray(member.model([context[:, -member.settings.context_length :]])) for member in members]
    expected = np.median(each, axis=0)
    np.testing.assert_allclose(joint_forecast(members, {"context": context}), expected, rtol=1e-5)
    np.testing.assert_allclose(OnnxRuntime(folder / "model.onnx").run(context, {}), expected, rtol=1e-4)
    assert (np.diff(expected[:, :, 1:], axis=2) >= 0).all()


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_members_are_joined_as_asked_in_both_stored_graphs(tmp_path, combine):
    members = [Network(network_settings(combine=combine, quantiles=(0.1, 0.9)), seed=seed) for seed in (1, 2, 3)]
    each = [np.asarray(joint_forecast([member], {"context": contexts()})) for member in members]
    found = joint_forecast(members, {"context": contexts()})
    np.testing.assert_allclose(found, getattr(np, combine)(each, axis=0), rtol=1e-5)
    verify_graphs(write(members, tmp_path), members, {"context": contexts()})


def test_members_with_a_share_are_averaged_by_it_with_the_median_of_the_others(tmp_path):
    """The order of the members changes nothing; a lost member's share goes to the others."""
    kinds = [network_settings(quantiles=(0.1, 0.9), share=share) for share in (0.0, 0.2, 0.0, 0.0, 0.5)]
    members = [Network(settings, seed=seed) for seed, settings in enumerate(kinds)]
    each = [np.asarray(joint_forecast([member], {"context": contexts()})) for member in members]
    expected = 0.3 * np.median([each[0], each[2], each[3]], axis=0) + 0.2 * each[1] + 0.5 * each[4]
    np.testing.assert_allclose(joint_forecast(members, {"context": contexts()}), expected, rtol=1e-5)
    verify_graphs(write(members, tmp_path), members, {"context": contexts()})
    lost = joint_forecast([members[1], members[4]], {"context": contexts()})
    np.testing.assert_allclose(lost, (0.2 * each[1] + 0.5 * each[4]) / 0.7, rtol=1e-5)


@pytest.mark.parametrize("method", SIMPLE_METHODS)
def test_every_simple_method_can_be_stored(tmp_path, method):
    member = Network(network_settings(quantiles=(0.1, 0.9)), seed=1)
    smoothing = Smoothing(season_length=4, length=8, horizon=3, log=False, weight=1.0, method=method)
    verify_graphs(write([member], tmp_path, smoothing), [member], {"context": contexts()}, smoothing=smoothing)


def test_three_members_answer_with_the_one_in_the_middle():
    members = [Network(network_settings(), seed=seed) for seed in (1, 2, 3)]
    each = [np.asarray(member.model([contexts()])) for member in members]
    np.testing.assert_allclose(joint_forecast(members, {"context": contexts()}), np.median(each, axis=0), rtol=1e-5)


def test_stored_graphs_are_proved_to_agree(pair):
    members, folder = pair
    verify_graphs(folder, members, {"context": contexts()})


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_stored_graphs_keep_levels_of_1e9_that_move_by_1(transform, tmp_path):
    net = Network(network_settings(transform=transform), seed=1)
    write([net], tmp_path)
    context = 1e9 + np.random.default_rng(0).integers(0, 5, (6, 8))
    expected = np.asarray(net.model([context])) - 1e9
    for runtime in (OnnxRuntime(tmp_path / "model.onnx"), TensorflowRuntime(tmp_path / "saved_model")):
        np.testing.assert_allclose(runtime.run(context, {}) - 1e9, expected, atol=1e-4)
    assert expected.std() > 0.01


@pytest.mark.parametrize("which", ["saved_model", "model.onnx"])
def test_graphs_with_other_weights_are_refused(pair, tmp_path, which):
    members, folder = pair
    changed = tuple(Network(member.settings, seed=5) for member in members)
    for part in ("saved_model", "model.onnx"):
        (tmp_path / part).symlink_to(folder / part)
    (tmp_path / which).unlink()
    portable = [member.portable() for member in changed]
    if which == "saved_model":
        write_saved_model(portable, tmp_path / which)
    else:
        write_onnx(portable, tmp_path / which)
    what = "SavedModel" if which == "saved_model" else "ONNX"
    with pytest.raises(ForecasterError, match=f"the {what} graph differs from the trained network"):
        verify_graphs(tmp_path, members, {"context": contexts()})


def test_forecasts_that_cross_zero_raise_no_false_alarm(tmp_path):
    """Rounding is small compared with the window, however small the forecast itself happens to be."""
    net = Network(network_settings(horizon=1, units=8), seed=1)
    folder = write([net], tmp_path)
    context = np.random.default_rng(0).normal(size=(4000, 8))
    context -= np.asarray(net.model([context]))[:, :, 0]  # shifting the data shifts the forecast: now it is about 0
    assert np.abs(np.asarray(net.model([context]))).max() < 1e-5
    verify_graphs(folder, [net], {"context": context})


class Planted:
    """A SavedModel with an operation that is refused."""

    def __init__(self, folder, function, signature):
        import tensorflow as tf

        module = tf.Module()
        module.serve = tf.function(function, input_signature=signature)
        tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})


def test_a_python_callback_is_refused(tmp_path):
    import tensorflow as tf

    Planted(
        tmp_path, lambda x: {"y": tf.py_function(lambda v: v, [x], tf.float64)}, [tf.TensorSpec((None, 8), tf.float64)]
    )
    with pytest.raises(ForecasterError, match="PyFunc"):
        refuse_unportable(tmp_path)


def test_a_cudnn_operation_is_refused(tmp_path):
    import tensorflow as tf

    def cudnn(x):
        state = tf.zeros((1, tf.shape(x)[1], 4))
        parameters = tf.zeros((200,))
        return {"y": tf.raw_ops.CudnnRNNV3(
            input=x, input_h=state, input_c=state, params=parameters, sequence_lengths=tf.ones((1,), tf.int32)
        ).output}  # fmt: skip

    Planted(tmp_path, cudnn, [tf.TensorSpec((None, None, 2), tf.float32)])
    with pytest.raises(ForecasterError, match="CudnnRNN"):
        refuse_unportable(tmp_path)


def test_a_path_of_this_machine_is_refused(tmp_path):
    import tensorflow as tf

    Planted(
        tmp_path,
        lambda x: {"y": tf.strings.join([x, str(tmp_path.parent / "vocabulary.txt")])},
        [tf.TensorSpec((None,), tf.string)],
    )
    with pytest.raises(ForecasterError, match=f"contains the path {tmp_path.parent}"):
        refuse_unportable(tmp_path)


def test_an_honest_graph_holds_no_such_thing(pair):
    refuse_unportable(pair[1] / "saved_model")


@pytest.mark.parametrize(
    "place", ["/predict", "/in", "/a", "/serving", "/serving_default", "/dense/kernel", "/i", "/x/y"]
)
def test_a_folder_that_is_called_like_a_part_of_the_graph_is_no_path_in_it(pair, monkeypatch, place):
    monkeypatch.setattr(Path, "cwd", lambda: Path(place))
    refuse_unportable(pair[1] / "saved_model")


def test_a_user_without_a_home_and_a_deleted_working_directory_are_no_fault(pair, monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    def deleted():
        raise FileNotFoundError

    monkeypatch.setattr(Path, "home", nowhere)
    monkeypatch.setattr(Path, "cwd", deleted)
    refuse_unportable(pair[1] / "saved_model")


def test_a_path_within_a_text_is_found(tmp_path, monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(Path, "cwd", lambda: Path("/predict"))
    joined = tf.strings.join
    Planted(tmp_path, lambda x: {"y": joined([x, "see /predict/words.txt"])}, [tf.TensorSpec((None,), tf.string)])
    with pytest.raises(ForecasterError, match="contains the path /predict"):
        refuse_unportable(tmp_path)


ALONE = """
import json, sys
import numpy as np, tensorflow as tf
assert "forecaster" not in sys.modules
try:
    import forecaster
except ImportError:
    pass
else:
    sys.exit("forecaster can be imported here")
loaded = tf.saved_model.load(sys.argv[1])
answer = loaded.signatures["serving_default"](context=tf.constant(np.load(sys.argv[2])))
print(json.dumps({name: value.numpy().tolist() for name, value in answer.items()}))
"""


def test_a_saved_model_answers_where_this_package_is_not_installed(pair, tmp_path):
    members, folder = pair
    np.save(tmp_path / "context.npy", contexts())
    # The package is installed editable: hiding its finder is like not having installed it.
    code = "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n" + ALONE
    code = "import sys; sys.path = [p for p in sys.path if p and not p.endswith('main')]\n" + code
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(folder / "saved_model"), str(tmp_path / "context.npy")],
        cwd=tmp_path, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    expected = np.asarray(joint_forecast(members, {"context": contexts()}))
    np.testing.assert_allclose(answer["prediction"], expected[:, :, 0], rtol=1e-4)
    np.testing.assert_allclose(answer["quantiles"], expected[:, :, 1:], rtol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_any_number_of_rows_is_answered(cell, tmp_path):
    net = Network(network_settings(cell=cell), seed=1)
    write([net], tmp_path)
    for runtime in (OnnxRuntime(tmp_path / "model.onnx"), TensorflowRuntime(tmp_path / "saved_model")):
        whole = runtime.run(contexts(7), {})
        for row in range(7):
            np.testing.assert_allclose(runtime.run(contexts(7)[row : row + 1], {})[0], whole[row], rtol=1e-5)
