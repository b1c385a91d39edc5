"""A store of models under a URL: the version that is asked for is copied to this machine once, and used from there.

The copy is in the user's folder for caches. Its hashes are checked at every use, as those of any version.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from forecaster.errors import ArtifactError, UsageError, masked
from forecaster.serving.integrity import MANIFEST
from forecaster.serving.version_folders import CURRENT, temporary_name
from forecaster.storage.addresses import is_remote, without_secrets
from forecaster.storage.files import reason, sync_tree
from forecaster.storage.remote import faults, file_system

S = TypeVar("S")

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")  # of a path in a store: it cannot lead out of it


def at_hand(settings: S) -> S:
    """Settings with `models` and `model`; where `models` is a URL, those of a copy on this machine, with its version.

    ArtifactError where there is no such model, or it cannot be fetched.
    """
    models, model = str(getattr(settings, "models", "")), getattr(settings, "model", None)
    if not is_remote(models) or model == "pretrained":
        return settings
    folder, reference = fetched(models, model)
    return replace(settings, models=str(folder), model=reference)  # type: ignore[type-var]


def fetched(models: str, reference: str | None) -> tuple[Path, str]:
    """The folder of a store on this machine, and the version in it that `reference` names in the store at a URL."""
    place, root = file_system(models, ArtifactError)
    with faults(models, ArtifactError):
        name, number = _resolved(place, root.rstrip("/"), models, reference)
        manifest = place.cat_file(f"{root.rstrip('/')}/{name}/{number}/{MANIFEST}")
        local = _cache(models)
        folder = local / name / number
        if not folder.is_dir() or (folder / MANIFEST).read_bytes() != manifest:
            _copy(place, f"{root.rstrip('/')}/{name}/{number}", folder)
    return local, f"{name}@{number}"


def _resolved(place: Any, root: str, models: str, reference: str | None) -> tuple[str, str]:
    """Name and version of what is asked for: the version that serves; without a name, of the model trained last."""
    name, _, number = (reference or "").partition("@")
    if not name:
        found = [_created(place, root, one) for one in _names(place, root)]
        if not found:
            raise ArtifactError(f"{masked(models)}: no model is stored there.", "Check --models.")
        return max(found)[1:]
    if not _PART.fullmatch(name) or not place.exists(f"{root}/{name}/{CURRENT}"):
        raise ArtifactError(f"{masked(models)}: there is no model '{name}'.", "Check --models and --model.")
    number = number or _current(place, root, name)
    if not number.isdecimal() or not place.exists(f"{root}/{name}/{number}/{MANIFEST}"):
        raise ArtifactError(f"{masked(models)}: model '{name}' has no version '{number}'.", "Check --model.")
    return name, number


def _names(place: Any, root: str) -> list[str]:
    """The models that have a version that serves."""
    names = [str(entry).rstrip("/").rpartition("/")[2] for entry in place.ls(root, detail=False)]
    return [name for name in names if _PART.fullmatch(name) and place.exists(f"{root}/{name}/{CURRENT}")]


def _current(place: Any, root: str, name: str) -> str:
    return str(place.cat_file(f"{root}/{name}/{CURRENT}").decode().strip())


def _created(place: Any, root: str, name: str) -> tuple[str, str, str]:
    """When the version of a model that serves was trained, its name and the version."""
    number = _current(place, root, name)
    return str(json.loads(place.cat_file(f"{root}/{name}/{number}/{MANIFEST}"))["created"]), name, number


def _cache(models: str) -> Path:
    """The folder of the copies of one store."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "forecaster" / "stores" / hashlib.sha256(without_secrets(models).encode()).hexdigest()[:16]


def _copy(place: Any, source: str, folder: Path) -> None:
    """Copy a version to `folder`, which appears whole."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = folder.parent / temporary_name()
        try:
            for entry in place.find(source):
                parts = str(entry)[len(str(place._strip_protocol(source))) + 1 :].split("/")
                if not all(map(_PART.fullmatch, parts)):
                    raise ArtifactError(f"{entry}: this is no file of a model.", "Store the model again.")
                target = fresh.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                place.get_file(entry, str(target))
            sync_tree(fresh)
            if folder.is_dir():  # another version had this number before
                shutil.rmtree(folder)
            if not folder.is_dir():
                fresh.replace(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith(str(folder.parent)):
            raise
        raise UsageError(
            f"'{folder.parent}': the model cannot be kept there: {reason(error)}.",
            "Set XDG_CACHE_HOME to another folder.",
        ) from error
