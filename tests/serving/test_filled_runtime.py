"""Gaps in the context of a pretrained network: what they are filled with, and what that is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecaster.config import PredictSettings
from forecaster.data.windows import latest_windows
from forecaster.serving.filled_runtime import after_long_gaps, filled
from forecaster.serving.predict import predict
from forecaster.serving.zero_shot import ZeroShot, open_pretrained
from tests.support.factories import Recorder, panel_of

NAN = np.nan


def wave(rows, m, level=100.0):
    place = np.arange(rows)
    return level + 0.3 * place + 10.0 * np.sin(2.0 * np.pi * place / m)


@pytest.mark.parametrize("level", [0.0, 1e15])
@pytest.mark.parametrize("m", [4, 7, 12, 24])
def test_a_gap_is_filled_by_season_and_trend(m, level):
    whole, rng = wave(10 * m, m, level), np.random.default_rng(m)
    context = whole.copy()
    context[rng.choice(np.arange(1, 10 * m - 1), 2 * m, replace=False)] = NAN
    found = filled(context[None], m)[0]
    seen = ~np.isnan(context)
    np.testing.assert_array_equal(found[seen], context[seen])
    assert np.abs(found - whole).max() < 1.0  # a line between neighbours is off by up to 10


def test_without_a_season_it_is_the_line_between_the_neighbours():
    found = filled(np.array([[NAN, 1.0, NAN, NAN, 7.0, NAN], [2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [NAN] * 6]), 1)
    np.testing.assert_array_equal(found[0], [NAN, 1.0, 3.0, 5.0, 7.0, NAN])  # the ends stay as they are
    np.testing.assert_array_equal(found[1], [2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert np.isnan(found[2]).all()


def test_noise_is_not_taken_for_a_season():
    rng = np.random.default_rng(0)
    context = rng.normal(size=(200, 48))
    gaps = rng.random(context.shape) < 0.3
    gaps[:, [0, -1]] = False
    line = filled(np.where(gaps, NAN, context), 1)
    away = filled(np.where(gaps, NAN, context), 12) - line
    assert (
        np.abs(away[gaps]).mean() < 0.5 * context.std() / 2.0
    )  # a season of four noisy rows has half of their deviation


def test_rows_after_a_gap_of_half_a_context_are_read_alone_where_they_are_enough():
    context = np.arange(12.0)[None].repeat(3, axis=0)
    context[0, 2:9] = context[1, 4:11] = context[2, 3:8] = (
        NAN  # too few rows are left in the second; a short gap in the third
    )
    found = after_long_gaps(context, 3)
    np.testing.assert_array_equal(found[0], [*[NAN] * 9, 9.0, 10.0, 11.0])
    np.testing.assert_array_equal(found[1:], context[1:])
    ended = np.r_[np.arange(4.0), np.full(8, NAN)][None]  # missing at the end, which is no gap
    assert after_long_gaps(ended, 2) is ended


def test_a_long_gap_leaves_intervals_as_wide_as_the_noise():
    rng, rows = np.random.default_rng(0), 560
    values = 50.0 + 20.0 * np.sin(np.arange(rows) * 2 * np.pi / 24) + 3.0 * rng.normal(size=rows)
    panel = panel_of(np.where((np.arange(rows) >= 100) & (np.arange(rows) < 500), NAN, values), season_length=24)
    made = ZeroShot(open_pretrained(24), panel, panel.offsets[1:], 24)
    found = made.forecast(latest_windows(panel), (0.1, 0.9))[0]
    width = (found[:, 2] - found[:, 1]).mean()
    assert 0.5 < width / (2 * 1.2816 * 3.0) < 1.8


def test_contexts_without_gaps_are_the_same_array():
    context = np.array([[NAN, NAN, 1.0, 2.0], [1.0, 2.0, NAN, NAN]])
    assert filled(context, 2) is context


def test_a_tenth_of_the_rows_missing_costs_a_pretrained_network_little(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng, rows, m = np.random.default_rng(1), 84, 12
    parts, actual = [], []
    for n in range(12):
        values = wave(rows + m, m) + rng.normal(0, 1, rows + m)
        part = pd.DataFrame({"series": f"s{n}", "timestamp": pd.date_range("2015-01-01", periods=rows, freq="MS")})
        part["target"] = values[:rows]
        parts.append(part)
        actual.append(values[rows:])
    frame = pd.concat(parts, ignore_index=True)
    whole = predict(frame, PredictSettings(horizon=m), Recorder()).prediction
    frame.loc[rng.choice(len(frame), len(frame) // 10, replace=False), "target"] = NAN
    found = predict(frame, PredictSettings(horizon=m), Recorder()).prediction
    assert np.abs(found - actual).mean() < 1.2 * np.abs(whole - actual).mean()
