"""Events of one's own as inputs: of all series or of one, with days before and after, stored with the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.commands.evaluate import evaluate
from forecaster.commands.train import train
from forecaster.config import EvaluateSettings, PredictSettings
from forecaster.data.calendar import known_ahead, known_rows, width
from forecaster.data.events import event_rows
from forecaster.data.panel import Columns
from forecaster.data.reading.read_events import with_events
from forecaster.data.reading.reader import read_panel
from forecaster.data.windows import latest_windows
from forecaster.errors import DataError, UsageError
from forecaster.serving.manifest import read_manifest
from forecaster.serving.predict import predict
from tests.support.factories import Recorder, train_settings


def panel_of(index, series=("a",), columns=Columns()):  # noqa: B008 - frozen
    rows = [pd.DataFrame({"series": name, "timestamp": index, "value": np.arange(len(index)) + 1.0}) for name in series]
    return read_panel(pd.concat(rows), columns)


def events_file(tmp_path, text, name="events.csv"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def inputs_of(panel):
    """[R, F] the inputs of each row."""
    known = known_rows(panel, 3, event_rows(panel.events, panel.freq))
    return known.table[known.row]


def days_of(panel, column=0, series=0):
    """The timestamps of a series' rows that have an input."""
    rows = slice(panel.offsets[series], panel.offsets[series + 1])
    there = inputs_of(panel)[rows, column] > 0
    return [panel.timestamp_text(int(t)) for t in panel.timestamps[rows][there]]


def test_an_event_is_an_input_of_its_day_and_of_the_days_of_its_window(tmp_path):
    path = events_file(tmp_path, "date,name,before,after\n2024-01-10,sale,1,2\n2024-01-20,sale,1,2\n")
    panel = with_events(panel_of(pd.date_range("2024-01-01", periods=30)), path)
    assert inputs_of(panel).shape == (30, 4) and width(event_rows(panel.events, panel.freq)) == 4
    by_day = [[int(day[-2:]) for day in days_of(panel, column)] for column in range(4)]
    assert by_day == [[12, 22], [11, 21], [10, 20], [9, 19]]  # two days after … a day before


def test_events_of_one_series_are_inputs_of_that_series_alone(tmp_path):
    path = events_file(tmp_path, "date,name,series\n2024-01-10,sale,b\n2024-01-12,sale,\n2024-01-14,fair,a\n")
    panel = with_events(panel_of(pd.date_range("2024-01-01", periods=30), ("a", "b", "c")), path)
    assert [days_of(panel, 0, n) for n in range(3)] == [
        ["2024-01-12"], ["2024-01-10", "2024-01-12"], ["2024-01-12"],
    ]  # fmt: skip
    assert [days_of(panel, 1, n) for n in range(3)] == [["2024-01-14"], [], []]


def test_an_event_of_a_series_that_is_called_as_missing_values_are_is_of_that_series(tmp_path):
    """`NA` is North America, or Namibia, where the data has a series of this name; elsewhere it is empty."""
    path = events_file(tmp_path, "date,name,series\n2024-01-10,sale,NA\n2024-01-12,sale,\n")
    panel = with_events(panel_of(pd.date_range("2024-01-01", periods=30), ("EU", "NA")), path)
    assert [days_of(panel, 0, n) for n in range(2)] == [["2024-01-12"], ["2024-01-10", "2024-01-12"]]
    panel = with_events(panel_of(pd.date_range("2024-01-01", periods=30), ("EU", "US")), path)
    assert [days_of(panel, 0, n) for n in range(2)] == [["2024-01-10", "2024-01-12"]] * 2


def test_steps_ahead_have_the_inputs_that_rows_have(tmp_path):
    path = events_file(tmp_path, "date,name,series,after\n2024-01-18,sale,a,1\n2024-01-21,sale,b,1\n")
    panel = with_events(panel_of(pd.date_range("2024-01-01", periods=30), ("a", "b")), path)
    names = event_rows(panel.events, panel.freq)
    early = replace(latest_windows(panel), cutoff=panel.offsets[:-1] + 15)
    ahead = known_ahead(panel, early, 10, names)[:, 0]
    rows = inputs_of(panel).reshape(2, 30, 2)[:, 15:25]
    np.testing.assert_array_equal(ahead, rows)
    assert rows.sum() == 4


@pytest.mark.parametrize(
    ("freq", "found"),
    [
        ("h", ["2024-01-10", "2024-01-10 23:00:00"]),
        ("W-MON", ["2024-01-08"]),
        ("MS", ["2024-01-01"]),
        ("ME", ["2024-01-31"]),
        ("QS", ["2024-01-01"]),
        ("B", ["2024-01-10"]),
    ],
)
def test_an_event_is_in_the_step_that_has_its_day(tmp_path, freq, found):
    path = events_file(tmp_path, "ds,holiday\n2024-01-10,sale\n")
    panel = with_events(panel_of(pd.date_range("2024-01-01", periods=300, freq=freq)), path)
    days = days_of(panel)
    assert [days[0], days[-1]] == [found[0], found[-1]] and len(days) == (24 if freq == "h" else 1)


