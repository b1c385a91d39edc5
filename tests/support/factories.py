"""Tiny panels, networks and settings, for tests that build or fit something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from forecaster.config import TrainSettings
from forecaster.data.freq import Freq
from forecaster.data.panel import Columns, Panel
from forecaster.models.settings import FitSettings, NetworkSettings

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


def network_settings(**changes):
    return replace(NETWORK, **changes)


def fit_settings(**changes):
    return replace(FIT, **changes)


def panel_of(*series, season_length=4):
    """A panel of whole-number steps; each series a list of values, NaN = missing."""
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


def waves(count=3, length=40, seed=0):
    """Series on levels of their own with a season of 4 and noise, all above 0."""
    rng = np.random.default_rng(seed)
    time = np.arange(length)
    return [20 + 10 * n + 5 * np.sin(time * np.pi / 2 + n) + rng.normal(size=length) for n in range(count)]


class Recorder:
    """A `Watch` that keeps what it is told, and may interrupt at one of the reports of progress."""

    def __init__(self, interrupt_at=None):
        self.notes, self.warnings, self.reports = [], [], []
        self.interrupt_at = interrupt_at

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)

    def progress(self, progress):
        self.reports.append(progress)
        if len(self.reports) == self.interrupt_at:
            raise KeyboardInterrupt


AIR = Path(__file__).parents[2] / "data" / "AirPassengers.csv"


def train_settings(models, **changes):
    """A training of some seconds."""
    tiny = {
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
        "batch_size": 16,
        "windows": 2,
        "quantiles": (0.1, 0.9),
        "transform": "log",
        "patience": 5,
    }
    return TrainSettings(**{**tiny, **changes})


def frame_of(**series):
    """A long data frame of daily rows, one series a keyword."""
    import pandas as pd

    parts = [
        pd.DataFrame({"series": name, "timestamp": pd.date_range("2024-01-01", periods=len(values)), "target": values})
        for name, values in series.items()
    ]
    return pd.concat(parts, ignore_index=True)
