"""A forecast as rows of a database's table, in one transaction: all of them or none, and each only once.

A row is known by its series, timestamp, cutoff and model; writing a forecast again replaces its rows. The table is made with
types and this key where it is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.freq import format_timestamps
from forecaster.errors import UsageError
from forecaster.storage.addresses import Address, address
from forecaster.storage.database import UPSERTS, connected, library, table_name, upsert

if TYPE_CHECKING:
    from forecaster.serving.forecast import Forecast

WRITE_ROWS = 20_000  # rows that are sent at once
STALE = "stale"  # of a column that the forecast does not have: what a replaced row has there is of an earlier one
_NUMBERS = re.compile(r"0?\.\d+|sample \d+")
KEY_LENGTH = 255  # characters of a name where a key needs a length


def check_table(output: str, *, format: str | None = None, safe_csv: bool = False) -> Address:
    """The table that an output names. UsageError where it names none, or where an option has no effect on a table."""
    place = address(output)
    if place.query is not None or place.table is None:
        raise UsageError(f"{place.shown}: an output names a table.", "Append ?table=NAME to the URL.")
    if "{series}" in output:
        raise UsageError(f"{place.shown}: {{series}} has no effect: a table has all series.", "Leave it out.")
    if format is not None:
        raise UsageError(f"--format {format} has no effect on a table.", "Leave it out.")
    if safe_csv:
        raise UsageError("--safe-csv has no effect on a table.", "Leave it out.")
    library()
    return place


def write_table(output: str, forecast: Forecast) -> int:
    """Write the rows of a forecast to the table of a URL, and return how many there are.

    With `rows=replace` in the URL, the table has no other rows afterwards. UsageError where the table has other columns, or
    where the database refuses; LockError where another run is writing. Nothing is changed then.
    """
    place = check_table(output)
    with connected(place, UsageError) as connection:
        _begin(connection)
        table = _table(connection, place, forecast)
        if connection.dialect.name == "postgresql":
            # One writer at a time: two that replace the same rows would block each other at random.
            connection.exec_driver_sql(f"LOCK TABLE {_quoted(connection, place)} IN SHARE ROW EXCLUSIVE MODE")
        if place.rows == "replace":
            connection.execute(table.delete())
        count = 0
        for rows in _pieces(forecast, table):
            _put(connection, table, rows, _key(forecast))
            count += len(rows)
        connection.commit()
    return count


def _begin(connection: Any) -> None:
    """Take the lock of a SQLite file at once: a lock that is taken later fails where it could have waited."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _quoted(connection: Any, place: Address) -> str:
    schema, name = table_name(str(place.table))
    quote = connection.dialect.identifier_preparer.quote_identifier
    return f"{quote(schema)}.{quote(name)}" if schema else str(quote(name))


def _key(forecast: Forecast) -> tuple[str, ...]:
    """The columns that a row is known by."""
    return (*(name for name, _ in forecast.name_columns()), "timestamp", "cutoff", "model")


def _columns(forecast: Forecast, dialect: str) -> dict[str, Any]:
    """Each column of the table, in order, and its type."""
    sql = library()
    name = sql.Text().with_variant(sql.String(KEY_LENGTH), "mysql", "mariadb", "mssql", "oracle")
    names = [one for one, _ in forecast.name_columns()]
    numbers = [column for column in forecast.columns[len(names) + 1 :] if column not in ("source", "method")]
    stamp = _stamp_type(forecast, dialect)
    types: dict[str, Any] = {**dict.fromkeys(names, name), "timestamp": stamp, "cutoff": stamp, "model": name}
    types |= dict.fromkeys(numbers, sql.Double())
    return types | dict.fromkeys((one for one, _ in forecast.text_columns()), sql.Text())


def _stamp_type(forecast: Forecast, dialect: str) -> Any:
    """The type of timestamps: numbers, times where the database has the right ones, else ISO 8601 texts as in files."""
    sql = library()
    if forecast.freq.whole_numbers:
        return sql.BigInteger()
    if _has_times(forecast, dialect):
        return sql.DateTime(timezone=forecast.zone is not None)
    return sql.String(40)


def _has_times(forecast: Forecast, dialect: str) -> bool:
    """Whether timestamps are stored as times. SQLite has no such type, and most databases forget the zone."""
    return dialect == "postgresql" or (dialect != "sqlite" and forecast.zone is None)


