"""Zeros before a series' first value are read as not there yet, where it is unambiguous, and by no other series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.config import EvaluateSettings, PredictSettings
from forecaster.data.leading_zeros import without_leading_zeros
from forecaster.data.panel import Covariate
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as
from forecaster.data.row_options import KEEP, RowOptions
from forecaster.serving.manifest import read_manifest, write_manifest
from forecaster.serving.open_model import trained_options
from tests.support.factories import NAN, panel_of
from tests.support.stored_models import stored

SOLD = 50.0 + np.arange(40) % 7


def begins(rows, season_length=12):
    """How many rows of a single series are left out."""
    found, note = without_leading_zeros(panel_of(rows), season_length)
    assert bool(note) == (len(found.target) < len(rows))
    np.testing.assert_array_equal(found.target, rows[len(rows) - len(found.target) :])
    return len(rows) - len(found.target)


@pytest.mark.parametrize(
    ("rows", "left_out"),
    [
        (np.r_[np.zeros(12), SOLD], 12),
        (np.r_[np.zeros(12), -SOLD], 12),
        (np.r_[np.zeros(60), 1.0, 3.0, 9.0, SOLD], 60),
        (np.r_[np.zeros(24), SOLD, np.zeros(3), SOLD], 24),  # sold out for a while
        (np.r_[np.zeros(24), NAN, SOLD], 24),
        (np.r_[np.zeros(11), SOLD], 0),  # less than a season
        (np.r_[np.zeros(24), SOLD[:11]], 0),  # too little that follows
        (np.r_[np.zeros(24), SOLD, np.zeros(7), SOLD], 0),  # nearly as long again
        (np.r_[np.zeros(24), np.tile([5.0, 0.0, 7.0], 20)], 0),  # intermittent
        (np.r_[np.zeros(24), SOLD - 53.0], 0),  # around 0
        (np.r_[5.0, np.zeros(24), SOLD], 0),
        (np.r_[NAN, np.zeros(24), SOLD], 0),
        (np.zeros(60), 0),
    ],
)
def test_a_run_of_zeros_is_left_out_where_nothing_was_there_yet(rows, left_out):
    assert begins(rows) == left_out


def test_intermittent_series_keep_their_rows_however_they_begin():
    rng = np.random.default_rng(0)
    rows = [rng.poisson(3, 120) * (rng.random(120) < share) for share in np.linspace(0.05, 0.7, 200)]
    panel = panel_of(*(one.astype(float) for one in rows))
    assert without_leading_zeros(panel, 7) == (panel, "")


def test_other_series_and_the_rows_of_covariates_stay_in_step():
    panel = panel_of(SOLD, np.r_[np.zeros(12), SOLD], SOLD)
    of_row = Covariate("x", "known", np.arange(len(panel.target), dtype=float))
    of_series = Covariate("s", "static", np.array([1.0, 2.0, 3.0]))
    found, note = without_leading_zeros(replace(panel, covariates=(of_row, of_series)), 12)
    np.testing.assert_array_equal(found.offsets, [0, 40, 80, 120])
    np.testing.assert_array_equal(found.target, np.tile(SOLD, 3))
    np.testing.assert_array_equal(found.covariates[0].values, np.r_[np.arange(40), np.arange(52, 132)])
    np.testing.assert_array_equal(found.timestamps, panel.timestamps[found.covariates[0].values.astype(int)])
    assert found.covariates[1] is of_series
    assert "1 of 3 series (s1) begins with zeros, up to 12 rows" in note


def frame(layout="long"):
    stamps = pd.date_range("2020-01-01", periods=76, freq="D")
    new, old = np.r_[np.zeros(36), SOLD], np.r_[SOLD, SOLD[:36]]
    if layout == "wide":
        return pd.DataFrame({"timestamp": stamps, "new": new, "old": old})
    return pd.DataFrame(
        {"series": np.repeat(["new", "old"], 76), "timestamp": np.tile(stamps, 2), "target": np.r_[new, old]}
    )


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_a_table_is_read_without_them_unless_they_are_to_be_kept(layout):
    found = read_as(frame(layout), ReadOptions.of())
    assert found.lengths.tolist() == [40, 76] and found.rows.leading_zeros == "leave-out"
    assert any("read as not there yet (--leading-zeros keep" in note for note in found.notes)
    kept = read_as(frame(layout), replace(ReadOptions.of(), rows=RowOptions(leading_zeros=KEEP)))
    assert kept.lengths.tolist() == [76, 76] and kept.rows.leading_zeros == "keep"


def test_a_model_that_learnt_from_them_goes_on_reading_them(tmp_path):
    stored(tmp_path)
    folder = tmp_path / "m" / "1"
    manifest = read_manifest(folder)
    assert trained_options(manifest).rows.leading_zeros == "keep"
    rows = replace(manifest.data.rows_as, leading_zeros="leave-out")
    write_manifest(folder, replace(manifest, data=replace(manifest.data, rows_as=rows)))
    assert trained_options(read_manifest(folder)).rows.leading_zeros == "leave-out"


@pytest.mark.parametrize("settings", [EvaluateSettings, PredictSettings])
def test_every_command_takes_the_option(settings):
    assert settings(leading_zeros="keep").read_options().rows.leading_zeros == "keep"
    assert settings().read_options().rows == RowOptions()
