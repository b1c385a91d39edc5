"""Outputs are whole or absent, one run at a time writes each, and what a killed run left is removed by the next."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from forecaster.errors import LockError, UsageError
from forecaster.files import file_lock, folder_lock, output_lock, replacing, whole_file, write_whole
from forecaster.serving.store import Store

ROOT = Path(__file__).parent.parent


def test_a_second_writer_is_refused_and_one_that_waits_gets_its_turn(tmp_path):
    output = tmp_path / "out.csv"
    with output_lock(output, 0.0):
        with pytest.raises(LockError, match=r"out\.csv': another run is writing it"), output_lock(output, 0.0):
            pass
        with output_lock(tmp_path / "other.csv", 0.0):
            pass
    holder = threading.Thread(target=lambda: _hold(output, 0.5))
    holder.start()
    time.sleep(0.1)
    with output_lock(output, 10.0):
        pass
    holder.join()
    assert list(tmp_path.iterdir()) == []


def _hold(output, seconds):
    with output_lock(output, 0.0):
        time.sleep(seconds)


def test_a_link_and_what_it_names_have_one_lock(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    with output_lock(tmp_path / "real.csv", 0.0), pytest.raises(LockError), output_lock(tmp_path / "link.csv", 0.0):
        pass


@pytest.mark.slow
def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom forecaster.files import output_lock, whole_file\n"
        "path = Path(sys.argv[1])\n"
        "with output_lock(path, 0.0), whole_file(path) as stream:\n    stream.write(b'half')\n    os.kill(os.getpid(), 9)\n"
    )
    output = tmp_path / "out.csv"
    output.write_text("old")
    assert subprocess.run([sys.executable, "-c", program, str(output)], cwd=ROOT, check=False).returncode == -9
    assert len(list(tmp_path.iterdir())) == 3 and output.read_text() == "old"
    with output_lock(output, 0.0):
        write_whole(output, "new")
    assert list(tmp_path.iterdir()) == [output] and output.read_text() == "new"


def test_leftovers_of_other_outputs_are_left_alone(tmp_path):
    with output_lock(tmp_path / "a.csv", 0.0), whole_file(tmp_path / "a.csv") as stream:
        stream.write(b"a")
        with output_lock(tmp_path / "b.csv", 0.0):
            write_whole(tmp_path / "b.csv", "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv"]


def test_standard_output_and_devices_are_not_locked():
    with output_lock("-", 0.0), output_lock("/dev/null", 0.0), output_lock("/dev/null", 0.0):
        pass


def test_a_missing_folder_is_refused_before_any_work(tmp_path):
    with (
        pytest.raises(UsageError, match=r"out\.csv': cannot be written: no such file"),
        output_lock(tmp_path / "no" / "out.csv", 0.0),
    ):
        pytest.fail("it was locked")


def test_a_lock_that_its_holder_removes_while_another_opens_it_is_taken_anew(tmp_path):
    taken = []

    def work():
        for _ in range(50):
            with file_lock(tmp_path / "x.lock", 20.0, "x"):
                taken.append(None)
                assert taken.pop() is None and not taken

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(tmp_path.iterdir()) == []


def test_where_the_disk_has_no_locks_nothing_is_locked_and_nothing_stays(tmp_path, monkeypatch):
    def refuse(_handle, _flags):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with output_lock(tmp_path / "a.csv", 0.0), output_lock(tmp_path / "a.csv", 0.0), folder_lock(tmp_path):
        write_whole(tmp_path / "a.csv", "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_folder_s_lock_waits_for_the_other_holder(tmp_path):
    order = []

    def second():
        with folder_lock(tmp_path):
            order.append("second")

    with folder_lock(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_file_that_fails_half_way_stays_as_it_was_and_one_that_is_replaced_keeps_its_mode(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")
    path.chmod(0o640)
    with pytest.raises(ZeroDivisionError), replacing(path, tmp_path / "new") as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    write_whole(path, "new")
    assert path.read_text() == "new" and (os.name != "posix" or stat.S_IMODE(path.stat().st_mode) == 0o640)


def test_two_trainings_of_one_model_exclude_each_other_and_two_models_do_not(tmp_path):
    store = Store(tmp_path / "models")
    with store.training("a", 0.0):
        with pytest.raises(LockError, match="model 'a'"), store.training("a", 0.0):
            pass
        with store.training("b", 0.0):
            pass
    assert list(tmp_path.iterdir()) == []  # a store without a model is not left
