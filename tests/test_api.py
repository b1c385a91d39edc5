"""The Python API: lazy, and the same words as the command line."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

import forecaster
from forecaster.config import EvaluateSettings, PredictSettings, TrainSettings
from forecaster.errors import ForecasterError, UsageError
from tests.support import stub_commands as stubs

ROOT = Path(__file__).parent.parent


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """Verbs that do nothing, and what they were called with."""
    monkeypatch.chdir(tmp_path)
    for name in ("commands.train", "commands.evaluate", "serving.predict"):
        monkeypatch.setitem(sys.modules, f"forecaster.{name}", sys)  # undone after the test
    stubs.install("fine")
    monkeypatch.setattr(stubs.Forecast, "to_frame", lambda _: "a frame", raising=False)
    monkeypatch.setattr("forecaster.serving.manifest.read_manifest", lambda _: SimpleNamespace(name="air"))
    for version in ("2", "3"):
        Path("models", "air", version).mkdir(parents=True)
    Path("models", "air", "current").write_text("2\n")
    return sys.modules["forecaster.commands.train"].seen  # type: ignore[no-any-return]


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
