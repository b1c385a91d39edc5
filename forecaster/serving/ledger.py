"""The ledger: every delivered forecast, in one SQLite file or a database, for `monitor` to compare with the actuals."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.freq import Freq
from forecaster.data.seasonal_scale import seasonal_scale
from forecaster.data.time_zones import check_zone
from forecaster.errors import DataError, LockError, UsageError, nearest
from forecaster.serving.fallback import naive_forecast
from forecaster.serving.schema import validated
from forecaster.storage.addresses import is_database, shown, sqlite_path
from forecaster.storage.files import followed, saying_why, sync

if TYPE_CHECKING:
    from forecaster.serving.forecast import Forecast, ForecastRun
    from forecaster.typing import FloatArray, IntArray, TextArray

FORMAT = 1  # PRAGMA user_version
BUSY_SECONDS = 60.0  # to wait for another writer
MAX_SEASON = 10_000_000  # steps, as in a manifest
MAX_STAMP = 2**63  # above every cutoff
MAX_MAGNITUDE = 1e100  # of forecasts: far above those of any data that is read
_TABLES = """
CREATE TABLE IF NOT EXISTS versions (
    id INTEGER PRIMARY KEY, model TEXT NOT NULL, version INTEGER NOT NULL, freq TEXT NOT NULL, zone TEXT NOT NULL,
    season_length INTEGER NOT NULL, quantiles TEXT NOT NULL, expected REAL,
    UNIQUE (model, version, freq, zone, quantiles)
);
CREATE TABLE IF NOT EXISTS forecasts (
    version INTEGER NOT NULL REFERENCES versions, source TEXT NOT NULL, series TEXT NOT NULL, cutoff INTEGER NOT NULL,
    step INTEGER NOT NULL, timestamp INTEGER NOT NULL, prediction REAL NOT NULL, bands TEXT NOT NULL,
    naive REAL, scale REAL,
    PRIMARY KEY (version, source, series, cutoff, step)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Version:
    """A model version in the ledger."""

    id: int
    model: str
    version: int  # 0: no stored model
    freq: str
    zone: str | None
    season_length: int
    quantiles: tuple[float, ...]
    expected: float | None  # its MASE over seasonal naive's on its test windows


@dataclass(frozen=True)
class Entries:
    """E forecasts of one step each."""

    series: TextArray  # [E]
    source: TextArray  # [E]
    cutoff: IntArray  # [E]
    step: IntArray  # [E] from 1
    timestamp: IntArray  # [E]
    prediction: FloatArray  # [E] caller's units
    quantile_forecasts: FloatArray  # [E, Q]
    naive: FloatArray  # [E] seasonal naive's forecasts; NaN = unknown
    scale: FloatArray  # [E] seasonal scale; NaN = undefined


def append(path: str | Path, made: ForecastRun) -> int:
    """Add a forecast and return the number of new rows. A row of the same version, series, cutoff and step stays.

    UsageError where the file cannot be written or is not a ledger; LockError where another writer keeps it locked.
    """
    forecast = made.forecast
    about = forecast.about
    if about is None:
        raise ValueError("a forecast without `about` cannot be added to the ledger")
    # Computed before the file is locked.
    panel, horizon = made.panel, forecast.timestamps.shape[1]
    naive = naive_forecast(panel, made.positions, horizon)
    scale = seasonal_scale(panel.target, panel.offsets, panel.offsets[1:], panel.season_length)[made.positions]
    zone, levels = forecast.zone or "", json.dumps([float(level) for level in forecast.quantiles])
    key = (about.model, about.version, forecast.freq.name, zone)
    if _is_elsewhere(path):
        from forecaster.serving.sql_ledger import add

        made_rows = ((*row[2:3], row[1], *row[3:]) for row in _rows(0, forecast, naive, scale))
        return add(str(path), (*key, about.season_length, levels, about.expected), made_rows)
    with _opened(_file(path), write=True) as ledger:
        ledger.execute(
            "INSERT OR IGNORE INTO versions (model, version, freq, zone, season_length, quantiles, expected) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*key, about.season_length, levels, about.expected),
        )
        (number,) = ledger.execute(
            "SELECT id FROM versions WHERE model = ? AND version = ? AND freq = ? AND zone = ? AND quantiles = ?",
            (*key, levels),
        ).fetchone()
        before = ledger.total_changes
        ledger.executemany(
            "INSERT OR IGNORE INTO forecasts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            _rows(number, forecast, naive, scale),
        )
        return int(ledger.total_changes - before)


def _is_elsewhere(path: str | Path) -> bool:
    """Whether the ledger is in a database that is no file of SQLite. A file of SQLite is read without SQLAlchemy."""
    return is_database(path) and sqlite_path(str(path)) is None


def _file(path: str | Path) -> Path:
    """The ledger's file, which a path or a URL of SQLite names."""
    return (sqlite_path(str(path)) if is_database(path) else None) or Path(path)


def _rows(number: int, forecast: Forecast, naive: FloatArray, scale: FloatArray) -> Iterator[tuple[object, ...]]:
    """A row for each step, with seasonal naive's forecast [N, H] and the seasonal scale [N]."""
    if forecast.about is None:
        return
    for n, name in enumerate(forecast.series):
        known_scale = None if np.isnan(scale[n]) else float(scale[n])
        columns = zip(
            forecast.timestamps[n].tolist(),
            forecast.prediction[n].tolist(),
            forecast.quantile_forecasts[n].tolist(),
            naive[n].tolist(),
            strict=True,
        )
        for step, (timestamp, prediction, quantile_forecasts, naive_value) in enumerate(columns, 1):
            made = (str(forecast.source[n]), str(name), int(forecast.about.cutoff[n]), step, timestamp)
            yield (number, *made, prediction, json.dumps(quantile_forecasts), naive_value, known_scale)


def versions(path: str | Path) -> tuple[Version, ...]:
    """All versions with forecasts, oldest first. UsageError where the file is missing or not a ledger."""
    if _is_elsewhere(path):
        from forecaster.serving.sql_ledger import version_rows

        with _cells(path):
            return tuple(_version(*row) for row in version_rows(str(path)))
    with _opened(_file(path), write=False) as ledger:
        rows = ledger.execute(
            "SELECT id, model, version, freq, zone, season_length, quantiles, expected FROM versions ORDER BY id"
        ).fetchall()
    with _cells(path):
        return tuple(_version(*row) for row in rows)


def _version(*row: Any) -> Version:
    """A row of `versions`. TypeError or ValueError for values that are never written."""
    id, model, version, freq, zone, season, levels, expected = row
    Freq.parse(freq)
    if zone:
        check_zone(zone)
    if not 1 <= season <= MAX_SEASON:
        raise ValueError("a season of no length")
    return validated(
        Version(
            id=id,
            model=model,
            version=version,
            freq=freq,
            zone=zone or None,
            season_length=season,
            quantiles=tuple(json.loads(levels)),
            expected=expected,
        )
    )


def find_version(path: str | Path, reference: str | None) -> Version:
    """The version "name@version"; for "name" or None, of those that of the newest forecast. DataError if not there."""
    known = [one for one in versions(path) if one.version]
    name, _, number = (reference or "").partition("@")
    found = [one for one in known if name in ("", one.model) and number in ("", str(one.version))]
    if not found:
        named = tuple(dict.fromkeys(f"{one.model}@{one.version}" for one in known))
        what = f"of '{reference}'" if reference else "of a stored model"
        raise DataError(
            f"{shown(str(path))}: no forecast {what}.", nearest(name, named) if named else "Predict with --ledger."
        )
    if len(found) == 1:
        return found[0]
    latest = _latest_cutoffs(path)
    return max(found, key=lambda one: (latest.get(one.id, -MAX_STAMP), one.version, one.id))


def _latest_cutoffs(path: str | Path) -> dict[int, int]:
    """The newest cutoff of each version, by its id. A version that was rolled back stays there with its older ones."""
    if _is_elsewhere(path):
        from forecaster.serving.sql_ledger import latest_cutoff_rows

        rows = latest_cutoff_rows(str(path))
    else:
        with _opened(_file(path), write=False) as ledger:
            rows = ledger.execute("SELECT version, MAX(cutoff) FROM forecasts GROUP BY version").fetchall()
    with _cells(path):
        return {int(id): int(cutoff) for id, cutoff in rows}


def entries(path: str | Path, version: Version) -> Entries:
    """All forecasts of one version, by series, cutoff and step."""
    if _is_elsewhere(path):
        from forecaster.serving.sql_ledger import entry_rows

        with _cells(path):
            return _entries(entry_rows(str(path), version.id), len(version.quantiles))
    with _opened(_file(path), write=False) as ledger:
        rows = ledger.execute(
            "SELECT series, source, cutoff, step, timestamp, prediction, bands, naive, scale FROM forecasts "
            "WHERE version = ? ORDER BY series, cutoff, step",
            (version.id,),
        ).fetchall()
    with _cells(path):
        return _entries(rows, len(version.quantiles))


def _entries(rows: Sequence[Any], quantiles: int) -> Entries:
    """Rows of `forecasts`. TypeError or ValueError for values that are never written."""
    series, source, cutoff, step, timestamp, prediction, quantile_forecasts, naive, scale = (
        zip(*rows, strict=True) if rows else ((),) * 9
    )
    if not all(isinstance(name, str) for name in (*series, *source)):
        raise TypeError("a name is no text")
    found = Entries(
        series=np.array(series, dtype=object),
        source=np.array(source, dtype=object),
        cutoff=np.array(cutoff, np.int64),
        step=np.array(step, np.int64),
        timestamp=np.array(timestamp, np.int64),
        prediction=np.array(prediction, np.float64),
        quantile_forecasts=np.array([json.loads(text) for text in quantile_forecasts], np.float64).reshape(
            len(rows), quantiles
        ),
        naive=np.array(naive, np.float64),
        scale=np.array(scale, np.float64),
    )
    certain = (found.prediction, found.quantile_forecasts)
    known = (values[~np.isnan(values)] for values in (found.naive, found.scale))
    if not all((np.abs(values) < MAX_MAGNITUDE).all() for values in (*certain, *known)):
        raise ValueError("a forecast is NaN or infinite, or too large")
    if (found.scale <= 0).any():
        raise ValueError("a scale is not above 0")
    return found


@contextmanager
def _cells(path: str | Path) -> Iterator[None]:
    """UsageError for cells that no forecast leaves: SQLite stores any value in any column."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, UsageError) as error:
        raise UsageError(
            f"{shown(str(path))}: not a ledger: a cell is wrong ({error}).", "Restore it from a backup."
        ) from error


@contextmanager
def _opened(path: Path, *, write: bool) -> Iterator[sqlite3.Connection]:
    """One transaction: it is stored whole or not at all, however the process or the machine ends."""
    if not write and not path.is_file():
        raise UsageError(f"{path}: no such ledger.", "Predict with --ledger first.")
    with saying_why(path):
        place = followed(path)  # SQLite would follow links that the system itself does not follow
    try:
        with closing(sqlite3.connect(place, timeout=BUSY_SECONDS)) as ledger, ledger:
            (found,) = ledger.execute("PRAGMA user_version").fetchone()
            if found > FORMAT:
                raise UsageError(f"{path}: ledger format {found} is newer than this program.", "Upgrade forecaster.")
            if write:
                ledger.execute("BEGIN IMMEDIATE")
                for statement in filter(str.strip, _TABLES.split(";")):
                    ledger.execute(statement)
                ledger.execute(f"PRAGMA user_version = {FORMAT}")
            yield ledger
        if write:
            with suppress(OSError):  # where the system can
                sync(place.parent)  # SQLite's commit is the removal of its journal, which a power cut can bring back
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise LockError(f"{path}: other runs are writing this ledger.", "Try again later.") from error
        raise UsageError(f"{path}: {error}.", "Choose a file in a writable folder.") from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a ledger ({error}).", "Name another file.") from error
