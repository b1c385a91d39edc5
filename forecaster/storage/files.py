"""Files that are replaced whole or not at all, locks for their writers, and removal of what killed writers left.

The locks are our own: filelock 4.3 leaves the lock's file where it was when it is released, and raises on network disks that
have no locks. Its import takes 15 ms, which is 2 % of `predict --output FILE`; a lock takes 0.4 ms with either.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from forecaster.errors import LockError, UsageError
from forecaster.storage.addresses import is_remote, is_url
from forecaster.storage.file_access import access, created_like, user_name

try:
    import fcntl
except ImportError:  # Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

UNLOCKED: list[str] = []  # what this process has written without a lock, as the system has none; the command says so
POLL_SECONDS = 0.2  # between two attempts to take a lock
_UNFINISHED = re.compile(r"\.forecast-[0-9a-f]{12}-\d+-[0-9a-f]{8}\.part")  # what `whole_file` writes and then renames
MAX_LINKS = 40  # on the way to a file, as on Linux
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """A stream to a file beside `path` that replaces it at the end; nothing is left on failure. OSError.

    A URL is written as `storage.remote.whole` does it.

    Links are followed as far as the system would follow them: a link stays, and what it names is replaced.
    """
    if is_remote(path):
        from forecaster.storage.remote import whole

        with whole(str(path)) as stream:
            yield stream
        return
    path = Path(path)
    special = _is_special(path)
    if (descriptor := own_descriptor(path)) is not None:
        # What it stands for may be a file with other lines, which must not be replaced.
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            yield stream
        return
    if special:
        # A device or a pipe must not be replaced by a file; a folder refuses. The system itself follows the links.
        with os.fdopen(os.open(path, os.O_WRONLY), "wb") as stream:
            yield stream
        return
    target = followed(path)
    fresh = target.with_name(f"{_prefix(target)}-{os.getpid()}-{os.urandom(4).hex()}.part")
    with replacing(target, fresh) as stream:
        yield stream
    with suppress(OSError):  # where the system can
        sync(target.parent)


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Content as a whole file, text in UTF-8. UsageError where the system refuses."""
    with saying_why(path), whole_file(path) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(target: Path, fresh: Path) -> Iterator[IO[bytes]]:
    """A stream to the new file `fresh`, which is on the disk and renamed to `target` at the end, or removed on failure.

    It gets the owner, group, mode and ACL of the file that it replaces, as far as this user may give them. Both are in one
    folder; `sync` it, so that the rename is on the disk, too. OSError.
    """
    try:
        with created_like(target, fresh) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(target)
    except BaseException:
        with suppress(OSError):  # the first fault is the one to report
            fresh.unlink()
        raise


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
    """Whether there is a file; False also where the system does not say, as in a folder that may not be searched."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_unfinished(name: str) -> bool:
    """Whether a file of this name is what `whole_file` was writing when its run was killed, or is writing now."""
    return bool(_UNFINISHED.fullmatch(name))


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
def output_lock(output: str | Path, wait: float, warn: Callable[[str], None] | None = None) -> Iterator[None]:
    """Keep other runs from writing `output` until this one has; files that a killed run left beside it are removed.

    Nothing is locked for standard output ("-"), URLs, devices and pipes. LockError after `wait` seconds. `warn` gets a line where
    the output's owner, group, mode or ACL could not be kept.
    """
    with ExitStack() as stack:
        target = None
        with saying_why(output):
            if str(output) != "-" and not is_url(str(output)) and not _is_special(Path(output)):
                target = followed(Path(output))
                stack.enter_context(file_lock(target.with_name(f"{_prefix(target)}.lock"), wait, f"'{output}'"))
                # Only the holder of the lock writes this output, so no run needs these any more.
                for part in target.parent.glob(f"{_prefix(target)}-*.part"):
                    with suppress(FileNotFoundError, PermissionError):  # in a shared folder it may be another user's
                        part.unlink()
        before = access(target) if target else None
        yield
        if target and before and warn and (lost := before.lost(access(target))):
            warn(f"'{output}': {lost} could not be kept when the file was replaced.")


def replace_output(output: str | Path, content: str | bytes, warn: Callable[[str], None] | None = None) -> None:
    """Content as the whole file `output`, under its lock (`output_lock`). UsageError where the system refuses."""
    with output_lock(output, 0.0, warn):
        write_whole(output, content)


@contextmanager
def file_lock(lock: Path, wait: float, what: str) -> Iterator[None]:
    """Hold `lock`, a file that is there only while it is held (or its holder was killed).

    The system forgets the lock when the holder ends, however it ends. LockError that names `what` after `wait` seconds;
    OSError where the file cannot be made; UsageError where it is another user's and may not be opened, or cannot be
    removed. Where the system has no locks (Windows, some network disks) nothing is locked; see `UNLOCKED`.
    """
    if not HAS_LOCKS:
        UNLOCKED.append(what)
        yield
        return
    handle = _acquire(lock, time.monotonic() + wait, what)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # the first fault is the one to report
            _release(lock, handle)
        raise
    with refusals(f"'{lock}'", "The work was done; remove this lock file.", "removed"):
        _release(lock, handle)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of an existing folder for moments; waits until it is free. OSError where it cannot be opened.

    Where the system has no locks (Windows, some network disks) nothing is locked.
    """
    if not HAS_LOCKS:
        UNLOCKED.append(f"'{folder}'")
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            UNLOCKED.append(f"'{folder}'")
        yield
    finally:
        os.close(handle)


