"""The model store: whole versions or none, whoever writes at once or is killed; no name leads out of it."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.errors import ArtifactError, UsageError
from forecaster.serving.integrity import hash_files, verify
from forecaster.serving.store import Store, check_name, name_from_path
from forecaster.serving.version_folders import temporary_name
from tests.support.stored_models import stored

BAD_NAMES = ["", ".", "..", "../up", "/etc", "a/b", "a\\b", "a\nb", "a\n", "-a", ".a", "a b", "a\0b", "é", "x" * 101]
BAD_NAMES += ["x" * 300, "~root", "a@1"]


def writer(text="weights", created="2024-01-01T00:00:00+00:00"):
    """What fills a version: two files, one in a folder of its own, and a manifest."""

    def write(folder: Path) -> None:
        (folder / "saved_model").mkdir()
        (folder / "saved_model" / "graph.pb").write_text(text)
        (folder / "model.onnx").write_text(text)
        (folder / "manifest.json").write_text(json.dumps({"created": created}))

    return write


def publish(store, name, write):
    """The number of a new version that `write` fills."""
    with store.new_version(name) as draft:
        write(draft.folder)
        return draft.publish()


def graph(folder):
    return (folder / "saved_model" / "graph.pb").read_text()


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "models")


# Publishing


def test_the_number_of_a_deleted_version_is_not_used_again(store):
    """A ledger would take the forecasts of both for one version's."""
    for _ in range(3):
        publish(store, "a", writer())
    store.rollback("a", 1)
    store.delete("a@3")
    store.delete("a@2")
    assert store.versions("a") == (1,) and store.current("a") == 1
    assert [publish(store, "a", writer()), publish(store, "a", writer())] == [4, 5]
    store.prune("a", 1)
    assert publish(store, "a", writer()) == 6
    (store.root / "a" / "highest").write_text("none")
    assert publish(store, "a", writer()) == 7
    store.delete("a")
    assert publish(store, "a", writer()) == 1


def test_versions_count_up_and_the_latest_serves(store):
    assert [publish(store, "sales", writer(str(n))) for n in range(3)] == [1, 2, 3]
    assert store.names() == ("sales",)
    assert store.versions("sales") == (1, 2, 3)
    assert store.current("sales") == 3
    assert graph(store.resolve("sales")) == "2"
    assert graph(store.resolve("sales@1")) == "0"
    assert contents(store.root / "sales") == ["1", "2", "3", "current"]


def test_a_version_after_the_ninth_is_the_tenth(store):
    for _ in range(11):
        publish(store, "a", writer())
    assert store.versions("a")[-2:] == (10, 11)


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_writer_that_stops_half_way_leaves_the_old_version_serving(store, fault):
    publish(store, "a", writer("old"))

    def write(folder):
        writer("new")(folder)
        raise fault

    with pytest.raises(fault):
        publish(store, "a", write)
    assert graph(store.resolve("a")) == "old"
    assert contents(store.root / "a") == ["1", "current"]


def test_a_first_writer_that_stops_half_way_leaves_no_model(store):
    with pytest.raises(ValueError):
        publish(store, "a", lambda folder: (_ for _ in ()).throw(ValueError))
    assert store.names() == ()


def test_a_draft_that_is_not_published_leaves_the_old_version_serving(store):
    publish(store, "a", writer("old"))
    with store.new_version("a") as draft:
        writer("new")(draft.folder)
    assert graph(store.resolve("a")) == "old"
    assert contents(store.root / "a") == ["1", "current"]


def test_a_version_that_may_not_serve_is_kept_next_to_the_one_that_does(store):
    publish(store, "a", writer("old"))
    with store.new_version("a") as draft:
        writer("new")(draft.folder)
        assert draft.publish(serves=False) == 2
    assert graph(store.resolve("a")) == "old" and graph(store.resolve("a@2")) == "new"


def test_a_version_without_files_is_refused(store):
    with pytest.raises(ValueError, match="no files"):
        publish(store, "a", lambda folder: None)
    assert store.names() == ()


