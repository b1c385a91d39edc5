"""Outputs are whole or absent, one run at a time writes each, and what a killed run left is removed by the next."""

from __future__ import annotations

import errno
import os
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from forecaster.errors import LockError, UsageError
from forecaster.serving.store import Store
from forecaster.storage.file_access import ACL
from forecaster.storage.files import file_lock, folder_lock, output_lock, replacing, saying_why, whole_file, write_whole

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
        "import os, sys\nfrom pathlib import Path\nfrom forecaster.storage.files import output_lock, whole_file\n"
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

    unlocked: list[str] = []
    monkeypatch.setattr("forecaster.storage.files.UNLOCKED", unlocked)
    monkeypatch.setattr("fcntl.flock", refuse)
    with output_lock(tmp_path / "a.csv", 0.0), output_lock(tmp_path / "a.csv", 0.0), folder_lock(tmp_path):
        write_whole(tmp_path / "a.csv", "a")
    assert str(tmp_path / "a.csv") in unlocked[0]
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


OTHER, ANOTHER = 54_321, 54_322  # users that nobody is
needs_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="changes owners")


@contextmanager
def acting_as(user):
    """Touch files as another user."""
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared():
    """A folder where all may write, as /tmp is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o1777)
        yield folder


def owned(path, user, mode=0o644, text="old"):
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, user, user)
    return path


@needs_root
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_replaced_file_keeps_owner_group_and_mode(shared, mode):
    output, lines = owned(shared / "out.csv", OTHER, mode), []
    with output_lock(output, 0.0, lines.append):
        write_whole(output, "new")
    found = output.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (OTHER, OTHER, mode)
    assert output.read_text() == "new" and lines == []


@needs_root
def test_one_line_says_what_could_not_be_kept(tmp_path, shared):
    shared.chmod(0o777)
    output, lines = owned(shared / "out.csv", OTHER, 0o666), []
    with acting_as(ANOTHER), output_lock(output, 0.0, lines.append):
        write_whole(output, "new")
    (line,) = lines
    assert f"owner user {OTHER} (now user {ANOTHER})" in line and "group" in line and str(output) in line


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="Linux keeps access control lists in extended attributes")
def test_a_replaced_file_keeps_its_access_control_list(tmp_path):
    # Version 2; entries of a tag, rights and an id: owner rw-, user 54321 rw-, group ---, mask rw-, others ---.
    entries = [(1, 6, 2**32 - 1), (2, 6, OTHER), (4, 0, 2**32 - 1), (16, 6, 2**32 - 1), (32, 0, 2**32 - 1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    output = tmp_path / "out.csv"
    output.write_text("old")
    try:
        os.setxattr(output, ACL, acl)
    except OSError:
        pytest.skip("this file system has no access control lists")
    lines = []
    with output_lock(output, 0.0, lines.append):
        write_whole(output, "new")
    assert os.getxattr(output, ACL) == acl and lines == []


def test_a_new_file_is_not_open_to_all_before_it_has_the_rights_of_the_old(tmp_path):
    output = tmp_path / "out.csv"
    output.write_text("old")
    output.chmod(0o600)
    with whole_file(output) as stream:
        assert stat.S_IMODE(os.fstat(stream.fileno()).st_mode) == 0o600
        stream.write(b"new")
    assert stat.S_IMODE(output.stat().st_mode) == 0o600


@needs_root
@pytest.mark.parametrize("place", ["out.csv", "deep/out.csv"])
def test_a_link_of_another_user_in_a_shared_folder_is_not_followed(tmp_path, shared, place):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "out.csv").write_text("precious")
    link = shared / place.partition("/")[0]
    link.symlink_to(victim / "out.csv" if link.name == "out.csv" else victim)
    os.chown(link, OTHER, OTHER, follow_symlinks=False)
    with pytest.raises(UsageError, match="a link of another user"):
        write_whole(shared / place, "new")
    with pytest.raises(UsageError, match="a link of another user"), output_lock(shared / place, 0.0):
        pass
    assert (victim / "out.csv").read_text() == "precious"
    os.chown(link, 0, 0, follow_symlinks=False)  # my own link is followed
    write_whole(shared / place, "new")
    assert (victim / "out.csv").read_text() == "new" and link.is_symlink()


@needs_root
def test_a_lock_that_another_user_left_is_taken_over(shared):
    output = shared / "out.csv"
    with acting_as(OTHER), output_lock(output, 0.0):
        (lock,) = shared.glob(".forecast-*.lock")
        with acting_as(0), pytest.raises(LockError), output_lock(output, 0.0):
            pass
        os.link(lock, shared / "kept")
    (shared / "kept").rename(lock)  # as a kill would have left it
    for _ in range(2):
        with acting_as(ANOTHER), output_lock(output, 0.0):
            write_whole(output, "new")
    assert output.read_text() == "new" and lock.exists()  # only its owner may remove it


@needs_root
def test_a_lock_that_may_not_be_opened_is_named_with_its_owner(shared):
    output = shared / "out.csv"
    with output_lock(output, 0.0):
        (lock,) = shared.glob(".forecast-*.lock")
    owned(lock, OTHER, 0o600)
    with acting_as(ANOTHER), pytest.raises(UsageError) as caught, output_lock(output, 0.0):
        pass
    assert str(lock) in str(caught.value) and f"user {OTHER}" in str(caught.value)


FAULTS = [errno.EIO, errno.EROFS, errno.EACCES]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lock_that_cannot_be_removed_is_a_fault_of_one_line(tmp_path, monkeypatch, fault):
    output = tmp_path / "out.csv"
    monkeypatch.setattr(Path, "unlink", refusing(fault))
    with pytest.raises(UsageError, match=os.strerror(fault).lower()), output_lock(output, 0.0):
        write_whole(output, "new")
    assert output.read_text() == "new"


@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_fault_is_told_and_not_that_of_cleaning_up(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(Path, "unlink", refusing(fault))
    with pytest.raises(ZeroDivisionError), output_lock(tmp_path / "out.csv", 0.0), whole_file(tmp_path / "out.csv"):
        raise ZeroDivisionError
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(UsageError, match="no space left"), saying_why("out.csv"), whole_file(tmp_path / "out.csv"):
        raise full


def refusing(fault):
    def refuse(*given, **options):
        raise OSError(fault, os.strerror(fault))

    return refuse


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no /dev/fd")
def test_a_pipe_that_is_named_as_a_file_is_written_to(tmp_path):
    reader, writer = os.pipe()
    with output_lock(f"/dev/fd/{writer}", 0.0):
        write_whole(Path(f"/dev/fd/{writer}"), "new")
    os.close(writer)
    assert os.read(reader, 10) == b"new"
    os.close(reader)
