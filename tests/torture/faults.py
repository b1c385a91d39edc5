"""Fail or kill at each call that changes the disk, in C libraries, too: python -m tests.torture.faults --help.

A small library is built with the system's C compiler and preloaded. For each command, each kind of call and each n, a forked
process has its n-th call of this kind fail, from then on or once, or is killed before or after it. Then must hold: the exit
code is one of the documented ones, and without a traceback; outputs are whole, old or new; 0 means that all is there; no
output is there without its rows in the ledger; the serving version forecasts; the next run does its work and leaves nothing.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from forecaster.serving.store import Store
from tests.support.stored_models import stored, write_csv
from tests.torture.kill import TRAINING, answers, preload, train
from tests.torture.sandbox import batch, check, exit_code, forecasts_in_ledger, fork, leftovers, make_sandbox

ROOT = Path(__file__).parents[2]
LIBRARY = "FAULTS_LIBRARY"  # variable with the path of the preloaded library
KILL_BEFORE, KILL_AFTER = 0, -1
KILLS = {KILL_BEFORE: "kill before", KILL_AFTER: "kill after"}
# Kind of call -> errors that a disk answers it with.
ERRORS = {
    "open": (errno.ENOSPC, errno.EACCES, errno.EROFS),
    "write": (errno.ENOSPC, errno.EIO),
    "sync": (errno.EIO,),
    "rename": (errno.EIO, errno.EACCES),
    "unlink": (errno.EIO, errno.EROFS, errno.EACCES),
    "lock": (errno.ENOLCK, errno.EIO),
    "chmod": (errno.EPERM,),
    "mkdir": (errno.ENOSPC, errno.EACCES),
    "bytes": (errno.ENOSPC,),
}
BYTES = "bytes"  # not a call: a disk of a size
SIZES = 40  # of the disk, between nothing and all that is written
NEXT_RUN = 8  # of a verb that takes seconds, so many cases share one check of the next run
CODES = {0, 2, 4, 7, 75}


@dataclass(frozen=True)
class Verb:
    """A command, what it writes, and how it is made ready."""

    name: str
    run: Callable[[Path], int]
    ready: Callable[[Path], None]
    outputs: tuple[str, ...]  # relative to the folder; what it writes whole or not at all
    seconds: bool = False  # it takes seconds: each call has one of the faults, in turn, and few next runs are checked


def forecaster(folder: Path, *words: str) -> int:
    """The exit code of a command line."""
    from forecaster.cli.main import run

    os.chdir(folder)
    return run([*words])


def _predict(folder: Path) -> int:
    words = ("predict", "data.csv", "--model", "m", "--quiet", "--output", "out/csv.csv", "--ledger", "ledger.db")
    return forecaster(folder, *words)


def _predict_parquet(folder: Path) -> int:
    return forecaster(folder, "predict", "data.csv", "--model", "m", "--quiet", "--output", "out/one.parquet")


def _predict_each(folder: Path) -> int:
    words = ("predict", "data.csv", "--model", "m", "--quiet", "--output", "out/{series}.csv", "--ledger", "ledger.db")
    return forecaster(folder, *words)


def _publish(folder: Path) -> int:
    """As `train` stores a version; a fault of the disk is an error of one line there, too."""
    from forecaster.errors import ForecasterError

    try:
        with Store(folder / "models").training("m", 0.0):
            stored(folder / "models")
    except ForecasterError as fault:
        return fault.code
    return 0


def _train(folder: Path) -> int:
    return train(folder)


def _monitor(folder: Path) -> int:
    words = ("monitor", "kept.db", "later.csv", "--report", "out/live.html", "--anomalies", "out/odd.csv", "--quiet")
    return forecaster(folder, *words)


def _evaluate(folder: Path) -> int:
    words = (
        "evaluate",
        "data.csv",
        "--model",
        "m",
        "--output",
        "out/windows.csv",
        "--anomalies",
        "out/odd.csv",
        "--quiet",
    )
    return forecaster(folder, *words)


def _export(folder: Path) -> int:
    return forecaster(folder, "models", "export", "m", "out/m.tar")


def _import(folder: Path) -> int:
    return forecaster(folder, "models", "import", "kept.tar")


def _delete(folder: Path) -> int:
    """Where the version is gone, the next training removes what is left."""
    gone = 1 not in Store(folder / "models").versions("m")
    return _publish(folder) if gone else forecaster(folder, "models", "delete", "m@1")


def _pages(folder: Path) -> int:
    """The page and the metrics of a batch whose jobs are done. They have times, so only their ends are compared."""
    code = batch(folder, "--report", str(folder / "out" / "page.html"), "--metrics", str(folder / "out" / "jobs.prom"))
    if code == 0:
        check((folder / "out" / "page.html").read_text().rstrip().endswith("</html>"), "the page is whole")
        check((folder / "out" / "jobs.prom").read_text().endswith("\n"), "the metrics are whole")
    return code


def _jobs_done(folder: Path) -> None:
    if not (folder / "status.json").exists():
        check(exit_code(fork(batch, folder)) == 0, "a batch works")
    for page in ("page.html", "jobs.prom"):
        (folder / "out" / page).unlink(missing_ok=True)


def _exported(folder: Path) -> None:
    """Three versions in the store, and one of the same model in a file."""
    _three_versions(folder)
    if not (folder / "kept.tar").exists():
        check(exit_code(fork(forecaster, folder, "models", "export", "m", "kept.tar")) == 0, "an export works")


def _forecast_before(folder: Path) -> None:
    """A ledger with forecasts whose actuals are in `later.csv`."""
    _empty(folder)
    if not (folder / "kept.db").exists():
        write_csv(folder / "later.csv", 90)
        words = ("predict", "data.csv", "--model", "m", "--quiet", "--output", "first.csv", "--ledger", "kept.db")
        check(exit_code(fork(forecaster, folder, *words)) == 0, "predict works")


def _one_version(folder: Path) -> None:
    write_csv(folder / "data.csv", 120)
    shutil.rmtree(folder / "models", ignore_errors=True)
    stored(folder / "models")


def _empty(folder: Path) -> None:
    for path in (folder / "status.json", folder / "ledger.db", folder / "ledger.db-journal"):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()


def _three_versions(folder: Path) -> None:
    shutil.rmtree(folder / "models", ignore_errors=True)
    for _ in range(3):
        stored(folder / "models")


BATCH_OUTPUTS = ("out/forecast.csv", "out/forecast.json", "out/each-a.csv", "out/each-b.csv")
VERBS = (
    Verb("predict", _predict, _empty, ("out/csv.csv",)),
    Verb("predict parquet", _predict_parquet, _empty, ("out/one.parquet",)),
    Verb("predict each", _predict_each, _empty, ("out/a.csv", "out/b.csv")),
    Verb("batch", batch, _empty, BATCH_OUTPUTS),
    Verb("publish", _publish, _three_versions, ()),
    Verb("rollback", lambda folder: forecaster(folder, "models", "rollback", "m", "1"), _three_versions, ()),
    Verb("prune", lambda folder: forecaster(folder, "models", "prune", "m", "--keep", "1"), _three_versions, ()),
    Verb("export", _export, _empty, ("out/m.tar",)),
    Verb("import", _import, _exported, ()),
    Verb("delete", _delete, _three_versions, ()),
    Verb("evaluate", _evaluate, _empty, ("out/windows.csv", "out/odd.csv")),
    Verb("pages", _pages, _jobs_done, ()),
    Verb("monitor", _monitor, _forecast_before, ("out/live.html", "out/odd.csv")),
    Verb("train", _train, _one_version, (), seconds=True),
)


def struck(verb: Verb, folder: Path, kind: str, when: int, fault: int, once: bool) -> tuple[int, str, int]:
    """Run the verb in a forked process with a fault. Its exit code, standard error, and the number of calls of the kind."""
    log, counted = folder.with_name(f"{folder.name}.log"), folder.with_name(f"{folder.name}.count")
    counted.write_text("-1")

    def work() -> int:
        library = ctypes.CDLL(os.environ[LIBRARY])
        errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(errors, 2)
        library.faults_arm(ctypes.c_long(when), fault, int(once), kind.encode(), str(folder).encode())
        try:
            return verb.run(folder)
        finally:
            library.faults_disarm.restype = ctypes.c_long
            counted.write_text(str(library.faults_disarm()))

    code = exit_code(fork(work))
    return code, log.read_text(errors="replace"), int(counted.read_text())


def contents(verb: Verb, folder: Path) -> dict[str, bytes]:
    """The outputs that are there."""
    return {name: (folder / name).read_bytes() for name in verb.outputs if (folder / name).exists()}


def faults(kind: str) -> Iterator[tuple[int, bool]]:
    """Each fault of a kind of call, and whether it strikes once only."""
    if kind == BYTES:
        yield errno.ENOSPC, False
        return
    for error in ERRORS[kind]:
        yield error, False
        yield error, True
    yield KILL_BEFORE, True
    yield KILL_AFTER, True


class Journal:
    """The cases that have run, a line of JSON each in `path`: a run that was stopped goes on after them."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path and path.exists() else []
        self.outcomes: dict[str, list[str]] = dict(map(json.loads, lines))

    def add(self, case: str, outcomes: list[str]) -> None:
        """Note how a case ended."""
        self.outcomes[case] = outcomes
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps([case, outcomes]) + "\n")