@pytest.mark.slow
def test_a_process_killed_while_writing_leaves_the_old_version_and_the_next_clears_up(store):
    publish(store, "a", writer("old"))
    code = (
        "import os, signal, sys; from pathlib import Path; from forecaster.serving.store import Store\n"
        "with Store(Path(sys.argv[1])).new_version('a') as draft:\n"
        "    (draft.folder / 'half').write_text('')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(store.root)], check=False)
    assert killed.returncode == -9
    assert len(contents(store.root / "a")) == 3
    assert graph(store.resolve("a")) == "old"
    publish(store, "a", writer("new"))
    assert contents(store.root / "a") == ["1", "2", "current"]


def test_what_a_killed_writer_left_elsewhere_goes_after_a_day(store):
    publish(store, "a", writer())
    day_old, fresh = (store.root / "a" / f".new-1-{digit}@otherhost" for digit in "ab")
    for folder in (day_old, fresh):
        folder.mkdir()
        (folder / "half").write_text("")
    os.utime(day_old, (time.time() - 90_000,) * 2)
    publish(store, "a", writer())
    assert contents(store.root / "a") == [fresh.name, "1", "2", "current"]


def test_a_writer_at_work_is_not_taken_for_a_killed_one(store):
    def write(folder):
        publish(store, "a", writer("quick"))
        writer("slow")(folder)

    assert publish(store, "a", write) == 2
    assert [graph(store.resolve(f"a@{n}")) for n in (1, 2)] == ["quick", "slow"]


def _publish_many(root, label, count):
    for n in range(count):
        publish(Store(root), "a", writer(f"{label}-{n}"))


@pytest.mark.slow
def test_writers_at_once_each_get_a_version_and_current_never_goes_back(store):
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    writers = [context.Process(target=_publish_many, args=(store.root, label, 10)) for label in range(6)]
    for process in writers:
        process.start()
    seen = []
    while any(process.is_alive() for process in writers):
        if store.versions("a"):
            try:
                seen.append(store.current("a"))
            except ArtifactError:  # the first version is there, and about to serve
                assert not seen
                continue
            assert contents(store.resolve("a")) == ["manifest.json", "model.onnx", "saved_model"]
    for process in writers:
        process.join()
        assert process.exitcode == 0
    assert len(seen) > 1
    assert store.versions("a") == tuple(range(1, 61))
    texts = {graph(store.resolve(f"a@{n}")) for n in store.versions("a")}
    assert texts == {f"{label}-{n}" for label in range(6) for n in range(10)}
    assert seen == sorted(seen)
    assert store.current("a") == 60
    assert not [name for name in contents(store.root / "a") if name.startswith(".")]


def test_a_version_taken_in_between_is_stepped_over(store, monkeypatch):
    publish(store, "a", writer("first"))
    rename, calls = Path.rename, []

    def late(self, target):
        calls.append(target.name)
        if len(calls) == 1:  # another writer, on a disk without locks, is quicker
            shutil.copytree(store.root / "a" / "1", target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    assert publish(store, "a", writer("mine")) == 3
    assert calls == ["2", "3"]


def test_a_full_disk_is_one_line_and_leaves_the_old_version_serving(store):
    publish(store, "a", writer("old"))

    def write(folder):
        (folder / "half").write_text("")
        raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match="cannot be written: no space left on device"):
        publish(store, "a", write)
    assert graph(store.resolve("a")) == "old"
    assert contents(store.root / "a") == ["1", "current"]


def test_a_store_that_is_a_file_cannot_be_written(tmp_path):
    (tmp_path / "models").touch()
    with pytest.raises(UsageError, match="cannot be written: not a directory"):
        publish(Store(tmp_path / "models"), "a", writer())


# Names


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_name_leads_out_of_the_store(store, name):
    verbs = (lambda: publish(store, name, writer()), lambda: store.versions(name), lambda: store.current(name))
    for verb in (*verbs, lambda: store.rollback(name), lambda: store.prune(name, 1), lambda: check_name(name)):
        with pytest.raises(UsageError) as caught:
            verb()
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert not store.root.exists()


@settings(deadline=None)
@given(st.text())
def test_a_name_is_one_plain_path_part_or_refused(name):
    try:
        check_name(name)
    except UsageError:
        return
    assert Path(name).parts == (name,) and name.isascii() and len(name) <= 100 and not name.startswith((".", "-"))


@pytest.mark.parametrize("reference", ["a@", "a@0", "a@01", "a@-1", "a@../../x", "a@1@1", "a@²", "a@" + "9" * 5000])
def test_a_version_is_a_whole_number(store, reference):
    publish(store, "a", writer())
    with pytest.raises(UsageError, match="is not a version"):
        store.resolve(reference)


@pytest.mark.parametrize("verb", ["versions", "current", "resolve", "rollback"])
def test_a_link_that_leads_out_is_refused(store, tmp_path, verb):
    publish(Store(tmp_path / "elsewhere"), "a", writer())
    publish(store, "b", writer())
    (store.root / "a").symlink_to(tmp_path / "elsewhere" / "a")
    with pytest.raises(ArtifactError, match="leads out"):
        getattr(store, verb)("a")
    with pytest.raises(ArtifactError, match="leads out"):
        publish(store, "a", writer())
    assert store.names() == ("b",)
    (store.root / "b" / "2").symlink_to(tmp_path / "elsewhere" / "a" / "1")
    with pytest.raises(ArtifactError, match="leads out"):
        store.resolve("b@2")


def test_links_in_a_circle_are_no_model(store):
    publish(store, "b", writer())
    (store.root / "a").symlink_to("a")
    assert store.names() == ("b",)
    with pytest.raises(ArtifactError):
        store.resolve("a")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("m4 hourly.csv.gz", "m4-hourly"),
        ("-", "stdin"),
        ("data/sales.csv", "sales"),
        ("sales.2024.parquet", "sales.2024"),
        ("/abs/AirPassengers.CSV", "AirPassengers"),
        ("Données été.csv", "Donnees-ete"),
        ("..hidden..csv", "hidden"),
        ("a" * 300 + ".csv", "a" * 100),
        ("sales", "sales"),
    ],
)
def test_a_data_file_gives_its_stem_as_name(path, name):
    assert name_from_path(path) == name


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1))
def test_every_path_gives_a_name_that_is_allowed(path):
    name = name_from_path(path)
    assert check_name(name) == name


