"""URLs as data and outputs: which kind one is, what it names, and how it looks without its secrets.

A database is any URL of SQLAlchemy. What is read or written in it are parameters of the URL: `?query=select …`,
`?table=NAME`, and for outputs `&rows=append` or `replace`. So one text says where data is, in a manifest as in a jobs file.
`${NAME}` in a URL is the environment variable NAME; it is filled in when the connection is made, and never before.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from forecaster.errors import SECRET_PARAMETER, UsageError, masked

# Dialects of SQLAlchemy that people use; others are known by their `table` or `query`.
DATABASES = frozenset(
    {
        *(
            "postgresql",
            "postgres",
            "cockroachdb",
            "redshift",
            "mysql",
            "mariadb",
            "sqlite",
            "oracle",
            "mssql",
            "duckdb",
        ),
        *("snowflake", "bigquery", "databricks", "trino", "clickhouse", "db2", "firebird", "hana", "teradatasql"),
    }
)
# Protocols of fsspec, which are never those of a database.
REMOTE = frozenset(
    {
        *(
            "s3",
            "s3a",
            "gs",
            "gcs",
            "abfs",
            "abfss",
            "az",
            "adl",
            "oci",
            "hf",
            "http",
            "https",
            "memory",
            "file",
            "local",
        ),
        *("ftp", "sftp", "ssh", "smb", "hdfs", "webhdfs"),
    }
)
OWN = ("table", "query", "rows")  # parameters that are this program's, not the driver's
ROWS = ("append", "replace")
HANDED_OVER = "JOB_DATABASE_PASSWORD"  # the variable in which the process of a job gets a password; it is not kept

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9.-]*)(?:\+[A-Za-z0-9_]+)?://")
_LOGIN = re.compile(r"^([^/?#]*://[^:/@?#]*):(?!\d{1,5}/)(.*)@(?=[^@]*$)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_ONLY_VARIABLE = re.compile(r"\$\{\w+\}")


def scheme(source: object) -> str:
    """The scheme of a URL in lower case, without a driver; empty for a path, "-" and a data frame."""
    found = _SCHEME.match(source) if isinstance(source, str) else None
    return found[1].lower() if found else ""


def is_url(source: object) -> bool:
    """Whether it is a URL, of a database or of a file elsewhere."""
    return bool(scheme(source))


def is_database(source: object) -> bool:
    """Whether it is the URL of a database."""
    name = scheme(source)
    if not name or name in REMOTE:
        return False
    return name in DATABASES or any(key in ("table", "query") for key, _ in _parameters(str(source)))


def may_be_database(source: str, selection: str | None) -> bool:
    """Whether it is the URL of a database, as a `selection` in it shows of a scheme that is not known."""
    return is_database(source) or bool(selection and is_url(source) and scheme(source) not in REMOTE)


def is_remote(source: object) -> bool:
    """Whether it is a URL of a file or folder that fsspec opens."""
    return is_url(source) and not is_database(source)


@dataclass(frozen=True)
class Address:
    """A database, and what is named in it."""

    url: str  # for SQLAlchemy, secrets included
    table: str | None  # may have a schema in front: sales.daily
    query: str | None
    rows: str  # a row of ROWS

    @property
    def shown(self) -> str:
        """How messages name it: without secrets, and with a long query cut."""
        if self.table:
            return f"{masked(self.url)} table {self.table}"
        if self.query is None:
            return masked(self.url)
        words = " ".join(self.query.split())
        return f"{masked(self.url)} query '{words if len(words) <= 60 else words[:60] + '…'}'"


def address(source: str) -> Address:
    """A database's URL, taken apart. UsageError where its own parameters contradict each other."""
    url, _, _ = source.partition("?")
    own = dict.fromkeys(OWN, "") | {key: value for key, value in _parameters(source) if key in OWN}
    others = [(key, value) for key, value in _parameters(source) if key not in OWN]
    if own["table"] and own["query"]:
        raise UsageError(f"{masked(url)}: table and query exclude each other.", "Keep one.")
    if own["rows"] and own["rows"] not in ROWS:
        raise UsageError(f"{masked(url)}: rows={own['rows']} is not known.", f"Expected {' or '.join(ROWS)}.")
    whole = f"{url}?{urlencode(others, quote_via=quote, safe='${}/')}" if others else url
    return Address(whole, own["table"] or None, own["query"] or None, own["rows"] or "append")


