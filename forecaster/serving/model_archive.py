"""A stored version as one tar file, for another host: written from the store, and checked before it is stored there."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from forecaster.errors import ArtifactError, UsageError, quoted
from forecaster.serving.integrity import MANIFEST, verify
from forecaster.serving.manifest import manifest_from, read_manifest
from forecaster.serving.store import check_name
from forecaster.storage.files import output_lock, reason, saying_why, whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forecaster.serving.manifest import Manifest
    from forecaster.serving.store import Store

MAX_FILES = 10_000
MAX_BYTES = 4 << 30  # of all files
MAX_MANIFEST_BYTES = 64 << 20
CHUNK_BYTES = 1 << 20
_PLACE = re.compile(r"(?P<model>[^/]+)/(?P<version>[1-9][0-9]{0,8})/(?P<file>[^\0]+)")
_HINT = "Export the model again with `forecaster models export`."


def export(store: Store, reference: str | None, path: Path, warn: Callable[[str], None] | None = None) -> str:
    """Write a version as the tar file `path`, and return its "name@version". The same version gives the same bytes.

    `warn` as in `output_lock`.

    ArtifactError where the version is missing or damaged; UsageError where the file cannot be written.
    """
    folder = store.resolve(reference)
    verify(folder, dict(read_manifest(folder).files))
    place = f"{folder.parent.name}/{folder.name}"
    if path.resolve().is_relative_to(store.root.resolve()):
        raise UsageError(f"'{path}' is in the model store.", "Choose a file elsewhere.")
    with (
        output_lock(path, 0.0, warn),
        saying_why(path),
        whole_file(path) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        # The manifest first, so that an import knows at once what to expect.
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        for file in sorted(files, key=lambda one: one.name != MANIFEST):
            entry = tarfile.TarInfo(f"{place}/{file.relative_to(folder).as_posix()}")
            entry.size, entry.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                archive.addfile(entry, content)
    return place.replace("/", "@")


def import_version(store: Store, path: Path, *, serves: bool = True) -> tuple[str, int]:
    """Store the version in a tar file as the model's next one; return the name and the number. It serves unless it was refused.

    Every file is checked by hash and the manifest by its fields before anything is written to the store. ArtifactError for a
    file that holds anything else; UsageError where it cannot be read.
    """
    name, manifest = _checked(path)
    with store.training(name, 0.0), store.new_version(name) as draft:
        try:
            with tarfile.open(path, "r:") as archive:
                for _, file, content in _files(archive, path):
                    target = draft.folder / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as stream:
                        shutil.copyfileobj(content, stream, CHUNK_BYTES)
        except tarfile.TarError as error:
            raise _refused(path, f"is damaged ({error})") from error
        verify(draft.folder, dict(manifest.files))  # the tar file may have been replaced since it was checked
        if read_manifest(draft.folder) != manifest:
            raise _refused(path, "changed while it was read")
        return name, draft.publish(serves=serves and not manifest.refused)


def _checked(path: Path) -> tuple[str, Manifest]:
    """The model's name and the manifest; ArtifactError where anything but the files that it lists is there."""
    hashes: dict[str, str] = {}
    names = set()
    text = b""
    try:
        with tarfile.open(path, "r:") as archive:
            for name, file, content in _files(archive, path):
                names.add(name)
                if file in hashes:
                    raise _refused(path, f"has {quoted(file)} twice")
                if file == MANIFEST:
                    text = content.read(MAX_MANIFEST_BYTES + 1)
                    if len(text) > MAX_MANIFEST_BYTES:
                        raise _refused(path, "has a manifest without end")
                    hashes[file] = ""
                else:
                    hashes[file] = _hash(content)
    except tarfile.TarError as error:
        raise _refused(path, f"is no tar file of a model ({error})") from error
    except OSError as error:
        raise UsageError(f"'{path}': cannot be read: {reason(error)}.", "Name a file of `models export`.") from error
    if len(names) != 1 or hashes.pop(MANIFEST, None) is None:
        raise _refused(path, "is no model: it has no manifest")
    manifest = manifest_from(text, f"'{path}': {MANIFEST}", _HINT)
    name = check_name(names.pop())
    if manifest.name != name:
        raise _refused(path, f"is {quoted(manifest.name)} by its manifest and '{name}' by its folder")
    if wrong := sorted(set(hashes.items()) ^ set(manifest.files.items())):
        raise _refused(path, f"{quoted(wrong[0][0])} is not the file that the manifest lists")
    return name, manifest


def _files(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[str, str, IO[bytes]]]:
    """Model, relative path and content of each file. ArtifactError for links, devices, paths that lead out, and too much."""
    count = total = 0
    places = set()
    for entry in archive:
        count, total = count + 1, total + entry.size
        if count > MAX_FILES or total > MAX_BYTES:
            raise _refused(path, "is larger than a model")
        found = _PLACE.fullmatch(entry.name)
        if not entry.isreg() or entry.issparse() or not found:
            raise _refused(path, f"has {quoted(entry.name)}, which is no file of a model")
        parts = found["file"].split("/")
        if any(part in ("", ".", "..") or "\\" in part or ":" in part for part in parts):
            raise _refused(path, f"has {quoted(entry.name)}, which leads out of the model")
        places.add((found["model"], found["version"]))
        content = archive.extractfile(entry)
        if len(places) > 1 or content is None:
            raise _refused(path, "has more than one version")
        yield found["model"], found["file"], content


def _hash(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := content.read(CHUNK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _refused(path: Path, why: str) -> ArtifactError:
    return ArtifactError(f"'{path}' {why}.", _HINT)