def _table(connection: Any, place: Address, forecast: Forecast) -> Any:
    """The table, made if it is not there, with the columns of the forecast, and then its other quantiles and samples, which are
    STALE in a row that is replaced. UsageError where it lacks a column.
    """
    sql = library()
    schema, name = table_name(str(place.table))
    wanted, key = _columns(forecast, connection.dialect.name), _key(forecast)
    columns = [sql.Column(c, kind, primary_key=c in key, nullable=c not in key) for c, kind in wanted.items()]
    table = sql.Table(name, sql.MetaData(), *columns, schema=schema)
    inspector = sql.inspect(connection)
    if not inspector.has_table(name, schema=schema):
        connection.execute(sql.schema.CreateTable(table, if_not_exists=connection.dialect.name in UPSERTS))
        return table
    there = {column["name"] for column in inspector.get_columns(name, schema=schema)}
    lacking = [column for column in wanted if column not in there]
    if lacking:
        raise UsageError(
            f"{place.shown}: has no column {', '.join(lacking)}.",
            "Add it, name another table, or forecast other quantiles.",
        )
    for column in sorted(there - set(wanted)):
        if _NUMBERS.fullmatch(column):
            table.append_column(sql.Column(column, sql.Double(), info={STALE: True}))
    return table


def _put(connection: Any, table: Any, rows: list[dict[str, Any]], key: tuple[str, ...]) -> None:
    """Insert rows, in the place of those with the same key."""
    if connection.dialect.name not in UPSERTS:
        sql = library()
        same = sql.and_(*(table.c[column] == sql.bindparam(f"key_{n}") for n, column in enumerate(key)))
        connection.execute(
            table.delete().where(same), [{f"key_{n}": row[column] for n, column in enumerate(key)} for row in rows]
        )
        connection.execute(table.insert(), rows)
        return
    statement = upsert(connection, table)
    others = {
        column.name: library().null() if STALE in column.info else statement.excluded[column.name]
        for column in table.c
        if column.name not in key
    }
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=others), rows)


def _pieces(forecast: Forecast, table: Any) -> Iterator[list[dict[str, Any]]]:
    """The rows, WRITE_ROWS or the steps of one series at a time."""
    horizon = forecast.timestamps.shape[1]
    columns = [column.name for column in table.c if STALE not in column.info]
    size = max(WRITE_ROWS // max(horizon, 1), 1)
    for first in range(0, len(forecast.series) if horizon else 0, size):
        yield _rows(forecast, slice(first, first + size), columns, table)


def _rows(forecast: Forecast, part: slice, columns: list[str], table: Any) -> list[dict[str, Any]]:
    """The rows of some series, a mapping each."""
    about, horizon = forecast.about, forecast.timestamps.shape[1]
    if about is None:
        raise ValueError("a forecast without `about` has no cutoff and no model")
    as_texts = isinstance(table.c["timestamp"].type, library().String)

    def repeated(values: Any) -> list[Any]:
        return [value for value in values for _ in range(horizon)]

    count = len(forecast.series[part])
    model = f"{about.model}@{about.version}" if about.version else about.model or "none"
    numbers = [values.reshape(-1, horizon)[part].reshape(-1).tolist() for values in forecast.numeric_columns()]
    lists = [
        *(repeated(map(str, values[part])) for _, values in forecast.name_columns()),
        _stamps(forecast, forecast.timestamps[part].reshape(-1), as_texts),
        repeated(_stamps(forecast, about.cutoff[part], as_texts)),
        [model] * (count * horizon),
        *numbers,
        *(repeated(map(str, values[part])) for _, values in forecast.text_columns()),
    ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _stamps(forecast: Forecast, stamps: Any, as_texts: bool) -> list[Any]:
    """Timestamps as the table has them: numbers, ISO 8601 texts, or datetimes (in UTC where they have a zone)."""
    from datetime import timezone

    if forecast.freq.whole_numbers:
        return [*map(int, stamps)]
    if as_texts:
        return [*map(str, format_timestamps(np.asarray(stamps), forecast.freq, forecast.zone))]
    plain = np.asarray(stamps).astype("M8[us]").tolist()
    return plain if forecast.zone is None else [one.replace(tzinfo=timezone.utc) for one in plain]
