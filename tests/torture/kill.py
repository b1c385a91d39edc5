"""Kill processes at random moments, and before and after each change of the disk: python -m tests.torture.kill --help."""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from tests.support.stored_models import stored, write_csv
from tests.torture.sandbox import (
    KillAtDiskStep,
    batch,
    check,
    exit_code,
    forecasts_in_ledger,
    fork,
    kill_after,
    leftovers,
    make_sandbox,
    read_outputs,
)

TRAIN = "--horizon 6 --epochs 2 --steps-per-epoch 2 --learning-rate 5e-3 --units 4 --cell rnn --windows 1 --members 1"
# Nothing is left to select, which writes nothing and takes half of the seconds.
TRAIN += " --transform log --error-scale window --floor 0 --no-pretrained --context-length 12 --segment 6"
TRAIN += " --name m --quiet"
# What a training imports.
TRAINING = ("tensorflow", "keras", "tf2onnx", "forecaster.commands.train", "forecaster.models.export")


def preload(*modules: str) -> None:
    """Import once, before forking, what every forked process needs. None of these modules may start threads."""
    for module in (
        "forecaster.cli.main",
        "forecaster.commands.batch.run",
        "forecaster.commands.evaluate",
        "onnxruntime",
        "pandas",
        *modules,
    ):
        __import__(module)


def expect_whole(folder: Path, expected: dict[str, bytes], before: int) -> None:
    """Check after a kill: outputs are whole or absent, the ledger has whole forecasts, the status file can be read."""
    for name, content in read_outputs(folder).items():
        check(content == expected[name], f"{name} is whole")
    check((forecasts_in_ledger(folder) - before) in range(0, 10_000, 2), "the ledger has whole forecasts")
    if (folder / "status.json").exists():
        json.loads((folder / "status.json").read_text())


def expect_clean(folder: Path, expected: dict[str, bytes]) -> None:
    """Check that the next run writes all outputs and leaves no temporary files."""
    check(exit_code(fork(batch, folder, "--force")) == 0, "the next run does its work")
    check(read_outputs(folder) == expected, "all outputs are there")
    check(leftovers(folder) == [], f"no leftovers: {leftovers(folder)}")


def reference(folder: Path) -> tuple[dict[str, bytes], float]:
    """What the jobs write, and the seconds that they take in a fresh process."""
    began = time.monotonic()
    check(exit_code(fork(batch, folder)) == 0, "the jobs run")
    return read_outputs(folder), time.monotonic() - began


def clear(folder: Path) -> None:
    """Remove what the runs wrote."""
    for path in (folder / "status.json", folder / "ledger.db", *(folder / "out").glob("*")):
        path.unlink(missing_ok=True)


def kill_batches(folder: Path, count: int, rng: random.Random) -> dict[str, int]:
    """Kill batches at random moments. Counts."""
    preload()
    make_sandbox(folder)
    expected, seconds = reference(folder)
    killed = 0
    for attempt in range(count):
        if attempt % 3 == 0:
            clear(folder)
        code = kill_after(fork(batch, folder, "--force"), rng.uniform(0, 1.1 * seconds))
        killed += code == -9
        expect_whole(folder, expected, 0)
        expect_clean(folder, expected)
    return {"batch runs": count, "killed while running": killed}


def kill_at_every_step(folder: Path, step: int = 1) -> dict[str, int]:
    """Kill a batch before and after each call that changes the disk; only every `step`-th of these moments. Counts."""
    preload()
    make_sandbox(folder)
    expected, _ = reference(folder)
    moment, killed = 0, 0
    while True:
        clear(folder)
        code = exit_code(fork(_batch_until, folder, moment))
        if code == 0:
            break
        check(code == -9, f"killed at moment {moment}, not ended with {code}")
        expect_whole(folder, expected, 0)
        expect_clean(folder, expected)
        moment, killed = moment + step, killed + 1
    return {"moments of a batch run": killed}


def _batch_until(folder: Path, moment: int) -> int:
    with KillAtDiskStep(moment):
        return batch(folder)