def with_selection(source: str, query: str | None, table: str | None) -> str:
    """A database's URL with the query or the table to read. UsageError where it has neither, or has one already."""
    found = address(source)
    for name, value in (("query", query), ("table", table)):
        if value is not None and (found.table or found.query) and value != getattr(found, name):
            raise UsageError(f"--{name} and the URL both name what to read.", "Keep one.")
    if query is not None and table is not None:
        raise UsageError("--query and --table exclude each other.", "Keep one.")
    query, table = query or found.query, table or found.table
    if not query and not table:
        raise UsageError(
            f"{masked(found.url)}: this is a database, and nothing says what to read in it.",
            "Give --table NAME or --query 'select …'.",
        )
    sign = "&" if "?" in found.url else "?"
    name, value = ("query", query) if query else ("table", table)
    return f"{found.url}{sign}{name}={quote(str(value), safe='')}"


def shown(source: str) -> str:
    """How messages name a path or URL: without secrets."""
    return address(source).shown if is_database(source) else masked(source)


def name_in(source: str) -> str:
    """What a path or URL names, without where it is: a table, a database, or a path."""
    if not is_url(source):
        return source
    if is_database(source) and (table := address(source).table):
        return table
    return unquote(re.split(r"[?#]", source)[0].rstrip("/").rpartition("/")[2])


def without_secrets(source: str) -> str:
    """A URL that can be stored: without the password and other secrets, but for `${NAME}`, which is none.

    A path of SQLite in it is made absolute.
    """
    if not is_url(source):
        return source
    url, _, _ = source.partition("?")
    login = _LOGIN.match(url)
    if login and (not _ONLY_VARIABLE.fullmatch(login[2]) or login[2] == f"${{{HANDED_OVER}}}"):
        url = f"{login[1]}@{url[login.end() :]}"
    kept = [
        (key, value)
        for key, value in _parameters(source)
        if not SECRET_PARAMETER.fullmatch(key) or _ONLY_VARIABLE.fullmatch(value)
    ]
    return resolved(f"{url}?{urlencode(kept, quote_via=quote, safe='${}/')}" if kept else url, Path.cwd())


def what_it_names(source: str) -> object:
    """What a URL names, without how it is written or who writes it: URLs of one file, table or query have equal values."""
    source = without_secrets(source)
    if not is_database(source):
        return source
    found = address(source)
    url = found.url.partition("?")[0].partition("://")[2].rpartition("@")[2]
    return url, found.table, found.query


def password_of(source: str) -> str:
    """The password in a URL, as it is written there; empty without one, and where it is `${NAME}`."""
    login = _LOGIN.match(source.partition("?")[0])
    return login[2] if login and not _ONLY_VARIABLE.fullmatch(login[2]) else ""


def resolved(source: str, folder: Path) -> str:
    """A path, or the path in a URL of SQLite, from `folder` on; other URLs as they are."""
    if not is_url(source):
        return str(folder / source)
    if scheme(source) != "sqlite":
        return source
    url, sign, rest = source.partition("?")
    head, _, path = url.partition(":///")
    if not path or path == ":memory:" or path.startswith("file:"):
        return source
    return f"{head}:///{folder / path}{sign}{rest}"


def sqlite_path(source: str) -> Path | None:
    """The file of a SQLite database; None for another database, or for one in memory."""
    url = source.partition("?")[0]
    _, _, path = url.partition(":///")
    return Path(unquote(path)) if scheme(source) == "sqlite" and path and path != ":memory:" else None


def with_variables(url: str) -> str:
    """A URL with the variables in it. UsageError where one is not set."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise UsageError(f"{masked(url)}: the variable {found[1]} is not set.", "Set it in the environment.")
        return quote(os.environ[found[1]], safe="")

    return _VARIABLE.sub(value, url)


def _parameters(source: str) -> list[tuple[str, str]]:
    """Names and values after the question mark."""
    return parse_qsl(source.partition("?")[2], keep_blank_values=True)