def test_files_named_without_a_latin_letter_do_not_share_a_name():
    assert name_from_path("продажи.csv") != name_from_path("склад.csv")


# Finding


def test_an_empty_store_says_to_train(store):
    for verb in (store.latest, store.resolve, lambda: store.resolve("a")):
        with pytest.raises(ArtifactError, match="Run `forecaster train"):
            verb()
    assert not store.root.exists()


def test_an_unknown_name_hints_at_the_nearest(store):
    publish(store, "sales", writer())
    with pytest.raises(ArtifactError, match=r"no model 'salse' .* Did you mean 'sales'"):
        store.resolve("salse")


def test_an_unknown_version_lists_what_is_there(store):
    publish(store, "a", writer())
    publish(store, "a", writer())
    for verb in (lambda: store.resolve("a@7"), lambda: store.rollback("a", 7)):
        with pytest.raises(ArtifactError, match=r"no version 7. Versions: 1, 2"):
            verb()


def test_the_model_trained_last_is_the_latest_wherever_its_zone(store):
    publish(store, "late", writer(created="2024-05-01T10:00:00Z"))
    publish(store, "early", writer(created="2024-05-01T11:00:00+02:00"))
    assert store.latest() == ("late", 1)
    assert store.resolve() == store.resolve("late@1")


def test_of_two_models_trained_in_the_same_second_the_later_is_the_latest(store):
    for name in ("b", "a", "c"):
        publish(store, name, writer())
        time.sleep(0.01)
    assert store.latest() == ("c", 1)


def test_the_latest_model_answers_with_the_version_that_serves(store):
    publish(store, "a", writer(created="2024-01-01T00:00:00Z"))
    publish(store, "b", writer(created="2024-01-02T00:00:00Z"))
    publish(store, "a", writer(created="2024-01-03T00:00:00Z"))
    store.rollback("a")
    assert store.latest() == ("a", 1)


def test_a_model_of_which_nothing_serves_is_not_the_latest_and_one_that_is_damaged_is(store):
    publish(store, "good", writer(created="2024-01-01T00:00:00Z"))
    with store.new_version("refused") as draft:
        writer(created="2024-01-02T00:00:00Z")(draft.folder)
        draft.publish(serves=False)
    assert store.latest() == ("good", 1)
    assert (store.serving("good"), store.serving("refused")) == (1, None)
    publish(store, "damaged", writer(created="2024-01-03T00:00:00Z"))
    (store.root / "damaged" / "current").write_text("x")
    with pytest.raises(ArtifactError, match="model 'damaged' has no version that serves"):
        store.latest()
    for name in ("good", "damaged"):
        store.delete(name)
    with pytest.raises(ArtifactError, match="model 'refused' has no version that serves"):
        store.latest()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"created": 5}', '{"created": "soon"}', "\udcff", "[" * 100_000])
def test_a_manifest_without_a_time_is_an_artifact_error(store, text):
    publish(store, "a", writer())
    (store.root / "a" / "1" / "manifest.json").write_text(text, errors="surrogateescape")
    with pytest.raises(ArtifactError, match=r"manifest.json': the time of training cannot be read"):
        store.latest()


@pytest.mark.parametrize("text", ["", "7", "../../etc", "1" * 5000, "x\n1"])
def test_a_damaged_current_is_an_artifact_error(store, text):
    publish(store, "a", writer())
    (store.root / "a" / "current").write_text(text)
    with pytest.raises(ArtifactError, match=r"no version that serves.*rollback"):
        store.resolve("a")
    assert store.rollback("a", 1) == 1
    assert graph(store.resolve("a")) == "weights"


def test_a_missing_current_is_an_artifact_error(store):
    publish(store, "a", writer())
    (store.root / "a" / "current").unlink()
    with pytest.raises(ArtifactError, match="no version that serves"):
        store.current("a")


