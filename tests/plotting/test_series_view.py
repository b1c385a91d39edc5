"""What is drawn: the right rows, the right series."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from forecaster.errors import DataError, UsageError
from forecaster.evaluation.metrics import Scores
from forecaster.plotting.html import step_noun
from forecaster.plotting.series_view import (
    Interval,
    backtest_views,
    choose_series,
    forecast_views,
    notable_series,
    worst_median_best,
)
from tests.support.factories import NAN, waves
from tests.support.pages import HORIZON, ahead, evaluation_content


def scored(**mase):
    return {name: Scores(1.0, 1.0, 1.0, value) for name, value in mase.items()}


def test_the_worst_the_median_and_the_best_are_drawn_where_nobody_names_any():
    notes = worst_median_best(scored(a=1.0, b=3.0, c=2.0, d=NAN, e=0.5, f=4.0))
    assert list(notes) == ["f", "c", "e"]
    assert notes["f"] == "worst of 5 series, MASE 4" and notes["e"].startswith("best")


def test_few_series_and_series_without_a_mase_are_drawn_as_they_come():
    assert list(worst_median_best(scored(a=1.0, b=3.0))) == ["b", "a"]
    assert "undefined" in worst_median_best(scored(a=NAN, b=NAN))["a"]


def test_a_backtest_shows_the_forecasts_where_they_were_made(tmp_path):
    found = evaluation_content(tmp_path)
    panel, backtest = found.panel, found.backtest
    (one,) = backtest_views(backtest, panel, found.report.by_series, ["b"])
    end = panel.offsets[2]
    assert len(one.starts) == 2
    np.testing.assert_array_equal(one.observed[one.starts[0] :], panel.target[end - 2 * HORIZON : end])
    np.testing.assert_array_equal(one.prediction, backtest.prediction[backtest.holdout.windows.series == 1])
    assert one.stamps[one.starts[0]] == str(np.datetime64(int(panel.timestamps[end - 2 * HORIZON]), "us"))[:10]
    assert one.times[one.starts[1]] - one.times[one.starts[0]] == np.timedelta64(HORIZON, "D")


def test_a_series_without_a_test_window_cannot_be_drawn(tmp_path):
    values = waves(4, 40)
    values[0][:-3] = NAN
    found = evaluation_content(tmp_path, values=values)
    with pytest.raises(DataError, match="'a' has no test window"):
        backtest_views(found.backtest, found.panel, found.report.by_series, ["a"])


def test_a_forecast_follows_its_history():
    made = ahead()
    one, two = forecast_views(made, [])
    assert np.isnan(one.observed[one.starts[0] :]).all()
    assert len(one.times) == len(one.stamps) == len(one.observed)
    assert one.observed[one.starts[0] - 1] == made.panel.target[39]
    np.testing.assert_array_equal(one.prediction[0], made.forecast.prediction[0])
    assert two.name == made.forecast.series[1]
    assert forecast_views(ahead(source="seasonal-naive"), ["a"])[0].note == "forecast by seasonal-naive"


def test_series_are_chosen_by_name_and_an_unknown_one_is_named():
    assert choose_series([], ["a", "b", "c"], 2) == ("a", "b")
    assert choose_series(["c", "a", "c"], ["a", "b", "c"]) == ("c", "a")
    with pytest.raises(UsageError, match="no series 'bergen'") as error:
        choose_series(["bergen"], ["Bergen", "Oslo"])
    assert "Did you mean 'Bergen'?" in error.value.hint
    with pytest.raises(UsageError, match="too many"):
        choose_series([str(n) for n in range(60)], [str(n) for n in range(60)])


def test_intervals_are_pairs_of_levels_from_the_outside_in():
    found = Interval.between((0.05, 0.1, 0.5, 0.9, 0.95))
    assert [one.label for one in found] == ["90 % interval", "80 % interval"]
    assert [(one.low, one.high) for one in found] == [(0, 4), (1, 3)]
    assert Interval.between((0.2, 0.9))[0].label == "quantiles 0.2 to 0.9"
    assert Interval.between((0.5,)) == Interval.between(()) == ()
    assert math.isclose(0.9 - 0.1, 0.8)


def test_the_largest_series_is_drawn_beside_the_worst_the_median_and_the_best() -> None:
    scores = scored(a=1.0, b=3.0, c=2.0, d=0.5, e=2.5)
    target = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0], [NAN, 50.0]])
    holdout = SimpleNamespace(windows=SimpleNamespace(series=np.arange(5)), names=list("abcde"))
    found = notable_series(SimpleNamespace(holdout=holdout, target=target), scores)  # type: ignore[arg-type]
    assert list(found) == ["e", "b", "c", "d"] and found["e"].startswith("largest of 5 series")
    target[1] = 99.0
    assert notable_series(SimpleNamespace(holdout=holdout, target=target), scores)["b"].startswith(
        "largest, worst of 5"
    )  # type: ignore[arg-type]


def test_steps_have_the_names_that_people_give_them() -> None:
    assert [step_noun(*one) for one in (("D", 14), ("W-SUN", 1), ("15min", 2), ("h@Mon-Fri", 3))] == [
        "days",
        "week",
        "steps of 15min",
        "hours",
    ]
