"""The quantiles that `predict` returns: calibrated ones, or the network's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.target_limits import Limits
from forecaster.errors import UsageError
from forecaster.serving.calibration_file import load_calibration
from forecaster.serving.conformal import Calibration
from forecaster.serving.manifest import Manifest

if TYPE_CHECKING:
    from forecaster.config import PredictSettings
    from forecaster.serving.raw_forecasts import RawForecasts
    from forecaster.typing import FloatArray


@dataclass(frozen=True)
class QuantileSource:
    """The quantile levels of a forecast, and how their values are made from a raw one."""

    levels: tuple[float, ...]  # of the forecast, ascending
    trained: tuple[float, ...]  # of the graph
    season_length: int
    calibration: Calibration | None  # None: the network's own quantiles
    limits: Limits

    def answer(self, raw: RawForecasts) -> FloatArray:
        """[W, H, 1 + len(levels)] the point forecasts and the quantiles of W windows."""
        point = raw.values[:, :, :1]
        if self.calibration:
            scale = raw.scale(self.season_length)
            found = self.calibration.quantiles(raw.values, scale, raw.names, self.levels, raw.lead)
            return np.concatenate([point, self.limits.hold(found)], axis=2)
        return raw.values[:, :, [0, *(1 + self.trained.index(level) for level in self.levels)]]

    def samples(self, raw: RawForecasts, count: int | None) -> FloatArray | None:
        """[W, H, count] sample paths; None where `count` is. UsageError where the model has no errors to draw from."""
        if count is None:
            return None
        if not self.calibration or not self.calibration.whole.any():
            raise UsageError(
                "--samples: this model has no errors of whole test windows.",
                "Leave it out, and --no-calibrate too, or train again with more rows.",
            )
        known = self.calibration.horizon
        horizon = raw.values.shape[1]
        if horizon > known:
            raise UsageError(
                f"--samples: the model has errors of {known} steps only.", f"Give --horizon {known} or less."
            )
        scale = raw.scale(self.season_length)
        return self.limits.hold(self.calibration.samples(raw.values, scale, raw.names, count, raw.lead))


def quantile_source(folder: Path, manifest: Manifest, settings: PredictSettings) -> QuantileSource:
    """The quantiles that the version in `folder` gives with these settings.

    UsageError for a level that it cannot give, and for --calibrate where it has no calibration.
    """
    stored = None if settings.calibrate is False else load_calibration(folder, manifest)
    if settings.calibrate and not stored:
        raise UsageError(
            f"--calibrate: this version of {manifest.name} has no calibration.",
            "Leave it out, or train again with enough rows for test windows.",
        )
    levels = manifest.quantiles if settings.quantiles is None else settings.quantiles
    for level in levels:
        _refuse_unknown(level, manifest.quantiles, stored)
    return QuantileSource(
        levels=levels,
        trained=manifest.quantiles,
        season_length=manifest.data.season_length,
        calibration=stored,
        limits=manifest.limits,
    )


def _refuse_unknown(level: float, trained: tuple[float, ...], calibration: Calibration | None) -> None:
    if calibration:
        low, high = float(calibration.levels[0]), float(calibration.levels[-1])
        if not low <= level <= high:
            raise UsageError(f"quantile {level:g} is not within {low:g} and {high:g}.", "Give another level.")
    elif level not in trained:
        names = ", ".join(f"{one:g}" for one in trained) or "none"
        raise UsageError(
            f"quantile {level:g} is neither calibrated nor trained (trained: {names}).",
            f"Train with --quantiles {level:g}.",
        )
