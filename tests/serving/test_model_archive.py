"""A version moves to another store as one file, unchanged or not at all."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forecaster.cli.main import run
from forecaster.errors import ArtifactError, ForecasterError, LockError, UsageError
from forecaster.serving.manifest import read_manifest
from forecaster.serving.model_archive import export, import_version
from forecaster.serving.store import Store
from tests.support.stored_models import stored


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    stored(folder / "models")
    assert export(Store(folder / "models"), "m", folder / "m.tar") == "m@1"
    return folder


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def meaning(folder):
    """The content, of the manifest what is read of it."""
    return {**content(folder), "manifest.json": read_manifest(folder)}


def tampered(source, target, change):
    """The tar file with `change(entry, content)`: a list of entries and contents in its place."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for entry in old:
            for one, text in change(entry, old.extractfile(entry).read()):
                one.size = len(text) if one.isreg() else 0
                new.addfile(one, io.BytesIO(text))
    return target


def test_a_version_arrives_as_it_was_and_serves_and_is_the_same_file_each_time(exported, tmp_path):
    store = Store(tmp_path / "there")
    assert import_version(store, exported / "m.tar") == ("m", 1) and store.current("m") == 1
    assert content(tmp_path / "there" / "m" / "1") == content(exported / "models" / "m" / "1")
    export(store, "m@1", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == (exported / "m.tar").read_bytes()
    assert import_version(store, exported / "m.tar", serves=False) == ("m", 2) and store.current("m") == 1


CHANGES = {
    "a changed byte": (lambda e, t: [(e, t[:-1] + b"!" if e.name.endswith(".onnx") else t)], "is not the file that"),
    "a missing file": (lambda e, t: [] if e.name.endswith(".onnx") else [(e, t)], "is not the file that"),
    "no manifest": (lambda e, t: [] if e.name.endswith(".json") else [(e, t)], "has no manifest"),
    "a changed manifest": (
        lambda e, t: [(e, t.replace(b'"horizon": 6', b'"horizon": 7'))],
        r"bad\.tar': manifest\.json: damaged\. Export the model again",
    ),
    "a file more": (lambda e, t: [(e, t), (renamed(e, e.name + "x"), t)], "is not the file that"),
    "a file twice": (lambda e, t: [(e, t), (renamed(e, e.name), t)], "twice"),
    "a way out": (lambda e, t: [(renamed(e, "m/1/../../../x"), t)], "leads out"),
    "an absolute path": (lambda e, t: [(renamed(e, "/m/1/x"), t)], "no file of a model"),
    "another folder": (lambda e, t: [(renamed(e, e.name.replace("m/", "n/")), t)], "by its manifest"),
    "an impossible name": (lambda e, t: [(renamed(e, e.name.replace("m/", "-m/")), t)], "is not a model name"),
    "two versions": (lambda e, t: [(e, t), (renamed(e, e.name.replace("/1/", "/2/")), t)], "more than one version"),
    "a link": (lambda e, t: [(e, t), (renamed(e, "m/1/link", type=tarfile.SYMTYPE), b"")], "no file of a model"),
    "a device": (lambda e, t: [(e, t), (renamed(e, "m/1/null", type=tarfile.CHRTYPE), b"")], "no file of a model"),
}


def renamed(entry, name, **changes):
    new = tarfile.TarInfo(name)
    new.linkname = "/etc/passwd" if "type" in changes else ""
    new.type = changes.get("type", tarfile.REGTYPE)
    return new


@pytest.mark.parametrize("change", CHANGES)
def test_anything_else_is_refused_and_nothing_is_written(exported, tmp_path, change):
    edit, message = CHANGES[change]
    file = tampered(exported / "m.tar", tmp_path / "bad.tar", edit)
    with pytest.raises(ForecasterError, match=message):
        import_version(Store(tmp_path / "there"), file)
    assert not (tmp_path / "there").exists()


@example(at=3051, flip=1)  # the key of the manifest's seal becomes one that nobody reads
@example(at=21822, flip=45)  # a space of the manifest becomes another white space of JSON
@given(st.integers(0, 30_000), st.integers(1, 255))
def test_a_flipped_byte_is_refused_or_changes_nothing(exported, tmp_path_factory, at, flip):
    folder = tmp_path_factory.mktemp("flipped")
    text = bytearray((exported / "m.tar").read_bytes())
    text[at % len(text)] ^= flip
    (folder / "m.tar").write_bytes(text)
    try:
        name, version = import_version(Store(folder / "there"), folder / "m.tar")
    except ForecasterError:
        assert not (folder / "there").exists()
    else:
        assert meaning(folder / "there" / name / str(version)) == meaning(exported / "models" / "m" / "1")


@pytest.mark.parametrize("text", [b"", b"no tar", b"\x1f\x8b" + b"x" * 2000])
def test_a_file_that_is_no_tar_is_refused(tmp_path, text):
    (tmp_path / "x.tar").write_bytes(text)
    with pytest.raises((ArtifactError, UsageError)):
        import_version(Store(tmp_path / "there"), tmp_path / "x.tar")


def test_a_damaged_version_is_not_exported_and_an_export_stays_out_of_the_store(tmp_path):
    stored(tmp_path / "models")
    with pytest.raises(UsageError, match="in the model store"):
        export(Store(tmp_path / "models"), "m", tmp_path / "models" / "m.tar")
    (tmp_path / "models" / "m" / "1" / "model.onnx").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="damaged"):
        export(Store(tmp_path / "models"), "m", tmp_path / "m.tar")
    assert not (tmp_path / "m.tar").exists()


def test_a_version_or_a_whole_model_is_deleted_but_not_what_serves_among_others(tmp_path):
    store = Store(tmp_path / "models")
    for _ in range(3):
        stored(tmp_path / "models")
    with pytest.raises(UsageError, match="m@3 serves"):
        store.delete("m@3")
    assert store.delete("m@1") == (1,) and store.versions("m") == (2, 3)
    with store.training("m", 0.0), pytest.raises(LockError):
        store.delete("m")
    assert store.delete("m") == (2, 3) and store.names() == ()
    assert list((tmp_path / "models").iterdir()) == []
    with pytest.raises(ArtifactError, match="no model 'm'"):
        store.delete("m")


def test_the_commands_say_what_they_did(tmp_path, capfd):
    stored(tmp_path / "models")
    here, there = ["--models", str(tmp_path / "models")], ["--models", str(tmp_path / "there")]
    assert run(["models", "export", "m", str(tmp_path / "m.tar"), *here]) == 0
    assert run(["models", "import", str(tmp_path / "m.tar"), *there, "--json"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0].startswith("m@1 written to") and json.loads(out[1]) == {"model": "m", "version": 1, "serves": True}
    assert run(["models", "import", str(tmp_path / "m.tar"), *there, "--no-serve"]) == 0
    assert run(["models", "delete", "m@2", *there]) == 0
    assert capfd.readouterr().out.splitlines() == ["m@2 is stored and does not serve.", "m: removed 2."]
    assert run(["models", "import", str(tmp_path / "none.tar"), *there]) == 2
