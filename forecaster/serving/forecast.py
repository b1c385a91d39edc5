"""The result of `predict`. Every value that is written is finite."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import Freq, format_timestamps
from forecaster.data.reading.joined_columns import split_names
from forecaster.errors import ArtifactError

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray, IntArray, TextArray

MODEL = "model"  # in the column `source`: a stored model


@dataclass(frozen=True)
class About:
    """Where a forecast comes from, for its metadata and for the ledger."""

    model: str
    version: int  # 0: no stored model
    cutoff: IntArray  # [N] the last timestamp of each series, in the units of `Forecast.timestamps`
    failed: tuple[str, ...]  # series that were left out, as nothing is observed
    season_length: int
    method: str = ""  # what is served, in words; "" where no model serves
    expected: float | None = None  # the model's MASE over seasonal naive's on its test windows; None = not tested


@dataclass(frozen=True)
class Forecast:
    """H steps ahead for each of N series, in the order of the data, time ascending, caller's units."""

    series: TextArray  # [N] names
    timestamps: IntArray  # [N, H] as in Panel: microseconds since 1970 (UTC if `zone`), or whole-number steps
    prediction: FloatArray  # [N, H] float64
    quantiles: tuple[float, ...]  # Q levels, ascending
    quantile_forecasts: FloatArray  # [N, H, Q] float64, the value at each level
    source: TextArray  # [N] `own`, or the fallback's name
    freq: Freq
    zone: str | None  # of the written timestamps; None = without zone
    about: About | None = None
    samples: FloatArray | None = None  # [N, H, S] sample paths; None = none were asked for
    own: str = MODEL  # the source of what was asked for
    method: TextArray | None = None  # [N] what made each series' forecast, in words; None = not said
    keys: tuple[str, ...] = ()  # columns that name the series together; empty = one column, called series

    @property
    def fallbacks(self) -> int:
        """Number of series that were not forecast by the model that was asked for."""
        return int(np.count_nonzero(self.source != self.own))

    def only(self, n: int) -> Forecast:
        """The forecast of the n-th series."""
        one = slice(n, n + 1)
        about = replace(self.about, cutoff=self.about.cutoff[one], failed=()) if self.about else None
        return replace(
            self,
            series=self.series[one],
            timestamps=self.timestamps[one],
            prediction=self.prediction[one],
            quantile_forecasts=self.quantile_forecasts[one],
            samples=None if self.samples is None else self.samples[one],
            source=self.source[one],
            method=None if self.method is None else self.method[one],
            about=about,
        )

    def metadata(self) -> dict[str, object]:
        """For JSON: model, version, cutoff, series, rows, fallbacks, failed series."""
        if not self.about:
            return {}
        cutoff = self.about.cutoff
        stamps = format_timestamps(np.array([cutoff.max()]) if len(cutoff) else cutoff, self.freq, self.zone).tolist()
        return {
            "model": self.about.model,
            "version": self.about.version or None,
            "cutoff": next(iter(stamps), None),
            "series": len(self.series),
            "rows": self.prediction.size,
            **({"method": self.about.method} if self.about.method else {}),
            "fallbacks": self.fallbacks,
            "failed": list(self.about.failed),
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, in the order of the file."""
        paths = 0 if self.samples is None else self.samples.shape[2]
        drawn = (f"sample {i + 1}" for i in range(paths))
        return (
            *(name for name, _ in self.name_columns()),
            "timestamp",
            "prediction",
            *(repr(float(level)) for level in self.quantiles),
            *drawn,
            *(name for name, _ in self.text_columns()),
        )

    def check(self) -> None:
        """ArtifactError naming the first series and timestamp whose forecast is not a finite number."""
        wrong = ~np.isfinite(self.prediction) | ~np.isfinite(self.quantile_forecasts).all(axis=2)
        if self.samples is not None:
            wrong |= ~np.isfinite(self.samples).all(axis=2)
        if not wrong.any():
            return
        n, step = np.argwhere(wrong)[0]
        stamp = format_timestamps(self.timestamps[n, step : step + 1], self.freq, self.zone)[0]
        message = f"series '{self.series[n]}': the forecast for {stamp} is not a finite number."
        raise ArtifactError(message, "Look for extreme values in this series, or train the model again.")

    def to_frame(self) -> pd.DataFrame:
        """The forecast as a data frame of N x H rows: `columns`, timestamps as datetime64 in `zone`, or as integers.

        ArtifactError as in `check`.
        """
        import pandas as pd

        self.check()
        horizon, stamps = self.timestamps.shape[1], self.timestamps.reshape(-1)
        dates = pd.DatetimeIndex([]) if self.freq.whole_numbers else pd.DatetimeIndex(stamps.astype("M8[us]"))
        if self.zone is not None:
            dates = dates.tz_localize("UTC").tz_convert(self.zone)
        names = (np.repeat(text, horizon) for _, text in self.name_columns())
        values = (*names, stamps if self.freq.whole_numbers else dates, *self.numeric_columns())
        texts = (np.repeat(text, horizon) for _, text in self.text_columns())
        columns = zip(self.columns, (*values, *texts), strict=True)
        frame: pd.DataFrame = pd.DataFrame(dict(columns))
        return frame

    def name_columns(self) -> tuple[tuple[str, TextArray], ...]:
        """The columns that name the series: names and values of each series [N]."""
        if not self.keys:
            return (("series", self.series),)
        parts = [split_names(str(name)) for name in self.series]
        return tuple((key, np.array([part[i] for part in parts], dtype=object)) for i, key in enumerate(self.keys))

    def text_columns(self) -> tuple[tuple[str, TextArray], ...]:
        """The columns of text after the numbers: names and values of each series [N]."""
        return ("source", self.source), *(() if self.method is None else (("method", self.method),))

    def numeric_columns(self) -> tuple[FloatArray, ...]:
        """The numeric columns, [N * H] each."""
        drawn = () if self.samples is None else self.samples.reshape(self.prediction.size, -1).T
        return (
            self.prediction.reshape(-1),
            *self.quantile_forecasts.reshape(self.prediction.size, len(self.quantiles)).T,
            *drawn,
        )


@dataclass(frozen=True)
class ForecastRun:
    """A forecast of N series and the rows that it was made from, for plots and for the ledger."""

    forecast: Forecast
    panel: Panel
    positions: IntArray  # [N] of the forecast's series among the panel's
