"""The manifest: JSON that comes back as it was, and a message of one line where it is damaged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from forecaster.errors import ArtifactError
from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.seasonal_profile import Profile
from forecaster.serving.manifest import FORMAT, DataFacts, Manifest, read_manifest, write_manifest
from forecaster.serving.plan_rows import PlanRow
from forecaster.serving.stored_graphs import load_runtime
from forecaster.training.checkpoints import write_history
from forecaster.training.fit_types import Epoch
from tests.support.factories import fit_settings, network_settings

FACTS = DataFacts(
    path="/data/a.csv",
    series=None,
    timestamp="Month",
    target="#Passengers",
    layout="single",
    freq="MS",
    season_length=12,
    zone="Europe/Berlin",
    timestamp_format=None,
    rows=144,
    series_count=1,
    first=-(10**15),
    last=10**15,
    sha256="00",
)
MANIFEST = Manifest(
    format=FORMAT,
    name="größe",
    created="2026-01-01T00:00:00+00:00",
    data=FACTS,
    horizon=3,
    context_length=8,
    quantiles=(0.1, 0.9),
    members=(network_settings(quantiles=(0.1, 0.9)), network_settings(cell="lstm", quantiles=(0.1, 0.9))),
    fit=fit_settings(time_budget=60.0),
    parameters=123,
    epochs=7,
    stopped="patience",
    test_windows=2,
    serves_tested_weights=False,
    metrics={"model": {"mae": 1.5, "mase": None}},
    plan=(PlanRow("units", 4, "as given"), PlanRow("cell", "gru", "best for its cost")),
    versions={"numpy": "2"},
    files={},
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "model.onnx").write_bytes(b"graph")
    write_manifest(tmp_path, MANIFEST)
    return tmp_path


def test_a_manifest_comes_back_as_it_was(folder):
    found = read_manifest(folder)
    assert replace(found, files={}) == MANIFEST
    assert set(found.files) == {"saved_model/saved_model.pb", "model.onnx"}


def test_a_members_seasonal_profile_comes_back_and_asks_for_no_more_observed_rows(tmp_path):
    member = network_settings(quantiles=(0.1, 0.9), profile=Profile(12))
    whole = write_manifest(tmp_path, replace(MANIFEST, context_length=60, members=(member, *MANIFEST.members)))
    assert read_manifest(tmp_path) == whole
    assert (member.rows, whole.reach, MANIFEST.reach) == (60, 8, 8)


def test_a_manifest_is_plain_json(folder):
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert raw["data"]["freq"] == "MS"
    assert raw["members"][1]["cell"] == "lstm"


def test_fields_keep_the_keys_that_they_were_first_stored_under(folder):
    whole = replace(MANIFEST, smoothing=Smoothing(season_length=4, length=8, horizon=3, log=False, weight=0.5))
    raw = json.loads(write_manifest(folder, whole).to_json())
    assert (raw["held_back"], raw["judged_is_served"], raw["floor"]["weight"]) == (2, False, 0.5)
    assert not {"test_windows", "serves_tested_weights", "smoothing"} & raw.keys()
    assert replace(read_manifest(folder), files={}) == whole


def test_keys_of_later_minor_releases_are_passed_over(folder):
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    raw["new"] = raw["data"]["new"] = raw["fit"]["new"] = raw["members"][0]["new"] = {"a": 1}
    raw.pop("seal")  # of what this release wrote; a later one seals its own keys
    (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    assert replace(read_manifest(folder), files={}) == MANIFEST


def test_a_newer_format_is_refused_with_what_to_do(folder):
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    raw["format"] = FORMAT + 1
    (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"newer than this program\. Upgrade"):
        read_manifest(folder)


def test_a_manifest_that_was_changed_is_damaged(folder):
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    (folder / "manifest.json").write_text(text.replace('"horizon": 3', '"horizon": 4'), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"manifest\.json: damaged"):
        read_manifest(folder)


def without(key):
    def edit(raw):
        del raw[key]

    return edit


def having(**changes):
    return lambda raw: raw.update(changes)


@pytest.mark.parametrize(
    "edit",
    [
        *(without(key) for key in ("format", "data", "members", "fit", "plan", "quantiles", "horizon")),
        having(format="1"),
        having(data="text"),
        having(data={}),
        having(members=[1]),
        having(members=[{}]),
        having(members=[{"quantiles": "0.5"}]),
        having(fit=[]),
        having(plan=[3]),
        having(quantiles=None),
    ],
)
def test_a_manifest_that_lacks_something_is_damaged(folder, edit):
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    edit(raw)
    raw.pop("seal", None)
    (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"manifest\.json: damaged") as error:
        read_manifest(folder)
    assert "\n" not in error.value.message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_manifest_is_damaged(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json: damaged"):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        (None, "zone", "Mars/Olympus"),
        (None, "zone", "\x1b[31m\n"),
        (None, "zone", "a" * 5000),
        (None, "freq", "every day"),
        ("text_as", "encoding", "no-such-code"),
        ("text_as", "encoding", "\0"),
        ("text_as", "decimal", "x"),
        ("text_as", "thousands", "9"),
        ("rows_as", "snap", "sideways"),
        ("rows_as", "aggregate", "median"),
    ],
)
def test_a_manifest_with_a_name_that_the_program_does_not_know_is_damaged(folder, part, key, value):
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (raw["data"][part] if part else raw["data"])[key] = value
    raw.pop("seal", None)
    (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"manifest\.json: damaged"):
        read_manifest(folder)


def test_a_missing_manifest_is_named_with_its_path(tmp_path):
    with pytest.raises(ArtifactError, match=r"manifest.json: cannot be read \(No such file"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("runtime", ["onnx", "tensorflow"])
@pytest.mark.parametrize("part", ["saved_model/saved_model.pb", "model.onnx"])
def test_every_files_hash_is_checked_before_use(folder, runtime, part):
    (folder / part).write_bytes(b"graqh")
    with pytest.raises(ArtifactError, match=part):
        load_runtime(folder, read_manifest(folder), runtime)


def test_a_missing_file_and_one_too_many_are_named(folder):
    manifest = read_manifest(folder)
    (folder / "extra").write_text("x")
    with pytest.raises(ArtifactError, match="extra"):
        load_runtime(folder, manifest, "onnx")
    (folder / "extra").unlink()
    (folder / "model.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"model\.onnx"):
        load_runtime(folder, manifest, "onnx")


@pytest.mark.parametrize("runtime", ["onnx", "tensorflow"])
def test_a_graph_that_does_not_load_is_named_in_one_line(folder, runtime):
    """Its hash is right: it was stored like that."""
    with pytest.raises(ArtifactError, match="not a") as error:
        load_runtime(folder, read_manifest(folder), runtime)
    assert "\n" not in error.value.message


def test_history_has_a_row_for_each_epoch_of_each_stage(tmp_path):
    write_history(tmp_path, {"judge 0": [Epoch(1, 0.5, 0.25, 1.0)], "final 0": [Epoch(1, 0.1, None, 2.0)]})
    assert (tmp_path / "history.csv").read_text().splitlines() == [
        "stage,epoch,loss,validation_loss,seconds",
        "judge 0,1,0.5,0.25,1.000",
        "final 0,1,0.1,,2.000",
    ]
