"""Quantiles learn from whole windows newer than the training, and from nothing else."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from forecaster.data.extra_inputs import Needs
from forecaster.data.windows import rolling
from forecaster.evaluation.cross_conformal import adapted_quantiles, calibrated_quantiles
from forecaster.serving import recent_errors
from forecaster.serving.conformal import calibrate
from forecaster.serving.raw_forecasts import raw_forecasts
from forecaster.serving.recent_errors import NamedPool, densest, extended_by, recent_windows
from tests.support.factories import panel_of, waves

HORIZON, LENGTH, LEVELS = 4, 8, (0.1, 0.9)
ROWS, TRAINED = 160, 80  # of each series; of them, those that the model was trained on


class Mean:
    """The mean of the two latest seasons."""

    def run(self, context, _extra=None):
        point = (context[:, -4:] + context[:, -8:-4]) / 2
        return np.stack([point, point - 0.5, point + 0.5], axis=2)


def manifest(last=TRAINED - 1):
    needs = Needs(LENGTH, HORIZON, ())
    return SimpleNamespace(
        horizon=HORIZON,
        context_length=LENGTH,
        reach=LENGTH,
        needs=needs,
        quantiles=LEVELS,
        seen_until=last,
        test_windows=0,
    )


def newer(panel, last=TRAINED - 1):
    return recent_windows(panel, manifest(last), Mean())


def wild(count=1, rows=ROWS):
    """Series whose noise grows after the training."""
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(count, rows)) * np.where(np.arange(rows) < TRAINED, 1.0, 4.0)
    return panel_of(*(50 + noise))


def learnt(panel):
    """A calibration from the rows of the training."""
    early = panel_of(*(row[:TRAINED] for row in np.split(panel.target, len(panel.series))))
    found = recent_windows(early, manifest(0), Mean())
    return calibrate(found.pool, found.panel.series)


def asked(panel):
    """Raw forecasts of the windows after the training."""
    windows = rolling(panel, panel.offsets[1:], HORIZON, (int(panel.lengths[0]) - TRAINED) // HORIZON, HORIZON)
    return raw_forecasts(Mean(), manifest(), panel, windows, HORIZON)


def test_every_window_lies_wholly_after_what_the_model_has_seen():
    panel = panel_of(*waves(3, ROWS))
    found = newer(panel)
    first = panel.timestamps[found.windows.cutoff]
    assert first.min() == TRAINED and len(found.windows) == 3 * (ROWS - TRAINED - HORIZON + 1)
    assert found.pool.separate == 3 * (ROWS - TRAINED) // HORIZON
    assert panel.timestamps[newer(panel, 99).windows.cutoff].min() == 100


@pytest.mark.parametrize("last", [ROWS - 1, ROWS - HORIZON, ROWS + 10])
def test_without_a_whole_newer_window_there_is_nothing(last):
    assert newer(panel_of(*waves(2, ROWS)), last) is None


def test_windows_of_which_nothing_was_observed_teach_nothing():
    series = waves(1, ROWS)[0]
    series[TRAINED:] = np.nan
    assert newer(panel_of(series)) is None


def test_windows_are_at_most_the_limit_and_the_latest(monkeypatch):
    panel = panel_of(*waves(3, ROWS))
    monkeypatch.setattr(recent_errors, "MAX_WINDOWS", 12)
    few = newer(panel).windows
    assert len(few) == 12 and panel.timestamps[few.cutoff].min() == ROWS - 4 * HORIZON
    monkeypatch.setattr(recent_errors, "MAX_WINDOWS", 2)
    assert len(newer(panel).windows) == 2


def test_a_few_series_with_newer_rows_among_many_cost_no_more_than_themselves():
    noise = np.random.default_rng(2).normal(size=1000)
    panel = panel_of(noise, *(noise[:TRAINED] for _ in range(5_000)))
    tracemalloc.start()
    found = newer(panel)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(found.windows.series) == {0} and found.pool.separate == (1000 - TRAINED) // HORIZON
    assert peak < 5 * panel.target.nbytes


def test_the_stride_is_a_divisor_of_the_horizon():
    assert [densest(12, 100, limit) for limit in (100, 50, 30, 10, 0)] == [1, 2, 4, 12, 12]


def test_only_windows_that_had_ended_before_are_learnt_from():
    panel = wild()
    stored, found = learnt(panel), newer(panel)
    assert found.before(TRAINED + HORIZON - 1).extend(stored) is stored
    one = found.before(TRAINED + HORIZON).extend(stored)
    assert one.windows == stored.windows + 1
    assert found.extend(stored).windows == stored.windows + len(found.windows)


def test_what_comes_at_and_after_a_window_does_not_move_its_quantiles():
    panel = wild(2)
    raw, stored = asked(panel), learnt(panel)
    before = adapted_quantiles(stored, newer(panel), raw, LEVELS)
    changed = panel.target.copy()
    changed[panel.timestamps >= 120] += 1000.0
    after = adapted_quantiles(stored, newer(replace(panel, target=changed)), raw, LEVELS)
    early = panel.timestamps[raw.windows.cutoff] <= 120
    np.testing.assert_array_equal(after[early], before[early])
    assert (after[~early] != before[~early]).any()


def test_empirical_coverage_becomes_nominal_where_errors_grow_after_the_training():
    panel = wild(10, 500)
    raw = asked(panel)
    target, late = raw.windows.gather(0, HORIZON), panel.timestamps[raw.windows.cutoff] >= 400
    # Contexts that know nothing of the noise: else the seasonal scale would follow it by itself.
    raw = replace(raw, read=replace(raw.read, cutoff=np.full(len(raw.read), TRAINED)), reach=TRAINED)
    own = newer(panel)
    scale = np.full(len(own.windows), raw.scale(4)[0])
    own = replace(own, pool=replace(own.pool, seasonal_scale=scale))
    stored = learnt(panel)

    def coverage(found):
        return ((found[:, :, 0] <= target) & (target <= found[:, :, 1]))[late].mean()

    assert coverage(calibrated_quantiles(stored, raw, LEVELS)) < 0.4
    assert coverage(adapted_quantiles(stored, own, raw, LEVELS)) == pytest.approx(0.8, abs=0.05)


def test_many_cutoffs_are_adapted_to_in_bounded_work(monkeypatch):
    panel = wild(2)
    monkeypatch.setattr("forecaster.evaluation.cross_conformal.MAX_ADAPTATIONS", 3)
    found = adapted_quantiles(learnt(panel), newer(panel), asked(panel), LEVELS)
    assert np.isfinite(found).all()


def test_windows_of_several_panels_teach_what_those_of_one_do():
    panel = wild(4)
    each = [replace(panel_of(row), series=panel.series[n : n + 1]) for n, row in enumerate(np.split(panel.target, 4))]
    known = learnt(panel)
    one, several = newer(panel).extend(known), extended_by(known, [NamedPool.of(newer(own)) for own in each])
    assert (one.windows, one.separate, one.cutoffs) == (several.windows, several.separate, several.cutoffs)
    np.testing.assert_allclose(several.offsets, one.offsets, rtol=1e-12)
    assert not np.allclose(several.offsets, known.offsets)
    assert extended_by(known, []) is known
