"""Forecasts as workbooks: dates, numbers, and names that are texts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import Columns
from forecaster.data.reading.reader import read_panel
from forecaster.errors import UsageError
from forecaster.serving.forecast_file import write_forecast
from tests.serving.test_forecast import make

openpyxl = pytest.importorskip("openpyxl")


def cells(path):
    sheet = openpyxl.load_workbook(path)["forecast"]
    return [[cell.value for cell in row] for row in sheet.iter_rows()]


def test_a_forecast_is_a_workbook_with_dates_numbers_and_texts(tmp_path):
    forecast = make()
    write_forecast(forecast, tmp_path / "out.xlsx")
    found = cells(tmp_path / "out.xlsx")
    frame = forecast.to_frame()
    assert found[0] == list(frame.columns) and len(found) == 1 + len(frame)
    stamps = frame["timestamp"].dt.tz_localize(None) if frame["timestamp"].dt.tz is None else frame["timestamp"]
    assert [pd.Timestamp(row[1]) for row in found[1:]] == list(stamps)
    np.testing.assert_array_equal([row[2] for row in found[1:]], frame["prediction"])
    assert [row[0] for row in found[1:]] == frame["series"].tolist()


def test_names_are_texts_zones_are_written_and_what_has_no_room_is_refused(tmp_path, monkeypatch):
    forecast = make(series=("=1+1", "007"))
    write_forecast(forecast, tmp_path / "out.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx")["forecast"]
    assert sheet["A2"].value == "=1+1" and sheet["A2"].data_type == "s"
    assert "007" in {row[0] for row in cells(tmp_path / "out.xlsx")}
    write_forecast(make(zone="Europe/Berlin"), tmp_path / "out.xlsx")
    assert str(cells(tmp_path / "out.xlsx")[1][1]).endswith(("+01:00", "+02:00"))
    write_forecast(make(freq="1"), tmp_path / "out.xlsx")
    assert cells(tmp_path / "out.xlsx")[1][1] == 7
    with pytest.raises(UsageError, match="a character that workbooks cannot hold"):
        write_forecast(make(series=("a\x01", "b")), tmp_path / "out.xlsx")
    monkeypatch.setattr("forecaster.serving.forecast_workbook.MAX_ROWS", 3)
    with pytest.raises(UsageError, match="no room for"):
        write_forecast(make(), tmp_path / "out.xlsx")


def test_a_forecast_in_a_workbook_can_be_read_again(tmp_path):
    forecast = make(horizon=24)
    write_forecast(forecast, tmp_path / "out.xlsx")
    panel = read_panel(tmp_path / "out.xlsx", Columns(series="series", target="prediction"))
    assert panel.freq.name == "h"
    np.testing.assert_array_equal(panel.target, forecast.prediction.reshape(-1))
    np.testing.assert_array_equal(panel.timestamps, forecast.timestamps.reshape(-1))


def test_without_openpyxl_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("forecaster.serving.forecast_workbook.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"workbooks are written by openpyxl.*\[xlsx\]"):
        write_forecast(make(), tmp_path / "out.xlsx")
    assert not (tmp_path / "out.xlsx").exists()
