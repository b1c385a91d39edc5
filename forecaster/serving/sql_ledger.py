"""The ledger in a database: two tables with the rows that the ledger's SQLite file has, in the same columns.

Each function is one transaction. A row that is there stays, so a forecast may be added again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from forecaster.errors import UsageError
from forecaster.storage.addresses import Address, address, shown
from forecaster.storage.database import UPSERTS, connected, library, upsert

PREFIX = "forecaster_"  # of the tables' names
WRITE_ROWS = 20_000  # rows that are sent at once
KEY_LENGTH = 255  # characters of a text in a key, where the database needs a length

ENTRY_COLUMNS = ("series", "source", "cutoff", "step", "timestamp", "prediction", "bands", "naive", "scale")
VERSION_COLUMNS = ("id", "model", "version", "freq", "zone", "season_length", "quantiles", "expected")


def add(ledger: str, version: Sequence[Any], rows: Iterable[tuple[Any, ...]]) -> int:
    """Add a version (VERSION_COLUMNS without `id`) and its forecasts (ENTRY_COLUMNS); return the number of new rows.

    UsageError where the database refuses; LockError where another run is writing. Nothing is changed then.
    """
    place = _place(ledger)
    with connected(place, UsageError) as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        versions, forecasts = _tables()
        versions.metadata.create_all(connection)
        if connection.dialect.name == "postgresql":  # one writer at a time, so that no version is added twice
            connection.exec_driver_sql(f"LOCK TABLE {versions.name} IN SHARE ROW EXCLUSIVE MODE")
        number = _number(connection, versions, version)
        left = iter(rows)
        before = _count(connection, forecasts)
        while piece := [*islice(left, WRITE_ROWS)]:
            _insert_new(connection, forecasts, [{"version": number, **_named(ENTRY_COLUMNS, row)} for row in piece])
        count = _count(connection, forecasts) - before
        connection.commit()
    return count


def version_rows(ledger: str) -> list[tuple[Any, ...]]:
    """All versions in the order in which they were added, in VERSION_COLUMNS. UsageError where there is no ledger."""
    place = _place(ledger)
    with connected(place, UsageError) as connection:
        versions = _tables()[0]
        if not library().inspect(connection).has_table(versions.name):
            raise UsageError(f"{shown(ledger)}: no such ledger.", "Predict with --ledger first.")
        found = connection.execute(
            library().select(*(versions.c[name] for name in VERSION_COLUMNS)).order_by(versions.c.id)
        )
        return [tuple(row) for row in found]


def entry_rows(ledger: str, version: int) -> list[tuple[Any, ...]]:
    """The forecasts of a version by series, cutoff and step, in ENTRY_COLUMNS."""
    place = _place(ledger)
    with connected(place, UsageError) as connection:
        made = _tables()[1]
        chosen = library().select(*(made.c[name] for name in ENTRY_COLUMNS)).where(made.c.version == version)
        return [tuple(row) for row in connection.execute(chosen.order_by(made.c.series, made.c.cutoff, made.c.step))]


def latest_cutoff_rows(ledger: str) -> list[tuple[Any, ...]]:
    """The number of each version and its newest cutoff."""
    place = _place(ledger)
    with connected(place, UsageError) as connection:
        made = _tables()[1]
        newest = library().select(made.c.version, library().func.max(made.c.cutoff)).group_by(made.c.version)
        return [tuple(row) for row in connection.execute(newest)]


def _place(ledger: str) -> Address:
    """The database of a ledger. UsageError where its URL names a table: the ledger's tables have names of their own."""
    place = address(ledger)
    if place.table or place.query:
        raise UsageError(
            f"{place.shown}: a ledger's tables have names of their own.", "Give the URL of the database alone."
        )
    return place


def _tables() -> tuple[Any, Any]:
    """The tables of versions and of forecasts."""
    sql = library()
    known = sql.MetaData()
    name = sql.Text().with_variant(sql.String(KEY_LENGTH), "mysql", "mariadb", "mssql", "oracle")
    versions = sql.Table(
        f"{PREFIX}versions",
        known,
        sql.Column("id", sql.Integer, primary_key=True),
        *(sql.Column(one, name, nullable=False) for one in ("model", "freq", "zone", "quantiles")),
        sql.Column("version", sql.Integer, nullable=False),
        sql.Column("season_length", sql.Integer, nullable=False),
        sql.Column("expected", sql.Double),
        sql.UniqueConstraint("model", "version", "freq", "zone", "quantiles"),
    )
    key = {"version": sql.Integer(), "source": name, "series": name, "cutoff": sql.BigInteger(), "step": sql.Integer()}
    forecasts = sql.Table(
        f"{PREFIX}forecasts",
        known,
        *(sql.Column(one, kind, primary_key=True, autoincrement=False) for one, kind in key.items()),
        sql.Column("timestamp", sql.BigInteger, nullable=False),
        sql.Column("prediction", sql.Double, nullable=False),
        sql.Column("bands", sql.Text, nullable=False),
        sql.Column("naive", sql.Double),
        sql.Column("scale", sql.Double),
    )
    return versions, forecasts


def _named(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(columns, row, strict=True))


def _number(connection: Any, versions: Any, version: Sequence[Any]) -> int:
    """The number of a version, which is added if it is not there."""
    sql = library()
    row = _named(VERSION_COLUMNS[1:], version)
    same = sql.and_(*(versions.c[key] == row[key] for key in ("model", "version", "freq", "zone", "quantiles")))
    found = connection.execute(sql.select(versions.c.id).where(same)).scalar()
    if found is None:
        connection.execute(versions.insert(), [row])
        found = connection.execute(sql.select(versions.c.id).where(same)).scalar_one()
    return int(found)


def _count(connection: Any, table: Any) -> int:
    sql = library()
    return int(connection.execute(sql.select(sql.func.count()).select_from(table)).scalar_one())


def _insert_new(connection: Any, table: Any, rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose key is not there."""
    if connection.dialect.name in UPSERTS:
        connection.execute(upsert(connection, table).on_conflict_do_nothing(), rows)
        return
    sql = library()
    key = [column.name for column in table.primary_key]
    there = {
        tuple(row)
        for row in connection.execute(
            sql.select(*(table.c[one] for one in key)).where(table.c.version == rows[0]["version"])
        )
    }
    fresh = [row for row in rows if tuple(row[one] for one in key) not in there]
    if fresh:
        connection.execute(table.insert(), fresh)
