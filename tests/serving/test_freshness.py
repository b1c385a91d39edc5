"""Values of periods that are not over are warned of, with what leaves them out."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from forecaster.commands.evaluate import evaluate
from forecaster.commands.train import read
from forecaster.config import EvaluateSettings, PredictSettings, TrainSettings
from forecaster.data.panel import Columns
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as, read_panel
from forecaster.data.row_options import RowOptions
from forecaster.serving.freshness import fresh, unfinished, warn_of_unfinished
from forecaster.serving.predict import predict
from tests.support.factories import Recorder


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone()


def frame(index: pd.DatetimeIndex) -> pd.DataFrame:
    return pd.DataFrame({"date": index, "v": np.arange(len(index)) + 1.0})


@pytest.mark.parametrize(
    ("freq", "start", "now", "first", "until"),
    [
        ("MS", "2024-01-01", "2024-08-10", "2024-08-01", "2024-07-31"),
        ("ME", "2024-01-31", "2024-08-10", "2024-08-31", "2024-07-31"),
        ("QS", "2022-07-01", "2024-05-10", "2024-04-01", "2024-03-31"),
        ("D", "2024-01-01", "2024-01-08 12:40", "2024-01-08", "2024-01-07"),
        ("W-MON", "2024-01-01", "2024-02-20", "2024-02-19", "2024-02-18"),
        ("h", "2024-01-01", "2024-01-01 07:20", "2024-01-01 07:00:00", "2024-01-01T06:59:00"),
    ],
)
def test_a_last_period_that_is_not_over_is_warned_of_with_what_leaves_it_out(
    freq: str, start: str, now: str, first: str, until: str
) -> None:
    table = frame(pd.date_range(start, periods=8, freq=freq))
    panel, watch = read_panel(table), Recorder()
    warn_of_unfinished(panel, watch, at(now))
    assert watch.warnings == [
        f"unfinished last period: {first} is not over, and its value may be that of a part. Leave it out with --until {until}"
    ]
    later = read_as(table, replace(ReadOptions.of(), rows=RowOptions(until=until)))
    assert later.target.tolist() == list(range(1, 8)) and not unfinished(later, at(now)).any()
    watch = Recorder()
    fresh(panel, None, False, watch, at(now))
    assert watch.warnings[0].endswith("Leave it out with --drop-incomplete")
    watch = Recorder()
    fresh(panel, None, True, watch, at(now))
    warn_of_unfinished(panel, watch, at("2025-01-01"))
    assert watch.warnings == []


def test_days_of_a_month_that_is_joined_are_left_out_whole() -> None:
    table = frame(pd.date_range("2024-01-01", "2024-05-10"))
    options = replace(ReadOptions.of(), rows=RowOptions(resample="ME", aggregate="mean"))
    watch = Recorder()
    warn_of_unfinished(read_as(table, options), watch, at("2024-05-10 12:00"))
    until = re.findall("--until (.*)", watch.warnings[0])
    assert until == ["2024-04-30"]
    assert len(read_as(table, replace(options, rows=replace(options.rows, until=until[0]))).target) == 4


def test_series_are_counted_by_their_values() -> None:
    table = pd.concat([frame(pd.date_range("2024-01-01", periods=5)).assign(shop=shop) for shop in "abc"])
    table.loc[(table.shop == "c") & (table.date == "2024-01-05"), "v"] = np.nan
    panel = read_panel(table, Columns(series="shop", target="v"))
    watch = Recorder()
    warn_of_unfinished(panel, watch, at("2024-01-05 09:00"))
    assert watch.warnings[0].startswith("unfinished last period of 2 of 3 series: 2024-01-05 is not over")


def test_weeks_that_are_called_by_their_last_day_are_not_warned_of() -> None:
    watch = Recorder()
    weeks = pd.date_range("2024-01-07", periods=20, freq="W-SUN")
    warn_of_unfinished(read_panel(frame(weeks)), watch, at("2024-05-20 10:00"))
    assert watch.warnings == []
    options = replace(ReadOptions.of(), rows=RowOptions(resample="W-SAT", aggregate="last"))
    warn_of_unfinished(
        read_as(frame(pd.date_range("2024-01-07", "2024-05-20")), options), watch, at("2024-05-20 10:00")
    )
    assert watch.warnings[0].startswith("unfinished last period: 2024-05-19 is not over")


def test_every_command_that_uses_the_rows_says_so() -> None:
    table, now = frame(pd.date_range("2020-01-01", periods=60, freq="MS")), at("2024-12-10")
    watch = Recorder()
    read(table, TrainSettings(), watch, now)
    evaluate(table, EvaluateSettings(model="pretrained", horizon=3), watch, now)
    predict(table, PredictSettings(model="pretrained", horizon=3), watch, now=now)
    assert [text.rpartition(" ")[2] for text in watch.warnings if "unfinished last period" in text] == [
        "2024-11-30",
        "2024-11-30",
        "--drop-incomplete",
    ]
