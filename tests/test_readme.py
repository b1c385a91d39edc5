"""Commands and Python of the README run as shown, in their order, from a folder like a clean clone."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import pytest

from forecaster.cli.main import run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK = {
    "EPOCHS": "1",
    "STEPS_PER_EPOCH": "2",
    "MEMBERS": "1",
    "TRANSFORM": "none",
    "FLOOR": "0",
    "LEARNING_RATE": "0.01",
    "UNITS": "4",
    "CONTEXT_LENGTH": "24",
}
QUICK_PYTHON = {
    "epochs": 1,
    "steps_per_epoch": 2,
    "members": 1,
    "transform": "none",
    "floor": 0.0,
    "learning_rate": 0.01,
}


def session_script():
    spec = importlib.util.spec_from_file_location("readme_session", ROOT / "benchmarks" / "readme_session.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands() -> list[str]:
    """Every `forecaster …` line of the sh blocks, and of the console blocks after their prompt, in their order."""
    blocks = re.findall(r"```(sh|console)\n(.*?)```", README, re.DOTALL)
    lines = [line.removeprefix("$ ") for _, block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("forecaster ")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory like that of a reader: the sample data, and no model."""
    shutil.copytree(ROOT / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_is_read_in_a_few_minutes() -> None:
    assert len(README.splitlines()) <= 130


def test_a_new_session_keeps_the_cuts_and_takes_the_new_lines() -> None:
    module = session_script()
    assert len(module.BLOCK.findall(README)) == README.count("```console") > 0
    shown = ["read", "…", "cell  gru", "units 64", "…", "stored in a"]
    printed = ["read 9 rows", "epoch 1", "plan", "cell rnn", "units 32", "epoch 2", "stored in b"]
    expected = ["read 9 rows", "…", "cell rnn", "units 32", "…", "stored in b"]
    assert module.shorten(shown, printed) == expected
    with pytest.raises(ValueError, match="no line of the output begins with 'cell'"):
        module.shorten(shown, ["read 9 rows", "stored in b"])


def test_the_table_of_accuracy_is_that_of_the_results() -> None:
    module = session_script()
    (shown,) = module.TABLE.findall(README)
    assert shown == module.accuracy_table((ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_every_command_that_the_readme_shows_runs_in_its_order(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = commands()
    assert len(shown) >= 8
    for name, value in QUICK.items():
        monkeypatch.setenv(f"FORECASTER_{name}", value)
    for line in shown:
        assert run(shlex.split(line)[1:]) == 0, line
    assert (place / "forecast.png").stat().st_size and (place / "tomorrow.csv").stat().st_size


@pytest.mark.slow
def test_the_python_that_the_readme_shows_runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import forecaster

    (shown,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    train = forecaster.train
    monkeypatch.setattr(forecaster, "train", lambda data, **options: train(data, **options, **QUICK_PYTHON))
    found: dict[str, object] = {}
    exec(shown, found)
    assert len(found["forecast"]) == 12  # type: ignore[arg-type]
    assert len(found["report"]) == 4  # type: ignore[arg-type]
    assert (place / "forecast.png").stat().st_size
