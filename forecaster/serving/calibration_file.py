"""calibration.npz: a version's calibration as plain arrays."""

from __future__ import annotations

import hashlib
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from forecaster.errors import ArtifactError
from forecaster.serving.conformal import Calibration, even_weights
from forecaster.serving.quantile_columns import FORMAT_1, QuantileColumns

if TYPE_CHECKING:
    from forecaster.serving.manifest import Manifest
    from forecaster.typing import FloatArray

CALIBRATION = "calibration.npz"


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Write calibration.npz. Write the manifest afterwards, as it lists the file's hash."""
    names = np.array(list(calibration.factors), dtype=np.str_)
    arrays: dict[str, Any] = dict(
        levels=calibration.levels,
        offsets=calibration.offsets,
        names=names,
        factors=np.array(list(calibration.factors.values()), np.float64),
        errors=calibration.errors.astype(np.float32),
        age=calibration.age,
        counts=np.array([calibration.windows, calibration.separate], np.int64),
        **_shape_arrays(calibration),
    )
    np.savez_compressed(folder / CALIBRATION, **arrays)


def _shape_arrays(calibration: Calibration) -> dict[str, FloatArray]:
    """What the columns of a forecast are; nothing for a model of format 1."""
    shape = calibration.shape
    if not shape.centred:
        return {}
    point = np.nan if shape.point_level is None else shape.point_level
    return {
        "shape": np.array(shape.levels),
        "point_level": np.array(point),
        "cutoffs": np.array(calibration.cutoffs),
        "reach": np.array(calibration.reach),
    }


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
            shape, cutoffs, reach = FORMAT_1, 0, np.inf
            if "shape" in stored:  # since format 2
                point = float(stored["point_level"])
                shape = QuantileColumns(tuple(stored["shape"].tolist()), None if np.isnan(point) else point)
                cutoffs = int(stored["cutoffs"])
                reach = float(stored["reach"]) if "reach" in stored else np.inf
            found = Calibration(
                levels=stored["levels"].astype(np.float64),
                offsets=stored["offsets"].astype(np.float64),
                factors=dict(zip(stored["names"].tolist(), stored["factors"].tolist(), strict=True)),
                errors=errors,
                weights=even_weights(len(errors), separate),
                age=stored["age"].astype(np.float64) if "age" in stored else np.zeros(len(errors)),
                windows=windows,
                separate=separate,
                shape=shape,
                cutoffs=cutoffs,
                reach=reach,
            )
        _refuse_wrong(found, manifest.horizon)
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _damaged(path) from error
    except (BadZipFile, zlib.error, NotImplementedError, RuntimeError, OverflowError, MemoryError) as error:
        raise _damaged(path) from error  # zipfile's faults: other compressions, a password, sizes that nobody has
    return found


def _damaged(path: Path) -> ArtifactError:
    return ArtifactError(f"{path}: damaged.", "Train again, or roll back.")


def _refuse_wrong(found: Calibration, horizon: int) -> None:
    """ValueError for arrays that no calibration has, though they are stored as what was written."""
    levels, offsets, errors = found.levels, found.offsets, found.errors
    _refuse_wrong_shape(found.shape)
    if levels.ndim != 1 or len(levels) < 2 or not (np.diff(levels) > 0).all() or not 0 < levels[0] < levels[-1] < 1:
        raise ValueError("levels")
    if offsets.shape != (len(levels), horizon) or not np.isfinite(offsets).all():
        raise ValueError("offsets")
    if (np.diff(offsets, axis=0) < 0).any():
        raise ValueError("offsets that cross")
    if errors.ndim != 2 or errors.shape[1] != offsets.shape[1] or np.isinf(errors).any():
        raise ValueError("errors")
    if found.age.shape != (len(errors),) or not np.isfinite(found.age).all():
        raise ValueError("age")
    if not found.reach >= 0.0:
        raise ValueError("reach")
    if not all(isinstance(name, str) for name in found.factors):
        raise ValueError("names")
    if not all(isinstance(factor, float) and 0 < factor < np.inf for factor in found.factors.values()):
        raise ValueError("factors")
    if not all(isinstance(count, int) and count >= 0 for count in (found.windows, found.separate)):
        raise ValueError("counts")


def _refuse_wrong_shape(shape: QuantileColumns) -> None:
    """ValueError for columns of a forecast that no network has."""
    levels, point = shape.levels, shape.point_level
    if not all(isinstance(level, float) and 0 < level < 1 for level in levels) or list(levels) != sorted({*levels}):
        raise ValueError("shape")
    if point is not None and not 0 < point < 1:
        raise ValueError("point level")
