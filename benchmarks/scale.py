"""Seconds and peak memory of `predict` as the number of series grows, and of reading PostgreSQL, into RESULTS.md.

    python benchmarks/scale.py [--series 10000,100000,1000000] [--layout date] [--folder DIR] [--kills 10] [--ray 2]
        [--csv 100000] [--postgres 5000000] [--workers 3] [--daily 30490 [--max-rows 12000000]]

Makes daily counts: zeros, a week, a trend; 48 rows a series, in Parquet files by date (rows in no order) or by series. One
model is trained on 2,000 of the series. `--daily`: 1,941 days of each series, with a year, too, in one file, for the default
commands; with `--max-rows` for a training on a sample of so many rows alone. Every figure is of one process, which the system
accounts for; nothing is averaged.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joint_training
import numpy as np

ROWS = 48  # of each series
CHUNK = 100_000  # series that are made at once
DAYS, DAYS_CHUNK = 1941, 2_000  # of each daily series; of them that are made at once
COMMAND = (sys.executable, "-m", "forecaster")


def make(folder: Path, series: int, layout: str) -> None:
    """Write the rows of `series` series to Parquet files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(series)
    names = np.char.add("s", np.arange(series).astype("U7"))
    days = np.datetime64("2024-01-01", "us") + np.arange(ROWS) * np.timedelta64(86_400_000_000, "us")
    level = rng.lognormal(1.0, 1.0, series)
    weekly = 1 + 0.5 * np.sin(2 * np.pi * (np.arange(ROWS) / 7))
    if layout == "date":
        for n, day in enumerate(days):
            order = rng.permutation(series)
            target = rng.poisson(level * weekly[n]).astype(np.float64)
            table = pa.table({"series": names[order], "timestamp": np.full(series, day), "target": target[order]})
            place = folder / f"date={str(day)[:10]}"
            place.mkdir(parents=True)
            pq.write_table(table, place / "0.parquet")
        return
    folder.mkdir(parents=True)
    for first in range(0, series, CHUNK):
        own = slice(first, min(first + CHUNK, series))
        count = own.stop - own.start
        target = rng.poisson(level[own, None] * weekly).astype(np.float64).reshape(-1)
        columns = {"series": np.repeat(names[own], ROWS), "timestamp": np.tile(days, count), "target": target}
        pq.write_table(pa.table(columns), folder / f"{first // CHUNK:03}.parquet")


