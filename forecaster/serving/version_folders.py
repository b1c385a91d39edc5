"""A folder of numbered versions. Each appears whole, by a rename; the file `current` names the one that serves.

No number is used again while the folder is there: ledgers and outputs know a version by it. Where a version was deleted, the
file `highest` has the highest number so far.

A killed writer leaves a folder `.new-*`, which the next writer removes.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from forecaster.errors import ArtifactError, LockError
from forecaster.storage.files import reason, refusals, replacing, sync

CURRENT = "current"
HIGHEST = "highest"
STALE_SECONDS = 86_400.0  # no artifact takes a day to write
VERSION = re.compile(r"[1-9][0-9]{0,8}")
_TEMPORARY = re.compile(r"\.new-(?P<pid>[0-9]{1,9})-[0-9a-f]+@(?P<host>.*)")


def list_folder(folder: Path) -> list[str]:
    """Names in `folder`, in alphabetical order; empty where there is no folder."""
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return []
        raise ArtifactError(f"'{folder}': cannot be read: {reason(error)}.") from error


def temporary_name() -> str:
    """A new name for a folder or file that is being written. It names the writer's process and host."""
    return f".new-{os.getpid()}-{os.urandom(4).hex()}@{_here()}"


def _here() -> str:
    """This host and its process namespace, within which a process id is unique."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return re.sub(r"[^A-Za-z0-9.]", "", platform.node()[:60] + namespace)


def remove_stale(folder: Path) -> None:
    """Remove what killed writers left: their process no longer runs on this host, or a day has passed."""
    for name in list_folder(folder):
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
        return True  # on Windows signal 0 is Ctrl-C and not a test
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's process
    return True


def rename_to_next(fresh: Path, folder: Path) -> int:
    """Rename `fresh` to the next version number and return it. LockError where others take every number first."""
    for _ in range(1000):
        version = _highest(folder) + 1
        try:
            fresh.rename(folder / str(version))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
        else:
            sync(folder)
            return version
    raise LockError(f"'{folder}': too many others are storing versions.", "Try again later.")


def set_current(folder: Path, version: int) -> None:
    """Make `version` the one that serves."""
    _write_number(folder / CURRENT, version)


def keep_highest(folder: Path) -> None:
    """Note the highest number so far, before a version is deleted, so that no other version gets it."""
    _write_number(folder / HIGHEST, _highest(folder))


def _highest(folder: Path) -> int:
    """The highest number that a version has or had; 0 for none."""
    try:
        with (folder / HIGHEST).open(encoding="ascii", errors="replace") as file:
            noted = file.read(32).strip()
    except OSError:
        noted = ""
    return max((int(text) for text in (*list_folder(folder), noted) if VERSION.fullmatch(text)), default=0)


def _write_number(path: Path, number: int) -> None:
    with replacing(path, path.parent / temporary_name()) as file:
        file.write(f"{number}\n".encode("ascii"))
    sync(path.parent)


def writing(folder: Path) -> AbstractContextManager[None]:
    """UsageError, not a bug, for an OSError while the store is written: no space, no permission."""
    return refusals(f"'{folder}'", "Free the space, or choose a folder that can be written with --models.")
