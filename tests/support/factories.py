"""Small panels, data frames and settings, for tests that build or fit something, and a `Watch` that records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.config import TrainSettings
from forecaster.data.freq import Freq
from forecaster.data.panel import Columns, Panel
from forecaster.models.settings import FitSettings, NetworkSettings
from forecaster.typing import FloatArray, Progress

if TYPE_CHECKING:
    import pandas as pd

AIR = Path(__file__).parents[2] / "data" / "AirPassengers.csv"
NAN = float("nan")

NETWORK = NetworkSettings(
    cell="rnn",
    units=4,
    layers=1,
    bidirectional=False,
    dropout=0.0,
    residual=False,
    reset_after=True,
    context_length=8,
    horizon=3,
    segment=2,
    head="direct",
    transform="none",
    center="mean",
    input_initializer="glorot",
    recurrent_initializer="orthogonal",
    quantiles=(),
)

FIT = FitSettings(
    loss="mae",
    error_scale="series",
    epochs=2,
    batch_size=8,
    steps_per_epoch=2,
    learning_rate=1e-2,
    schedule="constant",
    clip_norm=1.0,
    patience=0,
    seed=0,
)


def network_settings(**changes: Any) -> NetworkSettings:
    """`NETWORK` with other values for some of its fields."""
    return replace(NETWORK, **changes)


def fit_settings(**changes: Any) -> FitSettings:
    """`FIT` with other values for some of its fields."""
    return replace(FIT, **changes)


def panel_of(*series: Sequence[float] | FloatArray, season_length: int = 4) -> Panel:
    """A panel in which each series, named s0, s1, …, begins at timestamp 0 and has a step of 1; NaN = missing."""
    lengths = [len(values) for values in series]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Panel(
        series=np.array([f"s{n}" for n in range(len(series))], dtype=object),
        offsets=offsets,
        timestamps=np.concatenate([np.arange(length) for length in lengths]).astype(np.int64),
        target=np.concatenate([np.asarray(values, np.float64) for values in series]),
        freq=Freq.parse("1"),
        season_length=season_length,
        zone=None,
        columns=Columns("series", "timestamp", "target"),
        layout="long",
        source="panel",
        gaps=0,
        notes=(),
    )


def waves(count: int = 3, length: int = 40, seed: int = 0) -> list[FloatArray]:
    """`count` series of `length` positive values: a level of its own each, a season of 4 steps, and noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(length)
    return [20 + 10 * n + 5 * np.sin(time * np.pi / 2 + n) + rng.normal(size=length) for n in range(count)]


def frame_of(**series: Sequence[float] | FloatArray) -> pd.DataFrame:
    """A long data frame of daily rows from 2024-01-01 on, one series for each keyword."""
    import pandas as pd

    parts = [
        pd.DataFrame({"series": name, "timestamp": pd.date_range("2024-01-01", periods=len(values)), "target": values})
        for name, values in series.items()
    ]
    frame: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return frame


class Recorder:
    """A `Watch` that keeps what is reported to it. It raises KeyboardInterrupt at the `interrupt_at`-th progress."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.reports: list[Progress] = []
        self.interrupt_at = interrupt_at

    def note(self, text: str) -> None:
        """Keep the note."""
        self.notes.append(text)

    def warn(self, text: str) -> None:
        """Keep the warning."""
        self.warnings.append(text)

    def progress(self, progress: Progress) -> None:
        """Keep the progress, or interrupt."""
        self.reports.append(progress)
        if len(self.reports) == self.interrupt_at:
            raise KeyboardInterrupt


def train_settings(models: Path | str, **changes: Any) -> TrainSettings:
    """Settings of a training that takes seconds: one small member, two epochs of two steps, horizon 6, nothing to select."""
    tiny: dict[str, Any] = {
        "models": str(models),
        "members": 1,
        "floor": 0.0,
        "horizon": 6,
        "context_length": 12,
        "segment": 6,
        "units": 4,
        "dropout": 0.0,
        "epochs": 2,
        "steps_per_epoch": 2,
        "learning_rate": 5e-3,
        "error_scale": "window",
        "batch_size": 16,
        "windows": 2,
        "quantiles": (0.1, 0.9),
        "transform": "log",
        "patience": 5,
    }
    if changes.get("distribution") or changes.get("transform", "log") is None:
        del tiny["error_scale"]  # a likelihood has none, and it is selected together with the transform
    return TrainSettings(**{**tiny, **changes})
