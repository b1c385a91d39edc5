"""Whole series sampled evenly: how many, which, and what the panel of them has."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.data.panel import Columns, Covariate
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as
from forecaster.data.reading.row_errors import RowsError
from forecaster.data.reading.sampled_reading import read_sample
from forecaster.data.series_sample import SampleOptions, evenly_sampled, only, sampled
from forecaster.errors import UsageError
from tests.support.factories import frame_of, panel_of


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9])
def test_as_many_series_are_taken_as_fit_spread_over_lengths_and_order(seed, share):
    lengths = np.random.default_rng(seed).integers(20, 400, 1000)
    limit = int(share * lengths.sum())
    chosen = evenly_sampled(lengths, SampleOptions(limit, seed))
    assert (np.diff(chosen) > 0).all()
    assert 0.93 * limit < lengths[chosen].sum() <= limit
    assert abs(np.median(lengths[chosen]) - np.median(lengths)) < 25
    same = evenly_sampled(np.full(1000, 50), SampleOptions(int(share * 50_000), seed))
    assert np.diff(same).max() - np.diff(same).min() <= 1  # of equal lengths, every k-th in the order of the data
    assert chosen.tolist() == evenly_sampled(lengths, SampleOptions(limit, seed)).tolist()


def test_another_seed_draws_other_series():
    lengths = np.full(100, 10)
    first, second = (evenly_sampled(lengths, SampleOptions(100, seed)) for seed in (0, 1))
    assert len(first) == len(second) == 10 and first.tolist() != second.tolist()


def test_all_series_are_taken_where_they_fit_and_none_is_cut():
    assert evenly_sampled(np.array([3, 4]), SampleOptions(7, 0)).tolist() == [0, 1]
    with pytest.raises(UsageError, match=r"--max-rows 2 is less than one series has \(3 rows\)"):
        evenly_sampled(np.array([3, 4, 3]), SampleOptions(2, 0))


def test_the_panel_of_some_series_has_their_rows_and_covariates():
    panel = panel_of([1.0, 2.0, 3.0], [4.0, 5.0], [6.0, 7.0, 8.0, 9.0])
    past = Covariate("price", "past", np.arange(9.0))
    known = Covariate("promo", "known", np.arange(9.0), ahead=np.array([[1.0], [2.0], [3.0]]))
    static = Covariate("region", "static", np.array([0.0, 1.0, 2.0]))
    some = only(type(panel)(**{**vars(panel), "covariates": (known, past, static)}), np.array([0, 2]))
    assert some.series.tolist() == ["s0", "s2"] and some.offsets.tolist() == [0, 3, 7]
    assert some.target.tolist() == [1.0, 2.0, 3.0, 6.0, 7.0, 8.0, 9.0]
    assert some.timestamps.tolist() == [0, 1, 2, 0, 1, 2, 3]
    known, past, static = some.covariates
    assert past.values.tolist() == [0, 1, 2, 5, 6, 7, 8] and static.values.tolist() == [0, 2]
    assert known.ahead.tolist() == [[1.0], [3.0]]


def test_a_sample_says_of_how_much_it_is():
    panel = panel_of(*[np.arange(10.0)] * 10)
    assert sampled(panel, SampleOptions(100, 0)) is panel
    found = sampled(panel, SampleOptions(39, 0))
    assert len(found.series) == 3
    assert found.sample.words == "3 of 10 series, 30 of 100 rows"
    assert sampled(found, SampleOptions(20, 0)).sample.words == "2 of 10 series, 20 of 100 rows"


@pytest.fixture
def stores():
    """40 series of 30 to 33 days, whose rows are in no order, with gaps in one."""
    frame = frame_of(**{f"store {n}": 100.0 * n + np.arange(30.0 + n % 4) for n in range(40)})
    frame = frame.rename(columns={"series": "shop", "timestamp": "day", "target": "sold"})
    frame = frame.drop(index=[5, 6])
    return frame.sample(frac=1.0, random_state=1, ignore_index=True)


def rows_of(panel):
    return dict(zip(panel.series, np.split(panel.target, panel.offsets[1:-1]), strict=True))


@pytest.mark.parametrize("pieces", ["file", "folder", "text"])
def test_parquet_is_read_in_two_passes_to_the_panel_that_all_rows_give(stores, tmp_path, monkeypatch, pieces):
    monkeypatch.setattr("forecaster.data.reading.sampled_reading.BATCH_ROWS", 100)
    stores.loc[::2, "shop"] += "  "  # no part of the name
    path = tmp_path / {"file": "sales.parquet", "folder": "sales", "text": "sales.csv"}[pieces]
    if pieces == "file":
        stores.to_parquet(path, index=False)
    elif pieces == "text":
        stores.to_csv(path, index=False)
    else:
        for part in range(3):
            (path / f"part={part}").mkdir(parents=True)
            stores.iloc[part::3].to_parquet(path / f"part={part}" / "0.parquet", index=False)
    options = ReadOptions.of(Columns(series="shop", timestamp="day", target="sold"), freq="D")
    found, whole = read_sample(path, options, SampleOptions(400, 3)), read_as(path, options)
    assert 360 < len(found.target) <= 400 and found.sample.of_series == 40
    assert found.sample.rows == len(found.target) - found.gaps * (pieces != "text")
    every = rows_of(whole)
    for name, values in rows_of(found).items():
        np.testing.assert_array_equal(values, every[name])


def test_a_fault_in_a_sampled_series_is_told_by_its_row_in_the_file(stores, tmp_path):
    path = tmp_path / "sales.parquet"
    stores.to_parquet(path, index=False)
    options = ReadOptions.of(Columns(series="shop", timestamp="day", target="sold"))
    chosen = read_sample(str(path), options, SampleOptions(400, 0)).series
    row = int(np.flatnonzero(stores["shop"] == chosen[-1])[-1])
    stores["sold"] = stores["sold"].astype(str)
    stores.loc[row, "sold"] = "many"
    stores.to_parquet(path, index=False)
    with pytest.raises(RowsError, match=rf"sales.parquet row {row}: target 'many'"):
        read_sample(str(path), options, SampleOptions(400, 0))
