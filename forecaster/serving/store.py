"""The model store: `<root>/<name>/<version>/`, and `<root>/<name>/current` with the number of the version that serves.

A version appears by a rename and `current` changes by a rename, so readers see whole versions only. A killed writer leaves
a folder `.new-*`, which the next writer removes. Reading writes nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from forecaster.errors import ArtifactError, ForecasterError, UsageError, masked, nearest, quoted
from forecaster.serving.integrity import MANIFEST
from forecaster.serving.version_folders import (
    CURRENT,
    VERSION,
    keep_highest,
    list_folder,
    remove_stale,
    rename_to_next,
    set_current,
    temporary_name,
    writing,
)
from forecaster.storage.addresses import REMOTE
from forecaster.storage.files import file_lock, folder_lock, reason, sync_tree

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_AT_URL = re.compile(rf"({'|'.join(sorted(REMOTE))}):/")  # a path has one slash where the URL had two
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")


@dataclass(frozen=True)
class UnpublishedVersion:
    """A version that readers cannot see yet."""

    folder: Path  # to fill; in the model's own folder, so that a rename makes it a version

    def publish(self, *, serves: bool = True) -> int:
        """Store the folder as the next version and return its number. It serves, unless `serves` is False.

        ValueError for an empty folder. Nothing may be written into the folder afterwards.
        """
        model = self.folder.parent
        if not list_folder(self.folder):  # a rename may replace an empty folder, so versions are never empty
            raise ValueError(f"no files were written for model '{model.name}'")
        sync_tree(self.folder)
        with folder_lock(model):
            version = rename_to_next(self.folder, model)
            if serves:
                set_current(model, version)
        return version


@dataclass(frozen=True)
class Store:
    """The models under a folder, which need not exist yet."""

    root: Path

    def __post_init__(self) -> None:
        if _AT_URL.match(str(self.root)):
            raise UsageError(
                f"{masked(str(self.root))}: models under a URL are only read, by predict, evaluate, explain and check.",
                "Name a folder with --models, and copy it there.",
            )

    def names(self) -> tuple[str, ...]:
        """The models that have a version, in alphabetical order."""
        return tuple(filter(self.has, list_folder(self.root)))

    def has(self, name: str) -> bool:
        """Whether there is a model of this name; False for a name that no model can have."""
        return bool(_NAME.fullmatch(name)) and self._contains(self.root / name) and bool(self.versions(name))

    def versions(self, name: str) -> tuple[int, ...]:
        """The versions of a model, oldest first; empty if there is no such model. UsageError for an impossible name."""
        folder = self._folder(name)
        found = (entry for entry in list_folder(folder) if VERSION.fullmatch(entry) and (folder / entry).is_dir())
        return tuple(sorted(int(entry) for entry in found))

    def current(self, name: str) -> int:
        """The version that serves. ArtifactError if there is no such model or nothing serves."""
        folder, why = self._folder(name), f"`{CURRENT}` names none"
        for _ in range(3):  # a writer may serve another version and prune this one between the two looks
            try:
                # A version has nine digits at most: a file that holds something else is not read whole.
                with (folder / CURRENT).open(encoding="ascii", errors="replace") as file:
                    text = file.read(32).strip()
            except OSError as error:
                why = reason(error)
                break
            if VERSION.fullmatch(text) and (folder / text).is_dir():
                return int(text)
        self._known(name)
        hint = f"Run `forecaster models rollback {name} VERSION` with one that is there."
        raise ArtifactError(f"model '{name}' has no version that serves: {why}.", hint)

    def serving(self, name: str) -> int | None:
        """The version that serves; None where none does, as `current` says it."""
        try:
            return self.current(name)
        except ArtifactError:
            return None

    def serves(self, name: str) -> bool:
        """Whether a version of the model has been chosen to serve: none has where every training was refused."""
        return (self._folder(name) / CURRENT).exists()

    def latest(self) -> tuple[str, int]:
        """The model that was trained last, by `created` in its latest manifest, and the version of it that serves.

        Models without a version that was chosen to serve are left out. ArtifactError if the store is empty, nothing serves or
        a manifest cannot be read.
        """
        names = self.names()
        if not names:
            raise ArtifactError(f"no model is stored in '{self.root}'.", "Run `forecaster train DATA` first.")
        # One whose `current` is damaged stays: another model must not answer for it.
        last = max(
            tuple(filter(self.serves, names)) or names,
            key=lambda name: _created(self._folder(name) / str(self.versions(name)[-1])),
        )
        return last, self.current(last)

    def resolve(self, reference: str | None = None) -> Path:
        """The folder of "name" (the version that serves), "name@version", or None (the model trained last).

        ArtifactError if it is not there or leads out of the store; UsageError for an impossible name or version.
        """
        if reference is None:
            name, version = self.latest()
        else:
            name, at, text = reference.partition("@")
            check_name(name)
            if at and not VERSION.fullmatch(text):
                raise UsageError(f"{quoted(text)} is not a version.", f"Versions are whole numbers, e.g. {name}@1.")
            version = self._version(name, int(text)) if at else self.current(name)
        folder = self._folder(name) / str(version)
        if not self._contains(folder):
            raise _leads_out(folder)
        return folder

    @contextmanager
    def new_version(self, name: str) -> Iterator[UnpublishedVersion]:
        """A draft of the model's next version, with an empty folder to fill.

        Unless the draft is published, its folder is removed: after an error the store is unchanged. UsageError if the
        store cannot be written.
        """
        folder = self._folder(name)
        fresh = folder / temporary_name()
        with writing(folder):
            fresh.mkdir(parents=True)
            try:
                remove_stale(folder)
                yield UnpublishedVersion(fresh)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)

    @contextmanager
    def training(self, name: str, wait: float) -> Iterator[None]:
        """Lock out other trainings of the same model, as they would overwrite each other's checkpoints for --resume.

        LockError after `wait` seconds; UsageError for an impossible name and where the store cannot be written.
        """
        self._folder(name)
        with ExitStack() as stack:
            with writing(self.root):
                if not self.root.exists():
                    self.root.mkdir(parents=True, exist_ok=True)
                    stack.callback(_remove_if_empty, self.root)
                stack.enter_context(file_lock(self.root / f".{name}.lock", wait, f"model '{name}'"))
            yield

    def rollback(self, name: str, version: int | None = None) -> int:
        """Serve `version`, or the latest one before the one that serves, and return it. ArtifactError if not there.

        A version that was refused when it was trained serves only if it is named.
        """
        if version is None:
            serving = self.current(name)
            before = [known for known in self.versions(name) if known < serving]
            older = [known for known in before if not _refused(self._folder(name) / str(known))]
            if not older:
                raise ArtifactError(f"model '{name}' has no version before {serving}.", self._listing(name))
            version = older[-1]
        folder = self._folder(name)
        self._known(name)
        with writing(folder), folder_lock(folder):
            set_current(folder, self._version(name, version))
            remove_stale(folder)
        return version

    def prune(self, name: str, keep: int) -> tuple[int, ...]:
        """Remove all but the latest `keep` versions and the one that serves. Returns those removed, oldest first."""
        if keep < 1:
            raise UsageError(f"cannot keep {keep} versions.", "Keep 1 or more.")
        folder = self._folder(name)
        self._known(name)
        with writing(folder), folder_lock(folder):
            serving = self.current(name)
            removed = tuple(version for version in self.versions(name)[:-keep] if version != serving)
            for version in removed:
                # Renamed first, so that no reader finds a part of a version.
                gone = folder / temporary_name()
                (folder / str(version)).rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
            remove_stale(folder)
        return removed

    def delete(self, reference: str) -> tuple[int, ...]:
        """Remove the version "name@version", or all of "name"; return the versions removed. ArtifactError if not there.

        UsageError for the version that serves, as long as others are there. LockError while a training of the model runs.
        """
        name, at, text = reference.partition("@")
        folder, versions = self._folder(name), self._known(name)
        if at and not VERSION.fullmatch(text):
            raise UsageError(f"{quoted(text)} is not a version.", f"Versions are whole numbers, e.g. {name}@1.")
        chosen = (self._version(name, int(text)),) if at else versions
        with self.training(name, 0.0), writing(folder):
            if chosen == versions:
                gone = self.root / temporary_name()
                folder.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
                remove_stale(self.root)
                return versions
            with folder_lock(folder):
                if self.serves(name) and self.current(name) in chosen:
                    hint = f"Run `forecaster models rollback {name} VERSION` first."
                    raise UsageError(f"{reference} serves.", hint)
                keep_highest(folder)
                gone = folder / temporary_name()
                (folder / str(chosen[0])).rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
        return chosen

    def _folder(self, name: str) -> Path:
        """The model's folder, there or not; ArtifactError if it leads out of the store."""
        folder = self.root / check_name(name)
        if not self._contains(folder):
            raise _leads_out(folder)
        return folder

    def _contains(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self.root.resolve())
        except RuntimeError:  # links in a circle, before Python 3.13
            return False

    def _known(self, name: str) -> tuple[int, ...]:
        """The versions of a model that is there; else ArtifactError with the nearest name."""
        versions = self.versions(name)
        if not versions:
            names = self.names()
            hint = nearest(name, names) if names else "Run `forecaster train DATA` first."
            raise ArtifactError(f"no model '{name}' is stored in '{self.root}'.", hint)
        return versions

    def _version(self, name: str, version: int) -> int:
        """`version` if it is there; else ArtifactError."""
        if version not in self._known(name):
            raise ArtifactError(f"model '{name}' has no version {version}.", self._listing(name))
        return version

    def _listing(self, name: str) -> str:
        latest = self.versions(name)[-10:]
        return f"Versions: {', '.join(map(str, latest))}."