def measured(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Seconds of a command, those of a processor, and the most memory that it had, in GB. SystemExit where it fails."""
    began, peak = time.monotonic(), 0
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    while True:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        # ru_maxrss would count this process, too, which the new one was made from.
        peak = max(peak, _peak(process.pid))
        time.sleep(0.02)
    if status:
        raise SystemExit(f"{' '.join(command)}: {status}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime, peak * 1024 / 1e9


def measured_tree(command: list[str], folder: Path) -> tuple[float, float, float]:
    """As `measured`, of a command and all processes that it starts, which are looked at ten times a second."""
    import psutil

    began, peak, used = time.monotonic(), 0, {}
    process = psutil.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        memory = 0
        with contextlib.suppress(psutil.Error):
            for one in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    times, found = one.cpu_times(), one.memory_full_info()
                    used[one.pid] = times.user + times.system
                    memory += found.pss  # a page that several processes share is counted once
        peak = max(peak, memory)
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: {process.returncode}")
    return time.monotonic() - began, sum(used.values()), peak / 1e9


def _peak(pid: int) -> int:
    """The most memory that a process has had so far, in kB; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def predicting(data: Path, *words: str) -> list[str]:
    return [*COMMAND, "predict", str(data), "--model", "scale", "--output", "out/", "--quiet", *words]


def ray(folder: Path, series: int, workers: int) -> str:
    """Seconds through so many workers of Ray on this machine, over one process, in turn."""
    lines, ratios = [], []
    for words in ([], ["--engine", "ray", "--workers", str(workers)]):
        seconds, processor, memory = measured_tree(predicting(folder / "data", "--threads", "1", *words), folder)
        check(folder, series)
        lines.append(f"{seconds:.1f} s ({processor:.1f} s of processors, {memory:.2f} GB)")
        ratios.append((seconds, processor))
    (one, own), (other, others) = ratios
    return (
        f"{series:,} series: one process {lines[0]}, Ray with {workers} workers {lines[1]}: "
        f"{other / one:.2f} × the clock, {others / own:.2f} × the processors"
    )


def from_csv(folder: Path, series: int) -> str:
    """Seconds and memory of a forecast from one CSV file to another."""
    from pyarrow import csv, dataset

    shutil.rmtree(folder / "data", ignore_errors=True)
    make(folder / "data", series, "series")
    csv.write_csv(
        dataset.dataset(folder / "data").to_table(), folder / "all.csv", csv.WriteOptions(quoting_style="none")
    )
    command = [*COMMAND, "predict", "all.csv", "--model", "scale", "--output", "out.csv", "--quiet"]
    seconds, processor, memory = measured(command, folder)
    return f"{series:,} series from CSV: {seconds:.1f} s, {processor:.1f} s of a processor, {memory:.3f} GB"


def daily(folder: Path, series: int, max_rows: int) -> str:
    """Seconds and memory of the default commands on long daily counts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(series)
    days = np.datetime64("2016-01-01", "us") + np.arange(DAYS) * np.timedelta64(86_400_000_000, "us")
    t = np.arange(DAYS)
    names = np.char.add("s", np.arange(series).astype("U7"))
    schema = pa.schema({"series": pa.string(), "timestamp": pa.timestamp("us"), "target": pa.float64()})
    with pq.ParquetWriter(folder / "daily.parquet", schema) as writer:
        for first in range(0, series, DAYS_CHUNK):
            own = names[first : first + DAYS_CHUNK]
            level, size, phase = (
                rng.lognormal(-0.3, 1.2, len(own)),
                rng.uniform(0.0, 0.6, len(own)),
                rng.uniform(0, 6.3, len(own)),
            )
            year = 1.0 + size[:, None] * np.sin(2 * np.pi * t / 365.25 + phase[:, None])
            mean = level[:, None] * (1.0 + 0.4 * np.sin(2 * np.pi * t / 7)) * year
            target = rng.poisson(mean).astype(np.float64).ravel()
            columns = [np.repeat(own, DAYS), np.tile(days, len(own)), target]
            writer.write_table(pa.table(dict(zip(schema.names, columns, strict=True)), schema=schema))
    words = {
        "check": ["check", "daily.parquet"],
        "train": ["train", "daily.parquet", "--horizon", "28", "--name", "daily", "--quiet"],
        "predict": ["predict", "daily.parquet", "--model", "daily", "--output", "daily-out.parquet", "--quiet"],
    }
    if max_rows:
        words = {f"train --max-rows {max_rows}": [*words["train"], "--max-rows", str(max_rows)]}
    lines = [f"{series:,} series of {DAYS:,} days, {series * DAYS:,} rows"]
    for name, command in words.items():
        seconds, processor, memory = measured([*COMMAND, *command], folder)
        lines.append(f"{name} {seconds:.0f} s ({processor:.0f} s of processors, {memory:.2f} GB)")
        print(lines[-1], flush=True)
    return ": ".join([lines[0], ", ".join(lines[1:])])


def train(folder: Path) -> None:
    """A model of a few series: training is not what is measured."""
    make(folder / "small", 2000, "series")
    words = ["--name", "scale", "--horizon", "7", "--members", "2", "--cell", "gru", "--units", "16", "--epochs", "3"]
    words += ["--learning-rate", "0.003", "--quiet"]
    subprocess.run([*COMMAND, "train", "small", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def check(folder: Path, series: int) -> None:
    """SystemExit unless every series has its seven rows once."""
    import pyarrow.compute as pc
    from pyarrow import dataset

    found = dataset.dataset(folder / "out").to_table(columns=["series", "timestamp"])
    pairs = found.group_by(["series", "timestamp"]).aggregate([])
    if not len(found) == len(pairs) == 7 * series or len(pc.unique(found["series"])) != series:
        raise SystemExit(f"{len(found):,} rows, {len(pairs):,} of them different, for {series:,} series")


def kill(folder: Path, series: int, count: int) -> str:
    """Run in small groups, killed at random times, until `count` runs were killed; each time that the folder appears it is
    checked and removed. SystemExit where a row is lost or there twice."""
    code = (
        "import sys\nfrom forecaster.data.reading import series_groups\nfrom forecaster.cli.main import run\n"
        f"series_groups.GROUP_ROWS = {series * ROWS // 10}\nsys.exit(run({predicting(folder / 'data')[3:]!r}))"
    )
    command, rng = [sys.executable, "-c", code], random.Random(0)
    shutil.rmtree(folder / "out", ignore_errors=True)
    seconds, _, _ = measured(command, folder)
    shutil.rmtree(folder / "out")
    killed = whole = 0
    while killed < count:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.05, 0.8) * seconds)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        if process.returncode not in (0, -signal.SIGKILL):
            raise SystemExit(f"a run ended with {process.returncode}")
        if (folder / "out").is_dir():
            whole += 1
            check(folder, series)
            shutil.rmtree(folder / "out")
    measured(command, folder)
    check(folder, series)
    return f"killed {killed} times in 10 groups: complete each of the {whole} times that the folder was there, and at the end"


def postgres(folder: Path, rows: int) -> str:
    """Seconds of a processor to read rows from PostgreSQL over those from Parquet, by `check`; without those of the server."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.support import postgres as servers

    tools = servers.programs()
    if tools is None:
        return "PostgreSQL: not measured, there is no server here"
    make(folder / "rows", rows // ROWS, "series")
    seconds, memory = {}, {}
    with servers.running(tools) as server:
        server.do(
            "CREATE TABLE sales (series text, timestamp timestamp, target double precision)",
            f"INSERT INTO sales SELECT 's' || n, '2024-01-01'::timestamp + day * interval '1 day', floor(random() * 9) "
            f"FROM generate_series(0, {rows // ROWS - 1}) AS n, generate_series(0, {ROWS - 1}) AS day",
        )
        url = f"{server.url()}?table=sales"
        for name, data, adbc in (("parquet", "rows", "1"), ("ADBC", url, "1"), ("SQLAlchemy", url, "0")):
            code = (
                "import sys\nfrom forecaster.storage import database\nfrom forecaster.cli.main import run\n"
                f"if {adbc} == 0: database._has_adbc = lambda: False\n"
                f"sys.exit(run(['check', {data!r}, '--quiet']))"
            )
            _, seconds[name], memory[name] = measured([sys.executable, "-c", code], folder)
    parts = [f"{name} {seconds[name]:.1f} s of a processor, {memory[name]:.2f} GB" for name in seconds]
    ratio = ", ".join(f"{name} {seconds[name] / seconds['parquet']:.2f} ×" for name in ("ADBC", "SQLAlchemy"))
    return f"check of {rows:,} rows: {'; '.join(parts)}; over Parquet: {ratio}"


def main() -> None:
    """Measure and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", default="10000,100000,1000000")
    parser.add_argument("--layout", default="date", choices=("date", "series"))
    parser.add_argument("--folder")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--ray", type=int, default=0, help="workers to compare with one process")
    parser.add_argument("--csv", type=int, default=0, help="series of a CSV file")
    parser.add_argument("--postgres", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0, help="times to compare two workers with one process")
    parser.add_argument("--daily", type=int, default=0, help="series of 1,941 days")
    parser.add_argument("--max-rows", type=int, default=0, help="rows of the sample that --daily trains on")
    options = parser.parse_args()
    if options.workers:
        print(joint_training.compare(options.workers), flush=True)
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        if options.daily:
            print(daily(folder, options.daily, options.max_rows), flush=True)
        if options.series or options.csv or options.postgres:
            train(folder)
        for series in filter(None, map(int, filter(None, options.series.split(",")))):
            shutil.rmtree(folder / "data", ignore_errors=True)
            make(folder / "data", series, options.layout)
            size = sum(path.stat().st_size for path in (folder / "data").rglob("*.parquet"))
            seconds, processor, memory = measured(predicting(folder / "data"), folder)
            check(folder, series)
            line = {"series": series, "rows": series * ROWS, "layout": options.layout, "bytes": size}
            line |= {"seconds": round(seconds, 1), "processor": round(processor, 1), "peak_gb": round(memory, 3)}
            print(json.dumps(line), flush=True)
            if options.kills:
                print(kill(folder, series, options.kills), flush=True)
                options.kills = 0
            if options.ray:
                print(ray(folder, series, options.ray), flush=True)
        if options.csv:
            print(from_csv(folder, options.csv), flush=True)
        if options.postgres:
            print(postgres(folder, options.postgres), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
