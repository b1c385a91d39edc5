"""Actuals outside an interval, and how unlikely they were."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.errors import UsageError
from forecaster.storage.files import output_lock, write_whole

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, IntArray

ENDINGS = (".csv", ".json")


@dataclass(frozen=True)
class Anomaly:
    """An actual outside the interval of its forecast."""

    series: str
    timestamp: str | int
    step: int  # ahead
    actual: float  # caller's units
    prediction: float
    low: float  # the interval's ends
    high: float
    nominal: float  # nominal coverage of the interval
    probability: float  # of an actual as far out or farther, by the ranks of all actuals


def outside(actual: FloatArray, point: FloatArray, low: FloatArray, high: FloatArray) -> tuple[IntArray, FloatArray]:
    """Positions of the actuals [E] outside [low, high], the least likely first, and the probability of each.

    An actual's distance from the point forecast is measured in distances of the interval's end on its side. Its probability is
    the share of actuals, itself included, that are at least as far out: (1 + others as far) / (E + 1). NaN: not observed.
    """
    known = ~np.isnan(actual + point + low + high)
    above = actual > point
    reach = np.where(above, high - point, point - low)
    distance = np.abs(actual - point)
    far = np.divide(distance, reach, out=np.where(distance > 0, np.inf, 0.0), where=reach > 0)
    ascending = np.sort(far[known])
    as_far = len(ascending) - np.searchsorted(ascending, far, side="left")
    out = np.flatnonzero(known & ((actual < low) | (actual > high)))
    probability = np.minimum(1.0, as_far[out] / (len(ascending) + 1) + 1 / (len(ascending) + 1))
    order = np.lexsort((out, -far[out]))
    return out[order], probability[order]


def check_place(path: str) -> None:
    """UsageError for a file with another ending than those that can be written."""
    if Path(path).suffix.lower() not in ENDINGS:
        raise UsageError(f"--anomalies: '{path}' is neither CSV nor JSON.", "Name a file that ends with .csv or .json.")


def write(path: str, found: Sequence[Anomaly]) -> None:
    """Write them as CSV or JSON, by the file's ending. UsageError where it cannot be written."""
    rows = [vars(one) for one in found]
    if Path(path).suffix.lower() == ".json":
        plain = [
            {k: v if not isinstance(v, float) or math.isfinite(v) else None for k, v in row.items()} for row in rows
        ]
        text = json.dumps({"anomalies": plain}, indent=1) + "\n"
    else:
        stream = io.StringIO()
        table = csv.DictWriter(stream, [one.name for one in fields(Anomaly)], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        text = stream.getvalue()
    with output_lock(path, 0.0):
        write_whole(path, text)