def test_other_files_in_the_store_are_not_models(store):
    publish(store, "a", writer())
    (store.root / "README").touch()
    (store.root / "empty").mkdir()
    (store.root / "a" / "notes").mkdir()
    (store.root / "a" / "2").touch()
    assert store.names() == ("a",)
    assert store.versions("a") == (1,)
    assert publish(store, "a", writer()) == 3


def test_reading_changes_nothing_in_the_store(store):
    publish(store, "a", writer())
    left = store.root / "a" / temporary_name().replace(f"-{os.getpid()}-", "-999999999-")
    left.mkdir()
    paths = sorted(store.root.rglob("*"))
    stamps = [path.stat().st_mtime_ns for path in paths]
    store.names(), store.versions("a"), store.current("a"), store.latest(), store.resolve()
    verify(store.resolve(), hash_files(store.resolve()))
    assert sorted(store.root.rglob("*")) == paths
    assert [path.stat().st_mtime_ns for path in paths] == stamps


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_store_is_read_and_says_that_it_cannot_be_written(store):
    publish(store, "a", writer())
    folders = [store.root, store.root / "a"]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert store.resolve() == store.resolve("a@1")
        for verb in (lambda: publish(store, "a", writer()), lambda: store.rollback("a", 1)):
            with pytest.raises(UsageError, match="cannot be written: permission denied"):
                verb()
    finally:
        for folder in folders:
            folder.chmod(0o755)


# Changing what serves


def test_rollback_serves_the_version_before_or_the_one_named(store):
    for _ in range(3):
        publish(store, "a", writer())
    assert store.rollback("a") == 2
    assert store.rollback("a", 3) == 3
    assert store.current("a") == 3
    assert publish(store, "a", writer()) == 4


def test_rollback_stops_at_the_oldest(store):
    publish(store, "a", writer())
    with pytest.raises(ArtifactError, match="no version before 1"):
        store.rollback("a")


def test_prune_keeps_the_latest_and_the_one_that_serves(store):
    for _ in range(5):
        publish(store, "a", writer())
    store.rollback("a", 2)
    assert store.prune("a", 1) == (1, 3, 4)
    assert store.versions("a") == (2, 5)
    assert store.current("a") == 2
    assert contents(store.root / "a") == ["2", "5", "current"]
    assert store.prune("a", 9) == ()


def test_prune_of_everything_is_refused(store):
    publish(store, "a", writer())
    with pytest.raises(UsageError, match="Keep 1 or more"):
        store.prune("a", 0)


# Hashes


def test_hashes_are_sha256_of_every_file_but_the_manifest(store):
    publish(store, "a", writer("abc"))
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_files(store.resolve("a")) == {"model.onnx": abc, "saved_model/graph.pb": abc}


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda folder: (folder / "model.onnx").write_text("weightz"), "'model.onnx' is damaged"),
        (lambda folder: (folder / "saved_model" / "graph.pb").unlink(), "'saved_model/graph.pb' is missing"),
        (lambda folder: (folder / "saved_model" / "x\n.so").touch(), r"'saved_model/x\\n.so' is not listed"),
        (lambda folder: (folder / "link").symlink_to("model.onnx"), "'link' is not a regular file"),
        (lambda folder: (folder / "dir").symlink_to("saved_model"), "'dir' is not a regular file"),
        (lambda folder: os.mkfifo(folder / "pipe"), "'pipe' is not a regular file"),
        (shutil.rmtree, "cannot be read"),
    ],
)
def test_verify_names_the_first_file_that_is_wrong(store, damage, fault):
    publish(store, "a", writer())
    folder = store.resolve("a")
    hashes = hash_files(folder)
    verify(folder, hashes)
    damage(folder)
    with pytest.raises(ArtifactError, match=fault):
        verify(folder, hashes)


def test_verify_reads_nothing_outside_the_folder(store):
    publish(store, "a", writer())
    folder = store.resolve("a")
    with pytest.raises(ArtifactError, match=r"'../../../secret' is missing"):
        verify(folder, {**hash_files(folder), "../../../secret": "0" * 64})


@pytest.mark.slow
def test_the_store_needs_the_standard_library_alone():
    code = "import sys, forecaster.serving.store; assert not {'numpy', 'pandas', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_rollback_removes_what_a_killed_one_left(tmp_path):
    store = Store(tmp_path / "models")
    for _ in range(2):
        stored(tmp_path / "models")
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    left = tmp_path / "models" / "m" / temporary_name().replace(f"-{os.getpid()}-", f"-{pid}-")
    left.write_text("1\n")
    store.rollback("m", 1)
    assert store.current("m") == 1 and not left.exists()
