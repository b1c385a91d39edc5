"""Supervised windows: shapes, scaling and back, and no row that leaks from one part into an earlier one."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forecaster
from forecaster.errors import DataError, UsageError
from tests.support.factories import frame_of, waves

pytestmark = pytest.mark.usefixtures("cpu")


def table(length=30, count=2):
    return frame_of(**{f"s{n}": values for n, values in enumerate(waves(count, length))})


def with_covariates(length=30):
    frame = table(length)
    rng = np.random.default_rng(0)
    return frame.assign(
        price=rng.normal(5, 2, len(frame)),
        sky=np.where(rng.random(len(frame)) < 0.5, "clear", "rain"),
        visits=rng.normal(100, 9, len(frame)),
        place=np.where(frame["series"] == "s0", "north", "south"),
    )


def test_arrays_have_the_shapes_and_types_that_the_docstring_names():
    parts = forecaster.windows(table(), context_length=8, horizon=3, validation=1, test=2)
    for part, count in (
        (parts.train, 2 * (30 - 9 - 8 - 3 + 1)),
        (parts.validation, 2),
        (parts.test, 4),
        (parts.latest, 2),
    ):
        assert part.inputs.shape == (count, 8, 2) and part.inputs.dtype == np.float32
        assert part.targets.shape == (count, 3) and part.known.shape == (count, 3, 0)
        assert part.center.shape == part.scale.shape == (count, 1)
        assert len(part.series) == len(part.cutoff) == len(part) == count
    assert parts.train.features == ("target", "observed")
    assert parts.test.cutoff.tolist() == ["2024-01-25", "2024-01-28"] * 2
    assert parts.latest.cutoff.tolist() == ["2024-01-31"] * 2
    assert np.isnan(parts.latest.targets).all()


def test_forecasts_and_batches_of_other_sizes_are_refused_in_one_line():
    test = forecaster.windows(table(), context_length=8, horizon=3).test
    for forecast in (np.zeros((3, 3)), np.zeros(2)):
        with pytest.raises(UsageError, match=r"are not of these 2 windows. Expected \[2, P\] or \[2, P, K\]"):
            test.restore(forecast)
    with pytest.raises(UsageError, match="batch_size: 0 is not a whole number from 1 up"):
        test.dataset(0)


def test_data_is_what_train_takes():
    frame = table(count=1)
    expected = forecaster.windows(frame, context_length=8, horizon=3).train.inputs
    for data in (frame["target"].tolist(), frame["target"].to_numpy(), frame.set_index("timestamp")["target"]):
        np.testing.assert_array_equal(forecaster.windows(data, context_length=8, horizon=3).train.inputs, expected)


def test_columns_are_named_as_elsewhere():
    frame = with_covariates()
    both = [
        forecaster.windows(frame, context_length=8, horizon=3, known=known, past=past, static="place")
        for known, past in (("price,sky", "visits"), (["price", "sky"], ("visits",)))
    ]
    assert both[0].train.features == both[1].train.features and "visits" in both[0].train.features


def test_a_notebook_shows_shapes_and_not_every_number():
    parts = forecaster.windows(table(), context_length=8, horizon=3)
    assert repr(parts.test) == "<WindowSet: inputs [2, 8, 2], targets [2, 3], known [2, 3, 0], 2 series>"
    assert repr(parts).count("<WindowSet: ") == 4 and "array" not in repr(parts)


def test_the_signature_names_every_argument():
    kinds = {p.kind for p in inspect.signature(forecaster.windows).parameters.values()}
    assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("transform", ["none", "log"])
@pytest.mark.parametrize("center", ["mean", "last", "season"])
def test_restored_targets_are_those_of_the_table(transform, center):
    scaled = forecaster.windows(table(), context_length=8, horizon=3, transform=transform, center=center)
    raw = forecaster.windows(table(), context_length=8, horizon=3, scaled=False)
    np.testing.assert_allclose(scaled.train.restore(scaled.train.targets), raw.train.targets, rtol=1e-5)
    again = scaled.test.restore(np.repeat(scaled.test.targets[..., None], 2, axis=2))
    np.testing.assert_allclose(again[..., 1], raw.test.targets, rtol=1e-5)
    assert raw.train.restore(raw.train.targets).dtype == np.float64


def test_a_scaled_context_has_mean_0_and_deviation_1():
    train = forecaster.windows(table(), context_length=8, horizon=3).train
    np.testing.assert_allclose(train.inputs[:, :, 0].mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(train.inputs[:, :, 0].std(axis=1), 1, atol=1e-5)


@given(horizon=st.integers(1, 4), validation=st.integers(0, 2), test=st.integers(0, 2), stride=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_parts_never_share_a_target_and_a_changed_future_moves_no_earlier_part(horizon, validation, test, stride):
    arguments = {"context_length": 5, "horizon": horizon, "validation": validation, "test": test, "stride": stride}
    frame = table()
    plain = forecaster.windows(frame, **arguments, scaled=False)
    later = frame.copy()
    cut = 30 - horizon * (validation + test)
    later.loc[later.groupby("series").cumcount() >= cut, "target"] = 1e6
    changed = forecaster.windows(later, **arguments, scaled=False)
    np.testing.assert_array_equal(plain.train.inputs, changed.train.inputs)
    np.testing.assert_array_equal(plain.train.targets, changed.train.targets)
    shown = [set(np.unique(part.targets)) for part in (plain.train, plain.validation, plain.test)]
    assert not shown[0] & shown[1] and not shown[1] & shown[2] and not shown[0] & shown[2]


def test_covariates_are_scaled_by_rows_before_the_validation_windows():
    frame = with_covariates()
    arguments = {"context_length": 6, "horizon": 3, "known": ["price", "sky"], "past": ["visits"], "static": ["place"]}
    plain = forecaster.windows(frame, **arguments)
    assert plain.train.features == (
        "target", "observed", "price", "price observed", "sky=clear", "sky=rain", "sky=other", "visits", "visits observed",
        "place=north", "place=south", "place=other",
    )  # fmt: skip
    assert plain.train.known_features == ("price", "price observed", "sky=clear", "sky=rain", "sky=other")
    assert plain.train.known.shape == (len(plain.train), 3, 5)
    later = frame.copy()
    last = later.groupby("series").cumcount() >= 24
    later.loc[last, ["price", "visits"]] = 1e6
    np.testing.assert_array_equal(plain.train.inputs, forecaster.windows(later, **arguments).train.inputs)
    first = frame["price"].to_numpy()[6:9]
    seen = frame[frame.groupby("series").cumcount() < 24]["price"]
    np.testing.assert_allclose(plain.train.known[0, :, 0], (first - seen.mean()) / seen.std(ddof=0), rtol=1e-4)


def test_past_columns_are_not_read_ahead_and_raw_covariates_are_as_in_the_table():
    frame = with_covariates()
    raw = forecaster.windows(frame, context_length=6, horizon=3, known=["price"], past=["visits"], scaled=False).train
    np.testing.assert_array_equal(raw.inputs[0, :, 2], frame["price"][:6])
    np.testing.assert_array_equal(raw.inputs[0, :, 3], frame["visits"][:6])
    assert raw.known.shape[2] == 1


def test_missing_values_are_masked_and_windows_with_a_missing_target_are_left_out():
    frame = table(count=1)
    frame.loc[4, "target"] = np.nan
    train = forecaster.windows(frame, context_length=5, horizon=2, validation=0, test=0).train
    hidden = train.inputs[:, :, 1] == 0
    assert hidden.sum() == 5 and (train.inputs[:, :, 0][hidden] == 0).all()
    assert np.isfinite(train.targets).all()
    later = frame.copy()
    later.loc[12, "target"] = np.nan
    assert len(forecaster.windows(later, context_length=5, horizon=2, validation=0, test=0).train) == len(train) - 2


def test_step_targets_are_the_rows_one_segment_later():
    raw = forecaster.windows(table(), context_length=6, horizon=3, scaled=False).train
    whole = np.concatenate([raw.inputs[:, :, 0], raw.targets], axis=1)
    for segment in (1, 3):
        np.testing.assert_array_equal(raw.step_targets(segment), whole[:, segment : segment + 6])
    with pytest.raises(UsageError, match="segment 4 is not from 1 to the horizon, 3"):
        raw.step_targets(4)


def test_a_dataset_gives_the_same_batches_as_the_arrays():
    train = forecaster.windows(with_covariates(), context_length=6, horizon=3, known=["price"]).train
    batches = list(train.dataset(batch_size=10).as_numpy_iterator())
    (inputs, known), targets = batches[0]
    assert inputs.shape == (10, 6, 4) and known.shape == (10, 3, 2) and targets.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([one[0][0] for one in batches]), train.inputs)
    mixed = np.concatenate([one[1] for one in train.dataset(10, shuffle=True).as_numpy_iterator()])
    assert not np.array_equal(mixed, train.targets)
    np.testing.assert_array_equal(np.sort(mixed, axis=0), np.sort(train.targets, axis=0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transform": "logs"}, "windows(): transform: 'logs' is not known. Did you mean 'log'?"),
        ({"center": "first"}, "windows(): center: 'first' is not known. Known: mean, last, season."),
        ({"horizon": 0}, "windows(): horizon: 0 is not a whole number from 1 up."),
        ({"test": -1}, "windows(): test: -1 is not a whole number from 0 up."),
        ({"stride": 1.5}, "windows(): stride: 1.5 is not a whole number from 1 up."),
        ({"horizon": True}, "windows(): horizon: True is not a whole number from 1 up."),
        ({"known": 3}, "windows(): known: 3 is not a list of column names."),
        ({"scaled": "no"}, "windows(): scaled: 'no' is neither True nor False."),
        ({"scaled": False, "transform": "log"}, "windows(): transform has no effect on raw windows."),
        ({"scaled": False, "center": "last"}, "windows(): center has no effect on raw windows."),
    ],
)
def test_impossible_settings_are_refused_in_one_line(changes, message):
    with pytest.raises(UsageError) as caught:
        forecaster.windows(table(), **{"context_length": 6, "horizon": 3, **changes})
    assert str(caught.value).startswith(message)


def test_too_short_a_table_says_how_many_rows_it_takes():
    with pytest.raises(DataError, match=r"takes 29 rows, the longest has 12"):
        forecaster.windows(table(12), context_length=20, horizon=3)
