"""What is drawn: the right rows, the right series."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecaster.errors import DataError, UsageError
from forecaster.metrics import Scores
from forecaster.views.tracks import Interval, choose, tracks_ahead, tracks_judged, worst_median_best
from tests.tiny import NAN, waves
from tests.views.showing import HORIZON, ahead, judgement


def scored(**mase):
    return {name: Scores(1.0, 1.0, 1.0, value) for name, value in mase.items()}


def test_the_worst_the_median_and_the_best_are_drawn_where_nobody_names_any():
    notes = worst_median_best(scored(a=1.0, b=3.0, c=2.0, d=NAN, e=0.5, f=4.0))
    assert list(notes) == ["f", "c", "e"]
    assert notes["f"] == "worst of 5 series, MASE 4" and notes["e"].startswith("best")


def test_few_series_and_series_without_a_mase_are_drawn_as_they_come():
    assert list(worst_median_best(scored(a=1.0, b=3.0))) == ["b", "a"]
    assert "undefined" in worst_median_best(scored(a=NAN, b=NAN))["a"]


def test_a_judged_track_shows_the_forecasts_where_they_were_made(tmp_path):
    found = judgement(tmp_path)
    panel, judged = found.panel, found.judged
    (one,) = tracks_judged(judged, panel, found.report.by_series, ["b"])
    end = panel.offsets[2]
    assert len(one.starts) == 2 and one.judged
    np.testing.assert_array_equal(one.observed[one.starts[0] :], panel.target[end - 2 * HORIZON : end])
    np.testing.assert_array_equal(one.prediction, judged.prediction[judged.holdout.windows.series == 1])
    assert one.stamps[one.starts[0]] == str(np.datetime64(int(panel.timestamps[end - 2 * HORIZON]), "us"))[:10]
    assert one.times[one.starts[1]] - one.times[one.starts[0]] == np.timedelta64(HORIZON, "D")


def test_a_series_without_a_judged_window_cannot_be_drawn(tmp_path):
    values = waves(4, 40)
    values[0][:-3] = NAN
    found = judgement(tmp_path, values=values)
    with pytest.raises(DataError, match="'a' has no judged window"):
        tracks_judged(found.judged, found.panel, found.report.by_series, ["a"])


def test_a_forecast_follows_its_history():
    forecast = ahead()
    one, two = tracks_ahead(forecast, [])
    assert not one.judged and len(one.times) == len(one.stamps) == len(one.observed)
    assert one.observed[one.starts[0] - 1] == forecast.about.panel.target[39]
    np.testing.assert_array_equal(one.prediction[0], forecast.prediction[0])
    assert two.name == forecast.series[1]
    assert tracks_ahead(ahead(source="seasonal-naive"), ["a"])[0].note == "forecast by seasonal-naive"


def test_series_are_chosen_by_name_and_an_unknown_one_is_told():
    assert choose([], ["a", "b", "c"], 2) == ("a", "b")
    assert choose(["c", "a", "c"], ["a", "b", "c"]) == ("c", "a")
    with pytest.raises(UsageError, match="no series 'bergen'") as error:
        choose(["bergen"], ["Bergen", "Oslo"])
    assert "Did you mean 'Bergen'?" in error.value.hint
    with pytest.raises(UsageError, match="too many"):
        choose([str(n) for n in range(60)], [str(n) for n in range(60)])


def test_intervals_are_pairs_of_levels_from_the_outside_in():
    found = Interval.between((0.05, 0.1, 0.5, 0.9, 0.95))
    assert [one.label for one in found] == ["90 % interval", "80 % interval"]
    assert [(one.low, one.high) for one in found] == [(0, 4), (1, 3)]
    assert Interval.between((0.2, 0.9))[0].label == "quantiles 0.2 to 0.9"
    assert Interval.between((0.5,)) == Interval.between(()) == ()
    assert math.isclose(0.9 - 0.1, 0.8)
