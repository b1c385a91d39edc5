"""Theta and exponential smoothing by statsforecast, where it is installed: baselines fitted to each window by itself.

Sources: Assimakopoulos & Nikolopoulos 2000 (Theta, which won the M3 competition); Hyndman et al. 2008 (ETS, chosen by AICc).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.models.baselines import Baseline, seasonal_naive

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

MODELS = {"theta": "Theta", "ets": "AutoETS"}  # baseline -> class of statsforecast.models
MIN_VALUES = 4  # observed; with fewer there is nothing to fit
MAX_VALUES = 400  # the newest ones, that are fitted to: the time of an ETS follows them


def statistical() -> dict[str, Baseline]:
    """The baselines of this module; none where statsforecast is not installed."""
    if find_spec("statsforecast") is None:
        return {}
    return {name: _baseline(kind) for name, kind in MODELS.items()}


def _baseline(kind: str) -> Baseline:
    def forecast(context: FloatArray, horizon: int, season_length: int) -> FloatArray:
        """[B, H]; a window that the library cannot fit is forecast by the seasonal naive."""
        from statsforecast import models

        answer = seasonal_naive(context, horizon, season_length)
        for i, row in enumerate(context):
            values = _whole(row[-MAX_VALUES:])
            if len(values) >= MIN_VALUES:
                season = season_length if len(values) >= 2 * season_length else 1
                answer[i] = _fit(getattr(models, kind)(season_length=season), values, answer[i])
        return answer

    return forecast


def _fit(model: Any, values: FloatArray, otherwise: FloatArray) -> FloatArray:
    try:
        found = np.asarray(model.forecast(y=values, h=len(otherwise))["mean"], np.float64)
    except Exception:  # the library raises whatever its numerics do
        return otherwise
    return found if np.isfinite(found).all() else otherwise


def _whole(row: FloatArray) -> FloatArray:
    """The row from its first observed value to its end, gaps on straight lines: neither method takes missing values."""
    seen = np.flatnonzero(~np.isnan(row))
    if not len(seen):
        return row[:0]
    return np.interp(np.arange(seen[0], len(row)), seen, row[seen])
