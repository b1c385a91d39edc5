"""A PostgreSQL server of the tests' own: a cluster in a temporary folder, with a password, on a free port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER, PASSWORD = "oracle", "s3cret@pä/ss"  # the password needs quoting in a URL
QUOTED = "s3cret%40p%C3%A4%2Fss"


@dataclass
class Server:
    """A running server."""

    port: int
    folder: Path
    programs: Path

    def url(self, password: str = QUOTED) -> str:
        """Of its database."""
        login = f"{USER}:{password}" if password else USER
        return f"postgresql://{login}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._control("start", "-o", options, "-l", str(self.folder / "log"))

    def stop(self) -> None:
        """End it and all its connections at once."""
        self._control("stop", "-m", "immediate")

    def _control(self, *words: str) -> None:
        _run([self.programs / "pg_ctl", "-D", self.folder / "data", "-w", *words])

    def do(self, *statements: str) -> list[tuple]:
        """Run statements and return the rows of the last."""
        import psycopg

        place = f"host=127.0.0.1 port={self.port} user={USER} dbname=postgres"
        with psycopg.connect(place, password=PASSWORD) as connection:
            for statement in statements:
                found = connection.execute(statement)
            return found.fetchall() if found.description else []


def programs() -> Path | None:
    """The folder of the server's programs; None where it is not installed, or may not be run as this user."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [*filter(None, [shutil.which("initdb")])]
    if not found or not hasattr(os, "geteuid"):
        return None
    if os.geteuid() == 0 and not _has_user("postgres"):
        return None
    return Path(found[-1]).parent


@contextmanager
def running(tools: Path) -> Iterator[Server]:
    """A new server, which ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        (folder / "password").chmod(0o644)
        login = ["-U", USER, "--pwfile", folder / "password", "--auth=scram-sha-256"]
        _run([tools / "initdb", "-D", folder / "data", *login, "-E", "UTF8", "--no-sync"])
        server = Server(_free_port(), folder, tools)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(words: list) -> None:
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(
        [*map(str, words)], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, **user
    )
    assert done.returncode == 0, done.stdout.decode()


def _has_user(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
