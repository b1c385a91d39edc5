"""Replay a week of an hourly schedule, with late files, gaps, a bad model and a rollback: python -m tests.torture.week."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from forecaster.commands.batch.run import batch
from forecaster.config import BatchSettings
from forecaster.serving.store import Store
from forecaster.typing import Silent
from tests.support.stored_models import HOUR, START, stored, wave, write_csv
from tests.torture.sandbox import check, leftovers

HISTORY = 72  # hours of data before the week begins
HORIZON = 6
JOBS = """
status = "status.json"
[defaults]
wait = "10m"
fallback = true
max_age = "90m"
data = "data.csv"
[jobs.load]
model = "m"
output = "out/load.csv"
ledger = "ledger.db"
"""


class FakeClock:
    """A clock whose time passes only where the program waits; `arrivals` are calls due at a time."""

    def __init__(self) -> None:
        self.time = START + dt.timedelta(hours=HISTORY)
        self.arrivals: list[tuple[dt.datetime, Callable[[], object]]] = []

    def now(self) -> dt.datetime:
        """The time, in UTC."""
        return self.time.replace(tzinfo=dt.timezone.utc)

    def monotonic(self) -> float:
        """Seconds since the first row of the data."""
        return (self.time - START).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass; at least 0.1, so that time goes on."""
        self.until(self.time + dt.timedelta(seconds=max(seconds, 0.1)))

    def until(self, then: dt.datetime) -> None:
        """Let time pass until `then`, and make the calls that are due."""
        for when, event in sorted(self.arrivals, key=lambda one: one[0]):
            if when <= then:
                self.arrivals.remove((when, event))
                self.time = max(self.time, when)
                event()
        self.time = max(self.time, then)


def value(n: int, hour: int) -> float | None:
    """Series number `n` at an hour. The second series lacks three hours in every eighty."""
    return None if n == 1 and hour % 80 in (33, 34, 35) else wave(n, hour)


def week(folder: Path, hours: int = 168) -> dict[str, int]:
    """Replay `hours` hours. Check each outcome, the output, and the forecasts in the ledger. Counts."""
    models, data, clock = folder / "models", folder / "data.csv", FakeClock()
    stored(models, data=data)
    (folder / "jobs.toml").write_text(JOBS)
    expected: dict[tuple[int, str, str, int], int] = {}
    tally = {"hours": hours, "late": 0, "missed": 0, "fallbacks": 0, "failed": 0}
    good = b""
    for hour in range(HISTORY, HISTORY + hours):
        clock.until(START + dt.timedelta(hours=hour))
        turn = hour - HISTORY
        late, missed = turn % 11 == 5, turn % 23 == 7
        arrival = clock.time + dt.timedelta(minutes=30 if missed else 5 if late else -1)
        event = lambda rows=hour: write_csv(data, rows, value=value)  # noqa: E731
        clock.arrivals.append((arrival, event))
        clock.until(clock.time)
        if turn == 20:
            stored(models, factor=1e6, data=data)  # a bad model is published: its forecasts are implausible
        if turn == 24:
            Store(models).rollback("m")
        if turn == 40:
            graph = models / "m" / "1" / "model.onnx"
            good = graph.read_bytes()
            graph.write_bytes(good[:-1] + b"?")  # a byte of the stored model changes
        if turn == 43:
            graph.write_bytes(good)
        summary = batch(folder / "jobs.toml", BatchSettings(), Silent(), lambda line: None, clock)
        line = summary.lines[0].to_json()
        tally["late"] += late
        if missed:
            check(line["code"] == 6, f"hour {turn}: stale data is refused: {line}")
            tally["missed"] += 1
            continue
        check(line["status"] == "done", f"hour {turn}: done: {line}")
        version = Store(models).current("m")
        bad = 20 <= turn < 24 or 40 <= turn < 43
        for n, name in enumerate("ab"):
            gap = any(value(n, hour - 24 + step) is None for step in range(HORIZON))
            source = "seasonal-naive" if bad or gap else "model"
            expected[(version, source, name, hour - 1)] = HORIZON
            tally["fallbacks"] += source != "model"
        check(len((folder / "out" / "load.csv").read_text().splitlines()) == 1 + 2 * HORIZON, "the output is complete")
    check(_ledger(folder) == expected, "the ledger is exact")
    status = json.loads((folder / "status.json").read_text())["jobs"]["load"]
    check((status["done"], status["failed"]) == (hours - tally["missed"], tally["missed"]), "the counts are right")
    check(leftovers(folder) == [], f"no leftovers: {leftovers(folder)}")
    return {**tally, "forecasts in the ledger": sum(expected.values())}


def _ledger(folder: Path) -> dict[tuple[int, str, str, int], int]:
    """The number of steps in the ledger for each version, source, series and hour of the cutoff."""
    start = int(START.replace(tzinfo=dt.timezone.utc).timestamp()) * 1_000_000
    with sqlite3.connect(folder / "ledger.db") as ledger:
        rows = ledger.execute(
            "SELECT v.version, f.source, f.series, f.cutoff, count(*) FROM forecasts f JOIN versions v "
            "ON v.id = f.version GROUP BY 1, 2, 3, 4"
        ).fetchall()
    return {
        (version, source, series, (cutoff - start) // HOUR): count for version, source, series, cutoff, count in rows
    }


def main() -> None:
    """Replay a week, or as many hours as the option says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=168)
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = week(Path(folder), given.hours)
    print(json.dumps({"week": found, "seconds": round(time.monotonic() - began, 1)}), flush=True)


if __name__ == "__main__":
    main()
