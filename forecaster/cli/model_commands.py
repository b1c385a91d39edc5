"""The commands of `models`: list, show, roll back, prune, delete, export and import stored models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecaster.cli.typer_adapter import Argument, Command
from forecaster.config import ImportSettings, PruneSettings, StoreOptions, StoreSettings
from forecaster.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forecaster.cli.console import Console
    from forecaster.serving.store import Store


def _list(settings: StoreSettings, console: Console) -> None:
    """List the stored models: the version of each that serves, when it was trained, its rows, its score and its method."""
    from forecaster.serving.inventory import COLUMNS, serving_versions

    models = serving_versions(_store(settings))
    if console.json:
        console.result({"models": models})
    elif models:
        console.table(list(COLUMNS), [[row[column] for column in COLUMNS] for row in models])
    else:
        console.note(f"No model is stored in '{settings.models}'. Run `forecaster train DATA` first.")


def _show(settings: StoreSettings, console: Console, model: str | None) -> None:
    """Show a stored model: its data, what it serves, its scores and its plan. With --json the whole manifest."""
    import json

    folder = _store(settings).resolve(model)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{folder}/manifest.json: cannot be read ({error}).", "Train the model again.") from None
    if console.json:
        console.result(manifest)
    else:
        _print_model(folder, manifest, console)


def _rollback(settings: StoreSettings, console: Console, name: str, version: str | None) -> None:
    """Let an older version of a model serve again: VERSION, or the one before the current."""
    if version is not None and not version.isdecimal():
        raise UsageError(f"'{version}' is not a version.", f"See `forecaster models show {name}`.")
    serves = _store(settings).rollback(name, None if version is None else int(version))
    if console.json:
        console.result({"model": name, "serves": serves})
    else:
        console.line(f"{name}@{serves} serves.")


def _prune(settings: PruneSettings, console: Console, name: str) -> None:
    """Remove old versions of a model. The version that serves is kept."""
    removed = _store(settings).prune(name, settings.keep)
    if console.json:
        console.result({"model": name, "removed": removed})
    else:
        console.line(f"{name}: removed {', '.join(map(str, removed)) or 'nothing'}.")


def _delete(settings: StoreSettings, console: Console, model: str) -> None:
    """Remove NAME@VERSION, which must not serve, or with NAME all versions of a model."""
    removed = _store(settings).delete(model)
    name = model.partition("@")[0]
    if console.json:
        console.result({"model": name, "removed": removed})
    else:
        console.line(f"{name}: removed {', '.join(map(str, removed))}.")


def _export(settings: StoreSettings, console: Console, model: str, file: str) -> None:
    """Write the version that serves, or NAME@VERSION, as one tar file for another host."""
    from pathlib import Path

    from forecaster.serving.model_archive import export

    named = export(_store(settings), model, Path(file), console.warn)
    if console.json:
        console.result({"model": named, "output": file})
    else:
        console.line(f"{named} written to {file}")


def _import(settings: ImportSettings, console: Console, file: str) -> None:
    """Store the version in a tar file of `models export` as the next one, after checking all of it."""
    from pathlib import Path

    from forecaster.serving.model_archive import import_version

    name, version = import_version(_store(settings), Path(file), serves=settings.serve)
    serves = settings.serve and _store(settings).serving(name) == version
    if console.json:
        console.result({"model": name, "version": version, "serves": serves})
    else:
        console.line(f"{name}@{version} {'serves' if serves else 'is stored and does not serve'}.")


def _store(settings: StoreOptions) -> Store:
    from pathlib import Path

    from forecaster.serving.store import Store

    return Store(Path(settings.models))


def _print_model(folder: Path, raw: object, console: Console) -> None:
    """What the manifest says in words; where it is damaged, what it holds."""
    from forecaster.serving.inventory import described
    from forecaster.serving.manifest import read_manifest
    from forecaster.serving.plan_rows import plan_lines

    try:
        manifest = read_manifest(folder)
    except ArtifactError as error:
        console.warn(error.message)
        console.table(["key", "value"], list(_flat(raw)))
        return
    console.table(["model", f"{manifest.name}@{folder.name}"], described(manifest))
    if manifest.metrics:
        console.line()
        scores = list(next(iter(manifest.metrics.values())))
        rows = [[who, *(found.get(score) for score in scores)] for who, found in manifest.metrics.items()]
        console.table(["test windows", *scores], rows)
    console.line()
    for line in plan_lines(manifest.plan):
        console.line(line)


def _flat(tree: object, name: str = "") -> Iterator[tuple[str, object]]:
    """The leaves of nested objects and lists of objects, by dotted name."""
    if isinstance(tree, list) and any(isinstance(item, dict) for item in tree):
        tree = dict(enumerate(tree, 1))
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, tree


NAME = Argument("name", "Name of a stored model.", required=True, model=True)
REFERENCE = Argument("model", "NAME or NAME@VERSION (default: the model trained last).", model=True)

NAMED = Argument("model", "NAME or NAME@VERSION.", required=True, model=True)

COMMANDS = (
    Command("list", StoreSettings, _list),
    Command("show", StoreSettings, _show, (REFERENCE,)),
    Command("rollback", StoreSettings, _rollback, (NAME, Argument("version", "Version to serve."))),
    Command("prune", PruneSettings, _prune, (NAME,)),
    Command("delete", StoreSettings, _delete, (NAMED,)),
    Command("export", StoreSettings, _export, (NAMED, Argument("file", "Tar file to write.", required=True))),
    Command("import", ImportSettings, _import, (Argument("file", "Tar file of `models export`.", required=True),)),
)
