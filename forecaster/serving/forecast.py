"""The result of `predict`, and how it is written. Every written value is finite.

CSV and JSON are written by this module and not by pandas, so that a forecast needs no pandas.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.data.freq import Freq, format_timestamps
from forecaster.data.reading.joined_columns import joined_name, split_names
from forecaster.errors import ArtifactError, UsageError, install_hint, nearest
from forecaster.files import saying_why, whole_file
from forecaster.storage.addresses import is_database, is_url, name_in, shown

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray, IntArray, TextArray

TABLE = "table"  # the form of what is written to a database
MODEL = "model"  # in the column `source`: a stored model
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters of a formula in a spreadsheet
CHUNK_ROWS = 50_000  # rows that are turned into text at once, so that memory does not grow with N x H


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
            *(name for name, _ in self._names()),
            "timestamp",
            "prediction",
            *(repr(float(level)) for level in self.quantiles),
            *drawn,
            *(name for name, _ in self._texts()),
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
        names = (np.repeat(text, horizon) for _, text in self._names())
        values = (*names, stamps if self.freq.whole_numbers else dates, *self._numbers())
        texts = (np.repeat(text, horizon) for _, text in self._texts())
        columns = zip(self.columns, (*values, *texts), strict=True)
        frame: pd.DataFrame = pd.DataFrame(dict(columns))
        return frame

    def write(self, output: str | Path = "-", format: str | None = None, *, safe_csv: bool = False) -> None:
        """Write to the file or table `output`, which changes whole or not at all, or to standard output for "-".

        `format` is a row of FORMATS; None = the file's suffix, else csv. With `safe_csv` names that a spreadsheet would
        run as formulas begin with an apostrophe, as OWASP advises. ArtifactError as in `check`; UsageError where
        nothing can be written. A terminal shows four significant digits. BrokenPipeError passes through: the reader has
        closed the pipe, which is no error here.
        """
        if is_database(output):
            from forecaster.serving.sql_forecast import write_table

            self.check()
            write_table(str(output), self)
            return
        encode = FORMATS[check_format(output, format, safe_csv=safe_csv)]
        if encode is _csv and str(output) == "-" and sys.stdout is not None and sys.stdout.isatty():
            encode = _csv_to_read
        self.check()
        with saying_why(output), _stdout() if str(output) == "-" else whole_file(output) as stream:
            encode(replace(self, series=_unlike_formulas(self.series, self.keys)) if safe_csv else self, stream)
            stream.flush()

    def _names(self) -> tuple[tuple[str, TextArray], ...]:
        """The columns that name the series: names and values of each series [N]."""
        if not self.keys:
            return (("series", self.series),)
        parts = [split_names(str(name)) for name in self.series]
        return tuple((key, np.array([part[i] for part in parts], dtype=object)) for i, key in enumerate(self.keys))

    def _texts(self) -> tuple[tuple[str, TextArray], ...]:
        """The columns of text after the numbers: names and values of each series [N]."""
        return ("source", self.source), *(() if self.method is None else (("method", self.method),))

    def _numbers(self) -> tuple[FloatArray, ...]:
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


def _csv(forecast: Forecast, stream: IO[bytes], number: Callable[[float], str] = repr) -> None:
    """RFC 4180 in UTF-8, but for plain line feeds; numbers are the shortest text that reads back to the same bits."""
    stream.write((",".join(map(_csv_field, forecast.columns)) + "\n").encode())
    for columns in _texts(forecast, _csv_field, number):
        stream.write("\n".join([*map(",".join, zip(*columns, strict=True)), ""]).encode())


def _csv_to_read(forecast: Forecast, stream: IO[bytes]) -> None:
    """As CSV, with numbers as people read them."""
    _csv(forecast, stream, four_digits)


def four_digits(value: float) -> str:
    """`value` with four significant digits; whole digits are never cut: `12345.67` is `12346`."""
    size = abs(value)
    return f"{value:.0f}" if 1000 <= size < 1e15 else f"{value:.4g}"


def _json(forecast: Forecast, stream: IO[bytes]) -> None:
    """One object; `forecast` is a list with an object per row, keyed by column; next to it `metadata`."""
    row = "{" + ", ".join(f"{json.dumps(column).replace('%', '%%')}: %s" for column in forecast.columns) + "}"
    stream.write(b'{"forecast": [')
    separator = "\n"
    for columns in _texts(forecast, json.dumps):
        stream.write((separator + ",\n".join(map(row.__mod__, zip(*columns, strict=True)))).encode())
        separator = ",\n"
    about = "".join(f", {json.dumps(key)}: {json.dumps(value)}" for key, value in forecast.metadata().items())
    stream.write(f"\n]{about}}}\n".encode())


def _parquet(forecast: Forecast, stream: IO[bytes]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        hint = f"{install_hint('parquet')[:-1]}, or choose --format csv."
        raise UsageError("parquet is written by pyarrow, which is not installed.", hint) from error
    horizon, zone = forecast.timestamps.shape[1], forecast.zone
    stamps = pa.array(forecast.timestamps.reshape(-1))
    if not forecast.freq.whole_numbers:
        stamps = stamps.cast(pa.timestamp("us", tz=zone))
    names, others = (
        [pa.array(np.repeat(text, horizon), pa.string()) for _, text in kind]
        for kind in (forecast._names(), forecast._texts())
    )
    numbers = (pa.array(values) for values in forecast._numbers())
    pq.write_table(pa.table([*names, stamps, *numbers, *others], names=list(forecast.columns)), stream)


def _texts(
    forecast: Forecast, text: Callable[[str], str], number: Callable[[float], str] = repr
) -> Iterator[list[list[str]]]:
    """The columns as lists of texts, CHUNK_ROWS or one series at a time; `text` encodes a string, `number` a number."""
    horizon = forecast.timestamps.shape[1]
    names, others = (
        [[text(str(name)) for name in values] for _, values in kind] for kind in (forecast._names(), forecast._texts())
    )
    # Series share timestamps, so each distinct one is formatted once.
    distinct, index = np.unique(forecast.timestamps, return_inverse=True)
    whole = forecast.freq.whole_numbers
    stamps = [str(s) if whole else text(s) for s in format_timestamps(distinct, forecast.freq, forecast.zone).tolist()]
    index, numbers = index.reshape(-1), forecast._numbers()
    size = max(CHUNK_ROWS // max(horizon, 1), 1)
    for first in range(0, len(forecast.series) if horizon else 0, size):
        rows = slice(first * horizon, (first + size) * horizon)
        yield [
            *([name for name in key[first : first + size] for _ in range(horizon)] for key in names),
            [stamps[i] for i in index[rows].tolist()],
            *([*map(number, values[rows].tolist())] for values in numbers),
            *([name for name in texts[first : first + size] for _ in range(horizon)] for texts in others),
        ]


def _xlsx(forecast: Forecast, stream: IO[bytes]) -> None:
    from forecaster.serving.workbook import write_workbook

    write_workbook(forecast, stream)


def _unlike_formulas(names: TextArray, keys: tuple[str, ...] = ()) -> TextArray:
    """Names that no spreadsheet runs as a formula (OWASP, CSV injection); of several `keys`, each part of them."""

    def quoted(name: str) -> str:
        return f"'{name}" if name.startswith(FORMULA) else name

    if keys:
        return np.array([joined_name([*map(quoted, split_names(str(name)))]) for name in names], dtype=object)
    return np.array([quoted(str(name)) for name in names], dtype=object)


def _csv_field(text: str) -> str:
    if any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def check_format(output: str | Path, format: str | None, *, safe_csv: bool = False) -> str:
    """The row of FORMATS for an output: `format`, or for None the one of its suffix. UsageError where there is none."""
    if is_database(output):
        from forecaster.serving.sql_forecast import check_table

        check_table(str(output), format=format, safe_csv=safe_csv)
        return TABLE
    if is_url(output) and "{series}" in str(output):
        raise UsageError(f"{shown(str(output))}: a URL names one file for all series.", "Leave out {series}.")
    suffix = Path(name_in(str(output))).suffix.lower().removeprefix(".")
    if suffix in OTHER_FORMATS:  # a file of CSV under such a name opens as a damaged one, or not at all
        raise UsageError(
            f"'{output}': forecasts are not written as .{suffix}.", f"Give a name that ends in .{', .'.join(FORMATS)}."
        )
    if format is None:
        format = suffix if suffix in FORMATS else "csv"
        if suffix in ("gz", "bz2", "xz", "zst", "zip"):
            raise UsageError(f"'{output}': forecasts are not written compressed.", f"Leave out '.{suffix}'.")
    if format not in FORMATS:
        raise UsageError(f"format '{format}' is not known.", nearest(format, tuple(FORMATS)))
    if safe_csv and format != "csv":
        raise UsageError(f"--safe-csv has no effect on {format}.", "Leave it out.")
    if format == "xlsx":
        from forecaster.serving.workbook import require_openpyxl

        require_openpyxl()
    return format


@contextmanager
def _stdout() -> Iterator[IO[bytes]]:
    if not hasattr(sys.stdout, "buffer"):  # closed, or replaced by a stream of text
        raise UsageError("standard output cannot take a forecast.", "Write to a file with --output FILE.")
    sys.stdout.flush()
    yield sys.stdout.buffer


Encoder: TypeAlias = Callable[[Forecast, IO[bytes]], None]

OTHER_FORMATS = (
    "xls",
    "xlsm",
    "xlsb",
    "ods",
    "tsv",
    "feather",
    "arrow",
    "pkl",
    "db",
    "sqlite",
    "html",
    "xml",
    "pdf",
)
FORMATS: dict[str, Encoder] = {"csv": _csv, "json": _json, "parquet": _parquet, "xlsx": _xlsx}
