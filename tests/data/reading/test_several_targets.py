"""Several target columns of a file with a series column: each is forecast, and the output names it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecaster.commands.evaluate import evaluate
from forecaster.commands.train import train
from forecaster.config import EvaluateSettings, PredictSettings
from forecaster.data.panel import Columns
from forecaster.data.reading.find_faults import find_faults
from forecaster.data.reading.read_events import with_events
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_future, read_panel
from forecaster.errors import DataError, UsageError
from forecaster.serving.forecast_file import write_forecast
from forecaster.serving.predict import predict
from tests.support.factories import Recorder, train_settings


def table(names=("A", "B"), rows=30, **columns):
    days = pd.date_range("2024-01-01", periods=rows)
    parts = [
        pd.DataFrame({"shop": name, "day": days, "sales": n * 100 + np.arange(rows), "returns": -n - np.arange(rows)})
        for n, name in enumerate(names)
    ]
    return pd.concat(parts).assign(**columns)


BOTH = Columns(series="shop", target="sales,returns")


def written(tmp_path, frame, name="shops.csv"):
    path = tmp_path / name
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("how", ["frame", "plain", "shuffled"])
def test_every_series_has_one_for_each_target(tmp_path, how):
    rows = table()
    source = {
        "frame": lambda: rows,
        "plain": lambda: written(tmp_path, rows),
        "shuffled": lambda: written(tmp_path, rows.iloc[::-1]),
    }[how]()
    panel = read_panel(source, BOTH)
    names = ["A,sales", "A,returns", "B,sales", "B,returns"]
    assert panel.series.tolist() == (names if how != "shuffled" else [*names[2:], *names[:2]])
    first = {str(name): panel.target[panel.offsets[n]] for n, name in enumerate(panel.series)}
    assert first == {"A,sales": 0, "A,returns": 0, "B,sales": 100, "B,returns": -1}
    assert panel.lengths.tolist() == [30] * 4 and panel.keys == ("series", "target")
    assert "targets 'sales', 'returns', each of which is forecast" in panel.notes[0]


def test_several_keys_stay_and_series_of_other_lengths_too(tmp_path):
    rows = table(item="x, y").rename(columns={"shop": "target"}).iloc[:-5]
    panel = read_panel(written(tmp_path, rows), Columns(series="target,item", target="sales,returns"))
    assert panel.keys == ("target", "item", "target column") and panel.lengths.tolist() == [30, 30, 25, 25]
    assert panel.series[0] == 'A,"x, y",sales'


def test_gaps_and_missing_values_are_those_of_each(tmp_path):
    rows = table()
    rows.iloc[3, 2] = np.nan
    panel = read_panel(rows.drop(rows.index[10]), BOTH)
    assert panel.gaps == 4 and len(panel.gap_runs) == 2
    assert [int(np.isnan(part).sum()) for part in np.split(panel.target, panel.offsets[1:-1])] == [2, 1, 1, 1]


def test_known_past_and_static_columns_are_those_of_the_series():
    rows = table(price=np.tile(np.arange(30.0), 2), visitors=1.0, place="north")
    rows.loc[rows["day"] >= "2024-01-28", ["sales", "returns"]] = np.nan
    rows.loc[rows["day"] == "2024-01-27", "returns"] = np.nan
    columns = Columns("shop", "day", "sales,returns", known=("price",), past=("visitors",), static=("place",))
    panel = read_panel(rows, columns)
    price, visitors, place = panel.covariates
    assert panel.lengths.tolist() == [27, 26, 27, 26] and panel.gaps == 0
    assert price.values[26] == 26 and price.ahead[:, 0].tolist() == [27, 26, 27, 26]
    assert len(visitors.values) == len(panel.target) and len(place.values) == 4
    later = table(rows=34, price=np.tile(np.arange(34.0), 2)).query("day > '2024-01-30'")
    future = read_future(later, panel)
    assert future.series.tolist() == panel.series.tolist() and future.lengths.tolist() == [4] * 4


def test_a_bad_cell_in_any_target_is_named_with_its_column(tmp_path):
    path = written(tmp_path, table())
    path.write_text(path.read_text().replace(",-3\n", ",x\n", 1))
    with pytest.raises(DataError, match=r"shops.csv:5: .*'x' \(column returns\)"):
        read_panel(path, BOTH)
    found = find_faults(path, ReadOptions.of(BOTH))
    assert found.faults == 1 and len(found.panel.series) == 4


def test_without_a_choice_the_message_offers_one_or_all():
    with pytest.raises(DataError, match="--target 'sales,returns'"):
        read_panel(table(), Columns(series="shop"))
    with pytest.raises(UsageError):
        read_panel(table(), Columns(series="shop", target="sales,shop"))


def test_events_of_a_series_are_those_of_all_its_targets(tmp_path):
    path = tmp_path / "events.csv"
    for column in ("shop", "series"):
        path.write_text(f"date,name,{column}\n2024-01-05,fair,B\n")
        panel = with_events(read_panel(table(), BOTH), str(path))
        assert panel.events[0].series == ("B,returns", "B,sales") and not panel.warnings


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_a_model_forecasts_each_target_and_the_output_names_it(tmp_path):
    path = written(tmp_path, table(rows=60).assign(returns=lambda rows: rows["returns"] + 100))
    train(path, train_settings(tmp_path, name="x", target="sales,returns"), Recorder())
    found = predict(None, PredictSettings(models=str(tmp_path)), Recorder())
    frame = found.to_frame()
    assert frame.columns[:4].tolist() == ["series", "target", "timestamp", "prediction"] and len(frame) == 4 * 6
    assert frame[["series", "target"]].drop_duplicates().to_numpy().tolist() == [
        ["A", "sales"], ["A", "returns"], ["B", "sales"], ["B", "returns"],
    ]  # fmt: skip
    write_forecast(found, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().startswith("series,target,timestamp,prediction")
    report = evaluate(None, EvaluateSettings(models=str(tmp_path)), Recorder())
    assert set(report.by_series) == {"A,sales", "A,returns", "B,sales", "B,returns"}
