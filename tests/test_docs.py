"""Modules, make targets and links that a document names exist in the repository."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    *(f"{folder}/{path.name}" for folder in ("benchmarks", "docs") for path in sorted((ROOT / folder).glob("*.md"))),
)
FOLDERS = tuple(ROOT / name for name in ("forecaster", "tests", "benchmarks"))
PLACES = (ROOT, *FOLDERS, *(path for folder in FOLDERS for path in folder.rglob("*") if path.is_dir()))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_and_folder_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:forecaster|tests|benchmarks|docs)/[\w./-]+|(?:[\w-]+/)*[\w-]+\.py)`", text))
    assert [name for name in sorted(named) if not any((place / name).exists() for place in PLACES)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_a_document_names_exists(document: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = (ROOT / document).read_text(encoding="utf-8")
    commands = re.findall(r"(?:^|`)make ([a-z]+(?: [a-z]+)*)", text, re.MULTILINE)
    assert {target for words in commands for target in words.split()} <= targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_inside_the_repository_leads_somewhere(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"(?<!\")\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_where_each_cell_stops_is_what_the_rows_of_the_adding_problem_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # which the script would set for good
    script = importlib.import_module("adding_problem")
    page = (ROOT / "docs" / "cells.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\d+) \| \**([\d.]+)\** \| ([\d,]+) \| \d+ \|", page, re.MULTILINE)
    assert len(rows) == 30
    results = [
        script.Result(cell, weights, int(lag), float(error), int(steps.replace(",", "")), 0.0, [], [])
        for cell, weights, lag, error, steps in rows
    ]
    assert "\n".join(script.stops(results)) in page
