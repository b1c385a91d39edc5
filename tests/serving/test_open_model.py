"""Data is read as a model's training data was read, unless the caller says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecaster.config import CheckSettings, PredictSettings, TrainSettings
from forecaster.data.freq import Freq
from forecaster.data.panel import Columns
from forecaster.data.reading.reader import ReadOptions
from forecaster.errors import ArtifactError, DataError, UsageError
from forecaster.serving.open_model import Opened, open_model, read_for
from tests.support.stored_models import stored, write_csv

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
    with pytest.raises(DataError, match="series"):
        read_for(opened.manifest, str(path), PredictSettings())


def test_without_data_a_model_that_was_trained_on_no_file_asks_for_some(opened: Opened) -> None:
    with pytest.raises(UsageError, match="model 'm' was trained on -"):
        read_for(opened.manifest, None, PredictSettings())


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    stored(tmp_path / "models")
    with pytest.raises(ArtifactError, match="no model 'gone'"):
        open_model(str(tmp_path / "models"), "gone")
