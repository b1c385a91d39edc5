"""Rows of a database as a data frame, and connections whose faults are one line each. Needs SQLAlchemy.

Reading changes nothing: the transaction is read-only where the database knows that, and is rolled back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from forecaster.errors import DataError, ForecasterError, LockError, UsageError, install_hint, masked
from forecaster.storage.addresses import Address, address, password_of, sqlite_path, with_variables

if TYPE_CHECKING:
    import pandas as pd

FETCH_ROWS = 50_000  # rows that are taken from the server at once
CONNECT_SECONDS = 30  # to wait for a PostgreSQL server that does not answer
UPSERTS = ("postgresql", "sqlite")  # databases whose insert knows what to do with a key that is there
BUSY_SECONDS = 60.0  # to wait for another writer of a SQLite file
_MAX_REASON = 240  # characters of a driver's own words
# Words of the drivers for another writer that holds what is to be written.
_BUSY = re.compile(r"database is locked|deadlock|could not serialize|lock timeout|lock wait timeout", re.IGNORECASE)
_GONE = re.compile(
    r"connection|server closed|terminated|terminating|shutting down|starting up|could not translate|refused|timeout|"
    r"timed out|gone away|unable to open",
    re.IGNORECASE,
)


def read_rows(source: str) -> pd.DataFrame:
    """The rows of a URL's query or table. DataError where they cannot be read; UsageError where nothing says which."""
    place = address(source)
    if place.query is None and place.table is None:
        raise UsageError(f"{place.shown}: nothing says what to read in it.", "Give --table NAME or --query 'select …'.")
    file = sqlite_path(source)
    if file is not None and not file.is_file():
        raise DataError(f"{place.shown}: no such file.", "Check the path.")
    if place.url.startswith("postgres") and _has_adbc():
        return _through_adbc(place)
    with connected(place, DataError) as connection:
        dialect = connection.dialect.name
        if dialect == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
        elif dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")
        # Without parameters, so that a colon or a percent sign in the query is one.
        found = connection.execution_options(stream_results=True, no_parameters=True).exec_driver_sql(
            _select(place, connection.dialect)
        )
        return _frame(found)


def fingerprint(source: str) -> str:
    """A hash of a query's columns and rows, whatever their order. The errors are those of `read_rows`."""
    import pandas as pd

    frame = read_rows(source)
    # Each hash also without its last bits: two sums are the same by chance for hardly any two sets of rows.
    texts = [name for name, kind in frame.dtypes.items() if kind.kind == "O"]
    hashes = pd.util.hash_pandas_object(frame.astype(dict.fromkeys(texts, str)), index=False)
    total = int(hashes.to_numpy().sum(dtype="uint64"))
    odd = int((hashes.to_numpy() >> 7).sum(dtype="uint64"))
    return hashlib.sha256(repr((list(frame.columns), len(frame), total, odd)).encode()).hexdigest()


def has_rows(output: str, model: str | None = None) -> bool:
    """Whether the table of a URL has a row, of this `model` (`sales@3`) if one is given. UsageError where the database cannot be
    asked.
    """
    place = address(output)
    file = sqlite_path(output)
    if place.table is None or (file is not None and not file.is_file()):
        return False
    sql = library()
    schema, name = table_name(place.table)
    with connected(place, UsageError) as connection:
        if not sql.inspect(connection).has_table(name, schema=schema):
            return False
        wanted = sql.select(sql.literal(1)).select_from(sql.table(name, sql.column("model"), schema=schema))
        wanted = wanted if model is None else wanted.where(sql.column("model") == model)
        return connection.execute(wanted.limit(1)).first() is not None


@contextmanager
def connected(place: Address, fault: type[ForecasterError]) -> Iterator[Any]:
    """A connection in a transaction of its own, which is rolled back unless it is committed.

    What the database refuses is a `fault` of one line without secrets; LockError where another writer is in the way.
    """
    sqlalchemy = library()
    from sqlalchemy.pool import NullPool

    try:
        url = sqlalchemy.make_url(with_variables(place.url))
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise UsageError(
            f"{masked(place.url)}: not a database's URL.", "Expected postgresql://USER@HOST/NAME."
        ) from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    options: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query:
        options["connect_timeout"] = CONNECT_SECONDS
    if url.get_backend_name() == "sqlite":
        options["timeout"] = BUSY_SECONDS
    with faults(place, fault):
        try:
            engine = sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=options, hide_parameters=True)
        except (ImportError, sqlalchemy.exc.NoSuchModuleError):
            driver = url.drivername
            hint = install_hint("sql") if "psycopg" in driver else "Install the driver with pip, or name another."
            raise UsageError(f"{masked(place.url)}: the driver for {driver} is not installed.", hint) from None
        with engine.connect() as connection:
            yield connection


