"""Files under URLs that fsspec knows: read, listed, and written whole or not at all.

An object store shows an upload when it is complete, and not before. On other file systems a file is written under another
name and renamed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any

from forecaster.errors import DataError, ForecasterError, UsageError, install_hint, masked
from forecaster.storage.addresses import scheme, with_variables

AT_ONCE = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "memory"}
)  # show whole uploads only
READ_ONLY = frozenset({"http", "https"})
_MAX_REASON = 240  # characters of a library's own words


def file_system(url: str, fault: type[ForecasterError] = DataError) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. UsageError where a library for it is missing."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError(
            f"{masked(url)}: reading URLs needs fsspec, which is not installed.", install_hint("remote")
        ) from None
    try:
        # What others have written since must be seen, so nothing that was listed is kept.
        found, path = url_to_fs(
            with_variables(url), **({"use_listings_cache": False} if scheme(url) in ("s3", "s3a") else {})
        )
    except ImportError as error:
        raise UsageError(f"{masked(url)}: {error}.", "Install the library that it names with pip.") from None
    except ValueError as error:
        raise UsageError(f"{masked(url)}: {error}.", "Expected e.g. s3://BUCKET/FILE.csv.") from None
    except ForecasterError:
        raise
    except Exception as error:
        raise refused(url, error, fault) from None
    found.invalidate_cache()
    return found, path


@contextmanager
def opened(url: str) -> Iterator[IO[bytes]]:
    """A stream of a file's bytes. DataError of one line where it cannot be read."""
    place, path = file_system(url)
    with faults(url, DataError), place.open(path, "rb") as stream:
        yield stream


@contextmanager
def faults(url: str, fault: type[ForecasterError]) -> Iterator[None]:
    """What fsspec's libraries raise as a `fault` of one line without secrets: each has classes of its own."""
    try:
        yield
    except (ForecasterError, MemoryError):
        raise
    except Exception as error:
        raise refused(url, error, fault) from None


def refused(url: str, error: Exception, fault: type[ForecasterError]) -> ForecasterError:
    """The `fault` for an error of a library."""
    if isinstance(error, FileNotFoundError):
        return fault(f"{masked(url)}: no such file.", "Check the URL.")
    if isinstance(error, PermissionError):
        return fault(f"{masked(url)}: access is not permitted.", "Check the credentials in the environment.")
    words = masked(" ".join(str(error).split()) or type(error).__name__)
    words = words if len(words) <= _MAX_REASON else words[:_MAX_REASON] + "…"
    return fault(f"{masked(url)}: {words.rstrip('.')}.", "Check the URL, the credentials and the connection.")


def read_bytes(url: str) -> bytes:
    """A whole file. DataError where it cannot be read."""
    with opened(url) as stream:
        return stream.read()


@contextmanager
def whole(url: str) -> Iterator[IO[bytes]]:
    """A stream to a file that appears, or replaces the one that is there, when the block ends well. OSError, UsageError."""
    if scheme(url) in READ_ONLY:
        raise UsageError(f"{masked(url)}: nothing can be written there.", "Name a file, or a URL of an object store.")
    place, path = file_system(url, UsageError)
    with tempfile.NamedTemporaryFile(prefix=".forecast-") as stream:
        yield stream
        stream.flush()
        try:
            _upload(place, path, stream.name, scheme(url))
        except ForecasterError:
            raise
        except Exception as error:
            raise OSError(
                errno.EIO, refused(url, error, UsageError).message.partition(f"{masked(url)}: ")[2].rstrip(".")
            ) from error


def _upload(place: Any, path: str, local: str, protocol: str) -> None:
    """Copy a local file to a path. A stream of fsspec would store what it has when it is closed after a fault."""
    if protocol == "memory":
        place.pipe_file(path, Path(local).read_bytes())
        return
    if protocol in AT_ONCE:
        place.put_file(local, path)
        return
    own = PurePosixPath(path)
    fresh = str(own.with_name(f".forecast-{os.getpid()}-{os.urandom(4).hex()}.part"))
    try:
        place.put_file(local, fresh)
        place.mv(fresh, path)
    except BaseException:
        with suppress(Exception):
            place.rm(fresh)
        raise


def is_there(url: str) -> bool:
    """Whether there is a file. DataError where the server does not say."""
    place, path = file_system(url)
    with faults(url, DataError):
        return bool(place.isfile(path))


def state(url: str) -> str:
    """A text that changes when a file does: of its tag, size and time, or of its content where a server has none."""
    place, path = file_system(url)
    with faults(url, DataError):
        if scheme(url) in READ_ONLY:
            return hashlib.sha256(place.cat_file(path)).hexdigest()
        return str(place.ukey(path))
