"""Uninformative known covariates are found, and no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecaster.data.covariate_screening import uninformative_covariates
from forecaster.data.panel import Columns
from forecaster.data.reading.reader import read_panel

ROWS = 16_000
HOURS = pd.date_range("2024-01-01", periods=ROWS, freq="h")
TEST_ROWS = 240


def draw(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=ROWS)


def smooth(seed: int, memory: float) -> np.ndarray:
    values, noise = np.zeros(ROWS), draw(seed)
    for i in range(1, ROWS):
        values[i] = memory * values[i - 1] + noise[i]
    return values


def plain(seed: int = 0) -> np.ndarray:
    """A daily season and noise that no column explains."""
    return 10 + 3 * np.sin(np.arange(ROWS) * np.pi / 12) + smooth(seed, 0.7)


def found(columns: dict[str, object], target: np.ndarray, before: int = ROWS - TEST_ROWS) -> tuple[str, ...]:
    frame = pd.DataFrame({"timestamp": HOURS, "target": target, **columns})
    panel = read_panel(frame, Columns(target="target", known=tuple(columns)))
    return uninformative_covariates(panel, np.array([before]), 24)


def test_noise_is_found():
    letters = {f"letters {seed}": np.random.default_rng(seed).choice(list("abc"), ROWS) for seed in range(10)}
    coins = {f"coins {seed}": (draw(seed + 200) > 0).astype(int) for seed in range(10)}
    columns = letters | coins | {f"noise {seed}": draw(seed + 100) for seed in range(20)}
    assert len(found(columns, plain())) >= 38  # one in a hundred counts as informative


INFORMATIVE = {
    "plainly": lambda x: x,
    "by its logarithm": lambda x: np.log(x - x.min() + 1),
    "by how far it is from its middle": lambda x: x**2,
    "by its sign": np.sign,
    "five steps later": lambda x: np.roll(x, 5),
    "three steps before": lambda x: np.roll(x, -3),
    "upwards by day and downwards by night": lambda x: x * np.sign(np.sin(np.arange(ROWS) * np.pi / 12)),
}


@pytest.mark.parametrize("memory", [0.0, 0.95])
@pytest.mark.parametrize("how", INFORMATIVE)
def test_an_informative_column_stays(how, memory):
    column = smooth(7, memory)
    effect = INFORMATIVE[how](column)
    assert found({"informative": column, "noise": draw(8)}, plain() + 0.3 * effect / effect.std()) == ("noise",)


def test_an_informative_category_and_rare_flag_stay():
    flag = np.random.default_rng(3).random(ROWS) < 0.005
    levels = np.random.default_rng(4).choice(list("abcd"), ROWS)
    assert found({"flag": flag.astype(int), "levels": levels}, plain() + 3 * flag + 0.5 * (levels == "c")) == ()


def test_few_rows_show_nothing():
    short = 1_000
    frame = pd.DataFrame({"timestamp": HOURS[:short], "target": plain()[:short], "noise": draw(1)[:short]})
    panel = read_panel(frame, Columns(target="target", known=("noise",)))
    assert uninformative_covariates(panel, panel.offsets[1:], 24) == ()


def test_what_is_constant_or_repeats_with_the_season_stays():
    columns = {"constant": np.ones(ROWS), "hour": HOURS.hour, "missing": np.full(ROWS, np.nan)}
    assert found(columns, plain()) == ()


def test_a_constant_target_leaves_every_column():
    assert found({"noise": draw(1)}, np.full(ROWS, 5.0)) == ()


def test_rows_after_the_end_do_not_count():
    noise, target = draw(5), plain()
    end = ROWS - 1000
    other = noise.copy()
    other[end:] = target[end:]
    assert found({"noise": noise}, target, end) == found({"noise": other}, target, end) == ("noise",)


def test_neither_units_nor_gaps_change_the_answer():
    informative, noise, target = smooth(7, 0.5), draw(8), plain()
    target = target + 0.3 * informative
    holes = np.random.default_rng(9).random(ROWS) < 0.1
    columns = {"informative": 1e-6 * informative - 3, "noise": np.where(holes, np.nan, np.exp(noise))}
    assert found(columns, np.where(np.roll(holes, 50), np.nan, 1e9 * target)) == ("noise",)


def test_many_series_are_screened_together():
    series, rows = 20, 900
    days = pd.date_range("2024-01-01", periods=rows, freq="D")
    draws = np.random.default_rng(0)
    informative, noise, error = draws.normal(size=(3, series, rows))
    frame = pd.DataFrame(
        {
            "series": np.repeat([f"s{i}" for i in range(series)], rows),
            "timestamp": np.tile(days, series),
            "target": (np.arange(series)[:, None] * 100 + error + 0.3 * informative).ravel(),
            "informative": informative.ravel(),
            "noise": noise.ravel(),
        }
    )
    panel = read_panel(frame, Columns(known=("informative", "noise")))
    assert uninformative_covariates(panel, panel.offsets[1:] - 14, 14) == ("noise",)