def followed(path: Path) -> Path:
    """`path`, of a file to write, with links followed. OSError for a circle, and for a link that the system would not follow.

    `Path.resolve` would follow these, too.
    """
    at, links = Path(path.absolute().anchor), 0
    left = [*reversed(path.absolute().parts[1:])]
    while left:
        part = left.pop()
        place = at.parent if part == ".." else at / part
        if not place.is_symlink():
            at = place
            continue
        links += 1
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        _refuse_link_of_another_user(place)
        named = place.readlink()
        at = Path(named.anchor) if named.is_absolute() else at
        left += reversed(named.parts[1:] if named.is_absolute() else named.parts)
    return at


@contextmanager
def saying_why(output: str | Path) -> Iterator[None]:
    """An OSError while writing `output`, "-" being standard output, as a UsageError that says why."""
    place = "standard output" if str(output) == "-" else f"'{output}'"
    with refusals(place, "Choose with --output a file in a folder that exists, can be written and has space."):
        yield


@contextmanager
def refusals(place: str, hint: str, done: str = "written") -> Iterator[None]:
    """An OSError as a UsageError that `place` cannot be `done`. A closed pipe is left to the caller."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"{place}: cannot be {done}: {reason(error)}.", hint) from error


def reason(error: OSError) -> str:
    """The system's own words for an error, for the middle of a message."""
    return (error.strerror or type(error).__name__).lower()


def _acquire(lock: Path, deadline: float, what: str) -> int:
    """A descriptor of the file that is at `lock` now, locked where the file system has locks."""
    while True:
        handle = _open_lock(lock)
        if _is_free(handle, what):
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), lock.lstat()):
                    return handle
            os.close(handle)  # the last holder removed the file between the opening and the locking
            continue
        os.close(handle)
        left = deadline - time.monotonic()
        if left <= 0:
            raise LockError(f"{what}: another run is writing it.", "Try again later, or wait for it with --wait 5m.")
        time.sleep(min(POLL_SECONDS, left))


def _open_lock(lock: Path) -> int:
    """A descriptor of the lock's file. UsageError that names its owner where another user has forbidden to open it."""
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
    except PermissionError as refused:
        # It may be another user's. To lock it, reading is enough: if no process holds it, it is taken over.
        with suppress(OSError):
            return os.open(lock, os.O_RDONLY | NO_LINK)
        try:
            owner = user_name(lock.lstat().st_uid)
        except OSError:
            raise refused from None  # there is no lock: no file can be made here
        raise UsageError(
            f"'{lock}': this lock belongs to {owner} and cannot be opened: {reason(refused)}.",
            f"If no run of {owner}'s is writing, remove the file or ask {owner} to.",
        ) from refused


def _release(lock: Path, handle: int) -> None:
    """Remove the lock's file, then close it. OSError where it is there and cannot be removed."""
    try:
        mine = os.fstat(handle).st_uid == os.geteuid()
        try:
            lock.unlink(missing_ok=True)
        except PermissionError:
            if mine:
                raise
            # Taken over from another user in a shared folder. It holds nobody, and only its owner can remove it.
    finally:
        os.close(handle)


def _is_free(handle: int, what: str) -> bool:
    """Whether nobody else holds the lock of an open file, which is locked then; True where there are no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        UNLOCKED.append(what)
    return True


def _is_special(path: Path) -> bool:
    """Whether there is something at `path` that is no file: a device, a pipe, a folder. OSError where the system does not say."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False
    except (RuntimeError, ValueError) as error:  # a NUL
        raise OSError(errno.EINVAL, "not a path") from error


def own_descriptor(path: Path) -> int | None:
    """The descriptor of this process that `/dev/stdout`, `/dev/fd/3` or a link to one names; None for any other path.

    Of standard error it is the one that `sys.stderr` writes to: the command line keeps libraries' logs off descriptor 2.
    OSError where standard output was closed: the command line has the null device there.
    """
    at = path.absolute()
    for _ in range(MAX_LINKS):
        if os.path.realpath(at.parent) in ("/dev/fd", f"/proc/{os.getpid()}/fd") and at.name.isdecimal():
            number = int(at.name)
            if number == 1 and sys.stdout is None:
                raise OSError(errno.EBADF, "it is closed")
            if number == 2:
                with suppress(OSError, ValueError, AttributeError):
                    number = sys.stderr.fileno()
            return number
        if not at.is_symlink():
            break
        at = at.parent / at.readlink()
    return None


def _refuse_link_of_another_user(link: Path) -> None:
    """OSError for a link that somebody else laid in a folder where all may write, as Linux (`protected_symlinks`) does."""
    folder = link.parent.stat()
    shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & stat.S_IWOTH
    if shared and link.lstat().st_uid not in (os.geteuid(), folder.st_uid):
        raise OSError(errno.EACCES, "a link of another user in a folder where all may write")


def _prefix(target: Path) -> str:
    """The prefix of the names of temporary files beside an output. It is short however long the output's name is."""
    return f".forecast-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}"
