"""The commands of the pages in docs/ run as shown, each page after trainings of the panel and the passengers."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from forecaster.cli.main import run
from tests.test_readme import QUICK

ROOT = Path(__file__).parent.parent
PAGES = (
    "files",
    "data",
    "covariates",
    "intervals",
    "which-cell",
    "cells",
    "tuning",
    "plots",
    "artifact",
    "accuracy",
    "quickstart",
)

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like that of a reader, with the models that the pages name."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(ROOT / "data", folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in QUICK.items():
            patch.setenv(f"FORECASTER_{name}", value)
        assert run(["train", "data/panel.csv", "--quiet"]) == 0
        for _ in range(2):  # a version to roll back to
            assert run(["train", "data/AirPassengers.csv", "--quiet"]) == 0
        shown = (
            "train data/kiosks.csv --target sales --known temperature,sky,promotion --static place --horizon 14 --quiet"
        )
        assert run(shown.split()) == 0
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_runs(page: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("forecaster ")]
    assert commands
    monkeypatch.chdir(place)
    for name, value in QUICK.items():
        monkeypatch.setenv(f"FORECASTER_{name}", value)
    for line in commands:
        assert run(shlex.split(line)[1:]) == 0, line
