"""The graphs of a stored version, opened: that which serves, and that whose weights have not seen the test windows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from forecaster.serving.integrity import verify
from forecaster.serving.manifest import TEST_WEIGHTS, Manifest
from forecaster.serving.runtime import RUNTIMES, Runtime, StoredRuntime


def load_runtime(folder: Path, manifest: Manifest, runtime: str, threads: int = 0, device: str = "cpu") -> Runtime:
    """The serving graph, whose forecasts are within the limits, though not rounded.

    ArtifactError where a file's hash is not the manifest's, or the graph does not load.
    """
    verify(folder, dict(manifest.files))
    part, make = RUNTIMES[runtime]
    return _as_stored(make(folder / part, threads, device), manifest)


def load_test_weights(folder: Path, manifest: Manifest, threads: int = 0, device: str = "cpu") -> Runtime:
    """The graph whose weights have not seen the test windows. ArtifactError as in `load_runtime`."""
    verify(folder, dict(manifest.files))
    return open_test_weights(folder, manifest, threads, device)


def open_test_weights(folder: Path, manifest: Manifest, threads: int = 0, device: str = "cpu") -> Runtime:
    """The same graph without a check of the hashes, for files that this process has just written."""
    part, make = RUNTIMES["onnx"]
    path = folder / (part if manifest.serves_tested_weights else TEST_WEIGHTS)
    return _as_stored(make(path, threads, device), manifest)


def _as_stored(graph: Runtime, manifest: Manifest) -> StoredRuntime:
    """The graph with the shape and the limits of its manifest.

    Only what is served is rounded, except in models of format 1.
    """
    limits = manifest.limits if manifest.format == 1 else replace(manifest.limits, integer=False)
    return StoredRuntime(graph, manifest.horizon, 1 + len(manifest.quantiles), limits)
