"""Which windows calibrate, and that no window is ever tested with quantiles that its own targets made."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from forecaster.data.extra_inputs import Needs
from forecaster.data.target_limits import NO_LIMITS
from forecaster.data.windows import rolling
from forecaster.evaluation.backtest import backtest
from forecaster.evaluation.cross_conformal import (
    _needless,
    cross_calibrated,
    dense_forecasts,
    holdout_errors,
    with_quantiles,
)
from forecaster.evaluation.holdout import make_holdout
from forecaster.serving.raw_forecasts import raw_forecasts
from tests.support.factories import panel_of, waves

HORIZON, LENGTH, LEVELS = 4, 8, (0.1, 0.9)


class Mean:
    """The mean of the two latest seasons, and quantiles far too near."""

    def run(self, context, _extra=None):
        point = (context[:, -4:] + context[:, -8:-4]) / 2
        return np.stack([point, point - 0.1, point + 0.1], axis=2)


def manifest(count, *, is_fitted=True):
    needs = Needs(LENGTH, HORIZON, ())
    facts = {"needs": needs, "quantiles": LEVELS, "limits": NO_LIMITS, "is_fitted": is_fitted}
    return SimpleNamespace(horizon=HORIZON, test_windows=count, context_length=LENGTH, reach=LENGTH, **facts)


def errors(panel, count, graph=None):
    graph = graph or Mean()
    return holdout_errors(dense_forecasts(panel, manifest(count), graph), manifest(count), graph)


def asked(panel, count):
    """Raw forecasts of the test windows."""
    windows = rolling(panel, panel.offsets[1:], HORIZON, count, HORIZON)
    return raw_forecasts(Mean(), manifest(count), panel, windows, HORIZON)


def test_many_series_are_calibrated_on_each_others_latest_window():
    panel = panel_of(*waves(40))
    found = errors(panel, 1)
    assert len(found.windows) == found.pool.separate == 40
    assert (found.windows.cutoff == panel.offsets[1:] - HORIZON).all()


def test_where_no_test_target_was_observed_there_is_nothing_to_learn_from():
    values = waves(1, 40)[0]
    values[-2 * HORIZON :] = np.nan
    short = panel_of(values[: HORIZON + 2])
    assert not len(errors(panel_of(values), 1).windows) and errors(panel_of(values), 1).learn() is None
    assert not len(errors(short, 1).windows) and errors(short, 1).learn() is None


def test_one_series_gives_a_window_for_every_test_row():
    panel = panel_of(waves(1, 200)[0])
    found = errors(panel, 12)
    assert len(found.windows) == 11 * HORIZON + 1 and found.pool.separate == 12
    assert found.windows.cutoff.min() == 200 - 12 * HORIZON  # what the tested weights have seen is not among them


@pytest.mark.parametrize(("series", "count"), [(40, 1), (1, 12), (1, 2), (1, 1)])
def test_a_windows_own_targets_do_not_move_its_quantiles(series, count):
    panel = panel_of(*waves(series, 120))
    raw = asked(panel, count)
    before = errors(panel, count).crossed(raw, LEVELS)
    changed = panel.target.copy()
    last = slice(panel.offsets[1] - HORIZON, panel.offsets[1])  # the latest window of the first series
    changed[last] += 1000.0
    after = errors(replace(panel, target=changed), count).crossed(raw, LEVELS)
    mine = (raw.windows.series == 0) & (raw.windows.cutoff == panel.offsets[1] - HORIZON)
    np.testing.assert_array_equal(after[mine], before[mine])
    if count > 2 or series > 1:
        assert (after[~mine] != before[~mine]).any()  # while others have learnt from it


def test_empirical_coverage_is_nominal_on_windows_that_the_quantiles_were_not_made_from():
    panel = panel_of(*waves(300))
    raw = asked(panel, 1)
    found = errors(panel, 1).crossed(raw, LEVELS)
    target = raw.windows.gather(0, HORIZON)
    inside = (found[:, :, 0] <= target) & (target <= found[:, :, 1])
    assert inside.mean() == pytest.approx(0.8, abs=0.03)
    assert ((raw.values[:, :, 1] <= target) & (target <= raw.values[:, :, 2])).mean() < 0.3


def test_where_windows_are_few_history_helps_out_with_errors_that_no_weights_made_small():
    class Clairvoyant:
        """Knows all rows but the latest 8 by heart, as overfitted weights do."""

        def run(self, context, _extra=None):
            table = {tuple(panel.target[i - LENGTH : i]): panel.target[i : i + HORIZON] for i in range(LENGTH, 112)}
            point = np.stack([table.get(tuple(row), row[-4:]) for row in context])
            return np.stack([point, point - 0.1, point + 0.1], axis=2)

    panel = panel_of(waves(1, 120)[0])
    found = errors(panel, 2, Clairvoyant())
    assert len(found.windows) == HORIZON + 1
    whole = found.pooled(np.arange(HORIZON + 1))
    assert whole.separate == 10
    new, old = np.split(whole.scaled(), [HORIZON + 1])
    # Where the weights have seen the actuals, errors are still of the size that seasonal naive's are.
    assert np.abs(old).mean() > 0.3 * np.abs(new).mean()
    assert np.sort(old.ravel()).mean() == pytest.approx(0.0, abs=1e-9)  # with both signs


def test_the_dense_windows_hold_the_test_windows_and_are_forecast_alike():
    for panel, count in ((panel_of(*waves(40)), 1), (panel_of(waves(1, 200)[0]), 12), (panel_of(*waves(3, 25)), 4)):
        dense, test = dense_forecasts(panel, manifest(count), Mean()), asked(panel, count)
        at = np.searchsorted(dense.windows.cutoff, test.windows.cutoff)
        np.testing.assert_array_equal(dense.windows.cutoff[at], test.windows.cutoff)
        np.testing.assert_array_equal(dense.windows.series[at], test.windows.series)
        np.testing.assert_array_equal(dense.values[at], test.values)


def test_a_backtest_keeps_what_it_was_before_and_says_how_it_was_calibrated():
    panel = panel_of(*waves(3))
    raw = asked(panel, 1)
    holdout = make_holdout(panel, raw.windows, horizon=HORIZON, context_length=LENGTH)
    before = backtest(holdout, raw.values, LEVELS, {})
    learnt = np.where(raw.windows.series[:, None, None] == 0, np.nan, raw.values[:, :, 1:] * 2)
    found = with_quantiles(before, learnt, NO_LIMITS, "so")
    np.testing.assert_array_equal(found.raw, raw.values[:, :, 1:])
    np.testing.assert_array_equal(found.quantile_forecasts[0], raw.values[0, :, 1:])  # nothing was learnt for it
    np.testing.assert_array_equal(found.quantile_forecasts[1:], 2 * raw.values[1:, :, 1:])
    assert found.calibrated == "so" and found.raw_scores() != found.quantile_scores()
    assert before.raw_scores() is None
    none = replace(before, quantiles=(), quantile_forecasts=raw.values[:, :, :0])
    assert with_quantiles(none, learnt[:, :, :0], NO_LIMITS, "so") is none and none.quantile_scores() is None


@pytest.mark.parametrize(("width", "own"), [(1.2816, True), (1.25, True), (0.1, False), (8.0, False)])
def test_the_networks_own_quantiles_are_served_unless_a_correction_clearly_lowers_the_loss(width, own):
    class Known:
        """Noise about 50, with quantiles so far away."""

        def run(self, context, _extra=None):
            point = np.full((len(context), HORIZON), 50.0)
            return np.stack([point, point - width, point + width], axis=2)

    rng = np.random.default_rng(4)
    panel = panel_of(*(50 + rng.normal(size=(40, 40))))
    windows = rolling(panel, panel.offsets[1:], HORIZON, 1, HORIZON)
    holdout = make_holdout(panel, windows, horizon=HORIZON, context_length=LENGTH)
    facts = manifest(1)
    facts.held = lambda values: values
    found = cross_calibrated(holdout, facts, Known(), {})
    away = found.calibration.quantiles(
        np.array([[[50.0, 50 - width, 50 + width]] * HORIZON]), np.ones(1), ["s0"], LEVELS
    )
    unchanged = np.allclose(away[0, :, 1] - 50, width)
    assert unchanged == ("networks' own" in found.backtest.calibrated)
    if not own:
        assert not unchanged
        inside = np.abs(away[0, :, 1] - 50 - 1.2816).max()
        assert inside < 0.6 * abs(width - 1.2816)


@pytest.mark.parametrize(
    ("own", "corrected", "why"),
    [
        ((0.05, 0.9), (0.0, 1.5), ""),  # covers none of the zeros for a lower loss
        ((0.05, 0.9), (0.0, 9.0), "have the lower loss"),  # the correction costs too much
        ((0.05, 0.9), (0.05, 1.2), "have the lower loss"),  # the correction covers no more
        ((0.0, 0.7), (0.0, 1.5), "have the lower loss"),
    ],
)
def test_a_lower_loss_does_not_excuse_intervals_that_cover_far_too_little(own, corrected, why):
    rows = np.tile([0.0, 0.0, 0.0, 0.0, 1.0], 16)[:79]
    panel = panel_of(rows, rows[::-1])
    windows = rolling(panel, panel.offsets[1:], HORIZON, 4, HORIZON)
    holdout = make_holdout(panel, windows, horizon=HORIZON, context_length=LENGTH)

    def tested(low, high):
        return backtest(holdout, np.tile([0.5, low, high], (len(windows), HORIZON, 1)), LEVELS, {})

    assert _needless(tested(*own), tested(*corrected), 4) == why


def test_where_nothing_is_fitted_older_windows_teach_their_own_errors():
    panel = panel_of(waves(1, 120)[0])
    facts = manifest(2, is_fitted=False)
    found = holdout_errors(dense_forecasts(panel, facts, Mean()), facts, Mean())
    fitted = errors(panel, 2)
    chosen = np.arange(len(found.windows))
    whole = found.pooled(chosen)
    assert whole.separate > fitted.pooled(chosen).separate == 10
    older = whole.target[len(chosen) :]
    np.testing.assert_array_equal(
        older, found.older.windows.gather(0, HORIZON)
    )  # actuals, not errors of seasonal naive
    rows = found.older.windows.cutoff - found.older.windows.start[found.older.windows.series]
    assert rows.min() >= 2 * panel.season_length
