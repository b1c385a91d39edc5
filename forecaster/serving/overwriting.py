"""No command writes over what it reads: refused before anything is read, by device and inode, so through links, too."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from forecaster.data.reading.file_set import is_file_set
from forecaster.errors import ArtifactError, UsageError
from forecaster.serving.open_model import open_model
from forecaster.serving.store import Store
from forecaster.storage.addresses import is_url, shown, what_it_names


def refuse_overwriting(outputs: Mapping[str, object], inputs: Mapping[str, object], models: str | None = None) -> None:
    """UsageError where an output is an input, another output, or a part of a model in the store `models`.

    Both map what people call a file to its path. What is no path is passed over: None, "-" and data frames.
    """
    _refuse_same_url(outputs, inputs)
    written = {name: Path(path) for name, path in outputs.items() if isinstance(path, (str, Path)) and _is_path(path)}
    read = {name: Path(path) for name, path in inputs.items() if isinstance(path, (str, Path)) and _is_path(path)}
    for name, path in written.items():
        for other, source in read.items():
            if same_file(path, source):
                raise UsageError(f"{name} '{path}' is {other}, which it would overwrite.", "Name another file.")
            if _is_read_with(path, source):
                raise UsageError(f"{name} '{path}' would be read as {other} the next time.", "Name a file elsewhere.")
        if models is not None and (model := _model_around(path, Path(models))):
            hint = f"Name a file outside of '{models}'."
            raise UsageError(f"{name} '{path}' is in the model store, in model '{model}'.", hint)
    for (name, path), (other, twin) in combinations(written.items(), 2):
        if same_file(path, twin):
            raise UsageError(f"{name} and {other} both name '{path}'.", "Rename one.")


def _is_path(named: str | Path) -> bool:
    return str(named) != "-" and not is_url(named)


def _refuse_same_url(outputs: Mapping[str, object], inputs: Mapping[str, object]) -> None:
    """UsageError where an output is a table or a file elsewhere that is also an input or another output."""
    written, read = (
        {
            name: (place, what_it_names(place))
            for name, place in some.items()
            if isinstance(place, str) and is_url(place)
        }
        for some in (outputs, inputs)
    )
    for name, (place, named) in written.items():
        for other, (_, source) in read.items():
            if named == source:
                raise UsageError(f"{name} '{shown(place)}' is {other}, which it would overwrite.", "Name another.")
    for (name, (place, named)), (other, (_, twin)) in combinations(written.items(), 2):
        if named == twin:
            raise UsageError(f"{name} and {other} both name '{shown(place)}'.", "Rename one.")


def trained_on(models: str, model: str | None) -> str | None:
    """The file that a stored model was trained on, which is read where no data is given; None where it is unknown."""
    try:
        path = open_model(models, model).manifest.data.path
    except (ArtifactError, UsageError):
        return None  # the command itself says so
    return path if Path(path).is_absolute() or is_url(path) else None


def same_file(one: Path, other: Path) -> bool:
    """Whether both are one regular file, or would be if it were there."""
    try:
        found, twin = one.stat(), other.stat()
    except (OSError, ValueError):
        return _resolved(one) == _resolved(other)
    return stat.S_ISREG(found.st_mode) and os.path.samestat(found, twin)


def _is_read_with(path: Path, source: Path) -> bool:
    """Whether a file to write would be one of the pieces of the data, in a folder or by a glob."""
    if not is_file_set(source):
        return False
    place = _resolved(path)
    if source.is_dir():
        return _resolved(source) in place.parents
    return place.match(str(_resolved(source)))


def _model_around(path: Path, root: Path) -> str | None:
    """The model of the store `root` whose folder has `path` in it, or is it; None where there is none."""
    place = _resolved(path)
    for folder in (place, *place.parents):
        if _is_folder(folder.parent, root) and Store(root).has(folder.name):
            return folder.name
    return None


def _is_folder(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.stat(), other.stat())
    except (OSError, ValueError):
        return False


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, a NUL: writing it will say so
        return path