def kill_store_at_every_step(folder: Path, step: int = 1) -> dict[str, int]:
    """Kill publish, rollback and prune likewise: the serving version still forecasts, and the next writer cleans up. Counts."""
    preload()
    counts = {}
    for verb in ("publish", "rollback", "prune"):
        models, moment, killed = folder / verb, 0, 0
        write_csv(folder / "data.csv", 60)
        while True:
            for _ in range(2):  # something to go back to, and something to remove
                stored(models)
            code = exit_code(fork(_store_until, models, verb, moment))
            check(exit_code(fork(answers, folder, models)) == 0, f"the serving version forecasts after {verb}")
            if code == 0:
                break
            check(code == -9, f"{verb} killed at {moment}, not ended with {code}")
            for verb_after in ("publish", "prune"):
                check(exit_code(fork(_store_until, models, verb_after, 10_000)) == 0, f"the next {verb_after} works")
            check(leftovers(models) == [], f"no leftovers: {leftovers(models)}")
            moment, killed = moment + step, killed + 1
        counts[f"moments of a {verb}"] = killed
    return counts


def _store_until(models: Path, verb: str, moment: int) -> int:
    from forecaster.serving.store import Store

    store = Store(models)
    with KillAtDiskStep(moment):
        if verb == "publish":
            with store.training("m", 0.0):
                stored(models)
        elif verb == "rollback":
            store.rollback("m", store.versions("m")[0])
        else:
            store.prune("m", 1)
    return 0


def answers(folder: Path, models: Path, name: str = "m") -> int:
    """Predict with the serving version in this process; the exit code."""
    from forecaster.cli.main import run

    return run(["predict", str(folder / "data.csv"), "--models", str(models), "--model", name, "--quiet"])


def kill_trains(folder: Path, count: int, rng: random.Random) -> dict[str, int]:
    """Train a small network until `count` trainings were killed: at a random time, and at a change of the disk, in turn.

    After each, the old version or the new one serves. Counts.
    """
    tally = {"trainings": 0, "killed while running": 0, "of these between disk steps": 0}
    if not count:
        return tally
    preload(*TRAINING)
    write_csv(folder / "data.csv", 120)
    began = time.monotonic()
    check(exit_code(fork(train, folder)) == 0, "the training runs")
    seconds = time.monotonic() - began
    check(exit_code(fork(_moments_of_a_train, folder)) == 0, "the moments of a training are counted")
    moments = int((folder / "moments").read_text())
    while tally["killed while running"] < count:
        by_clock, began = tally["trainings"] % 2 == 0, time.monotonic()
        if by_clock:
            code = kill_after(fork(train, folder), rng.uniform(0, 1.05 * seconds))
        else:
            code = exit_code(fork(_train_until, folder, rng.randrange(moments)))
        check(code in (0, -9), f"a training ends well or is killed: {code}")
        if code == 0:  # on a busy machine the first may have taken far longer
            seconds = min(seconds, time.monotonic() - began)
        tally["trainings"] += 1
        tally["killed while running"] += code == -9
        tally["of these between disk steps"] += code == -9 and not by_clock
        check(exit_code(fork(answers, folder, folder / "models")) == 0, "the serving version forecasts")
        if tally["trainings"] % 10 == 0:
            expect_no_leftovers_after_a_train(folder)
    expect_no_leftovers_after_a_train(folder)
    return tally


def expect_no_leftovers_after_a_train(folder: Path) -> None:
    """Check that the next training works and removes what the killed ones left."""
    check(exit_code(fork(train, folder)) == 0, "the next training works")
    check(leftovers(folder / "models") == [], f"no leftovers: {leftovers(folder / 'models')}")


def _train_until(folder: Path, moment: int) -> int:
    with KillAtDiskStep(moment):
        return train(folder)


def _moments_of_a_train(folder: Path) -> int:
    never = 1_000_000
    with KillAtDiskStep(never) as killer:
        code = train(folder)
        (folder / "moments").write_text(str(never - killer.left))
        return code


def train(folder: Path) -> int:
    """Train in this process; the exit code."""
    from forecaster.cli.main import run

    return run(["train", str(folder / "data.csv"), "--models", str(folder / "models"), *TRAIN.split()])


def main() -> None:
    """Run each part as often as the options say, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trains", type=int, default=200)
    parser.add_argument("--batches", type=int, default=500)
    parser.add_argument("--step", type=int, default=1, help="kill at every n-th moment only")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    parts = (
        (kill_at_every_step, given.step),
        (kill_store_at_every_step, given.step),
        (kill_batches, given.batches, rng),
        (kill_trains, given.trains, rng),
    )
    for work, *rest in parts:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = work(Path(folder), *rest)
        print(json.dumps({work.__name__: found, "seconds": round(time.monotonic() - began, 1)}), flush=True)


if __name__ == "__main__":
    main()
