"""Databases to read from and write to: a file of SQLite, and a PostgreSQL server where one can be started."""

from __future__ import annotations

import csv
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.stored_models import stored, write_csv


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server."""
    tools = postgres.programs()
    if tools is None:
        pytest.skip("there is no PostgreSQL server here (Debian's package: postgresql)")
    pytest.importorskip("psycopg")
    with postgres.running(tools) as found:
        yield found


@dataclass
class Database:
    """A database with the table `sales`, and a model that was trained on rows like these."""

    url: str
    folder: Path
    server: postgres.Server | None = None

    def table(self, name: str) -> str:
        """The URL of a table."""
        return f"{self.url}?table={name}"

    def do(self, *statements: str) -> list[tuple]:
        """Run statements and return the rows of the last."""
        if self.server:
            return self.server.do(*statements)
        with sqlite3.connect(self.folder / "shop.db") as connection:
            for statement in statements:
                found = connection.execute(statement)
            return found.fetchall()

    def fill(self, rows: int) -> None:
        """Let `sales` have so many hours of each series."""
        path = write_csv(self.folder / "data.csv", rows)
        kind = "timestamp" if self.server else "text"
        with path.open(encoding="utf-8") as file:
            lines = [*csv.reader(file)][1:]
        values = ",".join(f"('{name}', '{stamp}', {target})" for name, stamp, target in lines)
        create = f'CREATE TABLE sales (series text, "timestamp" {kind}, target double precision)'
        self.do("DROP TABLE IF EXISTS sales", create, f"INSERT INTO sales VALUES {values}")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request, tmp_path, monkeypatch):
    """Each kind of database, empty but for `sales`; the working directory has a store with the model `m`."""
    pytest.importorskip("sqlalchemy")
    monkeypatch.chdir(tmp_path)
    found = Database(f"sqlite:///{tmp_path}/shop.db", tmp_path)
    if request.param == "postgresql":
        own = request.getfixturevalue("server")
        own.do("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        found = Database(own.url(), tmp_path, own)
    found.fill(100)
    stored(tmp_path / "models", data="-")
    return found
