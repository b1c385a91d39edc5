"""Stored files with wrong values whose hashes are right, and damaged data: python -m tests.torture.tamper [--count N].

Hashes find damage; whoever can write a store can write right hashes, too. Each part changes one kind of file at random,
`count` times, and runs the commands that read it. Each must end with a documented exit code and at most one line that says
why, and where it ends with 0 every number that it wrote is finite. A crash of a library ends the process, so each case runs
in a forked one.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from forecaster.serving.calibration_file import write_calibration
from forecaster.serving.conformal import Calibration, ErrorPool, calibrate
from forecaster.serving.integrity import MANIFEST, hash_files
from forecaster.serving.manifest import _seal, read_manifest, write_manifest
from forecaster.serving.quantile_columns import QuantileColumns
from tests.support.stored_models import stored, write_csv
from tests.torture.kill import preload
from tests.torture.sandbox import check, exit_code, fork

WRONG: tuple[Any, ...] = (
    None, True, 0, -1, 7, 0.5, 1e300, -1e300, 10**30, 2**63, "x", "", "\x1b[31m\n", "a" * 5000, [], [None], ["x"], {}, {"x": 1},
    "../../x", [[]], [1e300], {"x": {"y": []}},
)  # fmt: skip
CELLS: tuple[Any, ...] = (
    None,
    0,
    -1,
    2**62,
    1.5,
    1e308,
    -1e308,
    float("inf"),
    "x",
    "",
    "nan",
    b"\x00\xff",
    "[1]",
    "[[]]",
    "{}",
    "\u202e\x1b[2J",
)
CODES = {0, 2, 3, 4, 5, 6, 7, 75}

Tamper = Callable[[Path, random.Random], str]  # changes one file of the folder; what it did


def leaves(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value within JSON, the whole included."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from leaves(part, (*path, key))


def seal(version: Path, raw: Any) -> None:
    """Write a manifest whose seal is right."""
    whole = {**raw, "seal": _seal(raw)} if isinstance(raw, dict) else raw
    (version / MANIFEST).write_text(json.dumps(whole))


def manifest(folder: Path, rng: random.Random) -> str:
    """Another value in one or two places of the manifest, or one key less."""
    version = folder / "models" / "m" / "1"
    raw = json.loads((version / MANIFEST).read_text())
    raw.pop("seal")
    said = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        path = rng.choice([one for one in leaves(raw) if one])
        place = raw
        for key in path[:-1]:
            place = place[key]
        if rng.random() < 0.1 and isinstance(place, dict):
            del place[path[-1]]
            said.append(f"{path} removed")
        else:
            place[path[-1]] = value = rng.choice(WRONG)
            said.append(f"{path} = {value!r:.40}")
    seal(version, raw)
    return "; ".join(said)


def calibration(folder: Path, rng: random.Random) -> str:
    """Another array in the calibration, or a damaged archive, with the hash that it has."""
    version = folder / "models" / "m" / "1"
    path = version / "calibration.npz"
    with np.load(path) as known:
        arrays = {name: known[name] for name in known.files}
    name = rng.choice(list(arrays))
    old = arrays[name]
    kind = rng.choice(("gone", "shape", "type", "value", "size", "object", "bytes", "order"))
    if kind == "gone":
        del arrays[name]
    elif kind == "shape":
        arrays[name] = rng.choice(
            (old[..., None], old.reshape(-1), old.reshape(-1)[:1], np.zeros((0, 3)), np.array(1.0))
        )
    elif kind == "type":
        arrays[name] = rng.choice(
            (old.astype(str), np.zeros(old.shape, bool), np.zeros(old.shape, complex), old.astype("S8"))
        )
    elif kind == "value" and old.dtype.kind == "f" and old.size:
        flat = old.reshape(-1).copy()
        with np.errstate(over="ignore"):
            flat[rng.randrange(len(flat))] = rng.choice((np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0, -1.0, 2.0))
        arrays[name] = flat.reshape(old.shape)
    elif kind == "size":
        arrays[name] = np.concatenate([old.reshape(-1)] * 3) if old.ndim else np.array([1, 2, 3])
    elif kind == "object":
        arrays[name] = np.array([print], dtype=object)
    elif kind == "order" and old.ndim:
        arrays[name] = old[::-1]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    content = bytearray(buffer.getvalue())
    if kind == "bytes":
        for _ in range(rng.choice((1, 3, 20))):
            content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content)
    raw = json.loads((version / MANIFEST).read_text())
    raw.pop("seal")
    raw["files"] = hash_files(version)
    seal(version, raw)
    return f"{name} {kind}"


def ledger(folder: Path, rng: random.Random) -> str:
    """Another value in a cell, a table or column less, or other bytes."""
    path = folder / "ledger.db"
    kind = rng.choice(("cell", "cell", "cell", "cell", "table", "column", "version", "bytes", "cut"))
    if kind in ("bytes", "cut"):
        content = bytearray(path.read_bytes())
        for _ in range(rng.choice((1, 3, 20))):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content[: rng.randrange(len(content))] if kind == "cut" else content)
        return kind
    connection = sqlite3.connect(path)
    table = rng.choice(("versions", "forecasts"))
    column = rng.choice([row[1] for row in connection.execute(f"PRAGMA table_info({table})")])
    try:
        with connection:
            if kind == "table":
                connection.execute(f"ALTER TABLE {table} RENAME TO other")
            elif kind == "column":
                connection.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO other")
            elif kind == "version":
                connection.execute(f"PRAGMA user_version = {rng.choice((0, 2, -1, 2**31 - 1))}")
            else:
                value = rng.choice(CELLS)
                where = (
                    ""
                    if table == "versions"
                    else f" WHERE step = {rng.randrange(1, 7)} AND series = '{rng.choice('ab')}'"
                )
                connection.execute(f"UPDATE OR REPLACE {table} SET {column} = ?{where}", (value,))
                return f"{table}.{column} = {value!r}"
    except (sqlite3.Error, OverflowError) as refused:
        return f"{kind}: {refused}"
    finally:
        connection.close()
    return f"{kind} {table}.{column}"


def parquet(folder: Path, rng: random.Random) -> str:
    """Other bytes in a Parquet file, or one that is cut short."""
    path = folder / "data.parquet"
    content = bytearray(path.read_bytes())
    if rng.random() < 0.1:
        path.write_bytes(content[: rng.randrange(len(content))])
        return "cut"
    places = [rng.randrange(len(content)) for _ in range(rng.choice((1, 1, 1, 2, 8)))]
    for place in places:
        content[place] ^= rng.randrange(1, 256)
    path.write_bytes(content)
    return f"bytes {places}"


def status(folder: Path, rng: random.Random) -> str:
    """Another value in the status file, or other bytes."""
    path = folder / "status.json"
    raw = json.loads(path.read_text())
    if rng.random() < 0.3:
        content = bytearray(path.read_bytes())
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        return "a bit"
    way = rng.choice([one for one in leaves(raw) if one])
    place = raw
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = value = rng.choice(WRONG)
    path.write_text(json.dumps(raw))
    return f"{way} = {value!r:.40}"


PREDICT = ("predict", "data.csv", "--model", "m", "--quiet", "--output", "out.csv")
# Part -> how it tampers, and the commands that read what was tampered with.
PARTS: dict[str, tuple[Tamper, tuple[tuple[str, ...], ...]]] = {
    "manifest": (manifest, (PREDICT, ("models", "show", "m"), ("models", "list"))),
    "calibration": (calibration, (PREDICT,)),
    "ledger": (ledger, (("monitor", "ledger.db", "later.csv", "--json"), (*PREDICT, "--ledger", "ledger.db"))),
    "parquet": (parquet, (("predict", "data.parquet", *PREDICT[2:]),)),
    "status": (status, (("batch", "jobs.toml", "--quiet"),)),
}


def made_calibration() -> Calibration:
    """A calibration of horizon 6 and two series, from errors drawn at random."""
    rng = np.random.default_rng(0)
    windows, horizon = 100, 6
    forecast = np.full((windows, horizon, 3), 100.0) + np.array([0.0, -2.0, 2.0])
    target = 100.0 + rng.normal(size=(windows, horizon))
    shape = QuantileColumns((0.1, 0.9), 0.5)
    series = np.arange(windows) % 2
    pool = ErrorPool(forecast, target, np.ones(windows), series, windows, np.arange(windows) / 2.0, shape)
    found = calibrate(pool, ["a", "b"])
    if found is None:
        raise ValueError("too few windows")
    return found


def make(folder: Path) -> None:
    """A model with a calibration, data, a ledger with forecasts, and the status file of a batch."""
    import pyarrow.csv
    import pyarrow.parquet

    from forecaster.cli.main import run

    stored(folder / "models")
    version = folder / "models" / "m" / "1"
    write_calibration(version, made_calibration())
    write_manifest(version, read_manifest(version))
    write_csv(folder / "data.csv", 60)
    write_csv(folder / "later.csv", 90)
    (folder / "jobs.toml").write_text(
        'status = "status.json"\n[jobs.one]\ndata = "data.csv"\nmodel = "m"\noutput = "out.csv"\n'
    )
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(folder / "data.csv"), folder / "data.parquet")

    def work() -> int:
        os.chdir(folder)
        return run([*PREDICT, "--ledger", "ledger.db"]) or run(["batch", "jobs.toml", "--quiet"])

    check(exit_code(fork(work)) == 0, "the commands work")
    (folder / "out.csv").unlink()


def told(folder: Path, words: tuple[str, ...]) -> tuple[int, str]:
    """The exit code and standard error of a command in a forked process."""
    from forecaster.cli.main import run

    log = folder / "stderr"

    def work() -> int:
        os.chdir(folder)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
        return run([*words])

    code = exit_code(fork(work))
    return code, log.read_text(errors="replace")


def torture(name: str, whole: Path, count: int, seed: int) -> Counter[str]:
    """Tamper `count` times. Counts by outcome; each fault is printed."""
    tamper, commands = PARTS[name]
    rng = random.Random(seed)
    tally: Counter[str] = Counter()
    for _ in range(count):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "box"
            shutil.copytree(whole, folder)
            what = tamper(folder, rng)
            for words in commands:
                code, said = told(folder, words)
                try:
                    expect(folder, code, said)
                except AssertionError as broken:
                    tally["faults"] += 1
                    fault = {
                        "fault": f"{name}: {what}",
                        "command": words[0],
                        "code": code,
                        "why": str(broken),
                        "said": said[-400:],
                    }
                    print(json.dumps(fault), flush=True)
                tally[f"exit {code}"] += 1
    return tally


def expect(folder: Path, code: int, said: str) -> None:
    """Check what must hold after a command on tampered files."""
    check("Traceback" not in said, "there is no traceback")
    check(code in CODES, "the exit code is documented")
    check(code == 0 or said.strip(), "a line says why")
    check(said.count("\n") <= 3 and "\x1b" not in said, "a few lines, without control characters")
    output = folder / "out.csv"
    if output.exists():
        header, *rows = csv.reader(output.read_text().splitlines())
        columns = [header.index("prediction"), *(n for n, name in enumerate(header) if name.startswith("0."))]
        numbers = [[float(row[n]) for n in columns] for row in rows]
        check(
            numbers and all(math.isfinite(number) for row in numbers for number in row),
            "every number that was written is finite",
        )
        check(all(row[1:] == sorted(row[1:]) for row in numbers), "quantiles ascend")


def main() -> None:
    """Tamper with each kind of file, and print the counts; exit with 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1500, help="changes of each kind of file")
    parser.add_argument("--parts", default=",".join(PARTS), help="only these, between commas")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    preload("pyarrow.parquet", "pyarrow.csv", "forecaster.commands.monitor")
    broken = 0
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        whole.mkdir()
        make(whole)
        for name in options.parts.split(","):
            began = time.monotonic()
            tally = torture(name, whole, options.count, options.seed)
            broken += tally["faults"]
            seconds = round(time.monotonic() - began, 1)
            print(json.dumps({f"tamper {name}": dict(sorted(tally.items())), "seconds": seconds}), flush=True)
    raise SystemExit(1 if broken else 0)


if __name__ == "__main__":
    main()
