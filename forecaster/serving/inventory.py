"""The stored versions of all models as rows, for `models list`, `models show` and Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from forecaster.data.freq import Freq, format_timestamps
from forecaster.errors import ArtifactError, counted
from forecaster.serving.manifest import Manifest, read_manifest
from forecaster.serving.store import Store

VERSION_COLUMNS = ("model", "version", "serves", "trained", "rows", "series", "horizon", "MASE", "served")
COLUMNS = ("model", "serves", "trained", "rows", "series", "horizon", "MASE", "served", "versions")

UNKNOWN = dict.fromkeys(("trained", "rows", "series", "horizon", "MASE"))

Value: TypeAlias = "str | int | float | bool | tuple[int, ...] | None"
Row: TypeAlias = "Mapping[str, Value]"


def stored_versions(store: Store) -> list[Row]:
    """A row of VERSION_COLUMNS for each version, models in alphabetical order and the latest version first.

    `serves` is False for all where none serves. `trained` is in UTC; `MASE` is that of the test windows, None where there are
    none. A version whose manifest cannot be read says so in `served`.
    """
    return [
        {"model": name, "version": version, "serves": serves == version, **_facts(store, name, version)}
        for name in store.names()
        for serves in (store.serving(name),)
        for version in sorted(store.versions(name), reverse=True)
    ]


def serving_versions(store: Store) -> list[Row]:
    """A row of COLUMNS for each model: the version that serves, and the numbers of all versions.

    Where none serves, as after a training that was refused, `serves` is None and `served` says so.
    """
    return [
        {"model": name, "serves": serves, **facts, "versions": store.versions(name)}
        for name in store.names()
        for serves in (store.serving(name),)
        for facts in (_facts(store, name, serves) if serves else {**UNKNOWN, "served": "nothing: no version serves"},)
    ]


def _facts(store: Store, name: str, version: int) -> dict[str, Value]:
    """What the manifest says, or that it cannot be read."""
    try:
        found = read_manifest(store.root / name / str(version))
    except ArtifactError as error:
        return {**UNKNOWN, "served": f"damaged: {error.message}"}
    return {
        "trained": _minute(found),
        "rows": found.data.rows,
        "series": found.data.series_count,
        "horizon": found.horizon,
        "MASE": found.metrics.get("model", {}).get("mase"),
        "served": found.served,
    }


def described(manifest: Manifest) -> list[tuple[str, str]]:
    """What a stored model is, in lines for people."""
    data = manifest.data
    freq = Freq.parse(data.freq)
    first, last = (str(text) for text in format_timestamps(np.array([data.first, data.last]), freq, data.zone))
    covariates = ", ".join(one.name for one in manifest.covariates)
    lines = [
        ("serves", manifest.served),
        ("trained", f"{_minute(manifest)} UTC, on {data.path}"),
        ("data", f"{data.rows:,} rows of {data.series_count:,} series, {first} to {last}"),
        *([("sample", f"trained on {data.sample.words}, as --max-rows asks")] if data.sample else []),
        ("target", f"{data.target or 'the value columns'}; timestamp {data.timestamp}"),
        ("frequency", f"{data.freq}, season length {data.season_length}"),
        ("covariates", covariates or "none"),
        ("horizon", f"{manifest.horizon} steps, from the latest {manifest.context_length} rows"),
        ("quantiles", ", ".join(f"{level:g}" for level in manifest.quantiles) or "none"),
        ("parameters", f"{manifest.parameters:,} in {counted(len(manifest.members), 'network')}"),
        ("libraries", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
    ]
    return [*lines, ("refused", str(manifest.refused))] if manifest.refused else lines


def _minute(manifest: Manifest) -> str:
    return manifest.created[:16].replace("T", " ")