@contextmanager
def faults(place: Address, fault: type[ForecasterError]) -> Iterator[None]:
    """What SQLAlchemy and drivers raise as one line without secrets."""
    errors = library().exc
    try:
        yield
    except errors.SQLAlchemyError as error:
        raise described(place, error, fault) from None


def described(place: Address, error: Exception, fault: type[ForecasterError]) -> ForecasterError:
    """The `fault` for an error of a driver, or a LockError, in the driver's own words without secrets."""
    words = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
    for secret in {password_of(place.url), unquote(password_of(with_variables(place.url)))} - {""}:
        words = words.replace(secret, "***")
    words = masked(words)
    words = words if len(words) <= _MAX_REASON else words[:_MAX_REASON] + "…"
    if _BUSY.search(words):
        return LockError(f"{masked(place.url)}: another run is writing it: {words}.", "Try again later.")
    if _GONE.search(words):
        return fault(
            f"{masked(place.url)}: no connection: {words.rstrip('.')}.",
            "Nothing was changed. Check the address and the server, and try again.",
        )
    return fault(f"{place.shown}: {words.rstrip('.')}.", "Check the table, the query and the rights of the user.")


def upsert(connection: Any, table: Any) -> Any:
    """An insert that may say what becomes of rows whose key is there. For databases in UPSERTS."""
    from importlib import import_module

    return import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)


def library() -> Any:
    """SQLAlchemy. UsageError where it is not installed."""
    try:
        import sqlalchemy
    except ImportError:
        raise UsageError("a database needs SQLAlchemy, which is not installed.", install_hint("sql")) from None
    return sqlalchemy


def table_name(table: str) -> tuple[str | None, str]:
    """Schema and name of `schema.name`."""
    schema, _, name = table.rpartition(".")
    return schema or None, name


def _select(place: Address, dialect: Any) -> str:
    """The statement that reads what the URL names."""
    if place.table is None:
        return str(place.query).strip().rstrip(";")
    quote = dialect.identifier_preparer.quote_identifier
    schema, name = table_name(place.table)
    return f"SELECT * FROM {f'{quote(schema)}.' if schema else ''}{quote(name)}"


def _frame(found: Any) -> pd.DataFrame:
    """The rows of a result, taken piece by piece. Decimals are floats."""
    import pandas as pd

    if not found.returns_rows:
        raise DataError("the query returns no rows: it is no select.", "Give a select.")
    columns, pieces = list(found.keys()), []
    while rows := found.fetchmany(FETCH_ROWS):
        pieces.append(pd.DataFrame.from_records(rows, columns=columns, coerce_float=True))
    if not pieces:
        pieces = [pd.DataFrame(columns=columns)]
    frame: pd.DataFrame = pieces[0] if len(pieces) == 1 else pd.concat(pieces, ignore_index=True)
    whole: pd.DataFrame = frame.infer_objects()
    return whole


def _has_adbc() -> bool:
    from importlib.util import find_spec

    return find_spec("adbc_driver_postgresql") is not None and find_spec("pyarrow") is not None


def _through_adbc(place: Address) -> pd.DataFrame:
    """The rows from PostgreSQL in columns, which takes a fraction of the time of rows."""
    from adbc_driver_manager import Error
    from adbc_driver_postgresql import dbapi

    dialect = library().create_mock_engine("postgresql+psycopg://", lambda *_: None).dialect
    url = re.sub(r"^postgres(?:ql)?(?:\+\w+)?://", "postgresql://", with_variables(place.url))
    try:
        with dbapi.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute(_select(place, dialect))
            found = cursor.fetch_arrow_table()
            with suppress(Error):
                connection.rollback()
    except Error as error:
        raise described(place, error, DataError) from None
    frame: pd.DataFrame = found.to_pandas()
    return frame
