"""The stored versions of all models as rows, for `models list` and Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from forecaster.errors import ArtifactError
from forecaster.serving.manifest import read_manifest
from forecaster.serving.store import Store

COLUMNS = ("model", "version", "serves", "trained", "rows", "series", "horizon", "MASE", "served")

Row: TypeAlias = "Mapping[str, str | int | float | bool | None]"


def stored_versions(store: Store) -> list[Row]:
    """A row of COLUMNS for each version, models in alphabetical order and the latest version first.

    `trained` is in UTC; `MASE` is that of the test windows, None where there are none. A version whose manifest cannot be read
    says so in `served`.
    """
    return [
        _row(store, name, version) for name in store.names() for version in sorted(store.versions(name), reverse=True)
    ]


def _row(store: Store, name: str, version: int) -> Row:
    serves = store.current(name) == version
    head: dict[str, str | int | float | bool | None] = {"model": name, "version": version, "serves": serves}
    try:
        found = read_manifest(store.root / name / str(version))
    except ArtifactError as error:
        return {**head, **dict.fromkeys(COLUMNS[3:-1]), "served": f"damaged: {error.message}"}
    return {
        **head,
        "trained": found.created[:16].replace("T", " "),
        "rows": found.data.rows,
        "series": found.data.series_count,
        "horizon": found.horizon,
        "MASE": found.metrics.get("model", {}).get("mase"),
        "served": found.served,
    }
