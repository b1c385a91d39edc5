"""The Python API: lazy, and the same words as the command line."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import forecaster
from forecaster.api.tables import as_data
from forecaster.commands.explain import Effect, Explanation
from forecaster.commands.tune import Tuned
from forecaster.commands.tune_confirmation import Confirmation
from forecaster.config import EvaluateSettings, PredictSettings, TrainSettings
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError, ForecasterError, UsageError
from tests.support import stub_commands as stubs
from tests.support.factories import AIR

ROOT = Path(__file__).parent.parent.parent
KIOSKS = ROOT / "data" / "kiosks.csv"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """Verbs that do nothing, and what they were called with."""
    monkeypatch.chdir(tmp_path)
    for name in stubs.MODULES:
        monkeypatch.setitem(sys.modules, name, sys)  # undone after the test
    stubs.install("fine")
    monkeypatch.setattr("forecaster.api.results.forecast_frame", lambda _: "a frame")
    monkeypatch.setattr("forecaster.api.results.evaluation_report", lambda report: report)
    monkeypatch.setattr("forecaster.serving.manifest.read_manifest", lambda _: SimpleNamespace(name="air"))
    for version in ("2", "3"):
        Path("models", "air", version).mkdir(parents=True)
    Path("models", "air", "current").write_text("2\n")
    return sys.modules["forecaster.commands.train"].seen  # type: ignore[no-any-return]


@pytest.mark.slow
def test_importing_forecaster_costs_nothing() -> None:
    program = (
        "import sys\nbefore = set(sys.modules)\nimport forecaster\nnew = set(sys.modules) - before\n"
        "heavy = new & {'numpy', 'pandas', 'tensorflow', 'typer', 'rich', 'dataclasses', 'inspect'}\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_public_names_are_there_and_others_are_not() -> None:
    for name in forecaster.__all__:
        assert getattr(forecaster, name) and name in dir(forecaster)
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        _ = forecaster.fit  # type: ignore[attr-defined]


def test_train_is_a_function_after_the_command_of_that_name_was_imported() -> None:
    import_module("forecaster.commands.train")
    assert callable(forecaster.train)


def test_train_stores_a_model_and_returns_it(seen: dict[str, object]) -> None:
    model = forecaster.train("a.csv", horizon=28, cell="lstm", **{"from": "b"})
    assert (model.name, model.version, model.path) == ("air", 3, Path("models/air/3"))
    assert seen["data"] == "a.csv"
    assert seen["settings"] == TrainSettings(horizon=28, cell="lstm", start_from="b")


@pytest.mark.usefixtures("seen")
def test_load_takes_the_serving_version_or_the_one_named() -> None:
    assert forecaster.load("air").version == 2
    assert forecaster.load("air@3").version == 3
    with pytest.raises(ForecasterError, match="no model 'aix'"):
        forecaster.load("aix")
    with pytest.raises(ForecasterError, match=r"load\(\): model: 3 is not a name. Expected e.g. 'sales' or 'sales@3'"):
        forecaster.load(3)  # type: ignore[arg-type]


def test_what_commands_return_is_shown_in_one_line() -> None:
    effects = (Effect("known", "price", 0.4, 0.3), Effect("context", "7 to 1 back", 0.1, 0.0))
    explained = Explanation("air", 3, 14, "the latest windows", 0.1855, effects, 1.0)
    assert repr(explained) == "<Explanation air@3: MASE 0.185 over 14 windows; price>"
    kept = Confirmation((), ())
    tuned = Tuned({}, {}, 1.0, 1.0, trials=3, pruned=1, toml="", confirmation=kept, seconds=1.0)
    assert repr(tuned).startswith("<Tuned: 3 plans tried, 1 of them pruned: none has a lower error")
    assert "\n" not in repr(tuned)


def test_predict_gives_a_data_frame_from_the_model_that_was_asked(seen: dict[str, object]) -> None:
    assert forecaster.load("air@3").predict("b.csv", horizon=2) == "a frame"
    assert (seen["verb"], seen["data"]) == ("predict", "b.csv")
    assert seen["settings"] == PredictSettings(model="air@3", horizon=2)


def test_evaluate_gives_a_report(seen: dict[str, object]) -> None:
    assert forecaster.load("air").evaluate(windows=2) is stubs.REPORT
    assert (seen["verb"], seen["data"]) == ("evaluate", None)
    assert seen["settings"] == EvaluateSettings(model="air@2", windows=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizn": 2}, "predict(): unknown option 'horizn'. Did you mean 'horizon'?"),
        ({"output": "a.csv"}, "predict(): output has no effect here. Leave it out."),
        ({"model": "b"}, "predict(): model has no effect here. Leave it out."),
    ],
)
@pytest.mark.usefixtures("seen")
def test_options_are_checked_as_on_the_command_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        forecaster.load("air").predict(**options)
    assert str(caught.value) == message


def test_a_training_report_says_so_where_there_was_no_test() -> None:
    from dataclasses import replace

    found = replace(stubs.TRAINED, report=None).to_json()
    assert found["metrics"] is None and found["windows"] == 0 and found["baselines"] == {}
    assert stubs.TRAINED.to_json().keys() >= found.keys()


PUBLIC = (
    "check",
    "compare",
    "evaluate",
    "explain",
    "load",
    "make_series",
    "stored_models",
    "network",
    "predict",
    "train",
    "tune",
    "windows",
)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_shows_each_option_with_type_and_default(name: str) -> None:
    function = getattr(forecaster, name)
    shown = inspect.signature(function).parameters.values()
    assert not [one.name for one in shown if one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
    assert all(one.annotation is not one.empty for one in shown)
    assert all(
        f"{one.name} (" in function.__doc__
        for one in shown
        if name not in ("load", "stored_models")
        and "Keyword Args:" in function.__doc__
        and one.name not in ("data", "progress")
    )


@pytest.mark.parametrize(
    "method", [forecaster.Model.predict, forecaster.Model.evaluate, forecaster.Forecaster.__init__]
)
def test_methods_show_their_options_too(method: Callable[..., object]) -> None:
    shown = inspect.signature(method).parameters
    assert len(shown) > 10 and not {"options", "plot_series", "ledger"} & set(shown)


def test_the_signature_has_the_defaults_of_the_command_line() -> None:
    shown = inspect.signature(forecaster.train).parameters
    assert (shown["models"].default, shown["horizon"].default, shown["horizon"].annotation) == (
        "models",
        None,
        "int | None",
    )


@pytest.mark.parametrize(
    "table",
    [
        pd.Series([1.0, 2.0], pd.DatetimeIndex(["2024-01-01", "2024-02-01"]), name="sales"),
        pd.Series([1.0, 2.0], pd.period_range("2024-01", periods=2, freq="M")),
        pd.Series([1.0, 2.0], ["2024-01-01", "2024-02-01"]),
        pd.Series([1.0, 2.0]),
        [1.0, 2.0],
        np.array([1.0, 2.0]),
        {"timestamp": [0, 1], "value": [1.0, 2.0]},
    ],
    ids=["dates", "periods", "texts", "positions", "list", "array", "columns"],
)
def test_series_lists_and_arrays_are_tables(table: object) -> None:
    frame = as_data(table)
    assert frame.columns[0] == "timestamp" and frame.iloc[:, 1].tolist() == [1.0, 2.0]


def test_a_frame_of_one_column_has_its_dates_in_the_index_in_any_form_or_is_told_to():
    days, values = pd.date_range("2024-01-01", periods=40), {"sales": np.arange(40.0)}
    for index in (days, days.strftime("%Y-%m-%d"), list(days.date)):
        assert read_panel(pd.DataFrame(values, index=index)).columns.timestamp == "timestamp"
    for index in (None, pd.timedelta_range("0h", periods=40, freq="h")):
        with pytest.raises(DataError, match=r"only one column, 'sales', and its index is not of dates"):
            read_panel(pd.DataFrame(values, index=index))


def test_the_index_of_a_series_keeps_its_name():
    days = pd.date_range("2024-01-01", periods=2, name="day")
    assert as_data(pd.Series([1.0, 2.0], days, name="sales")).columns.tolist() == ["day", "sales"]
    assert as_data(pd.Series([1.0, 2.0], days, name="day")).columns.tolist() == ["day", "value"]


@pytest.mark.parametrize("names", [("shop", "day"), (None, None)])
def test_a_series_with_an_index_of_keys_and_dates_is_a_panel(names: tuple[str | None, str | None]) -> None:
    days = pd.date_range("2024-01-01", periods=40)
    index = pd.MultiIndex.from_product([["a", "b"], days], names=names)
    series = pd.Series(np.arange(80.0), index, name="sales")
    read = read_panel(as_data(series))
    assert read.series.tolist() == ["a", "b"] and len(read.target) == 80
    assert read.columns.series == (names[0] or "series") and read.columns.timestamp == (names[1] or "timestamp")


def test_a_polars_frame_is_a_table() -> None:
    column = type("Series", (list,), {"__module__": "polars.series.series", "to_list": lambda self: [*self]})
    frame = type("DataFrame", (dict,), {"__module__": "polars.dataframe.frame", "columns": property(list)})
    assert as_data(frame(day=column([1, 2]), value=column([3.0, 4.0]))).to_dict("list") == {
        "day": [1, 2],
        "value": [3.0, 4.0],
    }
    assert as_data(column([3.0, 4.0]))["value"].tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (3, "data of type int is not read."),
        (np.zeros((2, 2)), "an array of shape 2 × 2 has no columns with names."),
        (["a", "b"], "a list or array must be of numbers."),
        (pd.Series([1.0], [2.5]), "a Series needs an index of dates, periods or whole numbers."),
        ({"a": [1], "b": [1, 2]}, "these columns make no table"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(table: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        as_data(table)
    assert caught.value.message.startswith(message) and caught.value.hint


def test_a_forecaster_is_cloned_with_its_options() -> None:
    base = pytest.importorskip("sklearn.base")
    one = forecaster.Forecaster(horizon=12, cell="lstm")
    other = base.clone(one.set_params(horizon=6))
    assert repr(other) == "Forecaster(horizon=6, cell='lstm')" and other.get_params()["horizon"] == 6
    with pytest.raises(UsageError, match="unknown option 'horizn'"):
        forecaster.Forecaster(horizn=2)
    with pytest.raises(UsageError, match="not fitted yet"):
        other.predict()


def test_a_pretrained_network_answers_a_series_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    air = pd.read_csv(AIR, parse_dates=["Month"]).set_index("Month")["#Passengers"]
    found = forecaster.predict(air, horizon=12)
    assert len(found) == 12 and set(found["source"]) == {"pretrained"}
    assert type(found[found["prediction"] > 0]) is pd.DataFrame
    assert len(found.plot().axes) == 1  # type: ignore[operator]
    assert pickle.loads(pickle.dumps(found)).equals(pd.DataFrame(found))


def test_a_report_has_scores_windows_and_a_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = forecaster.evaluate(AIR, horizon=12, windows=2)
    scores, windows = report.to_frame(), report.windows_frame()
    assert (
        list(scores.index)[1:] == ["seasonal-naive", "naive", "drift"] and scores["mase"].iloc[0] == report.metrics.mase
    )
    assert len(windows) == 24 and windows["timestamp"].dtype.kind == "M"
    errors = (windows["actual"] - windows["model"]).abs()
    assert errors.mean() == pytest.approx(report.metrics.mae)
    assert len(report.plot().axes) == 1
    assert repr(report).startswith("<Report pretrained: MASE ") and "<table" in report._repr_html_()


@pytest.mark.slow
def test_a_model_of_a_frame_remembers_it_and_is_pickled_by_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: str
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.read_csv(AIR)
    quick = {"epochs": 1, "steps_per_epoch": 2, "members": 1, "transform": "none", "floor": 0.0, "learning_rate": 0.01}
    quick |= {"units": 4, "layers": 1, "windows": 2}  # what is promised here holds for a network of any size
    one = forecaster.Forecaster(horizon=12, name="air", context_length=24, **quick).fit(frame)
    model = one.model_
    assert one.predict().equals(model.predict(frame))
    assert model.plot().axes and repr(model).startswith("<Model air@1: ") and "<table" in model._repr_html_()
    content = pickle.dumps(model)
    again = pickle.loads(content)
    assert (again.path, len(content) < 500) == ((tmp_path / "models" / "air" / "1"), True)
    with pytest.raises(ForecasterError, match="data frame"):
        again.predict()
    listed = forecaster.stored_models()
    assert listed[["model", "version", "serves", "rows"]].values.tolist() == [["air", 1, True, 144]]
    known = forecaster.train(
        KIOSKS, name="k", target="sales", known="temperature", horizon=2, context_length=14, **quick
    )
    rows = pd.read_csv(KIOSKS)
    past, ahead = rows[rows["sales"].notna()], rows[rows["sales"].isna()].drop(columns="sales")
    assert known.predict(past, future=ahead).equals(known.predict(rows))


@pytest.mark.slow
def test_a_training_from_python_writes_nothing_to_the_terminal(tmp_path: Path) -> None:
    program = (
        "import forecaster\n"
        f"forecaster.train({str(AIR)!r}, horizon=12, epochs=1, steps_per_epoch=2, members=1, transform='none', "
        "learning_rate=0.01, floor=0.0, units=4, windows=3)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
