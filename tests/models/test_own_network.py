"""A network of one's own: as good as a built-in one where it keeps the contract, refused in one line where it does not."""

from __future__ import annotations

import random
from dataclasses import asdict, replace

import numpy as np
import pytest

from forecaster.errors import UsageError
from forecaster.models.network import Network
from forecaster.models.own_network import NetworkFunction, NetworkShapes, find_function
from forecaster.training.check_own_network import check_own_network
from forecaster.training.fast_recurrence import fast_layer
from forecaster.training.fit import FitControl, fit
from forecaster.training.split import Needs, split
from tests.support import networks
from tests.support.factories import Recorder, fit_settings, network_settings, panel_of, waves

pytestmark = pytest.mark.usefixtures("cpu")

WITH_CALENDAR = {"known": 2, "linear": True, "quantiles": (0.1, 0.9)}


def own(function, **changes):
    return network_settings(network=NetworkFunction.of(function), **{"cell": "gru", **changes})


def alike(**changes):
    """The built-in GRU, and the same written by hand, with the same weights in encoder and head."""
    plain = Network(network_settings(cell="gru", **changes), seed=1)
    mine = Network(own(networks.built_in, **changes), seed=1)
    layers = [plain.encoder.embed, *plain.encoder.layers[0], plain.head.hidden, plain.head.dense]
    mine.encoder.built[0].set_weights([array for layer in layers for array in layer.get_weights()])
    return plain, mine


def inputs(settings, rows=5, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.uniform(1, 9, (rows, *shape)) for shape in settings.shapes.values()]


def test_the_built_in_network_written_by_hand_forecasts_the_same():
    plain, mine = alike(**WITH_CALENDAR)
    for part in ("step", "state", "out", "place", "straight"):
        getattr(mine.known, part).set_weights(getattr(plain.known, part).get_weights())
    read = inputs(plain.settings)
    np.testing.assert_allclose(mine.forecast(read), plain.forecast(read), rtol=1e-6)


@pytest.mark.slow
def test_it_is_fitted_to_the_same_forecast_as_the_built_in_one():
    both = alike()
    read = inputs(both[0].settings)
    before = both[0].forecast(read)
    task = split(panel_of(*waves(3, 40)), Needs(8, 3, calendar=()), 1).test
    for network in both:
        fit(network, task, fit_settings(epochs=1, steps_per_epoch=5), FitControl(Recorder(), "test"))
    plain, mine = (np.asarray(network.forecast(read)) for network in both)
    np.testing.assert_allclose(mine, plain, rtol=1e-6)
    assert np.abs(plain - before).max() > 1e-2


@pytest.mark.parametrize("function", [networks.built_in, networks.sequential, networks.Subclassed])
def test_recurrent_layers_run_faster_in_training_and_to_the_same_result(function):
    network = Network(own(function), seed=1)
    read = inputs(network.settings)
    kinds = {type(layer).__name__ for layer in network.horizon_model(fast_layer).layers}
    assert ("Lambda" in kinds) == (function is not networks.Subclassed)
    for recur in ({}, {"recur": fast_layer}):
        z, *_ = network.horizon_model(**recur)(read)
        np.testing.assert_allclose(z, network.horizon_model()(read)[0], atol=1e-6)


def test_members_differ_by_their_seeds_alone_and_python_s_random_state_stays():
    state = random.getstate()
    first, second, other = (Network(own(networks.sequential), seed=seed).weights for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert random.getstate() == state


def test_a_state_is_optional_and_feeds_the_calendar():
    network = Network(own(networks.sequential, **WITH_CALENDAR), seed=1)
    context, known = inputs(network.settings)
    assert not np.allclose(network.forecast([context, known]), network.forecast([context, known + 1]))


def test_the_name_alone_is_stored_and_found_again():
    settings = own(networks.built_in)
    stored = asdict(settings)["network"]
    assert stored == "tests.support.networks:built_in"
    assert find_function(str(stored)) is networks.built_in
    assert replace(settings, network=str(stored)) == settings


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:build", "--network nowhere:build: no module 'nowhere' here. Run it where the module is."),
        ("tests.support.networks:build", "module 'tests.support.networks' has no function 'build'."),
        ("missing_import:build", "its module imports absent, which is not installed."),
        ("broken:build", "importing 'broken' raised ZeroDivisionError: division by zero."),
        ("script:build", "importing 'script' raised SystemExit: 3."),
    ],
)
def test_a_function_that_is_not_there_is_refused(name, message, tmp_path, monkeypatch):
    (tmp_path / "missing_import.py").write_text("import absent")
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "script.py").write_text("import sys; sys.exit(3)")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        find_function(name)
    assert message in str(caught.value)


def test_a_module_in_the_working_directory_is_found(tmp_path, monkeypatch):
    (tmp_path / "mine_here.py").write_text("def build(shapes, settings): pass")
    monkeypatch.chdir(tmp_path)
    assert find_function("mine_here:build").__name__ == "build"


@pytest.mark.parametrize("text", ["build", "a:b:c", "a b:c", "", 3])
def test_text_of_another_form_is_refused(text):
    with pytest.raises(UsageError, match="is not module:function"):
        NetworkFunction.of(text)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (networks.wrong_shape, "its model returns [B, 2, 3], not [B, 3, 3]."),
        (networks.wrong_input, "its model does not read [B, 8, 2]: ValueError"),
        (networks.not_a_model, "it returned function, no keras.Model."),
        (networks.raises, "it raised KeyError: 'units'."),
        (networks.not_a_number, "is NaN or infinite."),
        (networks.ends_the_program, "it raised SystemExit: 3."),
        (networks.by_name, "its model returns dict, no tensor."),
        (networks.in_half_precision, "are float16, not float32."),
        (networks.with_a_space, "a stored graph cannot have a layer of the name 'the last'."),
        (networks.at_random, "its forecast of the same windows is another each time."),
        (networks.over_the_batch, "a window's forecast depends on the other windows of its batch."),
        pytest.param(networks.not_storable, "PyFunc", marks=pytest.mark.slow),
        pytest.param(networks.not_in_onnx, "it cannot be stored as ONNX", marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_network_that_breaks_the_contract_is_refused_in_one_line(function, message):
    with pytest.raises(UsageError) as caught:
        check_own_network(own(function, quantiles=(0.1, 0.9)))
    assert str(caught.value).startswith(f"--network tests.support.networks:{function.__name__}: ")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_networks_that_would_share_weights_are_refused():
    model = networks.built_in(NetworkShapes(8, 2, 3, 1), network_settings())
    settings = own(lambda shapes, settings: model)
    Network(settings, 0)
    with pytest.raises(
        UsageError, match=r"returned layer '(?!own)\w+' before, so that networks would share its weights"
    ):
        Network(settings, 0)


@pytest.mark.slow
@pytest.mark.parametrize("function", [networks.built_in, networks.sequential, networks.Subclassed])
def test_a_network_that_keeps_the_contract_is_taken(function):
    check_own_network(own(function, **WITH_CALENDAR))