def check_name(name: str) -> str:
    """`name` if it is a valid model name, which cannot lead out of the store; else UsageError."""
    if not _NAME.fullmatch(name):
        hint = "Use 1 to 100 letters, digits, '.', '_' and '-', not starting with '.' or '-'."
        raise UsageError(f"{quoted(name)} is not a model name.", hint)
    return name


def name_from_path(path: str) -> str:
    """A model name for a data file: its stem, with '-' for characters that a name cannot have; `stdin` for "-"."""
    if path == "-":
        return "stdin"
    file = Path(path)
    if file.suffix.lower() in _COMPRESSED:
        file = file.with_suffix("")
    # Accents are dropped, so that é becomes e and not '-'.
    plain = unicodedata.normalize("NFKD", file.stem).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._]+", "-", plain).lstrip(".-")[:100].rstrip(".-")
    return name or f"model-{hashlib.sha256(os.fsencode(file.stem)).hexdigest()[:8]}"


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # not empty
        folder.rmdir()


def _refused(folder: Path) -> bool:
    """Whether the version was refused when it was trained."""
    try:
        return bool(json.loads((folder / MANIFEST).read_text(encoding="utf-8")).get("refused"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _leads_out(path: Path) -> ForecasterError:
    return ArtifactError(f"'{path}' is a link that leads out of the model store.", "Copy the model into the store.")


def _created(folder: Path) -> tuple[datetime, int]:
    """When the version in `folder` was trained, and the file time of its manifest, which decides within a second."""
    path = folder / MANIFEST
    try:
        written = path.stat().st_mtime_ns
        # Python 3.10 does not read the Z of UTC.
        text = json.loads(path.read_text(encoding="utf-8"))["created"].replace("Z", "+00:00")
        created = datetime.fromisoformat(text)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        hint = "Name the model with --model NAME."
        raise ArtifactError(f"'{path}': the time of training cannot be read.", hint) from error
    return created if created.tzinfo else created.replace(tzinfo=timezone.utc), written
