"""Series with less than a season of rows: a part of a season is taken for no trend."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from forecaster.data.windows import latest_windows
from forecaster.serving.level_runtime import WEIGHT, LevelRuntime, level_and_spread
from forecaster.serving.zero_shot import ZeroShot, open_pretrained
from tests.support.factories import panel_of

NAN = np.nan


@dataclass
class Graph:
    """Forecasts of 100 with quantiles 1 below and 2 above."""

    def run(self, context, extra=None):
        return np.tile([100.0, 99.0, 100.0, 102.0], (len(context), 2, 1))


def test_the_level_is_that_of_simple_exponential_smoothing():
    values = np.random.default_rng(0).normal(50.0, 5.0, 12)
    level, spread = level_and_spread(np.r_[NAN, values[:5], NAN, values[5:], NAN][None])
    assert level[0] == pytest.approx(pd.Series(values).ewm(alpha=WEIGHT, adjust=False).mean().iloc[-1])
    assert spread[0] == pytest.approx(values.std(ddof=1))
    assert np.isnan(level_and_spread(np.full((1, 4), NAN))[0][0])


def test_quantiles_are_as_far_away_as_the_graphs_or_the_rows_say():
    quiet, wide = np.full(8, 5.0), 5.0 + 10.0 * (np.arange(8) % 2)
    found = LevelRuntime(Graph(), (0.1, 0.5, 0.9)).run(np.stack([quiet, wide]))
    np.testing.assert_allclose(found[0, 0], [5.0, 4.0, 5.0, 7.0])
    away = NormalDist().inv_cdf(0.9) * wide.std(ddof=1)
    np.testing.assert_allclose(found[1, 0] - found[1, 0, 0], [0.0, -away, 0.0, away])


@pytest.mark.parametrize(("season", "rows"), [(24, 9), (24, 20), (12, 8), (7, 6)])
def test_part_of_a_season_is_no_trend(season, rows):
    whole = 100.0 + 20.0 * np.sin((np.arange(rows) - rows) * 2.0 * np.pi / season)
    panel = panel_of(whole, season_length=season)
    made = ZeroShot(open_pretrained(season), panel, panel.offsets[1:], season)
    found = made.forecast(latest_windows(panel), (0.1, 0.9))[0]
    assert np.ptp(found[:, 0]) < 1e-9 and whole.min() < found[0, 0] < whole.max()
    assert (found[:, 1] < found[:, 0]).all() and (found[:, 0] < found[:, 2]).all()
    assert set(made.methods(latest_windows(panel))) == {"exponential smoothing"}
