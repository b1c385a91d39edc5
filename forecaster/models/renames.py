"""Folders and files that appear whole: a temporary name, fsync, a rename; a lock for the moment of the rename."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forecaster.errors import ArtifactError, LockError, UsageError

CURRENT = "current"
STALE_SECONDS = 86_400.0  # no artifact takes a day to write
VERSION = re.compile(r"[1-9][0-9]{0,8}")
_TEMPORARY = re.compile(r"\.new-(?P<pid>[0-9]{1,9})-[0-9a-f]+@(?P<host>.*)")


def reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def entries(folder: Path) -> list[str]:
    """What is in `folder`, in alphabetical order; nothing where there is no folder."""
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return []
        raise ArtifactError(f"'{folder}': cannot be read: {reason(error)}.") from error


def temporary_name() -> str:
    """A new name for what is not whole yet; it says who writes it."""
    return f".new-{os.getpid()}-{os.urandom(4).hex()}@{_here()}"


def _here() -> str:
    """This host and its process namespace: where a process id means anything."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return re.sub(r"[^A-Za-z0-9.]", "", platform.node()[:60] + namespace)


def remove_stale(folder: Path) -> None:
    """Remove what killed writers left: their process is gone from this host, or a day has passed."""
    for name in entries(folder):
        if not name.startswith(".new-"):
            continue
        path, writer = folder / name, _TEMPORARY.fullmatch(name)
        with suppress(OSError):  # another writer may be removing it too
            dead = writer is not None and writer["host"] == _here() and not _alive(int(writer["pid"]))
            if not dead and time.time() - path.lstat().st_mtime < STALE_SECONDS:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # signal 0 is no question elsewhere
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's process
    return True


def rename_to_next(fresh: Path, folder: Path) -> int:
    """Rename `fresh` to the next free version, the one after if another writer was quicker, and return it."""
    for _ in range(1000):
        version = max((int(entry) for entry in entries(folder) if VERSION.fullmatch(entry)), default=0) + 1
        try:
            fresh.rename(folder / str(version))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
        else:
            _sync(folder)
            return version
    raise LockError(f"'{folder}': too many others are storing versions.", "Try again later.")


def set_current(folder: Path, version: int) -> None:
    fresh = folder / temporary_name()
    try:
        with fresh.open("x", encoding="ascii") as file:
            file.write(f"{version}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / CURRENT)
    finally:
        fresh.unlink(missing_ok=True)
    _sync(folder)


def sync_tree(folder: Path) -> None:
    """Put `folder` and all below it on the disk, so that the rename never outlives what it names."""
    for parent, _, files in os.walk(folder):
        for path in (*(Path(parent) / file for file in files), Path(parent)):
            _sync(path)


def _sync(path: Path) -> None:
    if os.name != "posix" and path.is_dir():
        return  # only POSIX opens folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What the system refuses while the store is written is the caller's to mend, not a bug."""
    try:
        yield
    except OSError as error:
        hint = "Free the space, or choose a folder that can be written with --models."
        raise UsageError(f"'{folder}': cannot be written: {reason(error)}.", hint) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other writers out while a version and `current` change together, so that `current` never goes back.

    Only renames happen inside, so nobody waits long. Without locks (Windows, some network disks) versions stay whole.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
