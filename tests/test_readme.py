"""Commands and Python of the README run as shown."""

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
}


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """Every `forecaster …` line of the sh blocks, and of the console blocks after their prompt."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    lines += [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in lines if line.startswith("forecaster ")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like that of a reader: the sample data, and a file `data.csv`."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "data", folder / "data")
    shutil.copy(ROOT / "data" / "AirPassengers.csv", folder / "data.csv")
    return folder


def test_a_new_session_keeps_the_cuts_and_takes_the_new_lines() -> None:
    spec = importlib.util.spec_from_file_location("readme_session", ROOT / "benchmarks" / "readme_session.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.BLOCK.search(README)
    shown = ["read", "…", "cell  gru", "units 64", "…", "stored in a"]
    printed = ["read 9 rows", "epoch 1", "plan", "cell rnn", "units 32", "epoch 2", "stored in b"]
    expected = ["read 9 rows", "…", "cell rnn", "units 32", "…", "stored in b"]
    assert module.shorten(shown, printed) == expected
    with pytest.raises(ValueError, match="no line of the output begins with 'cell'"):
        module.shorten(shown, ["read 9 rows", "stored in b"])


@pytest.mark.slow
def test_every_command_that_the_readme_shows_runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = commands()
    assert len(shown) >= 8
    monkeypatch.chdir(place)
    for name, value in QUICK.items():
        monkeypatch.setenv(f"FORECASTER_{name}", value)
    assert run(["train", "data/panel.csv", "--name", "panel", "--quiet"]) == 0
    assert run(["train", "data/AirPassengers.csv", "--quiet"]) == 0  # a version to roll back to
    for line in shown:
        assert run(shlex.split(line)[1:]) == 0, line


@pytest.mark.slow
def test_the_python_that_the_readme_shows_runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import forecaster

    monkeypatch.chdir(place)
    (shown,) = blocks("python")
    train = forecaster.train
    quick = {"epochs": 1, "steps_per_epoch": 2, "members": 1, "transform": "none", "floor": 0.0, "learning_rate": 0.01}
    monkeypatch.setattr(forecaster, "train", lambda data, **options: train(data, **options, **quick))
    found: dict[str, object] = {}
    exec(shown, found)
    assert len(found["frame"]) == 12  # type: ignore[arg-type]
    assert found["report"].windows > 0  # type: ignore[attr-defined]
