"""Files that are replaced whole or not at all, locks for their writers, and removal of what killed writers left.

The locks are our own: filelock 4.3 leaves the lock's file where it was when it is released, and raises on network disks that
have no locks. Its import takes 15 ms, which is 2 % of `predict --output FILE`; a lock takes 0.4 ms with either.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from forecaster.errors import LockError, UsageError

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

POLL_SECONDS = 0.2  # between two attempts to take a lock


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A stream to a file beside `path` that replaces it at the end; nothing is left on failure. OSError."""
    target = _target(path)
    if target.exists() and not target.is_file():
        with target.open("wb") as stream:  # a device or a pipe must not be replaced by a file; a folder refuses
            yield stream
        return
    fresh = target.with_name(f"{_prefix(target)}-{os.getpid()}-{os.urandom(4).hex()}.part")
    with replacing(target, fresh) as stream:
        with suppress(OSError):  # the new file has the permissions of the old one
            fresh.chmod(stat.S_IMODE(target.stat().st_mode))
        yield stream
    with suppress(OSError):  # where the system can
        sync(target.parent)


def write_whole(path: Path, text: str) -> None:
    """Text as a whole file. UsageError where the system refuses."""
    with saying_why(path), whole_file(path) as stream:
        stream.write(text.encode())


@contextmanager
def replacing(target: Path, fresh: Path) -> Iterator[IO[bytes]]:
    """A stream to the new file `fresh`, which is on the disk and renamed to `target` at the end, or removed on failure.

    Both are in one folder; `sync` it, so that the rename is on the disk, too. OSError.
    """
    try:
        with fresh.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Put a file's content, or a folder's entries, on the disk. OSError."""
    if os.name != "posix" and path.is_dir():
        return  # only POSIX opens folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Put `folder` and all below it on the disk, so that a rename of it never outlives what it names. OSError."""
    for parent, _, files in os.walk(folder):
        for path in (*(Path(parent) / file for file in files), Path(parent)):
            sync(path)


def is_file(path: str | Path) -> bool:
    """Whether there is a file; False also where nobody can tell, as in a folder that may not be searched."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def keeps_apart(folder: Path, one: str, other: str) -> bool:
    """Whether files of these names in `folder` are two files. File systems may ignore case, or how letters are composed.

    A file is made for a moment. UsageError where it cannot be.
    """
    common = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    place = f".forecast-{os.getpid()}-{os.urandom(4).hex()}"
    tried, twin = (folder / f"{place}-{name[common : common + 40]}" for name in (one, other))
    with saying_why(folder):
        tried.touch()
        try:
            return not twin.exists()
        finally:
            tried.unlink()


@contextmanager
def output_lock(output: str | Path, wait: float) -> Iterator[None]:
    """Keep other runs from writing `output` until this one has; files that a killed run left beside it are removed.

    Nothing is locked for standard output ("-"), devices and pipes. LockError after `wait` seconds.
    """
    with ExitStack() as stack:
        with saying_why(output):
            target = None if str(output) == "-" else _target(Path(output))
            if target and (target.is_file() or not target.exists()):
                stack.enter_context(file_lock(target.with_name(f"{_prefix(target)}.lock"), wait, f"'{output}'"))
                # Only the holder of the lock writes this output, so no run needs these any more.
                for part in target.parent.glob(f"{_prefix(target)}-*.part"):
                    part.unlink(missing_ok=True)
        yield


@contextmanager
def file_lock(lock: Path, wait: float, what: str) -> Iterator[None]:
    """Hold `lock`, a file that is there only while it is held (or its holder was killed).

    The system forgets the lock when the holder ends, however it ends. LockError that names `what` after `wait` seconds;
    OSError where the file cannot be made. Where the system has no locks (Windows, some network disks) nothing is locked.
    """
    if not HAS_LOCKS:
        yield
        return
    handle = _acquire(lock, time.monotonic() + wait, what)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of an existing folder for moments; waits until it is free. OSError where it cannot be opened.

    Where the system has no locks (Windows, some network disks) nothing is locked.
    """
    if not HAS_LOCKS:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def saying_why(output: str | Path) -> Iterator[None]:
    """An OSError while writing `output`, "-" being standard output, as a UsageError that says why."""
    place = "standard output" if str(output) == "-" else f"'{output}'"
    with refusals(place, "Choose with --output a file in a folder that exists, can be written and has space."):
        yield


@contextmanager
def refusals(place: str, hint: str) -> Iterator[None]:
    """An OSError as a UsageError that `place` cannot be written. A closed pipe is left to the caller."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"{place}: cannot be written: {reason(error)}.", hint) from error


def reason(error: OSError) -> str:
    """The system's own words for an error, for the middle of a message."""
    return (error.strerror or type(error).__name__).lower()


def _acquire(lock: Path, deadline: float, what: str) -> int:
    """A descriptor of the file that is at `lock` now, locked where the file system has locks."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        if _is_free(handle):
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), lock.stat()):
                    return handle
            os.close(handle)  # the last holder removed the file between the opening and the locking
            continue
        os.close(handle)
        left = deadline - time.monotonic()
        if left <= 0:
            raise LockError(f"{what}: another run is writing it.", "Try again later, or wait for it with --wait 5m.")
        time.sleep(min(POLL_SECONDS, left))


def _is_free(handle: int) -> bool:
    """Whether nobody else holds the lock of an open file, which is locked then; True where there are no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True


def _target(path: Path) -> Path:
    """`path` with links followed: a link stays, and what it names is replaced."""
    try:
        target = path.resolve()
    except (RuntimeError, ValueError) as error:  # links in a circle, before Python 3.13; a NUL
        raise OSError(errno.EINVAL, "not a path") from error
    if target.is_symlink():  # in a circle, from Python 3.13 on
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _prefix(target: Path) -> str:
    """The prefix of the names of temporary files beside an output. It is short however long the output's name is."""
    return f".forecast-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}"
