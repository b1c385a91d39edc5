"""calibration.npz: a version's calibration as plain arrays."""

from __future__ import annotations

import hashlib
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from forecaster.errors import ArtifactError
from forecaster.serving.conformal import Calibration, even_weights

if TYPE_CHECKING:
    from forecaster.serving.manifest import Manifest

CALIBRATION = "calibration.npz"


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Write calibration.npz. Write the manifest afterwards, as it lists the file's hash."""
    names = np.array(list(calibration.factors), dtype=np.str_)
    np.savez_compressed(
        folder / CALIBRATION,
        levels=calibration.levels,
        offsets=calibration.offsets,
        names=names,
        factors=np.array(list(calibration.factors.values()), np.float64),
        errors=calibration.errors.astype(np.float32),
        age=calibration.age,
        counts=np.array([calibration.windows, calibration.separate], np.int64),
    )


def load_calibration(folder: Path, manifest: Manifest) -> Calibration | None:
    """The calibration of the version in `folder`; None where it has none. ArtifactError where it is damaged."""
    if CALIBRATION not in manifest.files:
        return None
    path = folder / CALIBRATION
    try:
        raw = path.read_bytes()
        if hashlib.sha256(raw).hexdigest() != manifest.files[CALIBRATION]:
            raise ValueError("not what was written")
        with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
            windows, separate = stored["counts"].tolist()
            # Earlier releases stored whole windows only, as `paths`, without their age.
            errors = stored["errors" if "errors" in stored else "paths"].astype(np.float64)
            return Calibration(
                levels=stored["levels"],
                offsets=stored["offsets"],
                factors=dict(zip(stored["names"].tolist(), stored["factors"].tolist(), strict=True)),
                errors=errors,
                weights=even_weights(len(errors), separate),
                age=stored["age"] if "age" in stored else np.zeros(len(errors)),
                windows=windows,
                separate=separate,
            )
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, BadZipFile, zlib.error) as error:
        raise ArtifactError(f"{path}: damaged.", "Train again, or roll back.") from error
