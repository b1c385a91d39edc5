"""Limits of the target: forecasts are kept within them, and data outside them is refused."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.cli.main import run
from forecaster.commands.train import with_limits_of
from forecaster.config import TrainSettings
from forecaster.data.target_limits import Limits, refuse_all_but_counts
from forecaster.errors import DataError
from tests.support.factories import AIR, NAN, Recorder, panel_of


def test_values_become_the_nearest_allowed_ones():
    values = np.array([-3.0, 0.4, 2.5, 3.6, 9.0, NAN])
    np.testing.assert_array_equal(Limits(0, 5).hold(values), [0, 0.4, 2.5, 3.6, 5, NAN])
    np.testing.assert_array_equal(Limits(integer=True).hold(values), [-3, 0, 2, 4, 9, NAN])
    np.testing.assert_array_equal(Limits(0.5, 4.5, integer=True).hold(values), [1, 1, 2, 4, 4, NAN])
    assert not Limits() and Limits(low=0) and Limits(integer=True)


def test_quantiles_that_ascend_still_do():
    values = np.sort(np.random.default_rng(0).normal(size=(50, 7)) * 3, axis=1)
    assert (np.diff(Limits(-1, 2, integer=True).hold(values), axis=1) >= 0).all()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(low=2), r"panel: series 's1': the target 1 at 0 is below --min 2"),
        (Limits(high=4), r"series 's0': the target 4.5 at 1 is above --max 4"),
        (Limits(integer=True), r"series 's0': the target 4.5 at 1 is not a whole number"),
    ],
)
def test_the_first_value_outside_the_limits_is_named(limits, message):
    panel = panel_of([3.0, 4.5, NAN], [1.0, 2.0, 3.0])
    with pytest.raises(DataError, match=message):
        limits.refuse_broken(panel)
    Limits(1, 4.5).refuse_broken(panel)


@pytest.mark.parametrize(("value", "message"), [(-2.0, "target -2 at 1"), (2.5, "target 2.5 at 1")])
def test_a_value_that_is_not_a_count_is_named(value, message):
    with pytest.raises(DataError, match=rf"panel: series 's1': the {message} is not a count") as error:
        refuse_all_but_counts(panel_of([0.0, 1.0, NAN], [3.0, value, 0.5]), "negative-binomial")
    assert "normal or student-t" in error.value.hint
    refuse_all_but_counts(panel_of([0.0, 7.0, NAN]), "negative-binomial")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--min", "5", "--max", "5"], 2, "--min 5 is not below --max 5"),
        (["--min", "0.2", "--max", "0.8", "--integer"], 2, "no whole number"),
        (["--min", "nan"], 2, "--min"),
        (["--max", "500"], 3, "above --max 500"),
        (["--min", "105"], 3, "the target 104 at 1949-11-01 is below --min 105"),
        (["--distribution", "normal", "--loss", "mse"], 2, "--loss has no effect with --distribution normal"),
        (["--distribution", "normall"], 2, "'normall' is not one of none, normal, student-t, negative-binomial"),
    ],
)
def test_wrong_limits_are_refused_in_one_line(options, code, message, tmp_path, capfd):
    assert run(["train", str(AIR), "--models", str(tmp_path), "--quiet", *options]) == code
    err = capfd.readouterr().err
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "values", "lowest"),
    [
        ({}, [0.0, 3.0, NAN], 0.0),
        ({}, [1e-300, 5.0], 0.0),
        ({}, [5.0, -1e-9], None),
        ({}, [NAN, NAN], None),
        ({"min": -np.inf}, [1.0, 2.0], None),  # --min none
        ({"min": 1.0}, [2.0, 3.0], 1.0),
        ({"min": -5.0}, [2.0, 3.0], -5.0),
        ({"max": 9.0}, [2.0, 3.0], 0.0),
        ({"max": 0.0}, [0.0, 0.0], None),  # no value would be within the limits
    ],
)
def test_the_smallest_value_is_0_where_no_value_of_the_whole_panel_is_negative(given, values, lowest):
    watch = Recorder()
    found = with_limits_of(np.array(values), TrainSettings(**given), watch)
    assert found.lowest == lowest and found.limits.low == lowest
    assert any("--min none turns this off" in note for note in watch.notes) == (lowest == 0.0)