def torture(verb: Verb, folder: Path, step: int, kinds: Sequence[str], journal: Journal) -> Counter[str]:
    """Strike every `step`-th call of each of these kinds with each of its faults. Counts by outcome."""
    tally: Counter[str] = Counter()
    verb.ready(folder)
    check(exit_code(fork(verb.run, folder)) == 0, f"{verb.name} works")
    expected = contents(verb, folder)
    check(expected.keys() == set(verb.outputs), f"{verb.name} writes its outputs")
    for kind in kinds:
        verb.ready(folder)
        _, _, calls = struck(verb, folder, kind, 0, 0, False)
        turn = itertools.cycle(faults(kind))
        for when in range(1, calls + 1, step if kind != BYTES else max(1, calls * step // SIZES)):
            for fault, once in (next(turn),) if verb.seconds else faults(kind):
                name = KILLS.get(fault) or errno.errorcode[fault] + " once" * once
                what = f"{verb.name}: {kind} {when} of {calls}: {name}"
                if what not in journal.outcomes:
                    again = not verb.seconds or len(journal.outcomes) % NEXT_RUN == 0
                    journal.add(what, strike(verb, folder, what, (kind, when, fault, once), expected, again))
                tally.update(journal.outcomes[what])
        if verb.seconds:
            print(json.dumps({f"{verb.name}, up to {kind}": dict(sorted(tally.items()))}), flush=True)
    return tally


def strike(
    verb: Verb,
    folder: Path,
    what: str,
    fault: tuple[str, int, int, bool],
    expected: dict[str, bytes],
    again: bool,
) -> list[str]:
    """Run the verb with a fault (`struck`) and check what must hold. Its outcome, and "faults" where something did not."""
    verb.ready(folder)
    code, said, _ = struck(verb, folder, *fault)
    outcomes = ["killed" if code == -signal.SIGKILL else f"exit {code}"]
    try:
        expect(verb, folder, code, said, expected, again)
    except AssertionError as broken:
        outcomes.append("faults")
        found = {"fault": what, "code": code, "why": str(broken), "said": said[-300:]}
        print(json.dumps(found), flush=True)
    return outcomes


def expect(verb: Verb, folder: Path, code: int, said: str, expected: dict[str, bytes], again: bool) -> None:
    """Check what must hold after a fault; with `again`, that the next run does its work and leaves nothing, too."""
    check("Traceback" not in said, "there is no traceback")
    check(code in CODES or code == -signal.SIGKILL, "the exit code is documented")
    check(code == 0 or code == -signal.SIGKILL or said.count("\n") >= 1 or verb.name == "publish", "a line says why")
    check(code != 2 or said.count("\n") <= (1 if verb.name != "batch" else 9), "it is one line")
    found = contents(verb, folder)
    check(all(content == expected[name] for name, content in found.items()), "outputs are whole")
    check(code != 0 or found == expected, "0 means that all outputs are there")
    if (folder / "ledger.db").exists() or verb.name in ("predict", "predict each", "batch"):
        rows = forecasts_in_ledger(folder)
        check(rows or not found or code in (2, 7), "no output is there without its rows")
        check(code != -signal.SIGKILL or rows or not found, "a kill leaves no output without its rows")
    check(exit_code(fork(answers, folder, folder / "models")) == 0, "the serving version forecasts")
    if not again:
        return
    check(exit_code(fork(verb.run, folder)) == 0, "the next run does its work")
    check(contents(verb, folder) == expected, "the next run writes all")
    check(leftovers(folder) == [], f"the next run leaves nothing: {leftovers(folder)}")


def build(folder: Path) -> Path | None:
    """The library, built with the system's compiler; None where there is none."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True)
    return library


def main() -> None:
    """Build and preload the library, torture each verb, and print the counts; exit with 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1, help="strike every n-th call only")
    parser.add_argument("--verbs", default="", help="only these, between commas")
    parser.add_argument(
        "--kinds", default=",".join(ERRORS), help="only these calls, between commas; bytes: a full disk"
    )
    parser.add_argument("--journal", type=Path, help="a file of the cases that have run, which a later run leaves out")
    options = parser.parse_args()
    if LIBRARY not in os.environ:
        with tempfile.TemporaryDirectory() as place:
            library = build(Path(place))
            if library is None:
                print(json.dumps({"faults": "skipped: no C compiler (cc) on Linux", "seconds": 0}))
                return
            preloaded = {**os.environ, "LD_PRELOAD": str(library), LIBRARY: str(library)}
            command = [sys.executable, "-m", "tests.torture.faults", *sys.argv[1:]]
            sys.exit(subprocess.run(command, env=preloaded, cwd=ROOT, check=False).returncode)
    preload("pyarrow.parquet", "forecaster.commands.monitor")
    if not options.verbs or "train" in options.verbs.split(","):
        preload(*TRAINING)
    broken, journal = 0, Journal(options.journal)
    for verb in VERBS:
        if options.verbs and verb.name not in options.verbs.split(","):
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "box"
            folder.mkdir()
            make_sandbox(folder)
            write_csv(folder / "data.csv", 60)
            tally = torture(verb, folder, options.step, options.kinds.split(","), journal)
        broken += tally["faults"]
        print(
            json.dumps({verb.name: dict(sorted(tally.items())), "seconds": round(time.monotonic() - began, 1)}),
            flush=True,
        )
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