def test_events_may_name_some_of_several_keys_and_come_in_any_usual_form(tmp_path):
    index = pd.date_range("2024-01-01", periods=30)
    rows = [
        pd.DataFrame({"store": s, "item": i, "day": index, "sold": 1.0 + np.arange(30)}) for s in "12" for i in "xy"
    ]
    panel = read_panel(pd.concat(rows), Columns(series="store,item", target="sold"))
    path = events_file(tmp_path, "day;name;store\n13.01.2024;sale;2\n31.01.2024;sale;2\n")
    found = with_events(panel, path)
    assert [days_of(found, 0, n) for n in range(4)] == [[], [], ["2024-01-13"], ["2024-01-13"]]


def test_wide_files_name_the_series_by_their_columns(tmp_path):
    table = pd.DataFrame(
        {"date": pd.date_range("2024-01-01", periods=30), "north": np.arange(30.0), "south": np.arange(30.0)}
    )
    path = events_file(tmp_path, "date,name,series\n2024-01-05,fair,south\n")
    panel = with_events(read_panel(table), path)
    assert [days_of(panel, 0, n) for n in range(2)] == [[], ["2024-01-05"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("date,series\n2024-01-05,a\n", "events have no column 'name'"),
        ("when,name\n2024-01-05,a\n", "events have no column 'date'"),
        ("date,name\n2024-13-05,a\n", r"events.csv:2: timestamp '2024-13-05'"),
        ("date,name\n2024-01-05,\n", r"events.csv:2: the event's name is missing"),
        ("date,name,before\n2024-01-05,a,soon\n", r"events.csv:2: 'soon' \(column before\)"),
        ("date,name,before\n2024-01-05,a,99\n", r"events.csv:2: '99' \(column before\)"),
        ("date,name,before\n2024-01-05,a,1\n2024-02-05,a,2\n", r"events.csv:3: event 'a' has 2 days before"),
    ],
)
def test_what_is_no_list_of_events_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        with_events(panel_of(pd.date_range("2024-01-01", periods=30)), events_file(tmp_path, text))


def test_whole_numbers_have_no_events_and_a_series_that_is_not_there_is_warned_of(tmp_path):
    path = events_file(tmp_path, "date,name,series\n2024-01-05,fair,z\n")
    panel = with_events(panel_of(range(30)), path)
    assert "'z'" in panel.warnings[0]
    with pytest.raises(UsageError, match="--events needs dates"):
        event_rows(panel.events, panel.freq)


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_a_model_learns_events_stores_them_and_takes_later_ones(tmp_path):
    index = pd.date_range("2024-01-01", periods=120)
    sold = 20 + 3 * np.random.default_rng(0).normal(size=120) + 20 * (np.arange(120) % 20 == 10)
    path = tmp_path / "sales.csv"
    pd.DataFrame({"date": index, "sold": sold}).to_csv(path, index=False)
    dates = [*index[np.arange(120) % 20 == 10], pd.Timestamp("2024-05-02")]
    events = events_file(tmp_path, "date,name,after\n" + "".join(f"{d:%Y-%m-%d},sale,1\n" for d in dates))
    settings = train_settings(
        tmp_path,
        name="x",
        events=events,
        calendar=False,
        loss="mse",
        epochs=6,
        steps_per_epoch=20,
        learning_rate=1e-2,
        transform="none",
    )
    train(path, settings, Recorder())
    manifest = read_manifest(tmp_path / "x" / "1")
    assert manifest.calendar == ("event:0:1:sale",) and manifest.members[0].known == 2
    assert [len(event.dates) for event in manifest.events] == [7]
    assert ("events", "sale", "as given") in [(row.setting, row.value, row.reason) for row in manifest.plan]

    watch = Recorder()
    kept = predict(None, PredictSettings(models=str(tmp_path)), watch).prediction[0]
    assert not watch.warnings
    assert kept.argmax() == 2 and kept[2] > 1.5 * np.median(kept)  # 2024-05-02
    later = events_file(tmp_path, "date,name,note\n2024-05-04,sale,moved\n", "later.csv")
    moved = predict(None, PredictSettings(models=str(tmp_path), events=later), Recorder()).prediction[0]
    assert moved.argmax() == 4
    old = events_file(tmp_path, "date,name\n2024-01-11,sale\n", "old.csv")
    predict(None, PredictSettings(models=str(tmp_path), events=old), watch)
    assert any("knows no event since 2024-04-20" in text for text in watch.warnings)
    other = events_file(tmp_path, "date,name\n2024-05-04,fair\n", "other.csv")
    with pytest.raises(DataError, match="knows no event 'fair', but sale"):
        predict(None, PredictSettings(models=str(tmp_path), events=other), Recorder())
    assert evaluate(None, EvaluateSettings(models=str(tmp_path)), Recorder()).windows == 2
