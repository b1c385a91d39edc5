"""SHA-256 of the files of a stored version, and the check that they are unchanged."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from forecaster.errors import ArtifactError, quoted
from forecaster.storage.files import reason

MANIFEST = "manifest.json"  # lists the hashes of a version's other files, so it has none itself
DAMAGED = "Train again, or serve another version with `forecaster models rollback`."


def hash_files(folder: Path) -> dict[str, str]:
    """Relative path with '/' -> SHA-256 in hex, for every file below `folder` but its manifest, in path order.

    ArtifactError where a file cannot be read, and for a link or special file: a link may change after it was hashed.
    """
    found: dict[str, str] = {}
    try:
        for path in sorted(_walk(folder)):
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or not path.is_file():
                raise ArtifactError(f"'{folder}': {quoted(relative)} is not a regular file.", DAMAGED)
            if relative != MANIFEST:
                found[relative] = _hash(path)
    except OSError as error:
        raise ArtifactError(f"'{folder}': cannot be read: {reason(error)}.") from error
    return found


def verify(folder: Path, hashes: dict[str, str]) -> None:
    """ArtifactError naming the first file that is missing, damaged, or not in `hashes` (as of `hash_files`)."""
    found = hash_files(folder)
    for path in sorted(hashes.keys() | found.keys()):
        if path not in found:
            fault = "is missing"
        elif path not in hashes:
            fault = "is not listed in the manifest"
        elif found[path] != hashes[path]:
            fault = "is damaged: its SHA-256 is not the manifest's"
        else:
            continue
        raise ArtifactError(f"'{folder}': {quoted(path)} {fault}.", DAMAGED)


def verify_file(folder: Path, name: str, digest: str) -> None:
    """ArtifactError where one file is missing, or its SHA-256 is not this one; the others are not looked at."""
    try:
        found = _hash(folder / name)
    except OSError as error:
        raise ArtifactError(f"'{folder}': {quoted(name)} cannot be read: {reason(error)}.", DAMAGED) from error
    if found != digest:
        raise ArtifactError(f"'{folder}': {quoted(name)} is damaged: its SHA-256 is not the manifest's.", DAMAGED)


def _walk(folder: Path) -> Iterator[Path]:
    """Every path below `folder` that is not a folder. Links are not followed."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path)


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
