"""A sealed manifest with wrong values is an error of one line, whatever the value and wherever it is."""

from __future__ import annotations

import json
import random

import pytest

from forecaster.cli.main import run
from forecaster.errors import ArtifactError
from forecaster.serving.manifest import _seal, read_manifest
from tests.support.stored_models import stored, write_csv

WRONG = (None, True, 0, -1, 7, 0.5, 1e300, 10**30, "x", "", [], [None], ["x"], {}, {"x": 1}, "../../x", [[]])


@pytest.fixture
def shop(tmp_path):
    stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 60)
    return tmp_path


def leaves(value, path=()):
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from leaves(part, (*path, key))


def changed(raw, path, value):
    whole = json.loads(json.dumps(raw))
    if not path:
        return value
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return whole


def sealed(folder, raw):
    seal = {**raw, "seal": _seal(raw)} if isinstance(raw, dict) else raw
    (folder / "manifest.json").write_text(json.dumps(seal))


def cases(raw):
    return [(path, value) for path in leaves(raw) for value in WRONG]


def test_a_manifest_with_wrong_values_gives_a_manifest_or_an_error_of_one_line(shop):
    folder = shop / "models" / "m" / "1"
    raw = json.loads((folder / "manifest.json").read_text())
    raw.pop("seal")
    for path, value in random.Random(0).sample(cases(raw), 300):
        sealed(folder, changed(raw, path, value))
        try:
            read_manifest(folder)
        except ArtifactError as fault:
            assert "damaged" in str(fault) or "newer" in str(fault)


@pytest.mark.slow
def test_no_command_ends_with_a_traceback_for_a_manifest_with_wrong_values(shop, capfd):
    folder = shop / "models" / "m" / "1"
    raw = json.loads((folder / "manifest.json").read_text())
    raw.pop("seal")
    store = ["--models", str(shop / "models")]
    for path, value in random.Random(1).sample(cases(raw), 250):
        sealed(folder, changed(raw, path, value))
        for words in (["predict", str(shop / "data.csv"), "--model", "m", *store], ["models", "show", "m", *store]):
            assert run([*words, "--quiet"]) in (0, 2, 3, 4), (path, value)
            assert capfd.readouterr().err.count("\n") <= 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("horizon",), 0),
        (("horizon",), 6.0),
        (("horizon",), "6"),
        (("context_length",), -1),
        (("quantiles",), [0.9, 0.1]),
        (("quantiles",), [0.1, 1.5]),
        (("members",), []),
        (("calendar",), ["no such"]),
        (("limits",), {"low": 2, "high": 1}),
        (("data", "season_length"), 0),
        (("data", "path"), None),
        (("files",), {"model.onnx": 1}),
        (("format",), "1"),
        (("format",), None),
    ],
)
def test_values_that_no_training_writes_are_damage(shop, path, value):
    folder = shop / "models" / "m" / "1"
    raw = json.loads((folder / "manifest.json").read_text())
    raw.pop("seal")
    sealed(folder, changed(raw, path, value))
    with pytest.raises(ArtifactError, match="damaged"):
        read_manifest(folder)
