"""Which series a model was trained on, and the last timestamp that it had of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.panel import fingerprint
from forecaster.data.series_sample import only
from forecaster.serving.integrity import verify_file

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.serving.manifest import Manifest
    from forecaster.serving.open_model import Opened
    from forecaster.typing import IntArray

ENDS = "ends.npz"  # the last timestamp of each series, where series end at different times or are a sample


def write_ends(folder: Path, panel: Panel) -> None:
    """Write the last timestamp of each series, where these differ or are a sample's. Write the manifest afterwards."""
    last = panel.last_timestamps
    if len(np.unique(last)) > 1 or panel.sample:
        np.savez_compressed(folder / ENDS, names=np.array([*map(str, panel.series)], dtype=np.str_), last=last)


def trained_until(folder: Path, manifest: Manifest, names: Sequence[str]) -> IntArray:
    """[N] the last timestamp that the training had of each of these series; of a new series, of the whole panel.

    ArtifactError where the file is damaged.
    """
    known = _stored_ends(folder, manifest)
    return np.array([known.get(str(name), manifest.data.last) for name in names], np.int64)


def as_in_training(opened: Opened, panel: Panel) -> Panel:
    """The series that the model was trained on, where the panel is the data that they were sampled from; else the panel.

    ArtifactError where the file is damaged.
    """
    if opened.manifest.data.sample is None:
        return panel
    known = _stored_ends(opened.folder, opened.manifest)
    chosen = np.flatnonzero([str(name) in known for name in panel.series])
    taken = only(panel, chosen) if len(chosen) else panel
    return taken if fingerprint(taken) == opened.manifest.data.sha256 else panel


def _stored_ends(folder: Path, manifest: Manifest) -> dict[str, int]:
    """What `write_ends` wrote, if it wrote."""
    if ENDS not in manifest.files:
        return {}
    verify_file(folder, ENDS, manifest.files[ENDS])
    with np.load(folder / ENDS, allow_pickle=False) as stored:
        return dict(zip(stored["names"].tolist(), stored["last"].tolist(), strict=True))
