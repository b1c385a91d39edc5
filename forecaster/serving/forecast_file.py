"""How a forecast is written: CSV, JSON, Parquet, a workbook, a table of a database.

CSV and JSON are written by this module and not by pandas, so that a forecast needs no pandas.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.data.freq import format_timestamps
from forecaster.data.reading.joined_columns import joined_name, split_names
from forecaster.errors import UsageError, install_hint, nearest, visible
from forecaster.serving.forecast import Forecast
from forecaster.storage.addresses import is_database, is_url, name_in, shown
from forecaster.storage.files import saying_why, whole_file

if TYPE_CHECKING:
    from forecaster.typing import TextArray

TABLE = "table"  # the form of what is written to a database
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters of a formula in a spreadsheet
CHUNK_ROWS = 50_000  # rows that are turned into text at once, so that memory does not grow with N x H


def write_forecast(
    forecast: Forecast, output: str | Path = "-", format: str | None = None, *, safe_csv: bool = False
) -> None:
    """Write to the file or table `output`, which changes whole or not at all, or to standard output for "-".

    `format` is a row of FORMATS; None = the file's suffix, else csv. With `safe_csv` names that a spreadsheet would
    run as formulas begin with an apostrophe, as OWASP advises. ArtifactError as in `Forecast.check`; UsageError where
    nothing can be written. A terminal shows four significant digits, and control characters in names written out.
    BrokenPipeError passes through: the reader has closed the pipe, which is no error here.
    """
    if is_database(output):
        from forecaster.serving.sql_forecast import write_table

        forecast.check()
        write_table(str(output), forecast)
        return
    encode = FORMATS[check_format(output, format, safe_csv=safe_csv)]
    if encode is _csv and str(output) == "-" and sys.stdout is not None and sys.stdout.isatty():
        encode = _csv_to_read
    forecast = _checked(forecast, safe_csv=safe_csv)
    with saying_why(output), _stdout() if str(output) == "-" else whole_file(output) as stream:
        encode(forecast, stream)
        stream.flush()


def encoded(forecast: Forecast, format: str, *, safe_csv: bool = False) -> bytes:
    """What `write_forecast` writes to a file, for whoever writes it elsewhere."""
    stream = io.BytesIO()
    FORMATS[format](_checked(forecast, safe_csv=safe_csv), stream)
    return stream.getvalue()


def _checked(forecast: Forecast, *, safe_csv: bool) -> Forecast:
    """The forecast as it may be written."""
    forecast.check()
    return replace(forecast, series=_unlike_formulas(forecast.series, forecast.keys)) if safe_csv else forecast


def _csv(
    forecast: Forecast,
    stream: IO[bytes],
    number: Callable[[float], str] = repr,
    text: Callable[[str], str] = str,
) -> None:
    """RFC 4180 in UTF-8, but for plain line feeds; numbers are the shortest text that reads back to the same bits.

    `number` and `text` say how else these are shown.
    """

    def field(value: str) -> str:
        return _csv_field(text(value))

    stream.write((",".join(map(field, forecast.columns)) + "\n").encode())
    for columns in _texts(forecast, field, number):
        stream.write("\n".join([*map(",".join, zip(*columns, strict=True)), ""]).encode())


def _csv_to_read(forecast: Forecast, stream: IO[bytes]) -> None:
    """As CSV, with numbers as people read them, and without characters that a terminal obeys."""
    _csv(forecast, stream, four_digits, visible)


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
        for kind in (forecast.name_columns(), forecast.text_columns())
    )
    numbers = (pa.array(values) for values in forecast.numeric_columns())
    pq.write_table(pa.table([*names, stamps, *numbers, *others], names=list(forecast.columns)), stream)


def _texts(
    forecast: Forecast, text: Callable[[str], str], number: Callable[[float], str] = repr
) -> Iterator[list[list[str]]]:
    """The columns as lists of texts, CHUNK_ROWS or one series at a time; `text` encodes a string, `number` a number."""
    horizon = forecast.timestamps.shape[1]
    names, others = (
        [[text(str(name)) for name in values] for _, values in kind]
        for kind in (forecast.name_columns(), forecast.text_columns())
    )
    # Series share timestamps, so each distinct one is formatted once.
    distinct, index = np.unique(forecast.timestamps, return_inverse=True)
    whole = forecast.freq.whole_numbers
    stamps = [str(s) if whole else text(s) for s in format_timestamps(distinct, forecast.freq, forecast.zone).tolist()]
    index, numbers = index.reshape(-1), forecast.numeric_columns()
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
    from forecaster.serving.forecast_workbook import write_workbook

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
        from forecaster.serving.forecast_workbook import require_openpyxl

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
