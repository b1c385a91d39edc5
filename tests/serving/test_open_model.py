"""Data is read as a model's training data was read, unless the caller says otherwise."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from forecaster.config import CheckSettings, EvaluateSettings, ExplainSettings, PredictSettings, TrainSettings
from forecaster.data.freq import Freq
from forecaster.data.panel import Columns
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as
from forecaster.data.row_options import RowOptions
from forecaster.errors import ArtifactError, DataError, UsageError
from forecaster.serving.open_model import Opened, model_of_data, open_model, read_for
from forecaster.serving.predict import predict
from tests.support.factories import Recorder
from tests.support.stored_models import HOUR, START, stored, write_csv

KNOWN = ReadOptions.of(
    Columns("shop", "day", "sales", known=("price",), texts=()),
    freq="h",
    season_length=24,
    zone="Europe/Berlin",
    timestamp_format="%d.%m.%Y",
)


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    stored(tmp_path / "models")
    return open_model(str(tmp_path / "models"), "m")


def test_what_the_caller_says_wins_and_the_rest_is_as_the_model_knows_it() -> None:
    said = CheckSettings(target="left", zone="UTC", freq="D").read_options()
    read = said.or_else(KNOWN)
    assert read.columns == Columns("shop", "day", "left", known=("price",), texts=())
    assert (read.freq, read.season_length, read.zone) == (Freq.parse("D"), 24, "UTC")
    assert read.timestamp_format == "%d.%m.%Y"
    assert PredictSettings().read_options().or_else(KNOWN) == KNOWN


def test_a_training_reads_what_its_settings_name_and_infers_the_rest() -> None:
    settings = TrainSettings(series="shop", known=("price",), static=("place",), season_length=7)
    assert settings.read_options() == ReadOptions.of(
        Columns(series="shop", known=("price",), static=("place",)), season_length=7
    )


def test_columns_of_another_name_are_read_where_they_are_named(opened: Opened, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data.csv", 30)
    path.write_text(path.read_text().replace("series,timestamp,target", "shop,hour,sold"))
    named = PredictSettings(series="shop", timestamp="hour", target="sold", zone="Europe/Berlin")
    panel = read_for(opened.manifest, str(path), named)
    assert (panel.columns.target, panel.zone, panel.season_length) == ("sold", "Europe/Berlin", 24)
    hint = "Model 'm' reads it: name another with --model, or 'pretrained', which needs no training"
    with pytest.raises(DataError, match=rf"there is no column 'series' \(--series\)\. .*{hint}"):
        read_for(opened.manifest, str(path), PredictSettings())
    with pytest.raises(DataError, match=r"there is no column 'solds' \(--target\)\. Did you mean 'sold'\?$"):
        read_for(opened.manifest, str(path), PredictSettings(series="shop", timestamp="hour", target="solds"))


def test_without_data_a_model_that_was_trained_on_no_file_asks_for_some(opened: Opened) -> None:
    with pytest.raises(UsageError, match="model 'm' was trained on -"):
        read_for(opened.manifest, None, PredictSettings())


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    stored(tmp_path / "models")
    with pytest.raises(ArtifactError, match="no model 'gone'"):
        open_model(str(tmp_path / "models"), "gone")


def test_the_model_of_the_data_s_name_comes_before_the_one_trained_last(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("shop", "later"):
        stored(tmp_path / "models", name=name)
    Path("shop.csv").touch()
    Path("other.csv").touch()
    watch = Recorder()
    data, settings = model_of_data("shop.csv", PredictSettings(), watch)
    assert (data, settings.model, watch.notes) == ("shop.csv", "shop", ["model shop@1, which has the data's name"])
    assert model_of_data("other.csv", PredictSettings(), watch)[1].model is None
    assert model_of_data("shop.csv", PredictSettings(model="later"), watch)[1].model == "later"
    assert model_of_data(None, PredictSettings(), watch) == (None, PredictSettings())


def test_a_word_that_names_a_stored_model_and_no_file_is_that_model(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "models", name="shop")
    watch = Recorder()
    for word in ("shop", "shop@1"):
        data, settings = model_of_data(word, EvaluateSettings(), watch)
        assert (data, settings.model) == (None, word) and "no file" in watch.notes[-1]
    Path("shop").touch()  # a file of this name comes first
    assert model_of_data("shop", EvaluateSettings(), watch)[0] == "shop"


def test_as_of_reads_no_later_rows_and_excludes_until() -> None:
    assert PredictSettings(as_of="2024-03").until == "2024-03"
    with pytest.raises(UsageError, match="--as-of and --until exclude each other"):
        PredictSettings(as_of="2024-03", until="2024-04")


@pytest.mark.parametrize("time", ["yesterday", "2024-13-01", "2024-03-01T12:00+05:00"])
def test_a_wrong_time_is_called_by_the_option_that_was_given(time) -> None:
    with pytest.raises(UsageError, match=f"--as-of '{re.escape(time)}' is no timestamp"):
        PredictSettings(as_of=time)
    assert PredictSettings(as_of="20").until == "20"  # a step, where timestamps are whole numbers


def test_rows_for_a_model_are_joined_where_the_caller_says_so_and_never_put_on_another_grid(opened, tmp_path) -> None:
    path = write_csv(tmp_path / "data.csv", 30)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1].rpartition(",")[0] + ",0"]) + "\n")
    with pytest.raises(DataError, match="--aggregate"):
        read_for(opened.manifest, str(path), PredictSettings())
    panel = read_for(opened.manifest, str(path), PredictSettings(aggregate="mean"))
    assert panel.target[-1] == pytest.approx(float(lines[-1].rpartition(",")[2]) / 2)
    for said, settings in (
        ("--freq 15min: 'm' was trained on rows of h", PredictSettings(freq="15min")),
        ("--resample D: 'm' was trained on rows of h", EvaluateSettings(resample="D", aggregate="sum")),
        ("--all-slots has no effect", ExplainSettings(all_slots=True)),
    ):
        with pytest.raises(UsageError, match=said):
            read_for(opened.manifest, str(path), settings)


def test_quarter_hours_are_joined_to_the_slots_that_a_model_knows() -> None:
    known = ReadOptions.of(freq="h@Mon-Fri 09:00-17:00")
    known = replace(known, rows=RowOptions(all_slots=True, resample="h", aggregate="mean"))
    index = pd.date_range("2024-01-01", periods=14 * 96, freq="15min")
    open_hours = (index.day_of_week < 5) & (index.hour >= 9) & (index.hour <= 17)
    table = pd.DataFrame({"t": index[open_hours], "y": 1.0})
    panel = read_as(table, known)
    assert panel.freq == known.freq and len(panel.target) == 10 * 9


def test_before_any_training_rows_are_put_on_the_grid_that_the_caller_names(tmp_path) -> None:
    rows = ["t,y", *(f"2024-01-{1 + n // 24:02d} {n % 24:02d}:{n * 7 % 60:02d}:00,{n % 24}" for n in range(96))]
    (tmp_path / "late.csv").write_text("\n".join(rows) + "\n")
    snapped = PredictSettings(model="pretrained", freq="h", snap=True, horizon=1)
    assert predict(str(tmp_path / "late.csv"), snapped, Recorder()).timestamps[0, 0] == 96 * HOUR + _at(START)
    (tmp_path / "one.csv").write_text("t,y\n2024-01-01,5\n")
    one = predict(str(tmp_path / "one.csv"), PredictSettings(model="pretrained", freq="D", horizon=2), Recorder())
    assert one.prediction.tolist() == [[5.0, 5.0]]


def _at(time: dt.datetime) -> int:
    return int(time.replace(tzinfo=dt.timezone.utc).timestamp()) * 1_000_000
